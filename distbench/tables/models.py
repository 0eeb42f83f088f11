"""The models of a result: students, teachers, and the training runs behind a student."""

from __future__ import annotations

from collections.abc import Iterator

from distbench.compare.measurements import headline_energy, headline_memory, headline_speedup
from distbench.schema.record import Footprint
from distbench.schema.result import Estimate, Measurement, Result, StudentResult
from distbench.tables.table import Column, Row, Table, estimated, flag, number, spread, text, whole

_NOT_MEASURED = "not measured"
_SIZES: tuple[Column, ...] = (
    whole("bytes_on_disk", "size of the weight files, bytes"),
    whole("params_unique", "parameters, tied tensors counted once"),
    whole("params_non_embedding", "parameters outside the embeddings"),
    text("dtype", "what the weights are stored in"),
)

_STUDENT: tuple[Column, ...] = (
    text("student", "name in the suite"),
    text("label", "what people call it"),
    text("role", "student, or control: trained without the teacher or not at all"),
    text("control_of", "of a control: the student whose yardstick it is"),
    text("of", "the teacher it is compared with"),
    flag("required", "the run's verdict depends on it"),
    flag("recommended", "the smallest student that passes"),
    text("verdict", "PASS, FAIL, INCONCLUSIVE, NO_SIGNAL or INVALID"),
    text("verdict_reason", "the sentence that explains the verdict"),
    *estimated("retained", "share of the teacher kept over all tasks, chance-corrected; 1 = as good as the teacher"),
    whole("n", "samples behind `retained`"),
    text("worst_task", "the task on which it keeps least"),
    number("compression", "size on disk, teacher ÷ student (×)"),
    number("compression_params", "parameters, teacher ÷ student (×)"),
    number("compression_params_non_embedding", "parameters outside the embeddings, teacher ÷ student (×)"),
    *_SIZES,
    text("size_reason", "why a size or a compression is empty"),
    *estimated("speedup", "end-to-end latency at the smallest batch, teacher ÷ student (×); above 1 it is faster"),
    *estimated("memory", "peak memory of the process at work, teacher ÷ student (×); above 1 it needs less"),
    *estimated("energy", "gross energy at the smallest batch, teacher ÷ student (×); above 1 it needs less"),
    *estimated("gap_recovered", "share of the gap between its control and the teacher that it closes"),
    whole("training_runs", "training runs of this recipe in the result; 0 = not trained here"),
    text("made_by", "how it was made"),
    whole("disagreements", "samples that only one of teacher and student gets right"),
    text("identity", "hash of what it is and how it is opened"),
    text("weights", "digest of the weights, where this run made them"),
    text("device", "where it was measured"),
    text("host", "fingerprint of the machine that measured it"),
)


def _students(result: Result) -> Iterator[Row]:
    for each in result.students:
        yield {
            "student": each.name,
            "label": each.label,
            "role": each.role,
            "control_of": each.control_of,
            "of": each.of[0] if each.of else None,
            "required": each.required,
            "recommended": each.name == result.recommended,
            "verdict": each.verdict,
            "verdict_reason": each.verdict_reason,
            **spread("retained", each.suite.retained, ""),
            "n": each.suite.retained.n,
            "worst_task": each.suite.worst_task,
            "compression": each.compression.get("bytes_on_disk"),
            "compression_params": each.compression.get("params_unique"),
            "compression_params_non_embedding": each.compression.get("params_non_embedding"),
            **sizes(each.footprint),
            "size_reason": _size_reason(each),
            **_ratio("speedup", headline_speedup(each.measurements)),
            **_ratio("memory", headline_memory(each.measurements)),
            **_ratio("energy", headline_energy(each.measurements)),
            **spread("gap_recovered", each.gap_recovered, "no control without the teacher"),
            "training_runs": len(each.seeds.rows) if each.seeds else int(each.training is not None),
            "made_by": each.made_by,
            "disagreements": each.disagreements_total,
            "identity": each.identity,
            "weights": each.weights,
            "device": each.measured_on.device if each.measured_on else None,
            "host": each.measured_on.host.fingerprint if each.measured_on and each.measured_on.host else None,
        }


def _ratio(name: str, found: Measurement | None) -> Row:
    if found is None:
        return spread(name, None, _NOT_MEASURED)
    known: Estimate = found.ratio
    if known.reason is None and found.reason is not None:
        known = known.model_copy(update={"reason": found.reason})
    return spread(name, known, "")


def sizes(found: Footprint) -> Row:
    """Return the values of the size columns."""
    return {
        "bytes_on_disk": found.bytes_on_disk,
        "params_unique": found.params_unique,
        "params_non_embedding": found.params_non_embedding,
        "dtype": found.dtype,
    }


def _size_reason(student: StudentResult) -> str | None:
    known = (*sizes(student.footprint).values(), *student.compression.values())
    if all(value is not None for value in known):
        return None
    return student.footprint.note or "this kind of size does not exist for it or for its teacher"


_TEACHER: tuple[Column, ...] = (
    text("teacher", "name in the suite"),
    text("label", "what people call it"),
    text("source", "where it came from"),
    text("identity", "hash of what it is"),
    *_SIZES,
    text("size_reason", "why a size is empty"),
)


def _teachers(result: Result) -> Iterator[Row]:
    for each in result.teachers:
        known = sizes(each.footprint)
        why = None if None not in known.values() else each.footprint.note or "this kind of size does not exist for it"
        yield {
            "teacher": each.name,
            "label": each.label,
            "source": each.source,
            "identity": each.identity,
            **known,
            "size_reason": why,
        }


_SEED: tuple[Column, ...] = (
    text("student", "name of the student, which is the first training run"),
    text("run", "name of this training run"),
    whole("seed", "seed of the training"),
    text("verdict", "of its retention alone"),
    *estimated("retained", "share of the teacher kept over all tasks (over test items); 1 = as good as the teacher"),
    *estimated("gap_recovered", "share of the gap between its own control and the teacher that it closes"),
)


def _seeds(result: Result) -> Iterator[Row]:
    for student in result.students:
        for row in student.seeds.rows if student.seeds else []:
            yield {
                "student": student.name,
                "run": row.name,
                "seed": row.seed,
                "verdict": row.verdict,
                **spread("retained", row.retained, ""),
                **spread("gap_recovered", row.gap_recovered, "no control without the teacher"),
            }


STUDENTS = Table("students", "a student or a control", _STUDENT, _students)
TEACHERS = Table("teachers", "a teacher", _TEACHER, _teachers)
SEEDS = Table("seeds", "a training run of a student that was trained with several seeds", _SEED, _seeds)
