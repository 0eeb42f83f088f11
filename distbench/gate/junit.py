"""The decision as a JUnit file, as Jenkins, GitLab and the runners of GitHub's actions read it.

A suite is a student and a case one of its rules: FAIL is a failure, what cannot be decided is skipped, an invalid
comparison and work that crashed are errors. An advisory rule never fails: what it says stands where it is skipped.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from distbench.gate.exit import UNDECIDED
from distbench.gate.lines import Line, cell_line, headline, lines_of, name_of, sentence, terms
from distbench.report.visible import one_line
from distbench.schema.decision import Decision, FailedCell, StudentDecision

_LONGEST = 1_000
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?")
_COUNTED = {"failure": "failures", "error": "errors", "skipped": "skipped"}
CELLS = "cells of the run"
NO_DECISION = "decision on the run"


def junit(decision: Decision) -> str:
    """Return the whole file. It has no times: a rule takes none."""
    root = ET.Element("testsuites", name=_text(f"distbench gate: {decision.suite}"))
    for student in decision.students:
        _student(root, decision, student)
    if decision.cells:
        suite = _suite(root, CELLS, decision)
        for cell in decision.cells:
            _cell(suite, cell)
    return _whole_file(root)


def _whole_file(root: ET.Element) -> str:
    for suite in root:
        _count(suite, [suite])
    _count(root, list(root))
    del root.attrib["skipped"]  # Jenkins' schema has it on suites only
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def junit_of_error(run: str, error: str) -> str:
    """Return the file of a gate that came to no decision: one case, with the error, so that a CI shows it."""
    root = ET.Element("testsuites", name=_text(f"distbench gate: {run}"))
    suite = ET.SubElement(root, "testsuite", name=NO_DECISION)
    case = ET.SubElement(suite, "testcase", classname="distbench.gate", name=NO_DECISION, time="0")
    ET.SubElement(case, "error", message=_text(error), type="error").text = _text(error)
    return _whole_file(root)


def _student(root: ET.Element, decision: Decision, student: StudentDecision) -> None:
    suite = _suite(
        root,
        name_of(student),
        decision,
        **{"student.verdict": student.verdict, "student.required": str(student.required).lower()},
    )
    for line in lines_of(decision, student):
        case = ET.SubElement(suite, "testcase", classname=_classname(student.name), name=_text(line.title), time="0")
        _outcome(case, line)


def _suite(root: ET.Element, name: str, decision: Decision, **facts: str) -> ET.Element:
    suite = ET.SubElement(root, "testsuite", name=_text(name))
    if _TIME.fullmatch(decision.created_at):
        suite.set("timestamp", decision.created_at.removesuffix("Z"))
    properties = ET.SubElement(suite, "properties")
    whole = {
        **facts,
        "gate.verdict": decision.verdict,
        "gate.exit_code": str(decision.exit_code),
        "gate.on_inconclusive": decision.on_inconclusive,
        "gate.headline": headline(decision),
        "gate.sentence": sentence(decision),
        **{f"gate.term.{number}": term for number, term in enumerate(terms(decision), 1)},
    }
    for key, value in whole.items():
        ET.SubElement(properties, "property", name=key, value=_text(value))
    return suite


def _outcome(case: ET.Element, line: Line) -> None:
    verdict = line.rule.verdict
    said = f"{line.seen}; {line.why}"
    if verdict == "PASS":
        ET.SubElement(case, "system-out").text = _text(line.seen + line.advisory)
    elif verdict in UNDECIDED or not line.required:
        ET.SubElement(case, "skipped", message=_text(f"{verdict}{line.advisory}: {said}"))
    else:
        kind = "failure" if verdict == "FAIL" else "error"
        found = ET.SubElement(case, kind, message=_text(said), type=verdict)
        found.text = _text(f"{line.title}: {said}")


def _cell(suite: ET.Element, cell: FailedCell) -> None:
    case = ET.SubElement(suite, "testcase", classname="distbench.cell", name=_text(cell.title), time="0")
    if cell.status == "missing":
        ET.SubElement(case, "skipped", message=_text(cell_line(cell)))
        return
    error = ET.SubElement(case, "error", message=_text(cell_line(cell)), type="crashed")
    error.text = _text(cell.error or "no message was left")


def _count(element: ET.Element, suites: list[ET.Element]) -> None:
    """Write the counts of an element's cases, which readers trust more than the cases."""
    cases = [case for suite in suites for case in suite.iter("testcase")]
    element.set("tests", str(len(cases)))
    for kind, name in _COUNTED.items():
        element.set(name, str(sum(case.find(kind) is not None for case in cases)))
    element.set("time", "0")


def _classname(name: str) -> str:
    """Return the name as one part: viewers split at dots."""
    return _text(f"distbench.gate.{name.replace('.', '_')}")


def _text(text: str) -> str:
    """Return the text as XML can hold it, on one line and not longer than a viewer shows."""
    return one_line(text, _LONGEST)
