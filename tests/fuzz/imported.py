"""lm-eval's output, wrong somewhere: an import gives a run that compares, or one line and nothing on disk."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from distbench.compare.run import compare
from distbench.errors import DistbenchError
from distbench.importers.lm_eval_run import Side, Wishes, import_lm_eval
from distbench.store.run_dir import RunDir
from tests.fuzz import mutations
from tests.importers.logs import DATE, choices, results_of, text_rows

LOGS = {"piqa": choices(5), "gsm8k": [row for i in range(3) for row in text_rows(i, right=True)]}
# What ties log and results together would refuse most changed logs before anything else reads them.
UNTIED: dict[str, Any] = {"task_hashes": {}, "n-samples": {}, "results": {}}
LINES = {task: "".join(json.dumps(row) + "\n" for row in rows) for task, rows in LOGS.items()}
JUNK = [
    "\n",
    "\0",
    "{",
    "}",
    "[",
    '"',
    ",",
    "NaN",
    "1e400",
    "null",
    '"\\ud800"',
    "[" * 3000,
    "9" * 5000,
    "{}\n",
    "[]\n",
]
NAMES = [
    "results_.json",
    "samples_piqa_.jsonl",
    f"results_{DATE}",
    f"samples_{DATE}.jsonl",
    "results_2026-13-99T99-99-99.json",
]


@st.composite
def _cases(draw: st.DrawFn) -> dict[str, Any]:
    """What lies below the student's folder: results, logs, and which of the files are something else."""
    results: Any = results_of("s", LOGS, **(UNTIED if draw(st.booleans()) else {}))
    logs: dict[str, bytes] = {}
    what = draw(st.sampled_from(["results", "rows", "bytes", "both"]))
    if what in {"results", "both"}:
        results = draw(mutations.trees([results], 3))
    for task, rows in LOGS.items():
        changed = draw(mutations.trees([rows], 2)) if what in {"rows", "both"} and draw(st.booleans()) else rows
        lines = changed if isinstance(changed, list) else [changed]
        logs[task] = b"".join(mutations.as_json(row) + b"\n" for row in lines)
    if what == "bytes":
        logs["piqa"] = draw(mutations.texts([LINES["piqa"]], JUNK))
    return {
        "results": mutations.as_json(results),
        "logs": logs,
        "odd": draw(st.sampled_from(["", "", "", "folder", "empty", "gone", "twice", "stranger"])),
        "metric": draw(st.sampled_from(["", "", "", "acc_norm", "nothing", "\0"])),
        "name": draw(st.none() | st.sampled_from(["s", "../x", "", "\ud800"])),
    }


CASES = _cases()


def load(case: dict[str, Any]) -> None:
    """Import a student beside a teacher as it should be."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        folder = Path(place)
        _write(folder / "t", json.dumps(results_of("t", LOGS)).encode(), {k: v.encode() for k, v in LINES.items()}, "")
        _write(folder / "s", case["results"], case["logs"], case["odd"])
        metrics = {"piqa": case["metric"]} if case["metric"] else {}
        out = folder / "run"
        try:
            import_lm_eval(Side(folder / "t"), [Side(folder / "s", case["name"])], out, Wishes(metrics=metrics))
        except DistbenchError:
            left = sorted(path.name for path in folder.iterdir())
            assert left == ["s", "t"], f"a refused import left {left}"
            raise
        result = compare(RunDir.existing(out))
        assert result.students[0].tasks
        json.dumps(result.model_dump(mode="json"), allow_nan=False)


def _write(folder: Path, results: bytes, logs: dict[str, bytes], odd: str) -> None:
    folder.mkdir()
    (folder / f"results_{DATE}.json").write_bytes(results)
    for task, content in logs.items():
        (folder / f"samples_{task}_{DATE}.jsonl").write_bytes(content)
    log = folder / f"samples_piqa_{DATE}.jsonl"
    if odd in {"folder", "gone", "empty"}:
        log.unlink()
    if odd == "folder":
        log.mkdir()
    elif odd == "empty":
        log.touch()
    elif odd == "twice":
        (folder / "again").mkdir()
        for path in [path for path in folder.iterdir() if path.is_file()]:
            (folder / "again" / path.name).write_bytes(path.read_bytes())
    elif odd == "stranger":
        for name in NAMES:
            (folder / name).write_bytes(results)
