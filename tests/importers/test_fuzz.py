"""Whatever a log or a results file holds: one DistbenchError of one line and nothing written, or a run that reads."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distbench.compare.run import compare
from distbench.errors import DistbenchError
from distbench.importers.lm_eval_run import Side, Wishes, import_lm_eval
from distbench.store.run_dir import RunDir
from tests.importers.logs import choices, text_rows, write_output

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=6)
    | st.sampled_from(["nan", "inf", "-inf", "True", "1e400", "\ud800", "none", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
LOGS = {"piqa": choices(5), "gsm8k": [row for i in range(3) for row in text_rows(i, right=True)]}
# What ties log and results together would refuse most changed logs before anything else reads them.
UNTIED = {"task_hashes": {}, "n-samples": {}, "results": {}}


def paths_of(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, each in steps for path in paths_of(each, (*at, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


def outcome(folder: Path) -> None:
    out = folder / "run"
    message = None
    try:
        import_lm_eval(Side(folder / "t"), [Side(folder / "s")], out, Wishes())
    except DistbenchError as error:
        message = str(error)
    if message is not None:
        assert "\n" not in message
        assert not out.exists()
        assert sorted(p.name for p in folder.iterdir()) == ["s", "t"]
        return
    result = compare(RunDir.existing(out))
    assert result.students[0].tasks
    result.model_dump_json()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), task=st.sampled_from(list(LOGS)), side=st.sampled_from(["t", "s"]))
def test_a_changed_value_in_a_log(data: st.DataObject, task: str, side: str) -> None:
    index = data.draw(st.integers(0, len(LOGS[task]) - 1))
    row = LOGS[task][index]
    changed = put(row, data.draw(st.sampled_from(paths_of(row))), data.draw(VALUES))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("t", "s"):
            write_output(folder / each, each, LOGS, **UNTIED)
        log = next((folder / side).rglob(f"samples_{task}_*"))
        lines = log.read_text().splitlines()
        lines[index] = json.dumps(changed)
        log.write_text("\n".join(lines) + "\n")
        outcome(folder)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), junk=st.binary(max_size=12))
def test_changed_bytes_in_a_log(data: st.DataObject, junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("t", "s"):
            write_output(folder / each, each, LOGS, **UNTIED)
        log = next((folder / "s").rglob("samples_piqa_*"))
        content = log.read_bytes()
        start = data.draw(st.integers(0, len(content)))
        log.write_bytes(content[:start] + junk + content[start + data.draw(st.integers(0, 40)) :])
        outcome(folder)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_changed_value_in_the_results(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("t", "s"):
            write_output(folder / each, each, LOGS)
        path = next((folder / "s").rglob("results_*"))
        results = json.loads(path.read_text())
        changed = put(results, data.draw(st.sampled_from(paths_of(results))), data.draw(VALUES))
        path.write_text(json.dumps(changed))
        outcome(folder)
