"""Accuracy of any classifier on the test rows of a data plug-in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from distbench import plugins
from distbench.data.labelled_rows import Rows
from distbench.data.located import located, without_paths
from distbench.errors import RunError, UsageError
from distbench.hashing import digest, text_digest
from distbench.protocols import Metric, Outcome, Progress, Sample, Shape, Work
from distbench.protocols.batches import Batch
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict, Use
from distbench.schema.suite import TaskSpec
from distbench.tasks.drawing import Drawn, draw
from distbench.work.answering import answering

BATCH = 4096
SHOWN = 2000  # characters of a text that its record shows


class ClassificationOptions(Strict):
    """Options of `use: classification`: none; the rows come from `data`."""


class ClassificationTask:
    """Top-1 accuracy; chance is one over the number of classes."""

    Options = ClassificationOptions
    needs: ClassVar[frozenset[str]] = frozenset({"classify"})
    work_needs: ClassVar[frozenset[str]] = needs
    grows: ClassVar[bool] = True  # can be asked part by part

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec

    @classmethod
    def resolve(cls, spec: TaskSpec, directory: Path) -> TaskSpec:
        """Check that the task names a data plug-in."""
        if not spec.data or "use" not in spec.data:
            raise UsageError(f"task {spec.title!r}: 'classification' needs data: {{use: DATA-PLUG-IN}}")
        use = Use.model_validate(spec.data)
        plugins.check_installed("data", use.use)
        if not hasattr(plugins.load("data", use.use), "test_rows"):
            raise UsageError(f"task {spec.title!r}: data {use.use!r} has no test rows with labels")
        return spec.model_copy(update={"data": located(use, directory).model_dump()})

    @classmethod
    def reads(cls, spec: TaskSpec) -> str:
        """Return the kind of its rows, which a model must learn from to understand."""
        return str(cls._source(spec).yields)

    @classmethod
    def identity(cls, spec: TaskSpec) -> dict[str, Any]:
        """Return the digest of the data."""
        named = without_paths(Use.model_validate(spec.data)).model_dump()
        return {"code": 3, "data": named, "rows": cls._source(spec).identity()}

    @staticmethod
    def _source(spec: TaskSpec) -> Any:
        use = Use.model_validate(spec.data)
        return plugins.load("data", use.use)(plugins.options("data", use))

    def _rows(self, seed: int) -> tuple[Rows, Drawn]:
        rows: Rows = self._source(self.spec).test_rows()
        if not len(rows):
            raise RunError(f"task {self.spec.title!r}: 0 examples")
        drawn = draw(len(rows), self.spec.samples, seed, self.spec.title, self.spec.part)
        return rows.take(np.asarray(drawn.indices, dtype=np.int64)), drawn

    def work(self, model: Any, shape: Shape, seed: int) -> Work:
        """Return one call of the model for `shape.batch` test rows, repeated where the test set is smaller.

        The model gets what a user would send: cutting a text into tokens, or preparing an image, is a part of the work.
        """
        rows, _ = self._rows(seed)
        return answering(model.classify, rows.x[np.arange(shape.batch) % len(rows)])

    def run(self, model: Any, settings: Settings, progress: Progress) -> Outcome:
        """Classify every chosen row."""
        rows, drawn = self._rows(settings.seed)
        x, y, index = rows.x, rows.y, rows.index
        probabilities = _classified(model, x, lambda done: progress(done, len(x), self.spec.title))
        _refuse_outside(y, probabilities.shape[1], rows, self.spec.title)
        answers = probabilities.argmax(axis=1)
        rows_digest = [text_digest([str(i), _content(row)]) for i, row in zip(index, x, strict=True)]
        samples = [
            Sample(
                task=self.spec.title,
                sample_id=rows_digest[i][:16],
                metric="acc",
                score=float(answers[i] == y[i]),
                prediction=str(answers[i]),
                label=str(y[i]),
                prompt=_shown(x[i], rows.names[i] if rows.names else f"row {index[i]}"),
                confidence=float(probabilities[i].max()),
                label_probability=float(probabilities[i][y[i]]),
                answer_digest=digest([float(p) for p in probabilities[i]])[:16],
            )
            for i in range(len(x))
        ]
        classes = probabilities.shape[1]
        return Outcome(
            samples=samples,
            metrics=[Metric("acc", primary=True, kind="binary", baseline=1.0 / classes)],
            version="1",
            engine="distbench classification 1",
            data_digest=digest(self.identity(self.spec)),
            prompt_digest=text_digest(rows_digest),
            drawn=drawn.facts(),
        )


def _classified(model: Any, x: Any, watch: Callable[[int], None]) -> Any:
    """Return class probabilities [n, classes] of the rows `x`; `watch` hears how many are done."""
    parts: list[Any] = []

    def rest(rows: int) -> None:
        for start in range(sum(map(len, parts)), len(x), rows):
            parts.append(model.classify(x[start : start + rows]))
            watch(start + len(parts[-1]))

    Batch(min(BATCH, len(x)), "rows").run(rest)
    return np.concatenate(parts)


def _refuse_outside(y: Any, head: int, rows: Rows, title: str) -> None:
    """Raise RunError for a label that the model has no output for: to count it as wrong would be a mistake."""
    for position in np.flatnonzero(y >= head)[:1]:
        raise RunError(
            f"task {title!r}: label {rows.classes[y[position]]!r} (number {y[position]}) of row {rows.index[position]} "
            f"is outside the head, which has {head} labels"
        )


def _content(row: Any) -> str:
    return row if isinstance(row, str) else row.tobytes().hex()


def _shown(row: Any, name: str) -> str:
    return row[:SHOWN] if isinstance(row, str) else name[:SHOWN]
