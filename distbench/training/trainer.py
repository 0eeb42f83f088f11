"""`transformers.Trainer` with our objective: sums over positions, looks at held-out rows, sealed checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from distbench.data.token_signal import TokenSignal
from distbench.errors import RunError
from distbench.protocols import Progress
from distbench.training import checkpoints, sharding
from distbench.training.dealing import ABSENT, Dealer
from distbench.training.diary import Diary
from distbench.training.processes import Processes
from distbench.training.schedule import CHECKPOINT_SECONDS, Schedule

Look = Callable[[], float]
ALONE = Processes()
OPTIMISER_COPIES = 3  # a checkpoint holds the weights and AdamW's two moments


class Rows(torch.utils.data.Dataset[int]):
    """Row numbers: the collator reads the tensors, so that a memory map is touched once a batch."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


@dataclass(frozen=True)
class Collate:
    """From row numbers to a batch: ids, what counts, and what was recorded of the teacher."""

    signal: TokenSignal

    def __call__(self, rows: list[int]) -> dict[str, Any]:
        """Return tensors by name; what there is none of is left out. A batch without any row is some row, `ABSENT`."""
        present = [row for row in rows if row != ABSENT]
        if not present:
            return self([0]) | {"absent": True}
        rows = present
        taken = self.signal.train.take(rows)
        batch = {"ids": taken.ids, "documents": taken.documents, "scored": taken.scored}
        if self.signal.recorded is not None:
            batch |= {
                "recorded_ids": _plain(self.signal.recorded.ids, rows),
                "recorded_logp": self.signal.recorded.logp[rows],
            }
        return {name: tensor for name, tensor in batch.items() if tensor is not None}


def _plain(ids: Any, rows: list[int]) -> Any:
    """Return rows of token ids as int32; uint16 has no gather of its own."""
    taken = torch.stack([ids[row] for row in rows])
    return taken.int()


class DistilTrainer(Trainer):  # type: ignore[misc]
    """Trains a `Pupil`."""

    def __init__(
        self,
        *arguments: Any,
        diary: Diary,
        schedule: Schedule,
        rewrite: Any = None,
        processes: Processes = ALONE,
        sharded: bool = False,
        **keywords: Any,
    ) -> None:
        super().__init__(*arguments, **keywords)
        self.diary, self.schedule, self.rewrite = diary, schedule, rewrite
        self.processes, self.sharded = processes, sharded
        self.loss_is_scaled_for_ga = True  # by `positions` below
        self._since: list[float] = []

    def _get_train_sampler(self, train_dataset: Any = None) -> Dealer:
        """Return the order of rows, which is the same for any number of processes."""
        rows, schedule = len(self.train_dataset), self.schedule
        a_pass = -(-rows // (schedule.batch_size * schedule.accumulate))
        return Dealer(
            rows, schedule.batch_size, self.args.seed, lambda: int(self.state.global_step // a_pass), self.processes
        )

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """Return the batches of a step, as the student may have rewritten them, and their positions."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.rewrite is None or not batches:
            return batches, items
        absent = [{"absent": True} if batch.get("absent") else {} for batch in batches]
        written = self.rewrite(batches, self.state.global_step)
        batches = [batch | mark for batch, mark in zip(written, absent, strict=True)]
        return batches, self._get_num_items_in_batch(batches, device)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> Any:
        """Return the positions of a whole step that count, over all its batches and processes, per process."""
        count = sum(_positions(batch) for batch in batch_samples)
        if not batch_samples:
            return None
        items = torch.tensor(float(count), device=device)
        if self.args.world_size > 1:  # gradients are averaged over the processes
            items = self.accelerator.gather(items).sum() / self.args.world_size
        return items

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the batch's part of the step's objective, and stop a training that diverges."""
        absent = inputs.pop("absent", False)
        loss = model(inputs, num_items_in_batch, 1.0 / self.current_gradient_accumulation_steps)
        if absent:  # all processes take every step; this one has nothing to say in it
            loss = loss * 0.0
        value = float(loss.detach())
        if not math.isfinite(value):
            rate = self.lr_scheduler.get_last_lr()[0] if self.lr_scheduler else self.args.learning_rate
            raise RunError(f"training diverged: loss {value} at step {self.state.global_step}, lr {rate:.3g}")
        self._since.append(value)
        return (loss, None) if return_outputs else loss

    def step_loss(self) -> float:
        """Return the objective of the step that just ended."""
        total, self._since = sum(self._since), []
        return total

    # -- checkpoints ------------------------------------------------------------------------------------------------

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Write the pupil's parameters once each, tied ones included, as safetensors."""
        from safetensors.torch import save_model

        if self.sharded:
            sharding.save_model(self.model, Path(output_dir or self.args.output_dir))
        elif self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            save_model(self.accelerator.unwrap_model(self.model), str(folder / "pupil.safetensors"))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        from safetensors.torch import load_model

        folder = Path(resume_from_checkpoint)
        if self.sharded:
            sharding.load_model(self.model, folder)
        else:
            load_model(self.accelerator.unwrap_model(self.model), str(folder / "pupil.safetensors"))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.sharded:  # what was written above is this process's part
            (Path(output_dir) / OPTIMIZER_NAME).unlink(missing_ok=True)
            sharding.save_optimiser(self.model, self.optimizer.optimizer, Path(output_dir))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.sharded and checkpoint is not None:
            sharding.load_optimiser(self.model, self.optimizer.optimizer, Path(checkpoint))
            self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        size = OPTIMISER_COPIES * sum(p.numel() * p.element_size() for p in model.parameters())
        with checkpoints.writing(folder, size):
            super()._save_checkpoint(model, trial)
        self.processes.wait()  # each writes a part
        if self.args.should_save:
            checkpoints.seal(folder / f"{checkpoints.PREFIX}{self.state.global_step}", self.diary.facts())


def stay_on(device: str, arguments: Any) -> None:
    """Keep a training on its cell's GPU: transformers would take the first, and with DataParallel all that it sees."""
    own = torch.device(device)
    torch.cuda.set_device(own)
    arguments._n_gpu = 1  # noqa: SLF001 - what it found; there is no option for it
    arguments.__dict__["_setup_devices"] = own  # where the property keeps what it found


class Watch(TrainerCallback):  # type: ignore[misc]
    """After every step: notes, a look when one is due, and whether to go on."""

    def __init__(
        self, schedule: Schedule, diary: Diary, progress: Progress, look: Look, keep: Callable[[int], None]
    ) -> None:
        self.schedule, self.diary, self.progress, self.look, self.keep = schedule, diary, progress, look, keep
        self.trainer: DistilTrainer | None = None
        self.tokens_a_step = 0
        self._began = 0.0
        self._before = self._saved = diary.seconds
        self._first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self._began = time.monotonic()
        self._first = state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the loss; look, stop or save where it is time."""
        assert self.trainer is not None
        now, step = time.monotonic(), state.global_step
        loss, self.diary.seconds = self.trainer.processes.step(
            self.trainer.step_loss(), self._before + now - self._began, args.device
        )
        self.diary.curve.append((step, loss))
        self.progress(step, state.max_steps, self._words(step, state.max_steps, now))
        if self.schedule.look_every and (step % self.schedule.look_every == 0 or step == state.max_steps):
            self._look(step, control)
        if self.schedule.max_seconds is not None and self.diary.seconds >= self.schedule.max_seconds:
            self._stop("seconds", control)
        every = self.schedule.checkpoint_every
        since = self.diary.seconds - self._saved
        if (every is not None and step % every == 0) or (every is None and since >= CHECKPOINT_SECONDS):
            control.should_save, self._saved = True, self.diary.seconds

    def _look(self, step: int, control: Any) -> None:
        value = self.look()
        self.diary.looks.append((step, value))
        if self.diary.best == (step, value):
            self.keep(step)
        patience = self.schedule.patience
        if patience is not None and self.diary.looks_without_progress >= patience:
            self._stop("patience", control)

    def _stop(self, why: str, control: Any) -> None:
        self.diary.stopped = why
        control.should_training_stop = True

    def _words(self, step: int, total: int, now: float) -> str:
        """Return how fast it goes and how long it will take."""
        took = (now - self._began) / max(1, step - self._first)
        left = took * (total - step)
        return f"training, {self.tokens_a_step / took:.0f} tokens/s, {left / 60:.0f} min left"


def _positions(batch: dict[str, Any]) -> int:
    if batch.get("absent"):
        return 0
    scored = batch.get("scored")
    ids = batch["ids"]
    return int(ids.shape[0] * (ids.shape[1] - 1) if scored is None else scored.sum())
