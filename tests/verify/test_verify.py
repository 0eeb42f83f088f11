"""Whoever changes a run is found, each change by the check about it; and `distbench verify` and the gate say so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distbench.cell.export import files_digest
from distbench.hashing import file_digest
from distbench.schema.verification import RunVerification, Verification
from distbench.store.run_dir import RunDir
from distbench.verify.hashes import weights_of_sums
from distbench.verify.run import CHECKS, verify_run
from tests.command import here
from tests.compare.records import ACC, rows, run_of
from tests.gate.runs import losing, small_run, task, write_policy
from tests.verify import changes_of_cells as cells
from tests.verify import changes_of_files as files
from tests.verify import changes_of_samples as samples
from tests.verify.changes_of_cells import copied_record
from tests.verify.tampering import Run, copied, edit, flip, set_in

DAMAGED, SUSPICIOUS, WARNING = "damaged", "suspicious", "warning"
Tampering = Callable[[Run], None]
QUICK: list[tuple[Tampering, str, str]] = [
    (files.flipped_bit, "hashes.seals", DAMAGED),
    (files.deleted_file, "hashes.seals", DAMAGED),
    (files.added_file, "hashes.seals", DAMAGED),
    (files.added_pipe, "hashes.seals", DAMAGED),
    (files.sums_deleted, "hashes.seals", DAMAGED),
    (files.sums_with_a_path_outside, "hashes.seals", DAMAGED),
    (files.file_is_a_link, "hashes.seals", DAMAGED),
    (files.cell_is_a_link, "hashes.seals", DAMAGED),
    (files.plan_is_a_link, "structure.plan", DAMAGED),
    (files.record_is_no_json, "schema.records", DAMAGED),
    (files.record_of_the_future, "schema.records", DAMAGED),
    (files.manifest_of_the_future, "structure.manifest", DAMAGED),
    (files.lower_threshold, "hashes.suite", DAMAGED),
    (files.removed_from_the_manifest, "structure.folders", DAMAGED),
    (files.removed_everywhere, "coverage.plan", DAMAGED),
    (files.task_removed_everywhere, "coverage.plan", DAMAGED),
    (files.student_removed, "structure.manifest", DAMAGED),
    (files.measurement_removed, "coverage.plan", DAMAGED),
    (files.plan_deleted, "structure.plan", DAMAGED),
    (files.plan_of_another_cell, "structure.plan", DAMAGED),
    (files.plan_asks_less, "hashes.ids", DAMAGED),
    (files.plan_hashes_otherwise, "hashes.ids", DAMAGED),
    (files.plan_with_another_seed, "records.settings", DAMAGED),
    (files.swapped_identities, "records.models", DAMAGED),
    (files.teacher_called_student, "structure.manifest", DAMAGED),
    (cells.swapped_cells, "records.cells", DAMAGED),
    (cells.copied_record, "copies.answers", SUSPICIOUS),
    (cells.copied_record_in_another_order, "copies.answers", SUSPICIOUS),
    (cells.copied_record_of_few_numbers, "copies.answers", WARNING),
    (cells.record_of_another_cell, "records.cells", DAMAGED),
    (cells.cell_of_another_model, "records.cells", DAMAGED),
    (cells.other_threads, "records.settings", DAMAGED),
    (cells.other_device, "records.settings", DAMAGED),
    (cells.weights_exchanged, "hashes.weights", DAMAGED),
    (cells.card_exchanged, "hashes.weights", DAMAGED),
    (cells.finished_and_gone, "coverage.journal", DAMAGED),
    (cells.finished_and_never_told, "coverage.journal", WARNING),
    (cells.code_that_nobody_planned, "trusted", DAMAGED),
    (cells.code_beside_a_model, "trusted", DAMAGED),
    (cells.foreign_cell, "structure.folders", DAMAGED),
    (cells.other_machine, "surroundings", WARNING),
    (cells.other_versions, "hashes.ids", DAMAGED),
    (samples.better_scores, "samples.scores", DAMAGED),
    (samples.worse_scores_of_the_teacher, "samples.scores", DAMAGED),
    (samples.better_scores_and_answers, "samples.rows", DAMAGED),
    (samples.better_mean, "samples.rows", DAMAGED),
    (samples.other_number, "samples.rows", DAMAGED),
    (samples.other_answers, "samples.answers", DAMAGED),
    (samples.hard_ones_left_out, "samples.rows", DAMAGED),
    (samples.hard_ones_left_out_of_the_draw, "samples.documents", SUSPICIOUS),
    (samples.easy_ones_twice, "samples.rows", DAMAGED),
    (samples.other_documents, "samples.documents", SUSPICIOUS),
    (samples.other_labels, "samples.documents", SUSPICIOUS),
    (samples.other_prompts, "samples.documents", SUSPICIOUS),
    (samples.lower_chance_level, "samples.documents", SUSPICIOUS),
    (samples.not_a_number, "samples.rows", DAMAGED),
    (samples.probability_above_one, "samples.rows", DAMAGED),
    (samples.samples_of_another_task, "samples.rows", DAMAGED),
    (samples.another_metric_hidden, "samples.rows", DAMAGED),
    (samples.unknown_status, "samples.rows", DAMAGED),
    (samples.no_parquet, "schema.samples", DAMAGED),
    (samples.times_of_the_teacher, "copies.times", SUSPICIOUS),
    (samples.times_longer_than_the_cell, "measurements.clocks", DAMAGED),
    (samples.clock_backwards, "measurements.values", DAMAGED),
    (samples.value_without_a_round, "measurements.values", DAMAGED),
    (samples.value_of_no_launch, "measurements.values", DAMAGED),
    (samples.other_unit, "measurements.values", DAMAGED),
    (samples.measured_without_a_machine, "measurements.clocks", DAMAGED),
]
FULL: list[tuple[Tampering, str, str]] = [
    (files.flipped_weight, "hashes.seals", DAMAGED),
    (samples.verdict_written_over, "outputs.result", DAMAGED),
    (samples.result_of_other_cells, "outputs.result", DAMAGED),
    (samples.result_of_other_cells, "outputs.report", DAMAGED),
    (samples.result_is_no_result, "outputs.result", DAMAGED),
    (samples.page_written_over, "outputs.report", DAMAGED),
    (samples.page_of_nothing, "outputs.report", DAMAGED),
]


def verdict_of(found: RunVerification, check: str) -> str:
    return next(each.verdict for each in found.checks if each.id == check)


def name_of(case: object) -> str | None:
    return getattr(case, "__name__", None)


@pytest.mark.parametrize(("tamper", "check", "verdict"), QUICK, ids=name_of)
def test_the_gates_check_finds(sound: Path, tmp_path: Path, tamper: Tampering, check: str, verdict: str) -> None:
    run = copied(sound, tmp_path)
    tamper(run)
    found = verify_run(RunDir.existing(run.path), run.path, "quick")
    assert verdict_of(found, check) == verdict, [(c.id, f) for c in found.checks for f in c.findings]


@pytest.mark.parametrize(("tamper", "check", "verdict"), FULL, ids=name_of)
def test_the_full_check_finds(sound: Path, tmp_path: Path, tamper: Tampering, check: str, verdict: str) -> None:
    run = copied(sound, tmp_path)
    tamper(run)
    found = verify_run(RunDir.existing(run.path), run.path, "full")
    assert verdict_of(found, check) == verdict, [(c.id, f) for c in found.checks for f in c.findings]


def test_a_run_that_nobody_touched_has_no_finding(sound: Path) -> None:
    found = verify_run(RunDir.existing(sound), sound, "full")
    assert [(each.id, each.verdict, each.findings) for each in found.checks if each.verdict != "ok"] == []
    assert found.verdict == "ok"
    assert [each.id for each in found.checks] == [kind.id for kind in CHECKS]
    assert all(each.checked > 0 for each in found.checks)


def test_every_check_is_one_that_a_tampering_reaches() -> None:
    reached = {check for _, check, _ in QUICK + FULL}
    # nothing that a run of distbench holds makes these two speak; imported runs do, and cells that never ran
    assert {kind.id for kind in CHECKS} - reached == {"provenance", "coverage.cells"}


# -- the command ------------------------------------------------------------------------------------------------------

ASK = """
import sys
sys.argv = ["distbench", "verify", "run"]
from distbench.cli import main
try:
    main()
finally:
    print(*(name in sys.modules for name in ("torch", "transformers", "lm_eval")))
"""
HOSTILE = "\u202e[bold]x[/bold]\n::error::y"


def test_an_intact_run(sound: Path) -> None:
    done = here(sound.parent, "verify", "run", check=0)
    lines = done.stdout.splitlines()
    assert lines[0] == "run: intact (28 checks)"
    assert len(lines) == 29
    assert all(line.startswith("  ok") for line in lines[1:])
    assert here(sound.parent, "verify", "run", "-q", check=0).stdout.splitlines() == lines[:1]


def test_one_document_for_several_runs_and_the_worst_exit_code(sound: Path, tmp_path: Path) -> None:
    run = copied(sound, tmp_path)
    flip(run.student / "samples.parquet")
    done = here(sound.parent, "verify", "run", str(run.path), "--json", check=6)
    found = Verification.model_validate_json(done.stdout)
    assert [each.verdict for each in found.runs] == ["ok", "damaged"]
    assert (found.verdict, found.exit_code) == ("damaged", 6)
    (check, finding), *_ = found.runs[1].found("damaged")
    assert check.id == "hashes.seals"
    assert finding.where == f"cells/{run.student.name}"
    assert finding.what == "samples.parquet does not match its SHA-256"
    assert check.remedy is not None
    schema = json.loads(here(tmp_path, "schema", "verification", check=0).stdout)
    assert schema["title"] == "distbench verification"


def test_suspicious_evidence_has_its_own_exit_code(sound: Path, tmp_path: Path) -> None:
    run = copied(sound, tmp_path)
    copied_record(run)
    done = here(tmp_path, "verify", "run", "--quick", check=3)
    assert done.stdout.startswith("run: suspicious: look before you believe its verdict (26 checks, quick)\n")
    assert "the same probabilities to the last bit on every document, although the weights differ" in done.stdout


@pytest.mark.parametrize("path", ["nothing", "folder", "folder/file"])
def test_what_is_no_run_is_an_error_of_usage(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    done = here(tmp_path, "verify", path, check=2)
    assert done.stdout == ""
    assert done.stderr.startswith("distbench: error[E002]")
    assert len(done.stderr.splitlines()) == 1


def test_a_manifest_that_cannot_be_read_leaves_everything_else_unchecked(sound: Path, tmp_path: Path) -> None:
    run = copied(sound, tmp_path)
    (run.path / "manifest.json").write_text("{", "utf-8")
    found = Verification.model_validate_json(here(tmp_path, "verify", "run", "--json", check=6).stdout).runs[0]
    assert found.run is None
    assert {each.verdict for each in found.checks[1:]} == {"not_checked"}
    assert "is damaged, or of another version" in found.checks[0].findings[0].what


def test_foreign_names_are_shown_and_do_nothing(sound: Path, tmp_path: Path) -> None:
    run = copied(sound, tmp_path)
    (run.cells / "[bold]x\n::error::").mkdir()
    edit(run.path / "manifest.json", lambda found: found["models"][0].update(of=[HOSTILE]))
    done = here(tmp_path, "verify", "run", "--quick", check=6)
    assert "[bold]x ::error::" in done.stdout
    assert "\u202e" not in done.stdout
    assert not any(line.startswith("::") for line in done.stdout.splitlines())


def test_what_did_not_finish_and_what_was_imported_is_not_called_checked(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {"big": {"t": (rows([1.0, 0.0]), [ACC])}, "small": {"t": None}})
    edit(run.path / "manifest.json", set_in("imported", to="lm-eval"))
    found = Verification.model_validate_json(here(tmp_path, "verify", "run", "--json", check=0).stdout).runs[0]
    by_id = {each.id: each for each in found.checks}
    assert by_id["provenance"].verdict == "not_checked"
    assert "imported from lm-eval" in by_id["provenance"].findings[0].what
    assert by_id["coverage.cells"].verdict == "warning"
    assert by_id["coverage.cells"].findings[0].what == "failed: killed by signal 9"
    assert by_id["samples.answers"].verdict == "not_checked"
    assert by_id["hashes.ids"].verdict == "not_checked"


def test_it_needs_no_torch(sound: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ASK], cwd=sound.parent, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False False"


def test_the_digest_of_weights_is_that_of_the_files(tmp_path: Path) -> None:
    def agree() -> bool:
        sums = {f"model/{path.name}": file_digest(path) for path in tmp_path.iterdir()}
        return weights_of_sums(sums | {"record.json": "0"}) == files_digest(tmp_path)

    for name in ("config.json", "README.md", "provenance.json", "model.skops", "b.safetensors", "a.safetensors"):
        (tmp_path / name).write_text(name)
        assert agree(), name


# -- the gate ---------------------------------------------------------------------------------------------------------


def test_the_gate_refuses_a_damaged_run_and_ci_sees_why(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", {"small": {"t": task(losing(0.0025))}})
    assert here(tmp_path, "gate", "run", check=0).stdout.splitlines()[-5:]
    path = run.cells / "small-t" / "samples.parquet"
    flip(path)
    done = here(tmp_path, "gate", "run", "--junit", "g.xml", "--on-inconclusive", "pass", "--github", check=6)
    assert done.stdout == ""
    error = done.stderr.splitlines()[-1]
    assert error.startswith("distbench: error[E006] run: no verdict on a damaged run: hashes.seals: cells/small-t")
    assert "samples.parquet does not match its SHA-256" in error
    assert done.stderr.startswith("::error title=distbench gate%3A no decision::")
    junit = (tmp_path / "g.xml").read_text("utf-8")
    assert '<testsuite name="decision on the run" tests="1" failures="0" errors="1"' in junit
    assert "does not match its SHA-256" in junit


def test_a_run_in_which_nothing_finished_has_its_junit_case(tmp_path: Path) -> None:
    run_of(tmp_path / "run", {"big": {"t": None}, "small": {"t": None}})
    done = here(tmp_path, "gate", "run", "--junit", "g.xml", "--format", "junit", check=4)
    assert (tmp_path / "g.xml").read_text("utf-8") == done.stdout
    assert "no evaluation or measurement finished" in done.stdout
    assert 'errors="1"' in done.stdout


def suspicious_run(sound: Path, tmp_path: Path) -> Run:
    run = copied(sound, tmp_path)
    copied_record(run)
    return run


def test_suspicious_evidence_never_passes_unless_a_policy_says_so(sound: Path, tmp_path: Path) -> None:
    suspicious_run(sound, tmp_path)
    for how in ("fail", "warn", "pass"):
        done = here(tmp_path, "gate", "run", "--on-inconclusive", how, "--json", check=3)
        decision = json.loads(done.stdout)
        assert decision["verdict"] == "INVALID"
        assert decision["evidence"]["verdict"] == "suspicious"
        rules = {
            name: [rule for rule in each if rule["rule"] == "evidence"] for name, each in decision["rules"].items()
        }
        assert [len(rules[name]) for name in ("kd", "small")] == [1, 1]
        assert "the same probabilities" in rules["kd"][0]["reason"]
    policy = write_policy(tmp_path / "p.yaml", evidence={"required": False})
    done = here(tmp_path, "gate", "run", "--policy", str(policy), check=0)
    assert "INVALID       suspicious evidence ≤ 0 (advisory)" in done.stdout
    one = write_policy(tmp_path / "p.yaml", students={"kd": {"evidence": {"required": False}}})
    assert here(tmp_path, "gate", "run", "--policy", str(one), check=3).stdout.startswith("INVALID")


def test_a_damaged_baseline_is_refused(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "before")
    flip(Run(tmp_path / "before").student / "record.json")
    done = here(tmp_path, "gate", str(sound), "--baseline", "before", check=6)
    assert "before: no verdict on a damaged run" in done.stderr


def test_every_output_says_how_much_was_checked(sound: Path, tmp_path: Path) -> None:
    done = here(tmp_path, "gate", str(sound), "--junit", "g.xml", "--markdown", "g.md", check=0)
    said = "26 checks of the run's files: intact"
    for text in (done.stdout, (tmp_path / "g.xml").read_text("utf-8"), (tmp_path / "g.md").read_text("utf-8")):
        assert said in text
    done = here(tmp_path, "gate", str(sound / "result.json"), check=0)
    assert "Evidence: not checked: a result document has no samples." in done.stdout
