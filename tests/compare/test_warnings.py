"""What a reader is told about how answers were computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distbench.compare.run import compare
from distbench.compare.sides import forget
from distbench.store.files import seal
from tests.compare.records import ACC, rows, run_of

SCORES = [1.0] * 90 + [0.0] * 10


def warned(tmp_path: Path, **scorer: Any) -> list[str]:
    """Return the student's warnings where its record says this of the scorer."""
    forget()
    run = run_of(tmp_path / "run", {"teacher": {"a": (rows(SCORES), [ACC])}, "student": {"a": (rows(SCORES), [ACC])}})
    folder = run.cells / "student-a"
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    record["result"]["scorer"] = {"tolerance": 1e-4, **scorer}
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    seal(folder)
    return compare(run).students[0].warnings


def test_close_calls_are_counted(tmp_path: Path) -> None:
    found = warned(tmp_path, name="shared-prefix", close_calls=["3", "7"], close_calls_total=2)
    assert any(w.startswith("2 answers of student (a) hang on less") for w in found)


def test_the_reason_for_the_slow_scorer_is_said_unless_it_was_asked_for(tmp_path: Path) -> None:
    found = warned(tmp_path / "1", name="hf", reason="its attention window is short")
    assert "student was scored by lm-eval's own scorer: its attention window is short." in found
    assert not any("own scorer" in w for w in warned(tmp_path / "2", name="hf", reason="asked for"))
