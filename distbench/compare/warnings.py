"""What a reader must know before believing the numbers, in plain language."""

from __future__ import annotations

from distbench.compare.agreement import agreement_words
from distbench.compare.energy import implausible_energy
from distbench.compare.evidence import Evidence
from distbench.compare.measurements import headline_speedup, measured_again
from distbench.compare.pairs import Pair, has_worst
from distbench.schema.durations import duration
from distbench.schema.plan import PlannedModel
from distbench.schema.record import BatchHalved, HostFacts, MeasureResult
from distbench.schema.result import StudentResult
from distbench.schema.trusted import trusted_lines

FEW = 100  # samples


def run_warnings(evidence: Evidence, alpha: float) -> list[str]:
    """Return warnings that concern the whole run."""
    found = list(evidence.manifest.warnings)
    for model in evidence.models("teacher"):
        found += [f"Teacher {model.label}: {note}." for note in model.notes]
    found += [f"{line}." for line in trusted_lines((each.label, each.ref.trusted) for each in evidence.manifest.models)]
    found += _machines([record.host for record in evidence.records.values() if record.host is not None])
    for record in evidence.records.values():
        if isinstance(record.result, MeasureResult):
            found += _measured(record.result, alpha)
    gate = evidence.manifest.suite.gate
    if gate is not None and gate.sequential:
        found.append(
            "The samples were not fixed in number: retention and verdicts hold wherever the run stopped; all other "
            "intervals (difference, agreement, groups, gap recovered) are for a number of samples fixed before."
        )
    left = evidence.left_out.cells if evidence.left_out else {}
    found += _out_of_time(evidence)
    missing = [c.title for c in evidence.manifest.cells if c.id not in evidence.records and c.id not in left]
    if missing:
        found.append(
            f"{len(missing)} cells did not finish: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}."
        )
    return found


def _out_of_time(evidence: Evidence) -> list[str]:
    """Say what a time limit left out."""
    noted = evidence.left_out
    if noted is None:
        return []
    titles = [c.title for c in evidence.manifest.cells if c.id in noted.cells and c.id not in evidence.records]
    some, limit = f"{', '.join(titles[:5])}{' …' if len(titles) > 5 else ''}", duration(noted.max_seconds)
    line = f"{len(titles)} cells were not evaluated or measured: --max-time {limit} left no time for them ({some})."
    return [f"{line} Running again with the same --out continues."] if titles else []


def _machines(hosts: list[HostFacts]) -> list[str]:
    """Say that not all cells ran on one machine with one accelerator."""
    different = {host.fingerprint for host in hosts}
    if len(different) < 2:
        return []
    boards = sorted({board for host in hosts for board in host.accelerators})
    cores = sorted({host.cores for host in hosts})
    what = "machines"
    if len(boards) > 1:
        what = f"machines or accelerators ({', '.join(boards)})"
    elif len(cores) > 1:
        what = f"machines or parts of one ({' and '.join(map(str, cores))} cores)"
    text = f"The cells ran on {len(different)} different {what}; a ratio of times, memory or energy is only ever formed"
    return [f"{text} inside one measurement, on one of them."]


def _measured(result: MeasureResult, alpha: float) -> list[str]:
    """Return what must be known about a measurement: cut short, not settled, or two equal models that differ."""
    found = []
    if "time budget" in result.stop_reason:
        found.append(f"Measurement stopped early: {result.stop_reason}.")
    restless = sorted({f"{w.model} ({w.workload})" for w in result.warm_ups if not w.settled})
    if restless:
        found.append(f"Still getting faster when the warm-up ended: {', '.join(restless[:5])}.")
    found += implausible_energy(result)
    same = headline_speedup(measured_again(result, alpha))
    if same is not None and same.ratio.lo is not None and same.ratio.hi is not None:
        low, high = same.ratio.lo, same.ratio.hi
        if not low <= 1 <= high:
            found.append(
                f"The teacher measured against itself came out as {same.ratio.value:.3f}× [{low:.3f}, {high:.3f}]: "
                "this machine was not quiet enough, and a speed-up that near to 1 says nothing."
            )
    return found


def student_warnings(
    evidence: Evidence, model: PlannedModel, teacher: PlannedModel, result: StudentResult, pairs: list[Pair]
) -> list[str]:
    """Return warnings that concern one student."""
    found = [f"{note}." for note in model.notes]
    ratio = result.compression.get("bytes_on_disk")
    if ratio is not None and ratio < 1:
        found.append(f"The student is larger than its teacher: compression {ratio:.2f} by bytes on disk.")
    made, parent = evidence.made(model), evidence.made(teacher)
    found += [f"{note[:1].upper()}{note[1:]}." for note in (made.notes if made else [])]
    same_weights = model.ref.identity == teacher.ref.identity or (
        made is not None and parent is not None and made.weights_digest == parent.weights_digest
    )
    same_answers = bool(pairs) and all(p.same_outputs for p in pairs)
    elsewhere = evidence.content(model) == evidence.content(teacher) and model.ref.identity != teacher.ref.identity
    if elsewhere:
        found.append("The student is the teacher itself, run another way: what it loses is what that run loses.")
    elif same_weights:
        found.append("The student's weights are the teacher's: it retains exactly 100 % by construction.")
    elif same_answers:
        found.append(
            "Every answer equals the teacher's although the weights differ: check that the right model was loaded."
        )
    found += agreement_words(result.agreement)
    for p in pairs:
        if p.errors:
            counted = "count as wrong" if has_worst(p.facts) else "are left out: this metric has no worst score"
            found.append(f"{p.errors} answers on {p.task} failed and {counted}.")
    found += _small(pairs)
    for side in (teacher, model):
        found += _scored(evidence, side) + _halved(evidence, side)
    if len(model.of) > 1:
        found.append(f"Compared with {model.of[0]}, the first of its {len(model.of)} teachers.")
    return found


def _small(pairs: list[Pair]) -> list[str]:
    """Return one warning for all tasks of few samples: a group of them would otherwise fill the page."""
    few = [p for p in pairs if p.n < FEW and p.invalid is None]
    if len(few) < 3:
        return [f"{p.task} has only {p.n} samples: its interval is wide." for p in few]
    least = min(few, key=lambda p: p.n)
    return [f"{len(few)} tasks have fewer than {FEW} samples ({least.task} has {least.n}): their intervals are wide."]


def _scored(evidence: Evidence, model: PlannedModel) -> list[str]:
    """Say which answers another way of computing could turn, and why a model was scored the slow way."""
    close: dict[str, int] = {}
    reasons: dict[str, None] = {}
    for task in evidence.manifest.task_order:
        done = evidence.evaluated(model, task)
        facts = done.result.scorer if done else None
        if facts is None:
            continue
        if facts.close_calls_total:
            close[task] = facts.close_calls_total
        if facts.name == "hf" and facts.reason and facts.reason != "asked for":
            reasons[facts.reason] = None
    # the first of them: the same reason with other numbers on every task would fill the page
    found = [f"{model.label} was scored by lm-eval's own scorer: {reason}." for reason in list(reasons)[:1]]
    if close:
        where = ", ".join(list(close)[:3]) + (" …" if len(close) > 3 else "")
        found.append(
            f"{sum(close.values())} answers of {model.label} ({where}) hang on less than two ways of computing one "
            "number differ by; another batch size or machine may turn them."
        )
    return found


def _halved(evidence: Evidence, model: PlannedModel) -> list[str]:
    """Say on which tasks memory ended and smaller batches were asked."""
    found: dict[str, list[BatchHalved]] = {}
    for task in evidence.manifest.task_order:
        done = evidence.evaluated(model, task)
        if done is not None and done.result.batch_halved:
            found[task] = done.result.batch_halved
    if not found:
        return []
    task, halves = next(iter(found.items()))
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    least = min(halves, key=lambda half: half.after)
    whole = max(half.before for half in halves if half.unit == least.unit)
    said = f"Memory ended while {model.label} was asked {task}{more}; it went on with {least.after} instead of {whole}"
    return [f"{said} {least.unit} at once. Another batch size changes the last digits of a number, and nothing else."]
