"""Run directories, wrong somewhere: compared, verified and judged. And a small run to hold policies against."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from distbench.cli.gating import Terms, decided
from distbench.compare.evidence import Evidence
from distbench.compare.run import compare
from distbench.gate.names import check_names, known_of_run
from distbench.gate.policy_file import LoadedPolicy
from distbench.store.files import seal
from distbench.store.run_dir import RunDir
from distbench.verify.run import verify
from tests.compare.records import ACC, rows, run_of
from tests.fuzz import mutations

COUNT = 12
FILES = ["manifest.json", "plan/s-t.json", "cells/s-t/record.json", "cells/b-t/record.json", "attempts/c-t/1.json"]
SAMPLES = "cells/s-t/samples.parquet"


@cache
def template() -> Path:
    """A finished run of a teacher, a student, and a student whose cell failed; removed when the process ends."""
    holder = tempfile.TemporaryDirectory(prefix="fuzz-run-")
    _KEPT.append(holder)
    folder = Path(holder.name) / "run"
    scores = [float(i % 4 > 0) for i in range(COUNT)]
    good = (rows(scores, task="t"), [ACC])
    poor = (rows([float(i % 4 > 1) for i in range(COUNT)], task="t"), [ACC])
    run_of(folder, {"b": {"t": good}, "s": {"t": poor}, "c": {"t": None}})
    return folder


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def judge(loaded: LoadedPolicy) -> None:
    """Hold a policy against the template run: its names, then its rules."""
    run = RunDir.existing(template())
    check_names(loaded, known_of_run(Evidence(run)))
    compare(run, loaded.policy).model_dump_json()


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Which files are replaced by what, and whether the cell is sealed again over it."""
    changed: dict[str, bytes | None] = {}
    for name in draw(st.lists(st.sampled_from([*FILES, SAMPLES]), min_size=1, max_size=2, unique=True)):
        if draw(st.integers(0, 9)) == 0:
            changed[name] = None
        elif name == SAMPLES:
            changed[name] = draw(_parquet())
        else:
            document = json.loads((template() / name).read_text(encoding="utf-8"))
            changed[name] = mutations.as_json(draw(mutations.trees([document], 3)))
    how = draw(st.sampled_from(["compare", "verify", "gate"]))
    return {"how": how, "changed": changed, "sealed": draw(st.integers(0, 3)) > 0}


@st.composite
def _parquet(draw: st.DrawFn) -> bytes:
    """Bytes of the samples' file, or other columns under the same names."""
    data = (template() / SAMPLES).read_bytes()
    if draw(st.booleans()):
        at, junk = draw(st.integers(0, len(data))), draw(st.binary(max_size=6))
        return data[:at] + junk + data[at + draw(st.integers(0, 8)) :]
    return _rewritten(data, draw)


def _rewritten(data: bytes, draw: st.DrawFn) -> bytes:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data))
    name = draw(st.sampled_from(table.column_names))
    value = draw(st.sampled_from([None, "", "x", "\u2028", "{", 0, -1, 1.0, float("nan"), float("inf"), 10**9, True]))
    column = pa.array([value] * table.num_rows)
    if draw(st.booleans()) and name in {"sample_id", "metric", "status", "groups", "task"}:
        column = pa.array([str(value), *table[name].to_pylist()[1:]])
    table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table.slice(0, draw(st.sampled_from([COUNT, COUNT, 1, 0]))), buffer := io.BytesIO())
    return buffer.getvalue()


def load(case: dict[str, Any]) -> None:
    """Compare the run, or verify it, or decide on it."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        folder = Path(place) / "run"
        shutil.copytree(template(), folder)
        for name, content in case["changed"].items():
            if content is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(content)
        if case["sealed"]:
            for cell in (folder / "cells").iterdir():
                seal(cell)
        if case["how"] == "compare":
            compare(RunDir.existing(folder)).model_dump_json()
        elif case["how"] == "gate":
            assert decided(folder, Terms()).exit_code in {0, 1, 3}
        else:
            verified(folder)


def verified(folder: Path) -> None:
    """Verify a run: what is wrong inside is a finding, in one line."""
    for check in verify([folder]).runs[0].checks:
        for finding in check.findings:
            assert finding.what.isprintable(), finding
            assert finding.where.isprintable(), finding
