"""Importing lm-eval output: what pairs, what is invalid, what is refused; a run appears whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distbench.compare.run import compare
from distbench.errors import DistbenchError, RefusedError, UsageError
from distbench.importers.lm_eval_results import Results
from distbench.importers.lm_eval_run import Side, Wishes, import_lm_eval
from distbench.importers.sizes import size_of
from distbench.schema.record import CellRecord
from distbench.schema.result import Result
from distbench.store.run_dir import RunDir
from tests.command import here
from tests.conftest import save_tiny_lm
from tests.importers.logs import DATE, choice_row, choices, text_rows, write_output

LATER = "2026-06-01T00-00-00.000001"


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return write_output(tmp_path / "t", "org/big", {"piqa": choices(200, range(0, 200, 10))})


def student(tmp_path: Path, rows: Any = None, *, task: str = "piqa", **changes: Any) -> Path:
    rows = rows or choices(200, range(0, 200, 8))
    return write_output(tmp_path / "s", "org/small", {task: rows}, **changes)


def run_of(teacher: Path, *students: Path, **wishes: Any) -> RunDir:
    out = teacher.parent / "run"
    import_lm_eval(Side(teacher), [Side(s) for s in students], out, Wishes(**wishes))
    return RunDir.existing(out)


def compared(teacher: Path, *students: Path, **wishes: Any) -> Result:
    return compare(run_of(teacher, *students, **wishes))


def records(run: RunDir) -> dict[str, CellRecord]:
    return {c.title: run.record(c.id) for c in run.manifest().cells if (run.cells / c.id).is_dir()}


def refused(teacher: Path, *students: Path, **wishes: Any) -> DistbenchError:
    before = sorted(teacher.parent.rglob("*"))
    with pytest.raises(DistbenchError) as caught:
        run_of(teacher, *students, **wishes)
    assert sorted(teacher.parent.rglob("*")) == before, "nothing may be written"
    assert "\n" not in str(caught.value)
    return caught.value


def test_scores_baseline_and_retention_are_those_of_the_logs(teacher: Path, tmp_path: Path) -> None:
    result = compared(teacher, student(tmp_path))
    (task,) = result.students[0].tasks
    assert (task.task, task.metric, task.n, task.baseline) == ("piqa", "acc_norm", 200, 0.5)
    assert task.teacher == pytest.approx(180 / 200)
    assert task.student == pytest.approx(175 / 200)
    assert task.retained.value == pytest.approx((175 / 200 - 0.5) / (180 / 200 - 0.5))
    assert result.host is None
    assert any("imported" in warning for warning in result.warnings)


def test_every_cell_is_sealed_and_says_where_it_came_from(teacher: Path, tmp_path: Path) -> None:
    run = run_of(teacher, student(tmp_path))
    found = records(run)
    assert len(found) == 2
    assert all(run.is_done(record.cell_id) for record in found.values())
    record = found["big on piqa"]
    assert record.imported is not None
    assert (record.imported.tool_version, record.imported.git_hash) == ("0.4.13", "abc1234")
    assert record.imported.model_args == {"pretrained": "org/big", "dtype": "float32"}
    assert (record.host, record.threads, record.seconds) == (None, None, None)
    assert record.result.kind == "evaluate"
    assert record.result.engine == "lm-eval 0.4.13 (imported)"
    assert record.result.footprint.params_unique == 1000
    assert record.result.footprint.bytes_on_disk is None
    samples = run.cells / record.cell_id / "samples.parquet"
    samples.write_bytes(samples.read_bytes()[:-1])
    with pytest.raises(RefusedError, match="damaged"):
        run.is_done(record.cell_id)


def test_logs_in_another_order_pair_and_equal_answers_are_seen(teacher: Path, tmp_path: Path) -> None:
    rows = choices(200, range(0, 200, 10))
    shuffled = [row | {"doc_id": 199 - i} for i, row in enumerate(rows)][::-1]
    result = compared(teacher, student(tmp_path, shuffled))
    (task,) = result.students[0].tasks
    assert (task.n, task.retained.value, task.fidelity.agreement.value) == (200, 1.0, 1.0)


def test_identical_documents_pair_by_their_order(tmp_path: Path) -> None:
    def same(right: list[bool]) -> list[dict[str, Any]]:
        copies = [choice_row(0, right=each) | {"doc_id": 60 * i} for i, each in enumerate(right)]
        others = [row | {"doc_id": row["doc_id"] + (row["doc_id"] >= 60)} for row in choices(110)[1:]]
        return [*others, *copies[::-1]]

    teacher = write_output(tmp_path / "t", "t", {"piqa": same([True, False, True])})
    result = compared(teacher, write_output(tmp_path / "s", "s", {"piqa": same([False, False, True])}))
    (task,) = result.students[0].tasks
    assert task.n == 112
    assert (task.fidelity.negative_flips.value, task.fidelity.positive_flips.value) == (pytest.approx(1 / 112), 0.0)


def test_other_prompts_are_invalid_and_the_page_can_say_why(teacher: Path, tmp_path: Path) -> None:
    other = student(tmp_path, choices(200, prompt="Example. Question"))
    data = json.loads((path := next(other.rglob("results_*.json"))).read_text())
    data["configs"]["piqa"]["num_fewshot"] = 5
    path.write_text(json.dumps(data))
    result = compared(teacher, other)
    (task,) = result.students[0].tasks
    assert (task.verdict, task.n) == ("INVALID", 200)
    assert "prompts differ" in (task.reason or "")
    assert result.verdict == "INVALID"
    assert any("num_fewshot differs: 0 (teacher) and 5" in w for w in result.students[0].warnings)


def test_other_task_versions_are_invalid(teacher: Path, tmp_path: Path) -> None:
    result = compared(teacher, student(tmp_path, versions={"piqa": 2.0}))
    assert "task versions differ: 1.0 and 2.0" in (result.students[0].tasks[0].reason or "")


@pytest.mark.parametrize(("count", "verdict"), [(100, "INVALID"), (199, "PASS")])
def test_documents_that_were_not_asked_count_against_coverage(
    teacher: Path, tmp_path: Path, count: int, verdict: str
) -> None:
    result = compared(teacher, student(tmp_path, choices(count, range(0, count, 10))))
    (task,) = result.students[0].tasks
    assert (task.n, task.verdict) == (count, verdict)
    if verdict == "INVALID":
        assert "100 of 200" in (task.reason or "")
    assert any(f"{200 - count} of the teacher's documents were not answered" in w for w in result.students[0].warnings)


def test_other_documents_are_invalid(teacher: Path, tmp_path: Path) -> None:
    other = [choice_row(i + 1000, right=True) | {"doc_id": i} for i in range(200)]
    result = compared(teacher, student(tmp_path, other))
    assert result.students[0].tasks[0].verdict == "INVALID"


def test_a_task_on_one_side_only_is_listed_and_never_passes(tmp_path: Path) -> None:
    teacher = write_output(tmp_path / "t", "t", {"piqa": choices(400), "boolq": choices(300)})
    one = write_output(tmp_path / "s", "s", {"piqa": choices(400)})
    result = compared(teacher, one)
    assert [t.task for t in result.students[0].tasks] == ["piqa"]
    assert any("boolq was not run on s" in w for w in result.warnings)
    assert "s on boolq (not among its lm-eval results)" in [c.title for c in result.cells if c.status == "missing"]
    assert result.verdict == "INCONCLUSIVE"


def test_only_the_named_tasks_are_imported(tmp_path: Path) -> None:
    teacher = write_output(tmp_path / "t", "t", {"piqa": choices(400), "boolq": choices(300)})
    result = compared(teacher, write_output(tmp_path / "s", "s", {"piqa": choices(400)}), tasks=("piqa",))
    assert result.verdict == "PASS"


def test_filters_are_metrics_of_their_own_and_the_first_is_compared_unless_named(tmp_path: Path) -> None:
    rows = [row for i in range(120) for row in text_rows(i, right=i % 4 != 0)]
    rows.sort(key=lambda row: row["filter"] != "strict-match")  # as lm-eval writes them: one filter after the other
    sides = [write_output(tmp_path / name, name, {"gsm8k": rows}) for name in ("t", "s")]
    run = run_of(*sides, metrics={"gsm8k": "exact_match,flexible-extract"})
    (first, second) = [r.result for r in records(run).values() if r.result.kind == "evaluate"]
    assert [(m.name, m.primary, m.mean) for m in first.metrics] == [
        ("exact_match,strict-match", False, 0.0),
        ("exact_match,flexible-extract", True, 0.75),
    ]
    assert {m.baseline for m in first.metrics} == {0.0}
    assert first.answers_digest == second.answers_digest


def test_the_newest_of_several_results_is_used_and_said(teacher: Path, tmp_path: Path) -> None:
    small = student(tmp_path, choices(200))
    write_output(small, "org/small", {"piqa": choices(200, range(50))}, date=LATER)
    result = compared(teacher, small)
    assert result.students[0].tasks[0].student == pytest.approx(0.75)
    assert any(f"newest of 2 results is used, {LATER}" in w for w in result.students[0].warnings)


def test_a_nan_answer_is_an_error_that_counts_as_wrong(teacher: Path, tmp_path: Path) -> None:
    rows = choices(200)
    rows[7] |= {"filtered_resps": [["nan", "False"], ["nan", "False"]], "resps": [[["nan", "False"]]] * 2}
    rows[8] |= {"acc_norm": float("nan")}
    changed = student(tmp_path, rows)
    path = next(changed.rglob("results_*.json"))
    data = json.loads(path.read_text())
    data["results"]["piqa"].update({"acc,none": 0.9, "acc_norm,none": 0.9})  # whatever: errors cannot be averaged
    path.write_text(json.dumps(data))
    result = compared(teacher, changed)
    (task,) = result.students[0].tasks
    assert task.student == pytest.approx(198 / 200)
    assert any("2 answers" in w for w in result.students[0].warnings)


def test_sizes_come_from_a_named_checkpoint(teacher: Path, tmp_path: Path) -> None:
    folder = save_tiny_lm(tmp_path / "model")
    out = tmp_path / "run"
    import_lm_eval(Side(teacher, source=folder), [Side(student(tmp_path), "tiny", folder)], out, Wishes())
    result = compare(RunDir.existing(out))
    size = result.teachers[0].footprint
    assert size.bytes_on_disk == (folder / "model.safetensors").stat().st_size
    assert size.params_unique != 1000
    assert "lm-eval counted 1000" in (size.note or "")
    assert result.students[0].name == "tiny"
    assert result.students[0].compression["bytes_on_disk"] == 1.0


def test_sizes_of_a_checkpoint_with_code_are_read_and_those_of_a_pickle_are_refused(tmp_path: Path) -> None:
    folder, results = save_tiny_lm(tmp_path / "model"), Results(tmp_path, "", "", "m", None, {}, {})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "own.Model"}}))
    assert size_of(results, folder).bytes_on_disk == (folder / "model.safetensors").stat().st_size  # nothing is opened
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(RefusedError, match="sizes are read from safetensors only"):
        size_of(results, folder)


def test_unknown_sizes_are_unknown(tmp_path: Path) -> None:
    config = {"model": "api", "random_seed": 0}
    sides = [write_output(tmp_path / n, n, {"piqa": choices(200)}, config=config) for n in ("t", "s")]
    result = compared(*sides)
    size = result.students[0].footprint
    assert (size.bytes_on_disk, size.params_unique) == (None, None)
    assert set(result.students[0].compression.values()) == {None}


def test_secrets_in_the_model_arguments_are_not_recorded(teacher: Path, tmp_path: Path) -> None:
    canary = "CANARY1234567890"
    args = {
        "pretrained": "m", "token": canary, "api_key": canary, "base_url": f"https://user:{canary}@host/v1?key={canary}",
        "nested": {"password": canary, "text": f"Bearer {canary}"}, "tokenizer": "kept",
    }  # fmt: skip
    run = run_of(teacher, student(tmp_path, config={"model": "hf", "model_args": args, "random_seed": 0}))
    for path in run.path.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes(), path
    kept = records(run)["small on piqa"].imported
    assert kept is not None
    assert kept.model_args["tokenizer"] == "kept"
    assert kept.model_args["base_url"] == "https://host/v1"


# -- what is refused ------------------------------------------------------------------------------------------------


def test_results_without_a_log_say_how_to_get_one(teacher: Path, tmp_path: Path) -> None:
    other = student(tmp_path)
    next(other.rglob("samples_*")).unlink()
    error = refused(teacher, other)
    assert isinstance(error, UsageError)
    assert "--log_samples" in str(error)


def change(folder: Path, line: int, text: bytes) -> Path:
    path = next(folder.rglob("samples_*"))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = text
    path.write_bytes(b"".join(lines))
    return folder


def edit(folder: Path, line: int, **changes: Any) -> Path:
    path = next(folder.rglob("samples_*"))
    row = json.loads(path.read_bytes().splitlines()[line - 1]) | changes
    return change(folder, line, json.dumps({k: v for k, v in row.items() if v is not ...}).encode() + b"\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{broken\n", "not JSON"),
        (b"[1]\n", "not a JSON object"),
        (b"\n", "not JSON"),
        (b"\xff\n", "not JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b"{}\n", "no 'doc_id'"),
    ],
)
def test_a_broken_line_is_refused_by_file_and_line(teacher: Path, tmp_path: Path, text: bytes, message: str) -> None:
    error = refused(teacher, change(student(tmp_path), 17, text))
    assert isinstance(error, RefusedError)
    assert f"samples_piqa_{DATE}.jsonl:17" in str(error)
    assert message in str(error)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"doc_hash": ...}, "older versions"),
        ({"doc_id": 3}, "document 3 under filter 'none' was logged before, in line 4"),
        ({"doc_id": True}, "bool"),
        ({"doc_id": 2**70}, "out of range"),
        ({"filter": None}, "'filter'"),
        ({"filter": "\ud800"}, "not the name"),
        ({"metrics": ["acc", "nothing"]}, "no value"),
        ({"arguments": {}}, "not requests"),
        ({"filtered_resps": [["x", "y"], ["1", "2"]]}, "cannot be read: ValueError"),
        ({"prompt_hash": "changed"}, "task_hashes"),
        ({"acc": 1.0}, "the mean acc of these samples"),
    ],
)
def test_a_changed_sample_is_refused(teacher: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    error = refused(teacher, edit(student(tmp_path), 17, **changes))
    assert isinstance(error, RefusedError)
    assert message in str(error)


def test_an_empty_log_is_refused(teacher: Path, tmp_path: Path) -> None:
    other = student(tmp_path)
    next(other.rglob("samples_*")).write_bytes(b"")
    assert "the file is empty" in str(refused(teacher, other))


def test_a_log_that_was_cut_off_is_refused(teacher: Path, tmp_path: Path) -> None:
    other = student(tmp_path)
    path = next(other.rglob("samples_*"))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:150]))
    error = refused(teacher, other)
    assert isinstance(error, RefusedError)
    assert "holds 150 samples under filter 'none' where the results file counts 200" in str(error)


def test_nan_in_the_results_file_is_refused(teacher: Path, tmp_path: Path) -> None:
    other = student(tmp_path)
    path = next(other.rglob("results_*"))
    path.write_text(path.read_text().replace('"acc,none": 0.875', '"acc,none": NaN'))
    error = refused(teacher, other)
    assert isinstance(error, RefusedError)
    assert "results.piqa.acc,none is nan" in str(error)


def test_two_logs_of_the_same_documents_are_refused(teacher: Path, tmp_path: Path) -> None:
    other = student(tmp_path)
    write_output(other / "copy", "org/small", {"piqa": choices(200)})
    error = refused(teacher, other)
    assert isinstance(error, UsageError)
    assert "hold the same documents" in str(error)


def test_a_folder_of_two_models_is_refused(teacher: Path, tmp_path: Path) -> None:
    write_output(tmp_path / "s", "org/other", {"piqa": choices(200)})
    error = refused(teacher, student(tmp_path))
    assert isinstance(error, UsageError)
    assert "results of 2 models (org/other, org/small)" in str(error)


def test_no_task_in_common_is_refused(teacher: Path, tmp_path: Path) -> None:
    error = refused(teacher, student(tmp_path, task="boolq"))
    assert isinstance(error, UsageError)
    assert "no task in common: piqa and boolq" in str(error)


def test_a_model_beside_itself_is_refused(teacher: Path) -> None:
    assert "a model is compared once" in str(refused(teacher, teacher))


def test_unknown_names_are_refused_with_the_known_ones(teacher: Path, tmp_path: Path) -> None:
    other = student(tmp_path)
    assert "did you mean 'piqa'?" in str(refused(teacher, other, tasks=("piqqa",)))
    assert "it has acc, acc_norm" in str(refused(teacher, other, metrics={"piqa": "f1"}))
    assert "--metric names task 'boolq'" in str(refused(teacher, other, metrics={"boolq": "acc"}))
    assert "--task names task 'boolq'" in str(refused(teacher, other, tasks=("piqa", "boolq")))
    assert "cannot become a run: name" in str(refused(teacher, other, name="../x"))


def test_an_existing_folder_is_never_written_over(teacher: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert "exists already" in str(refused(teacher, student(tmp_path)))
    assert [p.name for p in out.iterdir()] == ["notes.txt"]


def test_what_a_killed_import_left_is_swept(teacher: Path, tmp_path: Path) -> None:
    left = tmp_path / f".run.import-{2**22 + 1}"  # above the largest pid of Linux
    left.mkdir()
    run_of(teacher, student(tmp_path))
    assert not left.exists()


def test_the_seed_is_never_guessed(teacher: Path, tmp_path: Path) -> None:
    assert "random_seed" in str(refused(teacher, student(tmp_path, config={"model": "hf"})))


def test_neither_torch_nor_lm_eval_is_needed(teacher: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'lm_eval', 'datasets'): sys.modules[name] = None\n"
        "from distbench.cli import main\n"
        f"sys.argv = ['distbench', 'import', 'lm-eval', {str(teacher)!r}, {str(student(tmp_path))!r}, '--out', "
        f"{str(tmp_path / 'run')!r}, '--json']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["samples"] for row in json.loads(done.stdout)["imported"]] == [200, 200]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--student-name", "a", "--student-name", "b"], "--student-name is given 2 times for 1 students"),
        (["--metric", "piqa"], "expected TASK=METRIC"),
        (["--retained", "0"], "--retained must be greater than 0"),
        (["--student-name", "org/small"], "cannot become a run"),
    ],
)
def test_a_wrong_option_is_one_line_and_writes_nothing(
    teacher: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    sides = (str(teacher), str(student(tmp_path)))
    done = here(tmp_path, "import", "lm-eval", *sides, "--out", str(tmp_path / "run"), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
