"""Foreign names in every output of the gate: shown, inert, and the document stays valid and small."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest

from distbench.cli.gating import as_json
from distbench.gate.decision import decide
from distbench.gate.github import MOST, annotate, harmless, harmless_json
from distbench.gate.junit import junit
from distbench.gate.markdown import COMMENT_LIMIT, SUMMARY_LIMIT, markdown
from distbench.gate.text import text
from distbench.schema.decision import Decision
from tests.gate.results import check, failed_cell, result, student

HOSTILE = [
    "</script><script>alert(1)</script>",
    "=HYPERLINK(1)",
    "a|b",
    "one\ntwo\r\n::error::three",
    "\u202egnp.exe",
    "lone \ud800 surrogate",
    "nul \x00 bell \x07 \ufffe\uffff",
    "]]>&amp;<!--",
    "##[add-mask]secret",
    "::set-output name=verdict::PASS",
    "100 % , : \\ `*_~$ @maintainer #1",
    "x" * 100_000,
]
# What the schema of Jenkins' xUnit plug-in (junit-10.xsd) knows.
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time", "assertions", "status"},
    "skipped": {"message", "type"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "system-out": set(),
}
INSIDE = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"skipped", "failure", "error", "system-out"},
}


def hostile(name: str) -> Decision:
    checks = [
        check("FAIL", "task_floor", task=name, reason=name),
        check("INCONCLUSIVE", "measured", metric=name, workload=name),
        check("INVALID", name[:64], reason=name),
    ]
    one = student(checks, "small", label=name)
    return decide(result([one], suite=name, run=name, created_at=name, cells=[failed_cell(name)]))


def assert_junit(said: str) -> ET.Element:
    root = ET.fromstring(said)
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= INSIDE.get(element.tag, set())
    for suite in root:
        assert suite[0].tag == "properties"
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == sum(case.find(kind) is not None for case in cases)
    for name in ("tests", "failures", "errors"):
        assert int(root.attrib[name]) == sum(int(suite.attrib[name]) for suite in root)
    return root


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_every_output_stays_valid(name: str) -> None:
    decision = hostile(name)
    for said in (text(decision), markdown(decision), junit(decision), as_json(decision), *annotate(decision)):
        said.encode("utf-8")
        assert "\u202e" not in said or said.startswith("{")  # JSON holds the text as it is
        assert "\x00" not in said
    root = assert_junit(junit(decision))
    assert "<script>" not in junit(decision)
    assert root[0].get("timestamp") is None  # not a time
    document = json.loads(as_json(decision))
    assert document["students"][0]["label"] == name
    assert len(junit(decision)) < 60_000


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_markdown_is_a_table_in_which_nothing_acts(name: str) -> None:
    said = markdown(hostile(name))
    assert len(said.encode()) < COMMENT_LIMIT
    assert "<script" not in said
    assert not re.search(r"(?<!\\)@maintainer\b", said.replace("@<!-- -->maintainer", ""))
    for line in said.splitlines():
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)
            assert len(cells) in {5, 7, 8}  # three columns, five or six


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_annotations_are_commands_of_ours_only(name: str) -> None:
    found = annotate(hostile(name))
    assert 1 < len(found) <= MOST
    for line in found:
        assert re.fullmatch(r"::(error|warning|notice) title=[^:,\r\n]*::[^\r\n]*", line)
        assert "##[" not in line
        assert "%" not in re.sub(r"%(25|0A|0D|3A|2C)", "", line)
        assert len(line) < 4_000


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_log_on_github_holds_no_command(name: str) -> None:
    decision = hostile(name)
    for said in (text(decision), markdown(decision)):
        for line in harmless(said).splitlines():
            assert not line.strip().startswith("::")
            assert "##[" not in line
    safe = harmless_json(as_json(decision))
    assert "##[" not in safe
    assert json.loads(safe) == json.loads(as_json(decision))


def test_what_does_not_fit_is_counted_and_the_worst_comes_first() -> None:
    many = [check("PASS", "agreement", task=f"task {number} " + "ü" * 80) for number in range(3_000)]
    lost = check("FAIL", "agreement", task="the one that fails")
    decision = decide(result([student([*many, lost])]))
    comment, summary = markdown(decision), markdown(decision, SUMMARY_LIMIT)
    assert len(comment.encode()) < COMMENT_LIMIT
    assert len(summary.encode()) < SUMMARY_LIMIT
    left_out = re.search(r"_([\d,]+) more rules that pass are left out here", comment)
    assert left_out
    rows = [line for line in comment.splitlines() if line.startswith("|") and "same answer as the teacher" in line]
    assert len(rows) + int(left_out[1].replace(",", "")) == 3_001
    assert "the one that fails" in rows[0]
    assert "left out" not in summary
    for said in (comment, summary):
        assert said.count("<details>") == said.count("</details>") == 1


def test_annotations_beyond_ten_are_one_line_and_the_worst_are_kept() -> None:
    undecided = [check("INCONCLUSIVE", "agreement", task=f"t{number}") for number in range(20)]
    found = annotate(decide(result([student([*undecided, check("FAIL")])])))
    assert len(found) == MOST
    assert "title=FAIL%3A small::" in found[1]
    assert "13 more rules do not pass" in found[-1]
    eight = annotate(decide(result([student([check("FAIL", "agreement", task=f"t{n}") for n in range(9)])])))
    assert len(eight) == MOST
    assert "more rules" not in eight[-1]
