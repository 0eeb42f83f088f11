"""A scikit-learn estimator as a classifier: fitted to class probabilities, stored with skops, never as a pickle."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distbench.data.feature_signal import FeatureSignal, heldout_kl
from distbench.errors import RefusedError, UsageError
from distbench.models import tabular_features
from distbench.models.saved import resolve_saved
from distbench.models.tabular_features import TfIdf, Vectors
from distbench.models.tabular_targets import Targets, sharpened, targets_of
from distbench.protocols import LearnReport, LearnSession, Resolved, TrainingRecipe
from distbench.schema.cell import Settings
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict

FILE, FACTS = "model.skops", "model.json"
TORCH_OF_SKLEARN = "sklearn.externals.array_api_compat.torch"


class TabularOptions(Strict):
    """Options of every model that reads vectors."""

    features: TfIdf | None = Field(
        None, description="how texts become vectors; tf-idf with its defaults where left out"
    )


class SkopsClassifier:
    """What such models share. A kind says how it is fitted and what it answers."""

    Options: ClassVar[type[TabularOptions]]
    noun: ClassVar[str]
    trusted: ClassVar[frozenset[str]]  # scikit-learn's own types that skops asks for by name
    offers: ClassVar[frozenset[str]] = frozenset({"classify", "learn", "save"})
    learns: ClassVar[frozenset[str]] = frozenset({"features", "images", "texts"})

    def __init__(self, options: Any, settings: Settings) -> None:
        self.options, self.settings = options, settings
        self.estimator: Any = None
        self.vectors: Vectors | None = None
        self.classes, self.temperature = 0, 1.0
        self.folder: Path | None = None

    def fitted(self, x: NDArray[np.float32], targets: Targets, seed: int) -> Any:
        """Return the estimator fitted to `targets`, whose rows x [n, features] are."""
        raise NotImplementedError

    def answers(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return class probabilities at the temperature of the training, [n, classes]."""
        raise NotImplementedError

    def words(self) -> str:
        """Return how large it is, in words: it has nodes, not parameters."""
        raise NotImplementedError

    # -- files ------------------------------------------------------------------------------------------------------

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        """Find a folder written by `save`."""
        return resolve_saved(source, directory, (FILE, FACTS, tabular_features.FILE))

    @classmethod
    def warm_up(cls) -> None:
        """Import scikit-learn and skops."""
        _skops()

    @classmethod
    def open(cls, path: Path, settings: Settings, options: Any = None) -> Self:
        """Load a folder written by `save`; a file that names any other type is refused."""
        skops, file = _skops(), path / FILE
        if foreign := sorted(set(skops.get_untrusted_types(file=file)) - cls.trusted):
            raise RefusedError(f"{file} names types that are not scikit-learn's: {foreign[0]}")
        model = cls(options or cls.Options(), settings)
        facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
        model.classes, model.temperature = int(facts["classes"]), float(facts["temperature"])
        model.estimator = skops.load(file, trusted=sorted(cls.trusted))
        model.vectors, model.folder = Vectors.read(path), path
        return model

    def save(self, folder: Path) -> None:
        """Write the estimator with skops, and beside it how inputs become vectors."""
        if self.estimator is None or self.vectors is None:
            raise UsageError(f"a {self.noun} is made by learning: give the student a 'distil' step or a source")
        folder.mkdir(parents=True, exist_ok=True)
        _skops().dump(self.estimator, folder / FILE)
        self.vectors.write(folder)
        facts = {"noun": self.noun, "classes": self.classes, "temperature": self.temperature}
        (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        self.folder = folder

    def footprint(self) -> Footprint:
        """Bytes of what must be there to answer: the stored estimator and its features."""
        files = [self.folder / name for name in (FILE, tabular_features.FILE)] if self.folder else []
        size = sum(file.stat().st_size for file in files) if files else None
        return Footprint(bytes_on_disk=size, note=self.words())

    # -- learning and answering -------------------------------------------------------------------------------------

    def classify(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return class probabilities [n, classes] for n vectors, images or texts."""
        assert self.vectors is not None, "it was opened or has learned"
        return sharpened(self.answers(self.vectors(x)), self.temperature)

    def learn(self, signal: FeatureSignal, recipe: TrainingRecipe, session: LearnSession) -> LearnReport:
        """Fit once: every row against the teacher's probabilities, the labelled ones against their labels, or both."""
        targets = targets_of(signal, recipe, self.noun)
        self.vectors = Vectors.fitted(signal, self.options.features)
        self.classes, self.temperature = signal.classes, targets.temperature
        session.progress(0, 1, f"fitting the {self.noun}")
        self.estimator = self.fitted(self.vectors(signal.x[targets.rows]), targets, recipe.seed)
        session.progress(1, 1, f"fitting the {self.noun}")
        after = heldout_kl(signal.heldout_logp, self.classify(signal.heldout_x))
        options = {"rows": len(targets.rows), "temperature": targets.temperature, **self.vectors.facts()}
        if after is None and signal.heldout_logp is not None:
            options["heldout_kl"] = (
                f"infinite: the {self.noun} gives probability 0 to a class that the teacher does not"
            )
        return LearnReport(None, len(targets.rows), 1.0, None, after, len(signal.heldout_x), [], options)


def _skops() -> Any:
    """Return `skops.io`, imported without torch, which takes longer than everything else that a tree needs.

    skops asks scikit-learn for the names of its estimators, which imports every package inside scikit-learn to find
    them; one of these is there for torch's arrays, and is passed over where torch is not installed.
    """
    hidden = TORCH_OF_SKLEARN not in sys.modules
    if hidden:
        sys.modules[TORCH_OF_SKLEARN] = None  # type: ignore[assignment]  # as importlib says "not there"
    try:
        import skops.io
    finally:
        if hidden:
            del sys.modules[TORCH_OF_SKLEARN]
    return skops.io
