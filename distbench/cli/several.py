"""`diff`, `trend`, and `report` of several runs: read runs, need no torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distbench.cli.output import err, out, print_json
from distbench.compare.diff import MARGIN, diff
from distbench.compare.merge import merge
from distbench.compare.reading import read_result
from distbench.compare.source import opened
from distbench.compare.trend import trend
from distbench.errors import ExitCode, UsageError
from distbench.report.visible import one_line
from distbench.schema.diff import Diff
from distbench.schema.result import Result
from distbench.store.files import write_text

FAIL_ON = ("worse", "slower", "verdict")
_MOST_REASONS = 10


@dataclass(frozen=True)
class DiffWish:
    """What the command line asks of a diff."""

    margin: float = MARGIN
    match: tuple[str, ...] = ()
    fail_on: tuple[str, ...] = ()
    page: Path | None = None
    as_json: bool = False
    as_markdown: bool = False


def show_diff(a: Path, b: Path, wish: DiffWish) -> ExitCode:
    """Print what changed from run A to run B. It is a description, so the code is 0 unless `fail_on` says otherwise."""
    if wish.as_json and wish.as_markdown:
        raise UsageError("--json and --markdown cannot be combined")
    for each in wish.fail_on:
        if each not in FAIL_ON:
            raise UsageError(f"--fail-on {each}: choose from {', '.join(FAIL_ON)}")
    found = diff(opened(a), opened(b), margin=wish.margin, match=pairs(wish.match))
    if wish.page is not None:
        from distbench.report.several import diff_page

        write_text(wish.page, diff_page(found))
    if wish.as_json:
        print_json(found)
    elif wish.as_markdown:
        from distbench.report.changes_text import markdown_diff

        print_text(markdown_diff(found))
    else:
        from distbench.report.changes_text import terminal_diff

        for part in terminal_diff(found):
            out().print(part)
    reasons = reasons_to_fail(found, wish.fail_on)
    if reasons:
        shown = "; ".join(one_line(reason, 80) for reason in reasons[:_MOST_REASONS])
        more = f"; and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
        err().print(f"--fail-on {', '.join(wish.fail_on)}: {shown}{more}", markup=False, soft_wrap=True)
    return ExitCode.GATE_FAILED if reasons else ExitCode.OK


def pairs(given: Sequence[str]) -> Mapping[str, str]:
    """Return {name in A: name in B} of "NAME_IN_A=NAME_IN_B"."""
    found = {}
    for each in given:
        one, equals, other = each.partition("=")
        if not (one and equals and other):
            raise UsageError(f"--match {each}: it reads NAME_IN_A=NAME_IN_B")
        found[one] = other
    return found


def reasons_to_fail(found: Diff, fail_on: Sequence[str]) -> list[str]:
    """Return what got worse in the ways that `fail_on` names: scores, measures, or the verdict of the gate."""
    reasons = found.worse() if "worse" in fail_on else []
    judged = [each for each in found.students if each.role == "student"]
    if "slower" in fail_on:
        reasons += [
            f"{each.label_b}, {measure.metric}"
            for each in judged
            for measure in each.measurements
            if measure.verdict == "worse"
        ]
    if "verdict" in fail_on:
        reasons += [each.label_b for each in judged if each.verdict_a == "PASS" and each.verdict_b != "PASS"]
    return reasons


@dataclass(frozen=True)
class TrendWish:
    """What the command line asks of a trend."""

    margin: float = MARGIN
    as_given: bool = False
    page: Path | None = None
    as_json: bool = False
    as_csv: bool = False


def show_trend(paths: Sequence[Path], wish: TrendWish) -> None:
    """Print how each student went from release to release."""
    if wish.as_json and wish.as_csv:
        raise UsageError("--json and --csv cannot be combined")
    found = trend([opened(path) for path in paths], as_given=wish.as_given, margin=wish.margin)
    if wish.page is not None:
        from distbench.report.several import trend_page

        write_text(wish.page, trend_page(found))
    if wish.as_json:
        print_json(found)
    elif wish.as_csv:
        from distbench.cli.trend_csv import trend_csv

        print_text(trend_csv(found))
    else:
        from distbench.report.trend_text import terminal_trend

        for part in terminal_trend(found):
            out().print(part)


def print_text(text: str) -> None:
    """Print text as it is: no wrapping, no markup."""
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def merged(paths: Sequence[Path]) -> Result:
    """Return several runs as one comparison."""
    return merge([read_result(path) for path in paths])
