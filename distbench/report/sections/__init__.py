"""The parts of the page, in reading order. A section without data returns None and leaves no trace."""

from __future__ import annotations

from distbench.report.sections.bias import BiasTransfer
from distbench.report.sections.calibration import Reliability
from distbench.report.sections.context import Context
from distbench.report.sections.disagreements import Disagreements
from distbench.report.sections.fidelity import Agreement
from distbench.report.sections.groups import Groups
from distbench.report.sections.method import Method
from distbench.report.sections.provenance import Provenance
from distbench.report.sections.section import Section
from distbench.report.sections.seeds import Seeds
from distbench.report.sections.speed import Speed
from distbench.report.sections.studies import Studies
from distbench.report.sections.tasks import Tasks
from distbench.report.sections.tradeoff import TradeOff
from distbench.report.sections.training import TrainingCost
from distbench.report.sections.verdict import VerdictBand
from distbench.report.sections.warnings import Warnings

SECTIONS: tuple[Section, ...] = (
    VerdictBand(),
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
