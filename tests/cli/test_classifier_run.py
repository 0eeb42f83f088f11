"""Text classifiers from suite file to result: made, distilled, asked, measured; and what ends such a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.command import here

FILES = {"train": "data/train.jsonl", "test": "data/test.jsonl"}
DATA: dict[str, Any] = {"use": "labelled", "files": FILES, "text": "sentence", "heldout": 0.2}
SMALL = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 32}
SUITE: dict[str, Any] = {
    "version": 1,
    "name": "texts",
    "device": "cpu",
    "threads": 1,
    "teachers": {
        "encoder": {
            "use": "hf-classifier", "architecture": "distilbert", "config": SMALL, "vocabulary": 100,
            "fit": {"use": "hard-labels", "data": DATA, "steps": 60, "learning_rate": 0.005},
        }
    },
    "students": [
        {
            "name": "half", "of": "encoder", "init": {"use": "layer-drop", "keep": [1]},
            "distil": {"use": "soft-labels", "data": DATA | {"labelled": 10}, "steps": 10, "control": "none"},
        },
        {
            "name": "tree", "of": "encoder", "init": {"use": "decision-tree", "features": {"use": "tf-idf"}},
            "distil": {"use": "soft-labels", "data": DATA | {"labelled": 10}},
        },
    ],
    "tasks": [{"use": "classification", "name": "reviews", "data": DATA}],
    "measure": {"latency": {"batch_sizes": [1], "rounds": 2, "launches": 1, "max_launches": 1}, "load": {}},
}  # fmt: skip


def write(folder: Path, suite: dict[str, Any]) -> None:
    subjects, verdicts = (
        ["film", "plot", "cast", "score", "ending"],
        [("dull", 0), ("warm", 1), ("cold", 0), ("kind", 1)],
    )
    rows = [
        {"sentence": f"the {s} is {n} times {v}", "label": y} for n in range(6) for s in subjects for v, y in verdicts
    ]
    (folder / "data").mkdir()
    for name, part in (("train", rows[20:]), ("test", rows[:20])):
        lines = "".join(json.dumps(row) + "\n" for row in part)
        (folder / "data" / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    (folder / "suite.yaml").write_text(json.dumps(suite), encoding="utf-8")


def test_texts_from_suite_to_result(tmp_path: Path) -> None:
    write(tmp_path, SUITE)
    done = here(tmp_path, "run", "suite.yaml", "--out", "run")
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    by_name = {student["name"]: student for student in result["students"]}
    assert set(by_name) == {"half", "tree", "tree-no-teacher"}
    for student in by_name.values():
        (task,) = student["tasks"]
        assert task["n"] == 20
        assert task["baseline"] == 0.5
    assert by_name["tree"]["training"]["examples"] == by_name["half"]["training"]["examples"]
    assert by_name["tree"]["training"]["options"]["rows"] == by_name["tree"]["training"]["examples"]
    assert by_name["tree-no-teacher"]["training"]["options"]["rows"] == 10
    measured = {each["metric"] for each in by_name["half"]["measurements"]}
    assert any("e2e" in metric for metric in measured), measured
    assert (tmp_path / "run" / "report.html").is_file()
