"""Changes of samples, of readings, and of what was computed from them."""

from __future__ import annotations

import json
from typing import Any

from distbench.store.files import seal
from tests.verify.tampering import Rows, Run, edit, set_in


def wrong_row(rows: Rows) -> dict[str, Any]:
    return next(row for row in rows if row["score"] == 0.0)


def better_scores(run: Run) -> None:
    run.edit_samples(run.student, lambda rows: wrong_row(rows).update(score=1.0), told=True)


def worse_scores_of_the_teacher(run: Run) -> None:
    """A worse teacher is easier to keep up with."""

    def change(rows: Rows) -> None:
        next(row for row in rows if row["score"] == 1.0).update(score=0.0)

    run.edit_samples(run.teacher, change, told=True)


def better_scores_and_answers(run: Run) -> None:
    def change(rows: Rows) -> None:
        row = wrong_row(rows)
        row.update(score=1.0, prediction=row["label"], confidence=0.9, label_probability=0.9)

    run.edit_samples(run.student, change)


def better_mean(run: Run) -> None:
    run.edit_record(run.student, set_in("result", "metrics", 0, "mean", to=0.999))


def other_number(run: Run) -> None:
    run.edit_record(run.student, set_in("result", "metrics", 0, "n", to=7))


def other_answers(run: Run) -> None:
    run.edit_samples(run.student, lambda rows: rows[0].update(answer_digest="0" * 16))


def hard_ones_left_out(run: Run) -> None:
    run.edit_samples(run.student, lambda rows: [row for row in rows if row["score"] == 1.0], told=True, said=True)


def hard_ones_left_out_of_the_draw(run: Run) -> None:
    hard_ones_left_out(run)
    record = json.loads((run.student / "record.json").read_text("utf-8"))
    left = record["result"]["metrics"][0]["n"]
    run.edit_record(run.student, set_in("result", "drawn", "stop", to=left))


def easy_ones_twice(run: Run) -> None:
    def change(rows: Rows) -> None:
        right = next(row for row in rows if row["score"] == 1.0)
        wrong_row(rows).update(right)

    run.edit_samples(run.student, change, told=True, said=True)


def other_documents(run: Run) -> None:
    run.edit_samples(run.student, lambda rows: [row | {"sample_id": f"x{i}"} for i, row in enumerate(rows)])


def other_labels(run: Run) -> None:
    def change(rows: Rows) -> None:
        row = wrong_row(rows)
        row.update(score=1.0, label=row["prediction"], label_probability=row["confidence"])

    run.edit_samples(run.student, change, told=True)


def other_prompts(run: Run) -> None:
    run.edit_record(run.student, set_in("result", "prompt_digest", to="0" * 64))


def lower_chance_level(run: Run) -> None:
    run.edit_record(run.student, set_in("result", "metrics", 0, "baseline", to=0.0))


def not_a_number(run: Run) -> None:
    run.edit_samples(run.student, lambda rows: rows[0].update(score=float("nan")))


def probability_above_one(run: Run) -> None:
    run.edit_samples(run.student, lambda rows: rows[0].update(confidence=2.0, label_probability=2.0))


def samples_of_another_task(run: Run) -> None:
    run.edit_samples(run.student, lambda rows: rows[0].update(task="another"))


def another_metric_hidden(run: Run) -> None:
    run.edit_samples(run.student, lambda rows: [*rows, rows[0] | {"metric": "acc_norm"}])


def unknown_status(run: Run) -> None:
    run.edit_samples(run.student, lambda rows: rows[0].update(status="fine"))


def no_parquet(run: Run) -> None:
    (run.student / "samples.parquet").unlink()
    (run.student / "samples.parquet").write_text("PAR1 not really")
    seal(run.student)


# -- measurements and what was derived --------------------------------------------------------------------------------


def series_of(record: Any, model: str, metric: str = "e2e_ms") -> Any:
    return next(each for each in record["result"]["series"] if (each["model"], each["metric"]) == (model, metric))


def times_of_the_teacher(run: Run) -> None:
    run.edit_record(run.measured, lambda found: series_of(found, "kd").update(values=series_of(found, "big")["values"]))


def times_longer_than_the_cell(run: Run) -> None:
    def change(found: Any) -> None:
        slow = series_of(found, "big")
        slow["values"] = [value * 1e9 for value in slow["values"]]

    run.edit_record(run.measured, change)


def clock_backwards(run: Run) -> None:
    run.edit_record(run.measured, lambda found: series_of(found, "kd")["values"].__setitem__(0, -1.0))


def value_without_a_round(run: Run) -> None:
    run.edit_record(run.measured, lambda found: series_of(found, "kd")["values"].append(0.001))


def value_of_no_launch(run: Run) -> None:
    run.edit_record(run.measured, lambda found: series_of(found, "kd")["launch"].__setitem__(0, 99))


def other_unit(run: Run) -> None:
    run.edit_record(run.measured, lambda found: series_of(found, "kd").update(unit="s"))


def measured_without_a_machine(run: Run) -> None:
    run.edit_record(run.measured, set_in("host", to=None))


def verdict_written_over(run: Run) -> None:
    edit(run.path / "result.json", set_in("students", 0, "verdict", to="FAIL"))


def result_of_other_cells(run: Run) -> None:
    """Everything in the cell fits together, and every number stays; only its seal is not the one that was compared."""
    run.edit_samples(run.student, lambda rows: rows[0].update(prompt="another text"))


def result_is_no_result(run: Run) -> None:
    (run.path / "result.json").write_text("[]")


def page_written_over(run: Run) -> None:
    path = run.path / "report.html"
    before = path.read_text("utf-8")
    data = before.index('id="data"')
    at = before.index('"verdict":"PASS"', data)
    path.write_text(before[:at] + '"verdict":"FAIL"' + before[at + len('"verdict":"PASS"') :], "utf-8")


def page_of_nothing(run: Run) -> None:
    (run.path / "report.html").write_text("<html>all is well</html>")
