"""Changes of the files of a run, of its manifest and of its plan."""

from __future__ import annotations

import os
import shutil
from typing import Any

from distbench.hashing import file_digest
from distbench.store.files import seal
from tests.verify.tampering import Run, edit, flip, set_in


def flipped_bit(run: Run) -> None:
    flip(run.student / "samples.parquet")


def flipped_weight(run: Run) -> None:
    flip(run.cell("make kd") / "model" / "model.skops")


def deleted_file(run: Run) -> None:
    (run.student / "samples.parquet").unlink()


def added_file(run: Run) -> None:
    (run.student / "notes.txt").write_text("x")


def added_pipe(run: Run) -> None:
    os.mkfifo(run.student / "pipe")


def sums_deleted(run: Run) -> None:
    (run.student / "SHA256SUMS").unlink()


def sums_with_a_path_outside(run: Run) -> None:
    with (run.student / "SHA256SUMS").open("a") as file:
        file.write(f"{file_digest(run.path / 'manifest.json')}  ../../manifest.json\n")


def file_is_a_link(run: Run) -> None:
    target = run.path.parent / "elsewhere.parquet"
    (run.student / "samples.parquet").rename(target)
    (run.student / "samples.parquet").symlink_to(target)


def cell_is_a_link(run: Run) -> None:
    folder = run.student
    folder.rename(run.path.parent / "elsewhere")
    folder.symlink_to(run.path.parent / "elsewhere")


def plan_is_a_link(run: Run) -> None:
    path = run.plan(run.student)
    path.rename(run.path.parent / path.name)
    path.symlink_to(run.path.parent / path.name)


def record_is_no_json(run: Run) -> None:
    (run.student / "record.json").write_text("{")
    seal(run.student)


def record_of_the_future(run: Run) -> None:
    run.edit_record(run.student, set_in("record_schema", to=2))


# -- manifest and plan ------------------------------------------------------------------------------------------------


def manifest_of_the_future(run: Run) -> None:
    run.edit_manifest(set_in("manifest_schema", to=2))


def lower_threshold(run: Run) -> None:
    run.edit_manifest(set_in("suite", "gate", "retained", to=0.01))


def removed_from_the_manifest(run: Run) -> None:
    gone = run.student.name
    run.edit_manifest(lambda found: found.update(cells=[each for each in found["cells"] if each["id"] != gone]))


def removed_everywhere(run: Run) -> None:
    folder = run.student
    removed_from_the_manifest(run)
    run.plan(folder).unlink()
    shutil.rmtree(folder)


def task_removed_everywhere(run: Run) -> None:
    gone = [folder for folder in run.cells.iterdir() if "on digits" in (folder / "cell.json").read_text("utf-8")]
    names = {folder.name for folder in gone}

    def without(found: Any) -> None:
        found["cells"] = [each for each in found["cells"] if each["id"] not in names]
        found["task_order"] = []

    run.edit_manifest(without)
    for folder in gone:
        run.plan(folder).unlink()
        shutil.rmtree(folder)


def student_removed(run: Run) -> None:
    run.edit_manifest(lambda found: found.update(models=[each for each in found["models"] if each["name"] != "small"]))


def measurement_removed(run: Run) -> None:
    folder = run.measured
    run.edit_manifest(lambda found: found.update(cells=[c for c in found["cells"] if c["id"] != folder.name]))
    run.plan(folder).unlink()
    shutil.rmtree(folder)


def plan_deleted(run: Run) -> None:
    run.plan(run.student).unlink()


def plan_of_another_cell(run: Run) -> None:
    shutil.copy(run.plan(run.teacher), run.plan(run.student))


def plan_asks_less(run: Run) -> None:
    edit(run.plan(run.student), set_in("task", "samples", to=100))


def plan_hashes_otherwise(run: Run) -> None:
    """The cell and what decides it are changed alike; only its id is still that of what was asked."""

    def change(found: Any) -> None:
        found["task"]["samples"] = found["decided_by"][3]["samples"] = 100

    edit(run.plan(run.student), change)


def plan_with_another_seed(run: Run) -> None:
    edit(run.plan(run.student), set_in("settings", "seed", to=7))


def swapped_identities(run: Run) -> None:
    def swap(found: Any) -> None:
        big, kd = (next(each for each in found["models"] if each["name"] == name) for name in ("big", "kd"))
        for key in ("identity", "content", "cell"):
            big["ref"][key], kd["ref"][key] = kd["ref"][key], big["ref"][key]

    run.edit_manifest(swap)


def teacher_called_student(run: Run) -> None:
    run.edit_manifest(lambda found: found["models"][0].update(role="student"))
