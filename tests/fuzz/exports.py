"""Every output of a result whose texts and numbers are odd but allowed: it is written, and it is what it says it is."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
import re
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from distbench import plugins
from distbench.cli.gating import as_json
from distbench.gate import github
from distbench.gate.decision import decide
from distbench.gate.junit import junit
from distbench.gate.markdown import COMMENT_LIMIT, markdown
from distbench.gate.text import text
from distbench.protocols.export import Source
from distbench.report.html import render
from distbench.schema.result import Result
from distbench.schema.strict import Use
from tests.fuzz import mutations

TEXT_FORMATS = ("markdown", "latex", "csv", "json", "svg", "badge", "pytest-benchmark")
FORMS = (*TEXT_FORMATS, "parquet", "hf", "gate", "gate", "html")
NUMBERS = [0.0, 1.0, 0.5, -1.0, 1e-300, 1e-9, 0.9499999, 0.95, 99.995, 1e6, 1e15, 1e300, -1e300]
COUNTS = [0, 1, 2, 31, 10**6, 2**62]


@st.composite
def cases(draw: st.DrawFn, trees: Callable[[], list[Any]]) -> tuple[str, dict[str, Any]]:
    """A published result in which values are replaced by others of their kind, and lists cut; and a format."""
    tree = copy.deepcopy(draw(st.sampled_from(trees())))
    for _ in range(draw(st.integers(1, 4))):
        *parents, last = draw(st.sampled_from(mutations.places(tree)))
        holder = mutations.at(tree, tuple(parents))
        before, holder[last] = holder[last], _other(draw, holder[last], str(last))
        if not _is_result(tree):  # a result that the loader refuses is its own target's matter
            holder[last] = before
    return draw(st.sampled_from(FORMS)), tree


def _is_result(tree: dict[str, Any]) -> bool:
    try:
        Result.model_validate_json(mutations.as_json(tree))
    except ValueError:
        return False
    return True


def _other(draw: st.DrawFn, value: Any, key: str) -> Any:
    """A value of the same kind, or none at all."""
    if isinstance(value, str) and "verdict" in key:
        return draw(st.sampled_from(["PASS", "FAIL", "INCONCLUSIVE", "NO_SIGNAL", "INVALID"]))
    kinds: dict[type, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        str: st.sampled_from(mutations.TEXTS) | st.text(max_size=8),
        int: st.sampled_from(COUNTS),
        float: st.none() | st.sampled_from(NUMBERS) | st.floats(allow_nan=False, allow_infinity=False),
        list: st.sampled_from([[], value[:1], value * 2]) if isinstance(value, list) else st.nothing(),
        dict: st.sampled_from([{}, None]),
    }
    return draw(kinds.get(type(value), st.sampled_from([0.5, "x", 1])))


def load(case: tuple[str, dict[str, Any]]) -> None:
    """Render a result, if it is one, and read the output back."""
    form, tree = case
    result = Result.model_validate_json(mutations.as_json(tree))
    if form == "gate":
        check_gate(result)
    elif form == "html":
        check_page(render(result))
    elif form in {"parquet", "hf"}:
        check_folder(form, result)
    else:
        made = _exporter(form).export(Source(result), None).text
        made.encode("utf-8")
        CHECKS.get(form, lambda text: None)(made)


def _exporter(form: str) -> Any:
    return plugins.load("exports", form)(plugins.options("exports", Use(use=form)))


def check_folder(form: str, result: Result) -> None:
    """Write the files of a format and read each back."""
    import pyarrow.parquet as pq
    import yaml

    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        students = [student.name for student in result.students if student.role == "student"]
        for path in _exporter(form).export(Source(result, None, students[0] if students else None), Path(place)).files:
            if path.suffix == ".parquet":
                pq.read_table(path)
            elif path.suffix == ".yaml":
                yaml.safe_load(path.read_text(encoding="utf-8"))


def check_gate(result: Result) -> None:
    """Every form of the decision."""
    decision = decide(result)
    ET.fromstring(junit(decision))
    assert json.loads(as_json(decision))["verdict"] == decision.verdict
    assert len(markdown(decision, COMMENT_LIMIT)) <= COMMENT_LIMIT
    for line in github.annotate(decision):
        assert re.fullmatch(r"::(error|warning|notice) title=[^:,\r\n]*::[^\r\n]*", line), line
    for line in github.harmless(text(decision)).splitlines():
        assert not line.lstrip().startswith("::"), line


def check_json(made: str) -> None:
    """JSON that any reader takes: no NaN."""
    json.loads(made, parse_constant=_no_constant)


def _no_constant(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


def check_csv(made: str) -> None:
    """Rows of one width, and no cell that a spreadsheet would compute."""
    rows = list(csv.reader(io.StringIO(made)))
    assert rows
    assert {len(row) for row in rows} == {len(rows[0])}
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "@", "\t", "\r")), cell
        assert not cell.startswith(("+", "-")) or math.isfinite(float(cell)), cell


def check_xml(made: str) -> None:
    """An SVG without scripts."""
    root = ET.fromstring(made)
    assert not [each for each in root.iter() if str(each.tag).endswith(("script", "foreignObject"))]


class _Page(HTMLParser):
    """Collects what a browser would run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[dict[str, str | None]] = []
        self.handlers: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.scripts.append(dict(attrs))
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.loads += [str(value) for name, value in attrs if name == "src" and not str(value).startswith("data:")]


def check_page(made: str) -> None:
    """A page that encodes, loads nothing, and has no script but ours."""
    made.encode("utf-8")
    page = _Page()
    page.feed(made)
    assert not page.handlers, page.handlers
    assert not page.loads, page.loads
    for found in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', made, re.DOTALL):
        json.loads(found, parse_constant=_no_constant)


CHECKS: dict[str, Callable[[str], None]] = {
    "json": check_json,
    "pytest-benchmark": check_json,
    "badge": check_json,
    "csv": check_csv,
    "svg": check_xml,
}
