"""A small feed-forward classifier in torch: teacher or student on vectors, images or texts."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distbench.data.checkpoint import check_safetensors
from distbench.data.feature_signal import FeatureSignal
from distbench.errors import UsageError
from distbench.models import tabular_features
from distbench.models.saved import resolve_saved
from distbench.models.tabular_features import Vectors
from distbench.models.tabular_skops import TabularOptions
from distbench.models.torch_device import prepare_torch
from distbench.models.torch_weights import weight_bytes
from distbench.protocols import LearnReport, LearnSession, Resolved, TrainingRecipe
from distbench.schema.cell import Settings
from distbench.schema.record import Footprint
from distbench.schema.training import Budget

WEIGHTS, SHAPE = "model.safetensors", "model.json"
DEFAULTS = Budget(epochs=100.0, batch_size=64, learning_rate=3e-3, weight_decay=1e-4, warmup=0.0)
Width = Annotated[int, Field(ge=1, le=65_536)]


class MLPOptions(TabularOptions):
    """Options of `use: mlp`."""

    hidden: Annotated[list[Width], Field(min_length=0, max_length=16)] = [256, 256]


class MLPClassifier:
    """Fully connected layers with ReLU; the sizes of input and output come from the data it learns."""

    Options = MLPOptions
    offers: ClassVar[frozenset[str]] = frozenset({"classify", "learn", "save", "weights"})
    learns: ClassVar[frozenset[str]] = frozenset({"features", "images", "texts"})

    def __init__(self, options: MLPOptions, settings: Settings) -> None:
        self.options, self.settings = options, settings
        self.device = prepare_torch(settings)
        self.folder: Path | None = None
        self.module: Any = None
        self.vectors: Vectors | None = None
        self.classes = 0
        self._inputs: Any = None  # the training rows on the device

    def _build(self, vectors: Vectors, classes: int) -> None:
        from torch import nn

        self.vectors, self.classes = vectors, classes
        widths = [vectors.size, *self.options.hidden]
        layers: list[Any] = []
        for inside, outside in itertools.pairwise(widths):
            layers += [nn.Linear(inside, outside), nn.ReLU()]
        self.module = nn.Sequential(*layers, nn.Linear(widths[-1], classes)).to(self.device).eval()

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        """Find a folder written by `save`."""
        return resolve_saved(source, directory, (WEIGHTS, SHAPE, tabular_features.FILE))

    @classmethod
    def warm_up(cls) -> None:
        """Import torch and safetensors."""
        import torch  # noqa: F401

    @classmethod
    def open(cls, path: Path, settings: Settings, options: Any = None) -> Self:
        """Load a folder written by `save`."""
        from safetensors.torch import load_file

        shape = json.loads((path / SHAPE).read_text(encoding="utf-8"))
        check_safetensors(path / WEIGHTS)
        vectors = Vectors.read(path)
        model = cls(MLPOptions(hidden=shape["hidden"], features=vectors.options), settings)
        model._build(vectors, shape["classes"])
        model.module.load_state_dict(load_file(path / WEIGHTS))
        model.folder = path
        return model

    def save(self, folder: Path) -> None:
        """Write safetensors weights, the layer sizes, and how inputs become vectors."""
        from safetensors.torch import save_file

        if self.vectors is None:
            raise UsageError("an MLP gets its sizes from data: give the student a 'distil' step or a source")
        folder.mkdir(parents=True, exist_ok=True)
        save_file({k: v.cpu().contiguous() for k, v in self.module.state_dict().items()}, folder / WEIGHTS)
        shape = {"use": "mlp", "hidden": self.options.hidden, "classes": self.classes}
        (folder / SHAPE).write_text(json.dumps(shape), encoding="utf-8")
        self.vectors.write(folder)
        self.folder = folder

    def footprint(self) -> Footprint:
        """Parameters, and the bytes of what it needs to answer: the weights, and the words of a text classifier."""
        count = sum(p.numel() for p in self.module.parameters())
        files = [WEIGHTS, *([tabular_features.FILE] if self.vectors and self.vectors.terms else [])]
        size = sum((self.folder / name).stat().st_size for name in files) if self.folder else None
        return Footprint(bytes_on_disk=size, params_unique=count, params_non_embedding=count, dtype="F32")

    def weight_bytes(self) -> int:
        """Return the bytes of the weights in memory."""
        return weight_bytes(self.module)

    def classify(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return class probabilities [n, classes] for n vectors, images or texts."""
        import torch

        assert self.vectors is not None, "it was opened or has learned"
        self.module.eval()
        with torch.inference_mode():
            logits = self.module(torch.from_numpy(self.vectors(x)).to(self.device))
            return np.asarray(torch.softmax(logits.double(), dim=-1).cpu().numpy(), dtype=np.float64)

    def logits(self, rows: NDArray[np.int64]) -> Any:
        """Return the logits of training rows, [n, classes]."""
        import torch

        return self.module(self._inputs[torch.from_numpy(rows).to(self.device)])

    def learn(self, signal: FeatureSignal, recipe: TrainingRecipe, session: LearnSession) -> LearnReport:
        """Train with AdamW; the budget is steps over *all* rows, for every objective."""
        import torch

        from distbench.training.classifier import fit

        torch.manual_seed(recipe.seed)
        self._build(Vectors.fitted(signal, self.options.features), signal.classes)
        assert self.vectors is not None
        self._inputs = torch.from_numpy(self.vectors(signal.x)).to(self.device)
        report = fit(self, signal, recipe, session, DEFAULTS)
        self._inputs = None
        report.options |= self.vectors.facts()
        return report


class FreshMLP:
    """`init: {use: mlp, hidden: [...]}`: an untrained network."""

    Options = MLPOptions
    needs: ClassVar[frozenset[str]] = frozenset()
    makes: ClassVar[str | None] = "mlp"

    def __init__(self, options: MLPOptions) -> None:
        self.options = options

    def make(self, parent: Any, settings: Settings) -> MLPClassifier:
        """Return the untrained network; `parent` is not used."""
        return MLPClassifier(self.options, settings)
