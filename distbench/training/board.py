"""The course of a training for TensorBoard, where somebody wants to watch it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from distbench.errors import EnvironmentFault
from distbench.training.diary import Diary


class Board(TrainerCallback):  # type: ignore[misc]
    """Writes each step's objective and learning rate, and every look, to a folder that TensorBoard reads."""

    def __init__(self, folder: Path, diary: Diary) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise EnvironmentFault(
                "DISTBENCH_TENSORBOARD needs the package tensorboard: pip install 'distbench[tensorboard]'"
            ) from None
        self.writer = SummaryWriter(str(folder))
        self.diary, self.looks = diary, len(diary.looks)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Write what the diary has of this step."""
        step, objective = self.diary.curve[-1]
        self._write("train/objective", objective, step)
        self._write("train/learning_rate", given["lr_scheduler"].get_last_lr()[0], step)
        for at, value in self.diary.looks[self.looks :]:
            self._write("heldout", value, at)
        self.looks = len(self.diary.looks)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave the file complete."""
        self.writer.close()

    def _write(self, name: str, value: float, step: int) -> None:
        self.writer.add_scalar(name, value, step)
