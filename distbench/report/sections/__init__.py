"""The parts of the page, in reading order. A section without data returns None and leaves no trace.

Other packages add sections by the entry point group `distbench.sections`: a class as `Section` describes, whose `after`
names the anchor that it follows ("bias" where it has none).
"""

from __future__ import annotations

from distbench import plugins
from distbench.errors import EnvironmentFault
from distbench.report.sections.bias import BiasTransfer
from distbench.report.sections.calibration import Reliability
from distbench.report.sections.context import Context
from distbench.report.sections.disagreements import Disagreements
from distbench.report.sections.fidelity import Agreement
from distbench.report.sections.groups import Groups
from distbench.report.sections.method import Method
from distbench.report.sections.provenance import Provenance
from distbench.report.sections.runs import Runs
from distbench.report.sections.section import Fragment, Section
from distbench.report.sections.seeds import Seeds
from distbench.report.sections.speed import Speed
from distbench.report.sections.studies import Studies
from distbench.report.sections.tasks import Tasks
from distbench.report.sections.tradeoff import TradeOff
from distbench.report.sections.training import TrainingCost
from distbench.report.sections.verdict import VerdictBand
from distbench.report.sections.warnings import Warnings
from distbench.report.view import View

SECTIONS: tuple[Section, ...] = (
    VerdictBand(),
    Runs(),
    TradeOff(),
    Studies(),
    Tasks(),
    Speed(),
    TrainingCost(),
    Seeds(),
    Agreement(),
    Reliability(),
    Disagreements(),
    Groups(),
    Context(),
    BiasTransfer(),
    Method(),
    Provenance(),
    Warnings(),
)

LAST = "bias"  # the last section about the models: what others add stands before the method


def sections() -> list[Section]:
    """Return our sections with those of other packages in their places, in the order of their names."""
    found: list[Section] = list(SECTIONS)
    for name in reversed(plugins.names("sections")):
        made: Section = plugins.load("sections", name)()
        after = getattr(made, "after", LAST)
        place = next((number for number, each in enumerate(found) if each.anchor == after), None)
        if place is None or made.anchor in {each.anchor for each in found}:
            what = f"no section {after!r} to stand after" if place is None else f"another section {made.anchor!r}"
            raise EnvironmentFault(
                f"the report section {name!r} of {plugins.distribution('sections', name).package}: {what}"
            )
        found.insert(place + 1, made)
    return found


def rendered(section: Section, view: View) -> Fragment | None:
    """Return a section's part of the page. One of another package that fails is named; the report is not written."""
    if section in SECTIONS:
        return section.render(view)
    try:
        return section.render(view)
    except Exception as error:  # foreign code runs here: whatever it raises, its package is at fault
        what = f"{type(error).__name__}: {error}"
        raise EnvironmentFault(f"the report section {section.anchor!r} ({type(section).__module__}): {what}") from error
