"""What models may do that is refused otherwise: found with their files, and handed on to what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.plan.recipes import Recipe
from distbench.protocols import Resolved
from distbench.schema.cell import ModelRef
from distbench.schema.strict import Use
from distbench.schema.trusted import Trusted


def permits_of(use: str) -> frozenset[str]:
    """Return the options of a model plug-in that only permit something."""
    return frozenset(getattr(plugins.load("models", use), "permits", ()))


def permitted(use: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what options permit."""
    names = permits_of(use)
    return {key: value for key, value in options.items() if key in names}


def without_permits(use: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that decide how a model computes."""
    names = permits_of(use)
    return {key: value for key, value in options.items() if key not in names}


def resolved(use: str, source: str, directory: Path, options: dict[str, Any]) -> Resolved:
    """Find a model's source; where its plug-in can permit something, as its options say."""
    kind = plugins.load("models", use)
    more = [plugins.options("models", Use(use=use, **options))] if permits_of(use) else []
    found: Resolved = kind.resolve(source, directory, *more)
    return found


def handed_on(use: str, recipe: Recipe) -> tuple[Trusted | None, dict[str, Any]]:
    """Return the code that a model to be made takes over with its architecture, and the options that let it run.

    It comes from the model that it starts from, or from the files that its initialiser names; another runtime needs
    none.
    """
    init = recipe.init
    kind = plugins.load("inits", init.use) if init else None
    if init is not None and kind is not None and not kind.needs:
        trusted = kind(plugins.options("inits", init)).trusted() if hasattr(kind, "trusted") else None
        return _code(trusted), permitted(use, init.options) if trusted else {}
    parent: ModelRef | None = recipe.start or (recipe.teachers[0] if recipe.teachers else None)
    if parent is None or parent.use != use or _code(parent.trusted) is None:
        return None, {}
    return _code(parent.trusted), permitted(use, parent.options)


def _code(trusted: Trusted | None) -> Trusted | None:
    """Return the code alone, of a model that will be made; its weights are no pickle."""
    return Trusted(code=trusted.code) if trusted is not None and trusted.code else None
