"""`--new-run`: where OUT holds a run, another one begins beside it, and the old one stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distbench.cli.allowing import Allowed
from distbench.cli.engines import LOCAL
from distbench.cli.running import Request, _again
from distbench.execute.changed import changed_words
from distbench.execute.start import beside, place_of
from distbench.hashing import file_digest
from tests.command import here

SUITE = """\
version: 1
name: trees
device: cpu
threads: 1
teachers:
  deep: {use: decision-tree, fit: {use: hard-labels, data: {use: sklearn-digits}}}
students:
  - {name: flat, of: deep, init: {use: decision-tree, max_depth: 4}, distil: {use: soft-labels, data: {use: sklearn-digits}}}
tasks:
  - {use: classification, name: digits, data: {use: sklearn-digits}}
gate: {retained: 0.5}
"""  # noqa: E501 - YAML


def everything(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_digest(path) for path in folder.rglob("*") if path.is_file()}


def test_a_changed_suite_is_named_and_a_new_run_begins_beside_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    here(tmp_path, "run", "suite.yaml", "--out", "runs/mine", "--new-run", "-q", check=0)
    before = everything(tmp_path / "runs" / "mine")
    assert not (tmp_path / "runs" / "mine-2").exists()  # there was none that it could begin beside

    other = ("run", "suite.yaml", "--set", "gate.retained=0.6", "--out", "runs/mine")
    refused = here(tmp_path, *other, check=2).stderr
    assert refused.startswith("distbench: error[E002] runs/mine was made from another suite; changed: ")
    assert "gate.retained 0.5 → 0.6;" in refused
    assert "run with --new-run to begin another in runs/mine-2" in refused
    assert not (tmp_path / "runs" / "mine-2").exists()

    done = here(tmp_path, *other, "--new-run", "--json", "-q", check=0)
    assert done.stderr.splitlines()[0] == "new run: runs/mine-2 (runs/mine stays as it is)"
    result = json.loads(done.stdout)
    assert result["run"] == "mine-2"
    journal = (tmp_path / "runs" / "mine-2" / "journal.jsonl").read_text()
    assert len(json.loads(journal.splitlines()[0])["cached"]) == len(result["cells"])  # nothing was computed again
    assert everything(tmp_path / "runs" / "mine") == before

    third = json.loads(here(tmp_path, "distil", "suite.yaml", "--out", "runs/mine", "--new-run", "--json", "-q").stdout)
    assert Path(third["run"]).name == "mine-3"  # also where the suite is the same: a new run is a new run
    assert everything(tmp_path / "runs" / "mine") == before


def test_the_command_that_goes_on_has_what_decides_the_run() -> None:
    request = Request(
        "my suite.yaml",
        ["a=b c"],
        device="cpu",
        trusted=[Path("tasks")],
        allowed=Allowed(["big"], ["./old"]),
        new_run=True,
    )
    assert _again(request, Path("runs/mine-2"), LOCAL) == (
        "distbench run 'my suite.yaml' --out runs/mine-2 --set 'a=b c' --device cpu --trust-task-code tasks "
        "--trust-remote-code big --allow-pickle ./old"
    )


@pytest.mark.parametrize(("name", "expected"), [("mine", "mine-2"), ("mine-2", "mine-2-2"), ("v1.0", "v1.0-2")])
def test_the_name_of_the_new_folder_can_be_foretold(tmp_path: Path, name: str, expected: str) -> None:
    out = tmp_path / name
    assert place_of(out, new_run=True) == out  # nothing is there
    out.mkdir()
    assert place_of(out, new_run=True) == out  # it is empty
    (out / "manifest.json").touch()
    assert place_of(out, new_run=False) == out
    assert place_of(out, new_run=True) == tmp_path / expected
    assert place_of(None, new_run=True) is None


def test_the_working_directory_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert beside(Path()) == tmp_path.resolve() / "mine-2"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"gate": {"retained": 0.9}}, {"gate": {"retained": 0.95}}, "gate.retained 0.9 → 0.95"),
        ({"gate": None}, {"gate": {"retained": 0.95}}, "gate added"),
        ({"seed": 0, "dtype": "float32"}, {"seed": 1, "dtype": None}, "seed 0 → 1, dtype taken out (float32)"),
        ({"students": [{"name": "a", "of": "t"}]}, {"students": [{"name": "b", "of": "t"}]},
         "students.a taken out, students.b added"),
        ({"students": [{"name": "a", "k": [1]}]}, {"students": [{"name": "a", "k": [1, 2]}]}, "students.a.k changed"),
        ({"tasks": [{"name": "a"}, {"name": "b"}]}, {"tasks": [{"name": "b"}, {"name": "a"}]},
         "tasks in another order"),
        ({"sizes": [1, 8]}, {"sizes": [1, 16]}, "sizes[1] 8 → 16"),
        ({str(n): n for n in range(9)}, {str(n): -n - 1 for n in range(9)},
         "0 0 → -1, 1 1 → -2, 2 2 → -3, 3 3 → -4, 4 4 → -5, 5 5 → -6, and 3 more"),
        ({"name": "x" * 500}, {"name": "\x1b[31m"}, f"name {'x' * 39}… → "),
        ({"seed": 0}, {"seed": 0}, ""),
    ],
)  # fmt: skip
def test_what_changed_is_said_field_by_field(before: object, after: object, words: str) -> None:
    said = changed_words(before, after)
    assert said == words or (words.endswith("→ ") and said.startswith(words))
    assert "\x1b" not in said
