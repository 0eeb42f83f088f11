"""Students over releases: the answer, the lines, and every number in a table."""

from __future__ import annotations

from distbench.report import numbers
from distbench.report import trend as wording
from distbench.report.changes import BASIS, VERDICTS
from distbench.report.figures.frame import Drawn, plain_json
from distbench.report.figures.trend import Quantity, ratio, retained, trend_lines
from distbench.report.sections.section import Fragment
from distbench.report.several import Part, filled
from distbench.schema.trend import Trend, TrendLine

_MOST_LINES = 12
_RATIOS = (("faster", "speedup"), ("less memory", "memory"), ("less energy", "energy"))


def trend_part(trend: Trend) -> list[Part]:
    """Return the sections of a trend."""
    return [_answer(trend), *_lines(trend)]


def _answer(trend: Trend) -> Part:
    html = filled(
        "sections/trend.html", part="answer", trend=trend, newest=trend.releases[-1], when=wording.when,
        sentence=wording.headline(trend), remarks=wording.remarks(trend), level=numbers.whole_percent(1 - trend.alpha),
    )  # fmt: skip
    return Part("Answer", "answer", Fragment(html))


def _lines(trend: Trend) -> list[Part]:
    lines = wording.shown(trend)
    if not lines:
        return []
    slots = {line.name: slot for slot, line in enumerate(lines)}
    drawn = lines[:_MOST_LINES]
    quantities = _quantities(trend)
    figures: dict[str, Drawn] = {
        f"trend-{place}": plain_json(trend_lines(trend, drawn, slots, what)) for place, what in enumerate(quantities)
    }
    html = filled(
        "sections/trend.html", part="lines", trend=trend, lines=lines, drawn=drawn, slots=slots,
        charts={f"trend-{place}": what.title for place, what in enumerate(quantities)}, wording=wording,
        looks=VERDICTS, basis=BASIS, level=numbers.whole_percent(1 - trend.alpha),
    )  # fmt: skip
    return [Part("Students over releases", "lines", Fragment(html, figures))]


def _quantities(trend: Trend) -> list[Quantity]:
    """Return what is drawn: the retained share, and each ratio that some student has in some release."""
    found = [retained(trend)]
    found += [_ratio(title, name) for title, name in _RATIOS if any(_has(line, name) for line in trend.lines)]
    return found


def _ratio(title: str, name: str) -> Quantity:
    return ratio(title, lambda point: getattr(point, name))


def _has(line: TrendLine, name: str) -> bool:
    found = [getattr(point, name) for point in line.points if point is not None]
    return any(each is not None and each.value is not None for each in found)
