"""`verify`: check runs, say what was found, and exit by it; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distbench.cli.output import out, print_json
from distbench.errors import ExitCode
from distbench.report.visible import one_line
from distbench.report.words import plural
from distbench.schema.verification import Check, Finding, RunVerification, Soundness
from distbench.verify.looking import NONE
from distbench.verify.run import verify

WORDS: dict[Soundness, str] = {
    "ok": "ok",
    "not_checked": "not checked",
    "warning": "warning",
    "suspicious": "SUSPICIOUS",
    "damaged": "DAMAGED",
}
MEANINGS: dict[Soundness, str] = {
    "ok": "intact",
    "not_checked": "intact as far as it can be checked",
    "warning": "intact; something is worth knowing",
    "suspicious": "suspicious: look before you believe its verdict",
    "damaged": "damaged, or its parts contradict each other",
}
STYLES: dict[Soundness, str] = {"warning": "yellow", "suspicious": "bold red", "damaged": "bold red"}
FEW, LONGEST_WHERE, LONGEST_WHAT = 5, 160, 400


@dataclass(frozen=True)
class Wish:
    """How much the command line asks to check, and to print."""

    quick: bool = False
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


def show_verification(paths: Sequence[Path], wish: Wish) -> ExitCode:
    """Print what was found in some runs; the exit code is that of the worst."""
    found = verify(paths, "quick" if wish.quick else "full")
    if wish.as_json:
        print_json(found)
    else:
        for run in found.runs:
            _say(_headline(run), STYLES.get(run.verdict))
            for check in run.checks if not wish.quiet else []:
                _check(check, whole=wish.verbose)
    return ExitCode(found.exit_code)


def _headline(run: RunVerification) -> str:
    empty = sum(check.note == NONE for check in run.checks)
    unknown = sum(check.verdict == "not_checked" for check in run.checks) - empty
    counted = plural(len(run.checks) - unknown - empty, "check")
    left = f", {unknown} not possible" if unknown else ""
    depth = ", quick" if run.depth == "quick" else ""
    return f"{one_line(run.path, LONGEST_WHERE)}: {MEANINGS[run.verdict]} ({counted}{left}{depth})"


def _check(check: Check, *, whole: bool) -> None:
    counted = f"{check.checked:,} {check.unit}" if check.checked else ""
    note = one_line(check.note, LONGEST_WHAT) if check.note else ""
    title = check.title + (f" ({note})" if note else "")
    if check.verdict == "not_checked":  # what would be true says nothing here
        title = note or "cannot be checked:"
    word = "–" if check.note == NONE else WORDS[check.verdict]
    _say(f"  {word:<12}{check.id:<21}{counted:<22}{title}", STYLES.get(check.verdict))
    shown = check.findings if whole else check.findings[:FEW]
    for finding in shown:
        _say(f"      {_finding(finding, check)}", None)
    if check.findings_total > len(shown):
        more = "" if whole else "; --verbose shows up to 100"
        _say(f"      and {check.findings_total - len(shown)} more{more}", None)
    if check.remedy:
        _say(f"      → {check.remedy}", None)


def _finding(finding: Finding, check: Check) -> str:
    """Return a finding in a line; with its own verdict where the check's is a worse one."""
    own = "" if finding.verdict == check.verdict else f"{WORDS[finding.verdict].lower()}: "
    return f"{own}{one_line(finding.where, LONGEST_WHERE)}: {one_line(finding.what, LONGEST_WHAT)}"


def _say(line: str, style: str | None) -> None:
    out().print(line, markup=False, soft_wrap=True, style=style or "")
