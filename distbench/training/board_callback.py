"""The board of a training that `transformers.Trainer` runs."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from distbench.training.board import Board


class BoardCallback(TrainerCallback):  # type: ignore[misc]
    """Notes every step on a board."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Write what the diary has of this step."""
        self.board.note(float(given["lr_scheduler"].get_last_lr()[0]))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave the file complete."""
        self.board.close()
