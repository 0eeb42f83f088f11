"""A small feed-forward classifier in torch: teacher or student of any feature-vector task."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distbench.data.checkpoint import check_safetensors
from distbench.data.feature_signal import FeatureSignal, heldout_kl
from distbench.errors import RunError, UsageError
from distbench.models.saved import resolve_saved
from distbench.models.torch_device import prepare_torch
from distbench.models.torch_weights import weight_bytes
from distbench.protocols import LearnReport, LearnSession, Progress, Resolved, TrainingRecipe
from distbench.schema.cell import Settings
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict
from distbench.training.classification import Objective, target_of

WEIGHTS, SHAPE = "model.safetensors", "model.json"
DEFAULTS = {"epochs": 100.0, "batch_size": 64, "learning_rate": 3e-3}
Width = Annotated[int, Field(ge=1, le=65_536)]


class MLPOptions(Strict):
    """Options of `use: mlp`."""

    hidden: Annotated[list[Width], Field(min_length=0, max_length=16)] = [256, 256]


class MLPClassifier:
    """Fully connected layers with ReLU; the sizes of input and output come from the data it learns."""

    Options = MLPOptions
    offers: ClassVar[frozenset[str]] = frozenset({"classify", "learn", "save", "weights"})
    learns: ClassVar[frozenset[str]] = frozenset({"features"})

    def __init__(self, hidden: list[int], settings: Settings, sizes: tuple[int, int] | None = None) -> None:
        self.hidden, self.settings, self.sizes = hidden, settings, sizes
        self.device = prepare_torch(settings)
        self.folder: Path | None = None
        self.net: Any = None
        if sizes:
            self._build(*sizes)

    def _build(self, features: int, classes: int) -> None:
        from torch import nn

        self.sizes = (features, classes)
        widths = [features, *self.hidden]
        layers: list[Any] = []
        for inside, outside in itertools.pairwise(widths):
            layers += [nn.Linear(inside, outside), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(widths[-1], classes)).to(self.device)

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        """Find a folder written by `save`."""
        return resolve_saved(source, directory, (WEIGHTS, SHAPE))

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
        model = cls(shape["hidden"], settings, (shape["features"], shape["classes"]))
        model.net.load_state_dict(load_file(path / WEIGHTS))
        model.net.eval()
        model.folder = path
        return model

    def save(self, folder: Path) -> None:
        """Write safetensors weights and the layer sizes."""
        from safetensors.torch import save_file

        if self.sizes is None:
            raise UsageError("an MLP gets its sizes from data: give the student a 'distil' step or a source")
        folder.mkdir(parents=True, exist_ok=True)
        save_file({k: v.cpu().contiguous() for k, v in self.net.state_dict().items()}, folder / WEIGHTS)
        shape = {"use": "mlp", "hidden": self.hidden, "features": self.sizes[0], "classes": self.sizes[1]}
        (folder / SHAPE).write_text(json.dumps(shape), encoding="utf-8")
        self.folder = folder

    def footprint(self) -> Footprint:
        """Parameters, and the bytes of the weight file."""
        count = sum(p.numel() for p in self.net.parameters())
        size = (self.folder / WEIGHTS).stat().st_size if self.folder else None
        return Footprint(bytes_on_disk=size, params_unique=count, params_non_embedding=count, dtype="F32")

    def weight_bytes(self) -> int:
        """Return the bytes of the weights in memory."""
        return weight_bytes(self.net)

    def classify(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return class probabilities [n, classes] for x [n, features]."""
        import torch

        with torch.inference_mode():
            logits = self.net(torch.from_numpy(np.ascontiguousarray(x)).to(self.device))
            return np.asarray(torch.softmax(logits.double(), dim=-1).cpu().numpy(), dtype=np.float64)

    def learn(self, signal: FeatureSignal, recipe: TrainingRecipe, session: LearnSession) -> LearnReport:
        """Train with AdamW and a cosine schedule; the budget is steps over *all* rows, for every objective."""
        import torch

        torch.manual_seed(recipe.seed)
        self._build(signal.x.shape[1], signal.classes)
        before = heldout_kl(signal.heldout_logp, self.classify(signal.heldout_x))
        budget = recipe.budget
        batch = budget.batch_size or int(DEFAULTS["batch_size"])
        epochs = budget.epochs or DEFAULTS["epochs"]
        rate = budget.learning_rate or DEFAULTS["learning_rate"]
        steps = budget.steps or max(1, round(epochs * -(-signal.examples // batch)))
        objective = Objective.of(recipe)
        objective.check(signal)
        rows = np.arange(signal.examples) if objective.asks_teacher else np.flatnonzero(signal.y >= 0)
        if not len(rows):
            raise RunError("no labelled example to learn from")
        curve = self._steps(signal, objective, rows, (steps, batch, rate, recipe.seed), session.progress)
        return LearnReport(
            steps=steps,
            units=steps * min(batch, len(rows)),
            epochs=epochs,
            heldout_before=before,
            heldout_after=heldout_kl(signal.heldout_logp, self.classify(signal.heldout_x)),
            heldout_n=len(signal.heldout_x),
            loss=curve,
            options={
                "batch_size": batch,
                "learning_rate": rate,
                "schedule": "cosine",
                "optimiser": "AdamW",
                "rows": len(rows),
                "temperature": recipe.temperature,
            },
        )

    def _steps(
        self,
        signal: FeatureSignal,
        objective: Objective,
        rows: NDArray[np.int64],
        budget: tuple[int, int, float, int],
        progress: Progress,
    ) -> list[tuple[int, float]]:
        import torch

        steps, batch, rate, seed = budget
        x, target = torch.from_numpy(signal.x).to(self.device), target_of(signal, self.device)
        optimiser = torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
        order, curve, since = np.random.default_rng(seed), [], []
        queue: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.net.train()
        for step in range(1, steps + 1):
            if len(queue) < min(batch, len(rows)):
                queue = np.concatenate([queue, order.permutation(rows)])
            chosen, queue = torch.from_numpy(queue[:batch]).to(self.device), queue[batch:]
            loss = objective(self.net(x[chosen]), target.rows(chosen))
            if not bool(torch.isfinite(loss)):
                raise RunError(
                    f"training diverged: loss {float(loss)} at step {step}, lr {schedule.get_last_lr()[0]:.3g}"
                )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            since.append(float(loss.detach()))
            if step % max(1, steps // 50) == 0 or step == steps:
                curve.append((step, float(np.mean(since))))
                since = []
                progress(step, steps, "training")
        self.net.eval()
        return curve


class FreshMLP:
    """`init: {use: mlp, hidden: [...]}`: an untrained network."""

    Options = MLPOptions
    needs: ClassVar[frozenset[str]] = frozenset()
    makes: ClassVar[str | None] = "mlp"

    def __init__(self, options: MLPOptions) -> None:
        self.options = options

    def make(self, parent: Any, settings: Settings) -> MLPClassifier:
        """Return the untrained network; `parent` is not used."""
        return MLPClassifier(list(self.options.hidden), settings)
