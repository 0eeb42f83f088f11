"""The course of a training for TensorBoard, where somebody wants to watch it."""

from __future__ import annotations

from pathlib import Path

from distbench.errors import EnvironmentFault
from distbench.training.diary import Diary


class Board:
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

    def note(self, rate: float) -> None:
        """Write what the diary has of the step that just ended, whose learning rate was `rate`."""
        step, objective = self.diary.curve[-1]
        self._write("train/objective", objective, step)
        self._write("train/learning_rate", rate, step)
        for at, value in self.diary.looks[self.looks :]:
            self._write("heldout", value, at)
        self.looks = len(self.diary.looks)

    def close(self) -> None:
        """Leave the file complete."""
        self.writer.close()

    def _write(self, name: str, value: float, step: int) -> None:
        self.writer.add_scalar(name, value, step)
