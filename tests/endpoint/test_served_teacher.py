"""The documented suite of a teacher that only a server holds: a student learns from what it answers."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command import here
from tests.endpoint.server import MODEL, Behaviour, serving
from tests.schedulers.test_document import block


def test_a_student_learns_from_a_teacher_that_is_served(tmp_path: Path, tiny_lm: Path, other_lm: Path) -> None:
    questions = ["the doctor", "the cats", "the patients", "on the mat"]
    (tmp_path / "questions.txt").write_text("\n".join(questions))
    for name, folder in (("reference", tiny_lm), ("small", other_lm)):
        (tmp_path / name).symlink_to(folder)
    with serving(Behaviour()) as server:
        text = block("# served-teacher.yaml").replace("http://localhost:8000/v1", server.url).replace("org/big", MODEL)
        (tmp_path / "suite.yaml").write_text(text)
        done = here(tmp_path, "distil", "suite.yaml", "--out", "run", "--json", check=0)
        asked = [request["prompt"] for request in server.asked]
    assert set(questions) <= set(asked)
    (made,) = json.loads(done.stdout)["models"]
    assert made["name"] == "pupil"
    assert made["steps"] == 2
    assert (Path(made["checkpoint"]) / "model.safetensors").is_file()
    assert server.url in (tmp_path / "run" / "manifest.json").read_text()
