"""Can layers of a student be compared with its teacher's? Asked of their configurations, before anything runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.errors import UsageError
from distbench.losses.features import Shape
from distbench.schema.cell import ModelRef
from distbench.schema.strict import Use
from distbench.schema.suite import DistilSpec

# What families call the number of layers, of hidden channels and of attention heads.
SIZES = (("num_hidden_layers", "n_layers"), ("hidden_size", "dim"), ("num_attention_heads", "n_heads"))


def check_shapes(
    train: DistilSpec, student: str, start: ModelRef, init: Use | None, teachers: Sequence[ModelRef]
) -> None:
    """Raise UsageError for a layer that is not there, or sizes that a loss cannot compare.

    What lies in files is looked at; of a model that another cell makes nothing is known yet.
    """
    if init is not None and not plugins.load("inits", init.use).needs:
        return  # its shape is its own, and no teacher's
    recipe = plugins.load("methods", train.use)(plugins.options("methods", train)).recipe(0)
    losses = [plugins.load("losses", term.use)(plugins.options("losses", term)) for term in recipe.terms]
    inside = [loss for loss in losses if hasattr(loss, "build")]
    ours, theirs = shape_of(start), shape_of(teachers[0]) if teachers else None
    if not inside or ours is None or theirs is None:
        return
    for loss in inside:
        try:
            loss.build(after(ours, init), theirs)
        except UsageError as error:
            raise UsageError(f"student {student!r}: {error}") from None


def shape_of(ref: ModelRef) -> Shape | None:
    """Return the shape that a model's configuration states; None where there is none to read."""
    if ref.path is None:
        return None
    try:
        config = json.loads((Path(ref.path) / "config.json").read_text(encoding="utf-8"))
        config = config.get("text_config", config)
        return Shape(*(int(next(config[key] for key in names if key in config)) for names in SIZES))
    except (OSError, ValueError, TypeError, StopIteration):
        return None


def after(shape: Shape, init: Use | None) -> Shape:
    """Return a shape as an initialiser's options change it."""
    options: dict[str, Any] = init.options if init is not None else {}
    kept, dropped = options.get("keep"), options.get("drop")
    layers = options.get("num_hidden_layers", shape.layers)
    if kept is not None:
        layers = kept if isinstance(kept, int) else len(kept)
    elif dropped is not None:
        layers = shape.layers - len(dropped)
    hidden, heads = options.get("hidden_size", shape.hidden), options.get("num_attention_heads", shape.heads)
    return replace(shape, layers=layers, hidden=hidden, heads=heads)
