"""The run's work: its cells in a table, and one cell with what its record says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from distbench.report import numbers, words
from distbench.report.terminal.facts import Fact, fact_lines
from distbench.report.terminal.grid import Column, Grid, Row
from distbench.report.visible import one_line
from distbench.schema.record import CellRecord, EvaluateResult, MakeResult, MeasureResult, Training
from distbench.schema.result import CellSummary

_STATUS = {
    "done": ("✓ done", "green"),
    "cached": ("✓ cached", "green"),
    "failed": ("✗ failed", "red"),
    "missing": ("? missing", "yellow"),
}
_LONG = 400


def cells_grid(cells: Sequence[CellSummary]) -> list[RenderableType]:
    """Return every cell with what it took, and why the failed ones failed."""
    columns = [
        Column("Status"),
        Column("Cell"),
        Column("Took", number=True, drop=1),
        Column("Peak memory", number=True, drop=2),
        Column("Id", number=True, drop=3),
    ]
    rows = [
        Row([
            Text(*_STATUS[cell.status]),
            one_line(cell.title, 120),
            numbers.optional(cell.seconds, numbers.duration, "not known"),
            numbers.optional(cell.peak_memory_bytes, numbers.size, "not known"),
            one_line(cell.id, 40)[:12],
        ])
        for cell in cells
    ]  # fmt: skip
    if not rows:
        return [Text("the run has no cells")]
    known = [cell.seconds for cell in cells if cell.status == "done" and cell.seconds is not None]
    failed = [cell for cell in cells if cell.status in {"failed", "missing"}]
    parts: list[RenderableType] = [Grid(columns, rows, names=2), Text()]
    if known:
        parts.append(Text(f"{words.plural(len(known), 'cell')} ran for {numbers.duration(sum(known))} in all", "dim"))
    parts += [Text(f"{one_line(cell.title, 120)}: {_why(cell)}", style="red") for cell in failed]
    return parts


def _why(cell: CellSummary) -> str:
    return one_line(cell.error or ("no reason given" if cell.status == "failed" else "it never finished"), _LONG)


def cell_parts(record: CellRecord) -> list[RenderableType]:
    """Return what a finished cell's record says."""
    host = record.host
    facts = [
        Fact("cell", record.title),
        Fact("id", record.cell_id),
        Fact("kind", record.result.kind),
        Fact("started", record.started_at or None),
        Fact("took", None if record.seconds is None else numbers.duration(record.seconds)),
        Fact("peak memory", None if record.peak_memory_bytes is None else numbers.size(record.peak_memory_bytes)),
        Fact("device", record.device),
        Fact("threads", None if record.threads is None else numbers.count(record.threads)),
        Fact("host", None if host is None else f"{host.cpu}, {words.plural(host.cores, 'core')} ({host.fingerprint})"),
        Fact("packages", ", ".join(f"{package} {version}" for package, version in record.packages.items()) or None),
        *_result_facts(record.result),
    ]
    return fact_lines(facts)


def _result_facts(result: EvaluateResult | MakeResult | MeasureResult) -> Iterator[Fact]:
    if isinstance(result, EvaluateResult):
        yield Fact("task", f"{result.task}, version {result.task_version}, by {result.engine}")
        for metric in result.metrics:
            mean = "no mean" if metric.mean is None else numbers.plain(metric.mean)
            yield Fact("metric", f"{metric.name}: {mean}, {numbers.items(metric.n)}")
        if result.scorer is not None:
            yield Fact(
                "scored by", f"{result.scorer.name}" + (f": {result.scorer.reason}" if result.scorer.reason else "")
            )
        for half in result.batch_halved:
            said = f"at {half.before} {half.unit} at once; {half.after} from then on: {half.reason}"
            yield Fact("memory ended", said)
        yield Fact("data", result.data_digest)
        yield Fact("prompts", result.prompt_digest)
    elif isinstance(result, MakeResult):
        yield Fact("made with", result.use)
        yield Fact("weights", result.weights_digest)
        yield from training_facts(result.training)
        yield from (Fact("note", note) for note in result.notes)
    else:
        yield Fact("models", ", ".join(result.models))
        yield Fact("launches", numbers.count(result.launches))
        yield Fact("stopped", result.stop_reason)
        yield Fact("series", numbers.count(len(result.series)))
        yield from (Fact("note", note) for note in result.notes)


def training_facts(training: Training | None) -> Iterator[Fact]:
    """Yield what a training step did."""
    if training is None:
        return
    yield Fact("trained by", f"{training.method}: {training.objective}")
    yield Fact("data", training.data)
    steps = "" if training.steps is None else f", {numbers.count(training.steps)} steps"
    yield Fact(
        "budget",
        f"{numbers.count(training.examples)} examples, {numbers.count(training.units)} units seen, "
        f"{training.epochs:g} {'epoch' if training.epochs == 1 else 'epochs'}{steps}",
    )
    yield Fact("training took", numbers.duration(training.seconds))
    cached = " (from the cache)" if training.from_cache else ""
    yield Fact("teacher took", f"{numbers.duration(training.teacher_seconds)}{cached}")
    before, after = training.heldout_kl_before, training.heldout_kl_after
    if after is not None:
        start = "" if before is None else f" (before: {numbers.plain(before)})"
        yield Fact("held-out KL", f"{numbers.plain(after)} nats{start}, {numbers.items(training.heldout_n)}")
    yield Fact("stopped", training.stopped)
