"""The smallest inputs of what fuzzing found, each refused in one line now."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distbench.compare.run import compare
from distbench.data.checkpoint import check_checkpoint
from distbench.data.sources import resolve_checkpoint
from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.store.files import seal
from distbench.store.run_dir import RunDir
from distbench.verify.run import verify
from tests.command import here
from tests.fuzz import runs
from tests.fuzz.guard import check_message


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copytree(runs.template(), tmp_path / "run")
    return tmp_path / "run"


def test_a_plan_that_holds_no_cell_was_told_in_ten_lines(run: Path) -> None:
    (run / "plan" / "s-t.json").write_text("0.0")
    with pytest.raises(RefusedError, match="is not a cell of this version") as caught:
        compare(RunDir.existing(run))
    check_message(caught.value)


@pytest.mark.parametrize(
    ("name", "column", "says"),
    [
        ("score", [""], "its column 'score' holds string, not numbers"),
        ("status", [None], "its column 'status' holds null, not texts"),
        ("prediction", [1.5], "its column 'prediction' holds double, not texts"),
    ],
)
def test_a_column_of_another_type(run: Path, name: str, column: list[Any], says: str) -> None:
    path = run / runs.SAMPLES
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(name), name, pa.array(column * table.num_rows)), path)
    seal(path.parent)
    with pytest.raises(RefusedError, match=says) as caught:
        compare(RunDir.existing(run))
    check_message(caught.value)


@pytest.mark.parametrize("content", [b"[1]", b"\xed\xa0\x80", b"{", b"[" * 3000])
def test_an_attempt_that_is_no_record(run: Path, content: bytes) -> None:
    (run / "attempts" / "c-t" / "1.json").write_bytes(content)
    try:
        compare(RunDir.existing(run))
    except RefusedError as error:
        check_message(error)


def test_what_a_failed_cell_said_is_one_line(run: Path) -> None:
    (run / "attempts" / "c-t" / "1.json").write_text(json.dumps({"message": "a\tb\x1b[31m"}))
    whats = [finding.what for check in verify([run]).runs[0].checks for finding in check.findings]
    assert any(r"a b\x1b[31m" in what for what in whats)
    assert all(what.isprintable() for what in whats)


@pytest.mark.parametrize("source", ["x" * 300, "é" * 200, "a--b", "wÖ", "a\u2028b", "8\U0005a4d9;"])
def test_a_source_that_can_be_no_file_and_no_id(tmp_path: Path, source: str) -> None:
    with pytest.raises(EnvironmentFault, match="no model at") as caught:
        resolve_checkpoint(source, tmp_path)
    check_message(caught.value)


def test_a_shard_with_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    index = {"weight_map": {"a": "x" * 300 + ".safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(EnvironmentFault, match="is missing") as caught:
        check_checkpoint(tmp_path)
    check_message(caught.value)


def test_an_index_without_shards_is_no_model(tmp_path: Path) -> None:
    """It was taken for a whole checkpoint: every file that it named was there."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(RefusedError, match="names no shard"):
        check_checkpoint(tmp_path)


def test_a_document_is_told_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"result_schema": 1, "run": 5}')
    done = here(tmp_path, "compare", "result.json", check=6)
    assert "at run: should be a valid string" in done.stderr
    assert "Input should" not in done.stderr


@pytest.mark.parametrize(("arguments", "code"), [(["compare", "nothing"], 2), (["compare", "result.json"], 6)])
def test_debug_keeps_the_exit_code(tmp_path: Path, arguments: list[str], code: int) -> None:
    """Python's own for an exception is 1, which reads as "gate failed"."""
    (tmp_path / "result.json").write_text("{")
    assert here(tmp_path, *arguments).returncode == code
    debugged = here(tmp_path, *arguments, "--debug")
    assert debugged.returncode == code
    assert "Traceback" in debugged.stderr
    assert debugged.stderr.splitlines()[-1].startswith("distbench: error[E00")


def test_every_error_is_printable() -> None:
    error = UsageError("two\nlines and \x1b and \xa0")
    assert str(error) == r"two lines and \x1b and  "
    check_message(error)
