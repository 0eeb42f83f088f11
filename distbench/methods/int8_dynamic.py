"""int8 weights with activations quantised on the fly: no data needed, CPU only."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from distbench.schema.strict import Strict


class Int8DynamicOptions(Strict):
    """Options of `quantise: {use: int8-dynamic}`."""

    skip: list[str] = Field([], description="linear layers whose name ends with one of these words stay as they are")


class Int8Dynamic:
    """Replace linear layers by dynamic int8 ones."""

    Options = Int8DynamicOptions
    needs: ClassVar[frozenset[str]] = frozenset({"int8", "save"})

    def __init__(self, options: Int8DynamicOptions) -> None:
        self.options = options

    def quantise(self, model: Any) -> Any:
        """Return the model with int8 layers (it is changed)."""
        model.quantise_int8(tuple(self.options.skip))
        return model
