"""Depth pruning: keep some of the teacher's decoder blocks.

Spaced evenly, as DistilBERT starts from every other block (Sanh et al. 2019, https://arxiv.org/abs/1910.01108), or
those that change the residual stream most (Men et al. 2024, ShortGPT, https://arxiv.org/abs/2403.03853).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from distbench.data.calibration import Calibration
from distbench.data.checkpoint import read_config
from distbench.errors import UsageError
from distbench.methods.importance import block_influence, strongest
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict

Layer = Annotated[int, Field(ge=0, le=10_000)]
Keep = Annotated[int, Field(ge=1, le=10_000)] | list[Layer]


class LayerDropOptions(Strict):
    """Options of `init: {use: layer-drop}`: exactly one of `keep` and `drop`."""

    keep: Keep | None = Field(None, description="how many blocks to keep, or which (0-based)")
    drop: list[Layer] | None = Field(None, description="which blocks to drop (0-based)")
    by: Literal["spaced", "influence"] = Field(
        "spaced",
        description="where 'keep' is a number: spaced drops evenly and keeps both ends; influence drops the blocks "
        "that change the residual stream least on the calibration text",
    )
    calibration: Calibration | None = Field(None, description="the text of 'by: influence'")

    @model_validator(mode="after")
    def _one_of(self) -> LayerDropOptions:
        if (self.keep is None) == (self.drop is None):
            raise ValueError("give exactly one of 'keep' and 'drop'")
        if self.by == "influence" and not isinstance(self.keep, int):
            raise ValueError("'by: influence' chooses the blocks itself: give 'keep' a number")
        if self.calibration is not None and self.by != "influence":
            raise ValueError("'calibration' is read by 'by: influence' only")
        return self


def spaced(total: int, keep: int) -> list[int]:
    """Return `keep` of `total` block indices; first and last stay, the dropped ones are spread evenly between them."""
    drop = total - keep
    inner = total - 2
    gone = {1 + (2 * i + 1) * inner // (2 * drop) for i in range(drop)} if drop else set()
    return [i for i in range(total) if i not in gone]


def chosen(keep: Keep, total: int) -> list[int]:
    """Return the blocks that `keep` names, or as many as it says, spaced.

    Raises UsageError where there are not that many.
    """
    if isinstance(keep, int):
        check_number(keep, total)
        return spaced(total, keep)
    check_exist(keep, total)
    return some(sorted(set(keep)))


def check_number(keep: int, total: int) -> None:
    """Raise UsageError where a model has not that many blocks."""
    if keep > total or (keep < 2 and total > 1):
        raise UsageError(f"layer-drop: keep {keep} of {total} blocks; keep must be between 2 and {total}")


def check_exist(named: list[int], total: int) -> None:
    """Raise UsageError for a block that is not there."""
    if out_of_range := [i for i in named if i >= total]:
        raise UsageError(f"layer-drop: block {out_of_range[0]} of {total} does not exist (blocks are 0 to {total - 1})")


def some(kept: list[int]) -> list[int]:
    """Return the blocks. Raises UsageError where there are none."""
    if not kept:
        raise UsageError("layer-drop keeps no block")
    return kept


class LayerDrop:
    """Drop decoder blocks of the parent."""

    Options = LayerDropOptions
    needs: ClassVar[frozenset[str]] = frozenset({"layers", "save"})
    makes: ClassVar[str | None] = None
    paths: ClassVar[frozenset[str]] = frozenset({"calibration.texts"})

    def __init__(self, options: LayerDropOptions) -> None:
        self.options = options
        self.notes: dict[str, Any] = {}

    @property
    def calibration(self) -> Calibration | None:
        """The text that is needed; None where none is."""
        return (self.options.calibration or Calibration()) if self.options.by == "influence" else None

    def identity(self) -> dict[str, Any]:
        """Return what decides the calibration text."""
        return self.calibration.identity() if self.calibration else {}

    def fits(self, folder: Path) -> None:
        """Raise UsageError where the parent's configuration says that it has not these blocks."""
        if isinstance(total := (read_config(folder) or {}).get("num_hidden_layers"), int):
            self.kept(total)

    def make(self, parent: Any, settings: Settings) -> Any:
        """Return the parent with fewer blocks (the parent is changed)."""
        kept = self.kept(parent.layer_count())
        if self.calibration is not None:
            kept = self._influential(parent, self.calibration, settings.seed)
        self.notes["kept_blocks"] = kept
        parent.keep_layers(kept)
        return parent

    def kept(self, total: int) -> list[int]:
        """Return the indices that stay where no text is needed to know them.

        Raises UsageError when the parent has not that many blocks.
        """
        if self.options.keep is not None:
            return chosen(self.options.keep, total)
        drop = self.options.drop or []
        check_exist(drop, total)
        return some([i for i in range(total) if i not in set(drop)])

    def _influential(self, parent: Any, calibration: Calibration, seed: int) -> list[int]:
        assert isinstance(self.options.keep, int)
        if "causal-lm" not in type(parent).offers:
            raise UsageError("layer-drop: 'by: influence' reads text; this model is no causal language model in torch")
        rows = calibration.rows(parent, seed)
        influence = block_influence(parent, rows)
        self.notes |= {"influence": influence, "calibration": calibration.facts(rows)}
        return strongest(influence, self.options.keep)
