"""Changes of finished cells: exchanged, copied, taken away, or of another model, machine or version."""

from __future__ import annotations

import shutil

from distbench.store.files import seal
from tests.verify.tampering import Run, edit, set_in


def swapped_cells(run: Run) -> None:
    one, other, aside = run.teacher, run.student, run.cells / "aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def copied_record(run: Run, of: str = "small on digits") -> None:
    """Another model's record and samples under the student's id, with every name in them changed."""
    for name in ("samples.parquet", "record.json"):
        (run.student / name).unlink()
        shutil.copy(run.cell(of) / name, run.student / name)
    edit(run.student / "record.json", lambda found: found.update(cell_id=run.student.name, title="kd on digits"))
    seal(run.student)


def copied_record_in_another_order(run: Run) -> None:
    copied_record(run)
    run.edit_samples(run.student, lambda rows: rows[::-1], told=True, said=True)


def copied_record_of_few_numbers(run: Run) -> None:
    """The teacher is a deep tree: nearly every answer has the probability 1, as a near copy of it would have."""
    copied_record(run, "big on digits")


def record_of_another_cell(run: Run) -> None:
    run.edit_record(run.student, set_in("cell_id", to=run.teacher.name))


def cell_of_another_model(run: Run) -> None:
    edit(run.student / "cell.json", set_in("model", "identity", to="0123456789abcdef"))
    seal(run.student)


def other_threads(run: Run) -> None:
    run.edit_record(run.measured, set_in("threads", to=16))


def other_device(run: Run) -> None:
    for name in ("record.json", "cell.json"):
        key = ("device",) if name == "record.json" else ("settings", "device")
        edit(run.student / name, set_in(*key, to="cuda"))
    seal(run.student)


def exchanged(run: Run, name: str) -> None:
    (run.cell("make kd") / "model" / name).unlink()
    shutil.copy(run.cell("make small") / "model" / name, run.cell("make kd") / "model" / name)
    seal(run.cell("make kd"))


def weights_exchanged(run: Run) -> None:
    exchanged(run, "model.skops")


def card_exchanged(run: Run) -> None:
    exchanged(run, "provenance.json")


def code_that_nobody_planned(run: Run) -> None:
    """A record says that a checkpoint's code ran, and the plan does not know of it."""
    said = {"code": {"modeling.py": "0" * 64}, "pickles": [], "besides": "0" * 64}
    run.edit_record(run.student, set_in("trusted", to=[said]))


def code_beside_a_model(run: Run) -> None:
    """Whoever opens the model would run this."""
    model = run.cell("make kd") / "model"
    (model / "config.json").write_text('{"auto_map": {"AutoModel": "modeling.Model"}}')
    (model / "modeling.py").write_text("raise SystemExit")
    seal(run.cell("make kd"))


def finished_and_gone(run: Run) -> None:
    shutil.rmtree(run.student)


def finished_and_never_told(run: Run) -> None:
    lines = (run.path / "journal.jsonl").read_text("utf-8").splitlines()
    kept = [line for line in lines if run.student.name not in line]
    (run.path / "journal.jsonl").write_text("\n".join(kept) + "\n", "utf-8")


def foreign_cell(run: Run) -> None:
    shutil.copytree(run.student, run.cells / "0123456789abcdef")


def other_machine(run: Run) -> None:
    run.edit_record(run.student, set_in("host", "fingerprint", to="another"))


def other_versions(run: Run) -> None:
    run.edit_record(run.student, set_in("packages", "numpy", to="1.0"))
