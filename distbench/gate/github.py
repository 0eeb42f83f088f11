"""The decision for GitHub Actions: annotations, outputs of the step, and lines that cannot be taken for commands.

Workflow commands are `::level title=…::message`, with `%`, CR and LF escaped, and `:` and `,` too inside a property
(actions/toolkit, packages/core/src/command.ts). The runner also takes the older `##[command]` anywhere in a line.
"""

from __future__ import annotations

from distbench.gate.exit import UNDECIDED
from distbench.gate.lines import Line, headline, lines, name_of, sentence, worst_first
from distbench.report.visible import one_line
from distbench.schema.decision import Decision

MOST = 10  # GitHub shows no more of a kind for a step
_LONGEST = 1_000
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}
_OLD_COMMAND = "##["


def annotate(decision: Decision) -> list[str]:
    """Return at most ten workflow commands: the verdict, then what decided it, the worst first; the rest is counted."""
    found = [line for line in worst_first(lines(decision)) if line.rule.verdict != "PASS"]
    kept = found if len(found) < MOST else found[: MOST - 2]
    commands = [
        _command(
            _whole(decision),
            headline(decision),
            f"{sentence(decision)}. Exit code {decision.exit_code}: {decision.exit_reason}.",
        )
    ]
    commands += [_command(_level(decision, line), f"{line.rule.verdict}: {name_of(line.student)}", _said(line))
                 for line in kept]  # fmt: skip
    rest = found[len(kept) :]
    if rest:
        more = f"{len(rest)} more rules do not pass; the summary, or the JSON document, has them."
        commands.append(_command(_level(decision, rest[0]), "distbench gate", more))
    return commands


def annotate_error(message: str) -> str:
    """Return the workflow command of a gate that came to no decision."""
    return _command("error", "distbench gate: no decision", message)


def outputs(decision: Decision) -> str:
    """Return the lines for $GITHUB_OUTPUT: words and numbers of ours only, nothing that a name could change."""
    return f"verdict={decision.verdict}\nexit-code={decision.exit_code}\n"


def harmless(text: str) -> str:
    """Return printed text in which the runner finds no command: names are foreign, and a line of a log may act."""
    return "".join(_harmless_line(line) for line in text.splitlines(keepends=True))


def harmless_json(text: str) -> str:
    """Return a JSON text with the same content in which the runner finds no command: inside strings only."""
    return text.replace(_OLD_COMMAND, "##\\u005b")


def _harmless_line(line: str) -> str:
    line = line.replace(_OLD_COMMAND, "## [")
    return line.replace("::", ": :", 1) if line.lstrip().startswith("::") else line


def _whole(decision: Decision) -> str:
    if decision.verdict == "PASS":
        return "notice"
    if decision.verdict in UNDECIDED:
        return {"fail": "error", "warn": "warning", "pass": "notice"}[decision.on_inconclusive]
    return "error"


def _level(decision: Decision, line: Line) -> str:
    """Return how loud a rule is: no louder than what it does to the exit code."""
    if not line.required:
        return "notice"
    if line.rule.verdict in UNDECIDED:
        return {"fail": "error", "warn": "warning", "pass": "notice"}[decision.on_inconclusive]
    return "error"


def _said(line: Line) -> str:
    return f"{line.title}{line.advisory}: {line.seen}; {line.why}"


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_escaped(title, _PROPERTY)}::{_escaped(message, _DATA)}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    clean = one_line(text, _LONGEST).replace(_OLD_COMMAND, "## [")
    return "".join(escapes.get(character, character) for character in clean)
