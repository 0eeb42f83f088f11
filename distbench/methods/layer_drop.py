"""Depth pruning: keep some of the teacher's decoder blocks (Sajjad et al. 2023; DistilBERT's initialisation)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from distbench.errors import UsageError
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict

Layer = Annotated[int, Field(ge=0, le=10_000)]


class LayerDropOptions(Strict):
    """Options of `init: {use: layer-drop}`: exactly one of `keep` and `drop`."""

    keep: Annotated[int, Field(ge=1, le=10_000)] | list[Layer] | None = Field(
        None, description="how many blocks to keep (the dropped ones are spaced evenly inside), or which (0-based)"
    )
    drop: list[Layer] | None = Field(None, description="which blocks to drop (0-based)")

    @model_validator(mode="after")
    def _one_of(self) -> LayerDropOptions:
        if (self.keep is None) == (self.drop is None):
            raise ValueError("give exactly one of 'keep' and 'drop'")
        return self


def spaced(total: int, keep: int) -> list[int]:
    """Return `keep` of `total` block indices; first and last stay, the dropped ones are spread evenly between them."""
    drop = total - keep
    inner = total - 2
    gone = {1 + (2 * i + 1) * inner // (2 * drop) for i in range(drop)} if drop else set()
    return [i for i in range(total) if i not in gone]


class LayerDrop:
    """Drop decoder blocks of the parent."""

    Options = LayerDropOptions
    needs: ClassVar[frozenset[str]] = frozenset({"layers", "save"})
    makes: ClassVar[str | None] = None

    def __init__(self, options: LayerDropOptions) -> None:
        self.options = options

    def make(self, parent: Any, settings: Settings) -> Any:
        """Return the parent with fewer blocks (the parent is changed)."""
        parent.keep_layers(self.kept(parent.layer_count()))
        return parent

    def kept(self, total: int) -> list[int]:
        """Return the indices that stay.

        Raises UsageError when the teacher has not that many blocks.
        """
        keep, drop = self.options.keep, self.options.drop
        if isinstance(keep, int):
            if keep > total or (keep < 2 and total > 1):
                raise UsageError(f"layer-drop: keep {keep} of {total} blocks; keep must be between 2 and {total}")
            return spaced(total, keep)
        named = keep if keep is not None else drop or []
        if out_of_range := [i for i in named if i >= total]:
            raise UsageError(
                f"layer-drop: block {out_of_range[0]} of {total} does not exist (blocks are 0 to {total - 1})"
            )
        kept = sorted(set(named)) if keep is not None else [i for i in range(total) if i not in set(named)]
        if not kept:
            raise UsageError("layer-drop keeps no block")
        return kept
