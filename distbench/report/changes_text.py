"""A diff of two runs as text: renderables for a terminal, and Markdown for a pull request."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from distbench.report import changes
from distbench.report.changes import VERDICTS
from distbench.report.markdown_parts import MARKDOWN_LIMIT, escape, fitting, headed, row
from distbench.report.terminal.grid import COLOURS, Column, Grid, Row, name
from distbench.report.visible import one_line
from distbench.schema.diff import ChangeVerdict, Diff

_MOST_ROWS, _MOST_FACTS = 40, 24
_TEXT = 160
_ROOM = MARKDOWN_LIMIT - 1_536  # leaves room for what a caller puts around it


def terminal_diff(diff: Diff) -> list[RenderableType]:
    """Return what changed as tables with one sentence at the end; the caller prints them."""
    grids = [_facts(diff), _overall(diff), _tasks(diff), _measures(diff)]
    parts: list[RenderableType] = [part for grid in grids if grid is not None for part in (grid, Text())]
    return [*parts, Group(*_sentences(diff))]


def _verdict(verdict: ChangeVerdict) -> Text:
    found = VERDICTS[verdict]
    return Text(f"{found.glyph} {found.word}", style=COLOURS[found.tone])


def _overall(diff: Diff) -> Grid | None:
    title = f"Over all tasks; intervals at {changes.level(diff)}; 100 points are the teacher's whole skill"
    columns = [
        Column(""),
        Column("Student"),
        Column("Retained in A", number=True),
        Column("in B", number=True),
        Column("Change", number=True),
        Column("Rests on", drop=2),
        Column("Gate", drop=1),
    ]
    rows = [
        Row(
            [
                _verdict(model.verdict),
                name(changes.name(model)),
                changes.retained(model.retained_a),
                changes.retained(model.retained_b),
                changes.points(model.retained_change),
                changes.BASIS[model.basis],
                changes.gate_words(model),
            ],
            "dim" if model.role == "control" else "",
        )
        for model in changes.models(diff)
        if model.role != "teacher"
    ]
    return Grid(columns, rows, title=title, names=2) if rows else None


def _tasks(diff: Diff) -> Grid | None:
    """Return the tasks of each model; those on which every answer is the same are only counted."""
    wanted, left_out = changes.telling(changes.rows(diff))
    shown = wanted[:_MOST_ROWS]
    columns = [
        Column(""),
        Column("Task"),
        Column("n", number=True, drop=2),
        Column("Score in A", number=True),
        Column("in B", number=True),
        Column("Change", number=True),
        Column("Retained", number=True, drop=1),
        Column("Why", drop=3),
    ]
    rows = [
        Row(
            [
                _verdict(each.task.verdict),
                name(each.task.task),
                changes.samples(each.task),
                each.a,
                each.b,
                each.change,
                each.retained,
                one_line(each.task.reason, _TEXT),
            ],
            group=name(changes.name(model)),
        )
        for model in changes.models(diff)
        for each in shown
        if each.model is model
    ]
    more = len(wanted) - len(shown)
    title = f"Task by task, + is better; unchanged: surely within {changes.margin(diff)}"
    title += f"; {left_out}" if left_out else ""
    return Grid(columns, rows, title + (f"; {more} more with --json" if more else ""), names=2) if rows else None


def _measures(diff: Diff) -> Grid | None:
    columns = [
        Column(""),
        Column("Student"),
        Column("A", number=True),
        Column("B", number=True),
        Column("B ÷ A", number=True),
        Column("Why", drop=1),
    ]
    found = [(model, each) for model in changes.models(diff) for each in changes.quoted(model)]
    titles = dict.fromkeys(changes.measure_title(each) for _, each in found)
    rows = [
        Row(
            [
                _verdict(each.verdict),
                name(changes.name(model)),
                changes.times(each.ratio_a),
                changes.times(each.ratio_b),
                changes.times(each.relative),
                one_line(each.reason, _TEXT),
            ],
            group=title,
        )
        for title in titles
        for model, each in found
        if changes.measure_title(each) == title
    ]
    return Grid(columns, rows, "Times better than the teacher; B ÷ A above 1: better now", names=2) if rows else None


def _facts(diff: Diff) -> Grid | None:
    found = changes.facts(diff)
    rows = [
        Row([changes.TOPICS[fact.topic], name(fact.about), *(changes.side(fact, which, 60) for which in "ab")])
        for fact in found[:_MOST_FACTS]
    ]
    more = f"; {len(found) - _MOST_FACTS} more with --json" if len(found) > _MOST_FACTS else ""
    columns = [Column(""), Column("What"), Column("A"), Column("B")]
    return Grid(columns, rows, f"What is not the same in the two runs{more}", names=2) if rows else None


def _sentences(diff: Diff) -> list[RenderableType]:
    verdict, sentence = changes.headline(diff)
    line = Text(f"{verdict.glyph} {sentence}", style=f"bold {COLOURS[verdict.tone]}")
    runs = Text(f"A is {_run(diff, 'a')}; B is {_run(diff, 'b')}", style="dim")
    more = [Text(one_line(text, 400)) for text in changes.arrivals(diff)]
    return [runs, *more, *(Text(one_line(note, 400), style="yellow") for note in diff.notes), line]


def _run(diff: Diff, which: str) -> str:
    run = diff.a if which == "a" else diff.b
    return f"{name(run.run)} ({one_line(run.created_at, 40) or 'no date'})"


def markdown_diff(diff: Diff) -> str:
    """Return what changed as Markdown that fits a pull-request comment; what does not fit is counted."""
    verdict, sentence = changes.headline(diff)
    runs = f"A is {escape(_run(diff, 'a'), 120)}; B is {escape(_run(diff, 'b'), 120)}."
    head = f"## {verdict.glyph} What changed: {sentence}\n\n{runs} Changes are B − A, + is better; intervals at "
    head += f"{changes.level(diff)}; 100 points are the teacher's whole skill.\n\n"
    blocks = [
        ("students", _markdown_overall(diff)),
        ("task changes", _markdown_tasks(diff)),
        ("measures", _markdown_measures(diff)),
        ("differences", _markdown_facts(diff)),
        ("notes", [f"- {escape(text, 400)}\n" for text in (*changes.arrivals(diff), *diff.notes)]),
    ]
    parts, room = [head], _ROOM - len(head)
    for noun, lines in blocks:
        kept, room = fitting(lines, room)
        left_out = len(lines) - len(kept)
        parts += ["".join(kept), f"\n_{left_out:,} more {noun} are in the full diff._\n" if left_out else ""]
        parts.append("\n" if lines else "")
    return "".join(parts).rstrip() + "\n"


def _word(verdict: ChangeVerdict) -> str:
    return f"{VERDICTS[verdict].glyph} {VERDICTS[verdict].word}"


def _markdown_overall(diff: Diff) -> list[str]:
    rows = [
        row(
            [
                _word(model.verdict),
                escape(changes.name(model)),
                str(changes.retained(model.retained_a).brief),
                str(changes.retained(model.retained_b).brief),
                escape(str(changes.points(model.retained_change).brief), _TEXT),
                changes.BASIS[model.basis],
                changes.gate_words(model),
            ]
        )
        for model in changes.models(diff)
        if model.role != "teacher"
    ]
    head = row(["", "Student", "Retained in A", "in B", "Change", "Rests on", "Gate"])
    return headed(head + row(["---", "---", "---:", "---:", "---:", "---", "---"]), rows)


def _markdown_tasks(diff: Diff) -> list[str]:
    rows = [
        row(
            [
                _word(each.task.verdict),
                escape(each.task.task),
                escape(changes.name(each.model)),
                changes.samples(each.task),
                each.a.text,
                each.b.text,
                escape(str(each.change.brief), _TEXT),
                escape(str(each.retained.brief), _TEXT),
                escape(each.task.reason, _TEXT),
            ]
        )
        for each in changes.telling(changes.rows(diff))[0]
    ]
    head = row(["", "Task", "Model", "n", "Score in A", "in B", "Change", "Retained", "Why"])
    return headed(f"### Task by task\n\n{head}" + row(["---", "---", "---", *["---:"] * 5, "---"]), rows)


def _markdown_measures(diff: Diff) -> list[str]:
    rows = [
        row(
            [
                _word(each.verdict),
                one_line(changes.measure_title(each), 80),
                escape(changes.name(model)),
                *(str(changes.times(found).brief) for found in (each.ratio_a, each.ratio_b, each.relative)),
                escape(each.reason, _TEXT),
            ]
        )
        for model in changes.models(diff)
        for each in changes.quoted(model)
    ]
    head = row(["", "Measure", "Student", "A", "B", "B ÷ A", "Why"])
    return headed(f"### Measured\n\n{head}" + row(["---", "---", "---", *["---:"] * 3, "---"]), rows)


def _markdown_facts(diff: Diff) -> list[str]:
    rows = [
        row(
            [
                changes.TOPICS[fact.topic],
                escape(fact.about),
                *(escape(changes.side(fact, which), 80) for which in "ab"),
            ]
        )
        for fact in changes.facts(diff)
    ]
    head = row(["", "What", "A", "B"]) + row(["---"] * 4)
    return headed(f"### What is not the same\n\n{head}", rows)
