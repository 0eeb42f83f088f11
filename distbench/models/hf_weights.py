"""Weights that transformers loaded: complete and finite, or refused; never filled in at random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distbench.errors import RefusedError
from distbench.models.torch_weights import plain


def refuse_incomplete(report: dict[str, Any], path: Path) -> None:
    """Raise RefusedError where transformers reports a tensor that is missing or has another shape."""
    missing, shapes = sorted(report["missing_keys"]), report["mismatched_keys"]
    if missing:
        raise RefusedError(f"{path}: {len(missing)} tensors are missing from the weights, first {missing[0]!r}")
    if shapes:
        name, found, wanted = min(shapes, key=lambda each: str(each[0]))
        raise RefusedError(
            f"{path}: tensor {name!r} has shape {list(found)} in the weights; by config.json it has {list(wanted)}"
        )


def refuse_nan(module: Any, path: Path) -> None:
    """Raise RefusedError for NaN or infinite weights."""
    import torch

    for name, parameter in module.named_parameters():
        if not all(bool(torch.isfinite(part).all()) for part in plain(parameter)):
            raise RefusedError(f"{path}: tensor {name!r} holds NaN or infinite values")
