"""Training any torch classifier: a loop over rows, with looks at held-out rows and checkpoints to go on from.

The same loop for vectors, texts and images: a `Learner` turns row numbers into logits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from distbench.data.feature_signal import FeatureSignal, heldout_kl
from distbench.errors import RunError, UsageError
from distbench.losses.target import Target
from distbench.protocols import LearnReport, LearnSession, TrainingRecipe
from distbench.schema.training import Budget
from distbench.store.leftovers import temporary_folder
from distbench.training import checkpoints
from distbench.training.board import Board
from distbench.training.classification import Objective, label_entropy, target_of
from distbench.training.diary import Diary, thin
from distbench.training.insides import insides_of
from distbench.training.lora import adapt, merge
from distbench.training.precision import autocast
from distbench.training.schedule import CHECKPOINT_SECONDS, Schedule

WEIGHTS, STATE, BEST = "model.safetensors", "state.pt", "best"
OPTIMISER_COPIES = 3  # a checkpoint holds the weights and AdamW's two moments
REPORTS = 200  # of progress, over a training


class Learner(Protocol):
    """A classifier in training."""

    module: Any  # torch.nn.Module
    device: Any

    def logits(self, rows: NDArray[np.int64]) -> Any:
        """Return the logits of training rows, [n, classes], with a gradient."""
        ...

    def classify(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return class probabilities [n, classes], in evaluation mode."""
        ...


def fit(
    learner: Learner, signal: FeatureSignal, recipe: TrainingRecipe, session: LearnSession, defaults: Budget
) -> LearnReport:
    """Train the learner's module in place; `defaults` fills in what the recipe's budget leaves out.

    The budget counts steps over *all* training rows, whatever the objective reads of them: a control that has labels
    for a tenth of the rows gets as many steps as its student. Raises RunError where the loss is no longer finite.
    """
    objective = Objective.of(recipe)
    rows = objective.rows(signal)
    given = recipe.budget.model_dump(exclude_none=True)
    schedule = Schedule.of(Budget(**(defaults.model_dump(exclude_none=True) | given)), signal.examples)
    before = heldout_kl(signal.heldout_logp, learner.classify(signal.heldout_x))
    adapted = _adapt(learner, recipe)
    with ExitStack() as stack:
        folder = session.scratch or stack.enter_context(temporary_folder("train"))
        course = Course(learner, signal, recipe, objective, rows, schedule, session, folder)
        diary, resumed = course.run()
        kept = course.restore_best(diary)
    if adapted:
        merge(learner.module)
    learner.module.eval()
    steps = diary.curve[-1][0]
    return LearnReport(
        steps=steps,
        units=steps * min(schedule.batch_size * schedule.accumulate, len(rows)),
        epochs=schedule.epochs * steps / schedule.steps,
        heldout_before=before,
        heldout_after=heldout_kl(signal.heldout_logp, learner.classify(signal.heldout_x)),
        heldout_n=len(signal.heldout_x),
        loss=thin(diary.curve),
        options=course.facts(diary) | adapted,
        heldout=diary.looks,
        kept_step=kept,
        stopped=diary.stopped,
        resumed_from=resumed,
    )


def _adapt(learner: Learner, recipe: TrainingRecipe) -> dict[str, Any]:
    """Put adapters around the layers of the learner's encoder if the budget says so; return them for the record."""
    if recipe.budget.lora is None:
        return {}
    trunk = getattr(learner.module, "base_model_prefix", None)
    if not trunk:
        raise UsageError("lora adapts models of transformers; remove 'lora'")
    return {"lora": adapt(learner.module, recipe.budget.lora, recipe.seed, trunk)}


@dataclass
class Course:
    """One training, from its first step or from a checkpoint to the weights that are kept."""

    learner: Learner
    signal: FeatureSignal
    recipe: TrainingRecipe
    objective: Objective
    rows: NDArray[np.int64]
    schedule: Schedule
    session: LearnSession
    folder: Path

    def __post_init__(self) -> None:
        import torch

        self.target = target_of(self.signal, self.learner.device)
        self.bfloat16 = autocast(self.recipe.budget.precision or "float32", str(self.learner.device))
        self.insides = insides_of(self.objective.inside, self.learner, self.signal, self.session)
        self.optimiser = torch.optim.AdamW(self.parameters, weight_decay=self.schedule.weight_decay)
        if self.schedule.look_every is not None and self.by_labels and self.signal.heldout_y is None:
            raise UsageError("look_every: the held-out rows have no labels to judge a model without a teacher by")

    @property
    def parameters(self) -> list[Any]:
        """What is trained: the model's own weights, or its adapters, and the projectors of losses that look inside."""
        own = [each for each in self.learner.module.parameters() if each.requires_grad]
        return [*own, *(self.insides.parameters() if self.insides is not None else ())]

    @property
    def by_labels(self) -> bool:
        """Whether looks are judged by the labels: a control may not be chosen by its distance to the teacher."""
        return not self.objective.asks_teacher or self.signal.heldout_logp is None

    def facts(self, diary: Diary) -> dict[str, Any]:
        """Return how it was trained, for the record."""
        looked = "cross-entropy on held-out labels" if self.by_labels else "KL to the teacher"
        return self.schedule.facts() | {
            "rows": len(self.rows),
            "temperature": self.recipe.temperature,
            "precision": "bfloat16" if self.bfloat16 else "float32",
            **({"teacher": "recorded and online"} if self.insides is not None else {}),
            "training_seconds": diary.seconds,
            **({"looked_at": looked} if diary.looks else {}),
        }

    # -- steps ------------------------------------------------------------------------------------------------------

    def run(self) -> tuple[Diary, int | None]:
        """Train; return the diary, and the step of the checkpoint that it went on from."""
        checkpoint = checkpoints.newest(self.folder)
        diary = Diary.read(checkpoints.facts_of(checkpoint)) if checkpoint else Diary()
        first = self._load(checkpoint) if checkpoint else 0
        before, began = diary.seconds, time.monotonic()
        saved = began
        board = Board(self.session.board, diary) if self.session.board is not None else None
        self.learner.module.train()
        for step in range(first + 1, self.schedule.steps + 1):
            diary.curve.append((step, self._step(step)))
            now = time.monotonic()
            diary.seconds = before + now - began
            if step % max(1, self.schedule.steps // REPORTS) == 0 or step == self.schedule.steps:
                self.session.progress(step, self.schedule.steps, "training")
            self._look(step, diary)
            if board is not None:
                board.note(rate_at(step, self.schedule))
            if self.schedule.max_seconds is not None and diary.seconds >= self.schedule.max_seconds:
                diary.stopped = "seconds"
            if diary.stopped != "budget":
                break
            every = self.schedule.checkpoint_every
            if (every is not None and step % every == 0) or (every is None and now - saved >= CHECKPOINT_SECONDS):
                self._save(step, diary)
                saved = now
        if board is not None:
            board.close()
        return diary, first or None

    def _step(self, step: int) -> float:
        import torch

        chosen = rows_of(step, self.schedule.batch_size * self.schedule.accumulate, self.rows, self.recipe.seed)
        labelled = int((self.signal.y[chosen] >= 0).sum())
        rate, total = rate_at(step, self.schedule), 0.0
        self.optimiser.zero_grad(set_to_none=True)
        for part in _parts(chosen, self.schedule.batch_size):
            kind = torch.device(self.learner.device).type
            with torch.autocast(kind, torch.bfloat16, enabled=self.bfloat16):
                logits, more = self._computed(part)
            loss = self.objective(logits.float(), self._target(part), len(chosen), labelled)
            loss = loss + more * (len(part) / len(chosen))
            if not bool(torch.isfinite(loss)):
                raise RunError(f"training diverged: loss {float(loss.detach())} at step {step}, lr {rate:.3g}")
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.parameters, self.schedule.max_grad_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        return total

    def _computed(self, rows: NDArray[np.int64]) -> tuple[Any, Any]:
        """Return the logits of rows, and the losses that look inside, a mean over the rows."""
        if self.insides is None:
            return self.learner.logits(rows), 0.0
        found = self.learner.inside(rows, self.insides.asked)  # type: ignore[attr-defined]  # `insides_of` has checked it
        return found.logits, self.insides(rows, found)

    def _target(self, rows: NDArray[np.int64]) -> Target:
        import torch

        index: Any = torch.from_numpy(rows).to(self.learner.device)
        return self.target.rows(index)

    # -- the weights that are kept ----------------------------------------------------------------------------------

    def _look(self, step: int, diary: Diary) -> None:
        """Look at the held-out rows where it is time, and keep the weights if they were never as good."""
        every = self.schedule.look_every
        if every is None or (step % every and step != self.schedule.steps):
            return
        found = self.learner.classify(self.signal.heldout_x)
        self.learner.module.train()
        value: float | None
        if self.by_labels:
            assert self.signal.heldout_y is not None
            value = label_entropy(found, self.signal.heldout_y)
        else:
            value = heldout_kl(self.signal.heldout_logp, found)
        if value is None or not math.isfinite(value):
            raise RunError(f"the held-out loss is infinite at step {step}: a class has probability 0")
        diary.looks.append((step, value))
        if diary.best == (step, value):
            self._keep(step)
        if self.schedule.patience is not None and diary.looks_without_progress >= self.schedule.patience:
            diary.stopped = "patience"

    def _keep(self, step: int) -> None:
        """Write the best weights so far; older ones stay as long as a checkpoint may return to them."""
        from safetensors.torch import save_model

        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{BEST}-{step}.part"
        with checkpoints.writing(self.folder, self._size):
            save_model(self.learner.module, str(part))
        part.rename(self.folder / f"{BEST}-{step}.safetensors")
        newest = checkpoints.newest(self.folder)
        sealed = Diary.read(checkpoints.facts_of(newest)).best if newest else None
        for old in self.folder.glob(f"{BEST}-*.safetensors"):
            if old.stem not in {f"{BEST}-{step}", f"{BEST}-{sealed[0]}" if sealed else ""}:
                old.unlink()

    def restore_best(self, diary: Diary) -> int | None:
        """Put the best look's weights back; return its step, or None where the last ones stay."""
        from safetensors.torch import load_model

        if diary.best is None or diary.best[0] == diary.curve[-1][0]:
            return None
        load_model(self.learner.module, str(self.folder / f"{BEST}-{diary.best[0]}.safetensors"))
        return diary.best[0]

    @property
    def _size(self) -> int:
        """Bytes of the weights."""
        return sum(each.numel() * each.element_size() for each in self.learner.module.parameters())

    # -- checkpoints ------------------------------------------------------------------------------------------------

    def _save(self, step: int, diary: Diary) -> None:
        """Write what a later process needs to go on as if nothing had happened."""
        import torch
        from safetensors.torch import save_model

        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"{checkpoints.PREFIX}{step}"
        state = {"optimiser": self.optimiser.state_dict(), "rng": torch.get_rng_state()}
        if torch.device(self.learner.device).type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.learner.device)
        if self.insides is not None:
            state["insides"] = self.insides.state_dict()
        with checkpoints.writing(self.folder, OPTIMISER_COPIES * self._size):
            target.mkdir()
            save_model(self.learner.module, str(target / WEIGHTS))
            torch.save(state, target / STATE)
        checkpoints.seal(target, diary.facts())

    def _load(self, checkpoint: Path) -> int:
        import torch
        from safetensors.torch import load_model

        load_model(self.learner.module, str(checkpoint / WEIGHTS))
        state = torch.load(checkpoint / STATE, weights_only=True)
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["rng"])
        if self.insides is not None:
            self.insides.load_state_dict(state["insides"])
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.learner.device)
        return checkpoints.step_of(checkpoint)


def rows_of(step: int, batch: int, rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the rows of a step (from 1): the next `batch` of one seeded permutation after another.

    A function of the step alone, so that a resumed training sees what it would have seen.
    """
    batch = min(batch, len(rows))
    start = (step - 1) * batch
    first, last = start // len(rows), (start + batch - 1) // len(rows)
    order = np.concatenate([np.random.default_rng([seed, p]).permutation(rows) for p in range(first, last + 1)])
    offset = start - first * len(rows)
    return np.asarray(order[offset : offset + batch], dtype=np.int64)


def rate_at(step: int, schedule: Schedule) -> float:
    """Return the learning rate of a step (from 1): a linear rise, then cosine or linear to zero, or constant."""
    if step <= schedule.warmup_steps:
        return schedule.learning_rate * step / schedule.warmup_steps
    done = (step - 1 - schedule.warmup_steps) / max(1, schedule.steps - schedule.warmup_steps)
    factor = {"constant": 1.0, "linear": 1.0 - done, "cosine": 0.5 * (1.0 + math.cos(math.pi * done))}
    return schedule.learning_rate * factor[schedule.schedule]


def _parts(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
