"""One decision: text, JSON, Markdown, JUnit, annotations and exit code say the same of every verdict."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from distbench.cli.gating import as_json, rendered
from distbench.errors import ExitCode
from distbench.gate.decision import decide, with_checks
from distbench.gate.github import annotate, outputs
from distbench.gate.junit import junit
from distbench.gate.markdown import markdown
from distbench.gate.text import text
from distbench.schema.decision import Decision
from distbench.schema.policy import OnInconclusive
from distbench.schema.result import Verdict
from distbench.suite.schema_export import decision_schema
from tests.gate.results import VERDICTS, check, failed_cell, result, student

HOWS: tuple[OnInconclusive, ...] = ("fail", "warn", "pass")
CODES = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "NO_SIGNAL": 3, "INVALID": 3}


def expected_code(verdict: Verdict, how: OnInconclusive) -> int:
    """The table of the documentation, written out once more."""
    return 0 if how != "fail" and verdict in {"INCONCLUSIVE", "NO_SIGNAL"} else CODES[verdict]


def facts_of_text(said: str) -> tuple[str, int, str]:
    found = re.match(r"(\w+): .* \(exit code (\d+)\)\n", said)
    assert found
    how = re.search(r"on inconclusive: (\w+)", said)
    return found[1], int(found[2]), how[1] if how else ""


def facts_of_junit(said: str) -> tuple[str, int, str, dict[str, int]]:
    root = ET.fromstring(said)
    facts = {each.get("name"): each.get("value") for each in root.iter("property")}
    counts = {name: sum(int(suite.get(name, 0)) for suite in root) for name in ("failures", "errors", "skipped")}
    return str(facts["gate.verdict"]), int(str(facts["gate.exit_code"])), str(facts["gate.on_inconclusive"]), counts


def assert_agree(decision: Decision, verdict: Verdict, how: OnInconclusive) -> None:
    code = expected_code(verdict, how)
    assert (decision.verdict, decision.exit_code, decision.on_inconclusive) == (verdict, code, how)
    assert decision.exit_code in set(ExitCode)

    said = text(decision)
    assert facts_of_text(said)[:2] == (verdict, code)
    assert verdict in {"PASS", "FAIL", "INVALID"} or facts_of_text(said)[2] == how

    document = json.loads(as_json(decision))
    Draft202012Validator(decision_schema()).validate(document)
    assert (document["verdict"], document["exit_code"], document["on_inconclusive"]) == (verdict, code, how)
    assert Decision.model_validate(document) == decision

    comment = markdown(decision)
    assert comment.startswith("## ")
    assert f" {verdict.replace('_', ' ')}: by-hand" in comment.splitlines()[0]
    assert f"Exit code {code}: " in comment

    if decision.students:
        xml_verdict, xml_code, xml_how, counts = facts_of_junit(junit(decision))
        assert (xml_verdict, xml_code, xml_how) == (verdict, code, how)
        assert (counts["failures"] > 0) == (verdict == "FAIL")
        assert (counts["errors"] > 0) == (verdict == "INVALID")

    first = annotate(decision)[0]
    level = {0: "notice" if verdict == "PASS" or how == "pass" else "warning"}.get(code, "error")
    assert first.startswith(f"::{level} title={verdict}%3A by-hand (exit code {code})::")
    assert outputs(decision) == f"verdict={verdict}\nexit-code={code}\n"


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_rendering_says_the_same(verdict: Verdict, how: OnInconclusive) -> None:
    checks = [check("PASS", "speedup"), check(verdict)]
    assert_agree(decide(result([student(checks)]), how), verdict, how)


@pytest.mark.parametrize("how", HOWS)
def test_without_a_student_nothing_is_decided(how: OnInconclusive) -> None:
    decision = decide(result([]), how)
    assert_agree(decision, "INCONCLUSIVE", how)
    assert "There is no student." in text(decision)
    assert ET.fromstring(junit(decision)).get("tests") == "0"


def test_a_student_of_which_nothing_is_asked_never_passes() -> None:
    decision = decide(result([student([])]))
    assert_agree(decision, "INCONCLUSIVE", "fail")
    advisory = decide(result([student([check("PASS", required=False)])]))
    assert_agree(advisory, "INCONCLUSIVE", "fail")
    assert "no rule that counts" in text(advisory)


def test_an_advisory_rule_is_shown_and_fails_nothing() -> None:
    checks = [check("PASS"), check("FAIL", "agreement", task="t", required=False)]
    decision = decide(result([student(checks), student([check("FAIL")], "draft", required=False)]))
    assert_agree(decision, "PASS", "fail")
    assert "FAIL          same answer as the teacher: t ≥ 95\xa0% (advisory)" in text(decision)
    assert facts_of_junit(junit(decision))[3] == {"failures": 0, "errors": 0, "skipped": 2}
    levels = {line.split(" ", 1)[0] for line in annotate(decision)}
    assert levels == {"::notice"}


def test_the_worst_of_several_students_decides_and_controls_do_not_count() -> None:
    control = student([check("FAIL")], "small-control", role="control")
    decision = decide(result([student([check("PASS")]), student([check("INCONCLUSIVE")], "other"), control]))
    assert_agree(decision, "INCONCLUSIVE", "fail")
    assert "small-control" not in rendered(decision, "text")
    assert list(decision.rules) == ["small", "other"]


def test_work_that_crashed_is_an_error_of_its_own() -> None:
    cells = [failed_cell(), failed_cell().model_copy(update={"status": "missing", "error": None, "id": "c2"})]
    decision = decide(result([student([check("INCONCLUSIVE")])], cells=cells))
    suites = list(ET.fromstring(junit(decision)))
    assert [(each.get("name"), each.get("errors"), each.get("skipped")) for each in suites] == [
        ("small", "0", "1"),
        ("cells of the run", "1", "1"),
    ]
    for said in (text(decision), markdown(decision)):
        assert "killed by signal 9" in said
        assert "small on t never ran" in said


def test_further_checks_change_the_verdict_everywhere() -> None:
    before = result([student([check("PASS")])])
    after = with_checks(before, {"small": [check("FAIL", "baseline_retained", threshold=-0.01)]})
    decision = decide(after)
    assert_agree(decision, "FAIL", "fail")
    assert "≥ −1\xa0points" in text(decision)
    assert decide(before).verdict == "PASS"


def test_json_keeps_what_the_gate_printed_before() -> None:
    document = json.loads(as_json(decide(result([student([check("FAIL", "task_floor", task="t")])]))))
    assert {"verdict", "reason", "exit_code", "rules"} <= document.keys()
    (rule,) = document["rules"]["small"]
    assert {"rule", "task", "threshold", "direction", "required", "observed", "verdict", "reason", "n"} <= rule.keys()
