"""Accuracy of any classifier on the test rows of a data plug-in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from distbench import plugins
from distbench.errors import UsageError
from distbench.hashing import digest, text_digest
from distbench.protocols import Metric, Outcome, Progress, Sample, Shape, Work
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict, Use
from distbench.schema.suite import TaskSpec
from distbench.tasks.drawing import Drawn, draw
from distbench.work.answering import answering

BATCH = 4096


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
        return spec

    @classmethod
    def identity(cls, spec: TaskSpec) -> dict[str, Any]:
        """Return the digest of the data."""
        return {"code": 2, "data": spec.data, "rows": cls._source(spec).identity()}

    @staticmethod
    def _source(spec: TaskSpec) -> Any:
        use = Use.model_validate(spec.data)
        return plugins.load("data", use.use)(plugins.options("data", use))

    def _rows(self, seed: int) -> tuple[Any, Any, Any, Drawn]:
        rows = self._source(self.spec).test_rows()
        drawn = draw(len(rows.y), self.spec.samples, seed, self.spec.title, self.spec.part)
        return rows.x[drawn.indices], rows.y[drawn.indices], rows.index[drawn.indices], drawn

    def work(self, model: Any, shape: Shape, seed: int) -> Work:
        """Return one call of the model for `shape.batch` test rows, repeated where the test set is smaller."""
        x, _, _, _ = self._rows(seed)
        return answering(model.classify, x[np.arange(shape.batch) % len(x)])

    def run(self, model: Any, settings: Settings, progress: Progress) -> Outcome:
        """Classify every chosen row."""
        x, y, index, drawn = self._rows(settings.seed)
        probabilities = np.concatenate([model.classify(x[i : i + BATCH]) for i in range(0, len(x), BATCH)])
        progress(len(x), len(x), self.spec.title)
        answers = probabilities.argmax(axis=1)
        rows_digest = [text_digest([str(i), row.tobytes().hex()]) for i, row in zip(index, x, strict=True)]
        samples = [
            Sample(
                task=self.spec.title,
                sample_id=rows_digest[i][:16],
                metric="acc",
                score=float(answers[i] == y[i]),
                prediction=str(answers[i]),
                label=str(y[i]),
                prompt=f"row {index[i]}",
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
