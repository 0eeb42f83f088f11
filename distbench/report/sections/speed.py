"""What the student buys: time, memory, energy, each beside what this machine makes of two equal models."""

from __future__ import annotations

from distbench.report import measured
from distbench.report.figures.ecdf import ecdf_lines
from distbench.report.figures.frame import Drawn, plain_json
from distbench.report.figures.rows import ratio_rows
from distbench.report.figures.spread import spread_lines
from distbench.report.measured import Block, Spread
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import MeasureKey, View

_MOST_SPREADS = 4
MOST_LINES = 4  # students beside the teacher in a chart of times
_FIRST = ("e2e_ms", "itl_ms", "ttft_ms")  # whose percentiles are drawn first
_OPEN = 24  # rows of percentiles that are shown without a click
RULES = {"latency": "speedup", "energy": "energy"}


class Speed:
    """Measured ratios with intervals beside the noise floor, both medians, percentiles, agreement of exports."""

    title = "Speed"
    anchor = "speed"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where nothing was measured."""
        blocks = measured.blocks(view)
        agreeing = [student for student in view.students if student.agreement]
        if not blocks and not agreeing:
            return None
        spreads = measured.spreads(view)
        drawn = _charts(view, blocks)
        figures = {name: figure for charts in drawn.values() for name, (_, figure) in charts.items()}
        lines = _spread_charts(view, spreads)
        html = fill(
            "sections/speed.html",
            view,
            section=self,
            blocks=blocks,
            charts={anchor: {name: key for name, (key, _) in charts.items()} for anchor, charts in drawn.items()},
            undrawn={block.kind.anchor: len(_known(block)) - len(drawn[block.kind.anchor]) for block in blocks},
            floors=measured.noise_floors(view),
            repeated=view.headline_measure("latency") or view.headline_measure("throughput"),
            spreads=spreads,
            lines={name: key for name, (key, _) in lines.items()},
            line_students=[each.student for each in _few(view, _first_drawn(lines, spreads))],
            whole=any(each.times for each in spreads),
            open_spreads=len(spreads) <= _OPEN,
            agreeing=agreeing,
            measured=measured,
        )
        return Fragment(html, figures | {name: figure for name, (_, figure) in lines.items()})


def _charts(view: View, blocks: list[Block]) -> dict[str, dict[str, tuple[MeasureKey, Drawn]]]:
    """Return the charts of each block by id: what is quoted first, as many as there is room for."""
    made: dict[str, dict[str, tuple[MeasureKey, Drawn]]] = {}
    for block in blocks:
        quoted = {view.headline_measure(meter) for meter in block.kind.meters if meter != "load"}
        keys = sorted(_known(block), key=lambda key: (key not in quoted, block.keys.index(key)))[: block.kind.charts]
        made[block.kind.anchor] = {
            f"ratio-{block.kind.anchor}-{number}": (key, plain_json(ratio_rows(view, key, _threshold(view, key))))
            for number, key in enumerate(keys)
        }
    return made


def _known(block: Block) -> set[MeasureKey]:
    """Return the measures of which some student has a ratio."""
    return {row.key for row in block.rows if row.found.ratio.value is not None}


def _threshold(view: View, key: MeasureKey) -> float | None:
    """Return the gate's limit where it is about this measure."""
    rule = RULES.get(key.meter)
    return view.threshold(rule) if rule is not None and key == view.headline_measure(key.meter) else None


def _spread_charts(view: View, spreads: list[Spread]) -> dict[str, tuple[MeasureKey, Drawn]]:
    known = list(dict.fromkeys(each.key for each in spreads if each.drawable))
    known.sort(key=lambda key: _FIRST.index(key.metric) if key.metric in _FIRST else len(_FIRST))
    chosen = {key.metric: key for key in reversed(known)}  # one of each metric: the first workload
    keys = [key for key in known if chosen[key.metric] == key][:_MOST_SPREADS]
    return {
        f"spread-{number}": (key, _spread(view, [each for each in spreads if each.key == key]))
        for number, key in enumerate(keys)
    }


def _first_drawn(lines: dict[str, tuple[MeasureKey, Drawn]], spreads: list[Spread]) -> list[Spread]:
    key = next((key for key, _ in lines.values()), None)
    return [each for each in spreads if each.key == key]


def _spread(view: View, spreads: list[Spread]) -> Drawn:
    """Draw the whole distribution where the raw times are known, else the percentiles alone."""
    drawn = [*(each for each in spreads if each.student is None), *_few(view, spreads)]
    if any(each.times for each in drawn):
        return plain_json(ecdf_lines(view, drawn))
    return plain_json(spread_lines(view, [each for each in drawn if each.facts]))


def _few(view: View, spreads: list[Spread]) -> list[Spread]:
    """Return the first students in the page's order, as many as lines can be told apart."""
    students = [each for each in spreads if each.student is not None and each.student.role == "student"]
    return (students or [each for each in spreads if each.student is not None])[:MOST_LINES]
