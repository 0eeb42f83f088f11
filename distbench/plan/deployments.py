"""A student that is exported to several runtimes: one row each, with names that say which."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from distbench import plugins
from distbench.errors import UsageError
from distbench.schema.strict import Use
from distbench.schema.suite import StudentSpec

STEPS = ("source", "init", "distil", "quantise", "options")


@dataclass(frozen=True)
class Row:
    """One student to plan, with at most one deployment. Only the plain one of several rows has a control."""

    spec: StudentSpec
    controlled: bool = True


def rows_of(spec: StudentSpec) -> list[Row]:
    """Return a student's rows: itself, or with a list of deployments the plain student and one for each.

    There is no plain row where the student is nothing but its teacher on other runtimes.
    """
    if not isinstance(spec.deploy, list):
        return [Row(spec)]
    rows = [Row(spec.model_copy(update={"deploy": None}))] if any(getattr(spec, step) for step in STEPS) else []
    seen: set[str] = set()
    for use in spec.deploy:
        suffix = deployed_as(use)
        if suffix in seen:
            raise UsageError(f"student {spec.name!r}: two of its deployments are {suffix!r}; leave one out")
        seen.add(suffix)
        named = {"name": f"{spec.name}@{suffix}", "label": f"{spec.label or spec.name} on {_words(use)}"}
        changed = {"deploy": use, "study": None, **named}  # the plain student is the point of a study
        rows.append(Row(spec.model_copy(update=changed), controlled=False))
    return rows


def deployed_as(use: Use) -> str:
    """Return what distinguishes a deployment, as part of a name: the plug-in and the options that were changed."""
    parts = [key if value is True else f"no-{key}" if value is False else str(value) for key, value in _changed(use)]
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", "-".join([use.use, *parts]))


def _words(use: Use) -> str:
    changed = ", ".join(key if value is True else f"{key} {value}" for key, value in _changed(use))
    return f"{use.use} ({changed})" if changed else use.use


def _changed(use: Use) -> list[tuple[str, Any]]:
    options = plugins.options("deployments", use).model_dump(mode="json", exclude_defaults=True)
    return sorted(options.items())
