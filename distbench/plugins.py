"""Plug-ins: found by entry point, imported when first used. The built-ins register exactly as a third party would."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from distbench.errors import DistbenchError, EnvironmentFault, Position, UsageError, nearest

if TYPE_CHECKING:  # neither is needed to list plug-ins, and both take longer to import than this module may
    from importlib.metadata import EntryPoint

    from pydantic import BaseModel

    from distbench.schema.strict import Use

GROUPS = (
    "models",
    "tasks",
    "data",
    "methods",
    "losses",
    "inits",
    "quantisers",
    "deployments",
    "meters",
    "executors",
    "exports",
    "sections",
)
NOUNS = {
    "models": "model",
    "tasks": "task",
    "data": "data source",
    "methods": "method",
    "losses": "loss",
    "inits": "init",
    "quantisers": "quantiser",
    "deployments": "deployment",
    "meters": "meter",
    "executors": "executor",
    "exports": "export format",
    "sections": "report section",
}
_SHORT_LIST = 8


class Origin(NamedTuple):
    """The installed distribution that provides a plug-in."""

    package: str
    version: str


def names(group: str) -> list[str]:
    """Return the names of the installed plug-ins of a group, sorted."""
    return sorted(_index(group))


def known(group: str, name: str) -> bool:
    """Return whether a plug-in of this name is installed."""
    return name in _index(group)


@cache
def load(group: str, name: str) -> type[Any]:
    """Import a plug-in and return its class."""
    entry = _entry(group, name)
    try:
        loaded = entry.load()
    except ModuleNotFoundError as error:
        raise _missing_module(group, entry, error) from error
    except DistbenchError:
        raise
    except Exception as error:  # foreign code runs here: whatever it raises, its package is at fault
        raise _broken(group, entry, f"{type(error).__name__}: {error}") from error
    if not isinstance(loaded, type):
        raise _broken(group, entry, f"{entry.value} is not a class")
    return loaded


@cache
def distribution(group: str, name: str) -> Origin:
    """Return which package, in which version, provides a plug-in."""
    return _origin(_entry(group, name))


@cache
def options_type(group: str, name: str) -> type[BaseModel]:
    """Return the model that a plug-in's options are validated against."""
    from pydantic import BaseModel

    options = getattr(load(group, name), "Options", None)
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        raise _broken(group, _entry(group, name), "its class has no attribute Options that is a pydantic model")
    return options


def options(group: str, use: Use, at: Position | None = None) -> BaseModel:
    """Return a plug-in's options, validated. `at` is the position that an error names."""
    from pydantic import ValidationError

    from distbench.schema.wording import Document, drop_consequences, faults_of

    model, given = options_type(group, use.use), use.options
    try:
        return validated(model, given)
    except ValidationError as error:
        first, *more = drop_consequences(faults_of(error, model, Document(given, {})))
        where = ".".join(str(step) for step in first.path)
        rest = f" (and {len(more)} more)" if more else ""
        raise UsageError(f"{NOUNS[group]} {use.use!r}: {where}: {first.say()}{rest}", at=at) from error


def validated(model: type[BaseModel], given: dict[str, Any]) -> BaseModel:
    """Validate options as the JSON that they are: so a strict model takes a list for a tuple."""
    return model.model_validate_json(json.dumps(given))


def check_installed(group: str, name: str) -> None:
    """Raise EnvironmentFault, naming the extra, where a module that a plug-in `requires` is not installed."""
    for module in getattr(load(group, name), "requires", ()):
        if not _importable(module):
            raise _missing_module(group, _entry(group, name), ModuleNotFoundError(name=module))


def check_extra(what: str, module: str, extra: str) -> None:
    """Raise EnvironmentFault where a module that one of distbench's own extras brings is not installed."""
    if not _importable(module):
        raise EnvironmentFault(f"{what} needs {module!r}, which is not installed; pip install 'distbench[{extra}]'")


def version_of(module: str) -> str:
    """Return the version of an installed module, "unknown" where its package does not tell."""
    return _version(module)


def versions(group: str, name: str) -> dict[str, str]:
    """Return the versions of the modules that a plug-in `requires`: they can change what it computes."""
    return {module: _version(module) for module in getattr(load(group, name), "requires", ())}


def unknown(group: str, name: str) -> str:
    """Return the message for a plug-in that is not installed."""
    installed = names(group)
    near = nearest(name[:80], installed)
    shown = name if len(name) <= 60 else name[:59] + "…"
    message = f"unknown {NOUNS[group]} {shown!r}"
    if near:
        message += f"; did you mean {' or '.join(repr(each) for each in near)}?"
    if not installed:
        return f"{message}; none is installed"
    return message if len(installed) > _SHORT_LIST else f"{message} (installed: {', '.join(installed)})"


def forget() -> None:
    """Forget what was found, so that the next question looks again."""
    for each in (_index, load, options_type, distribution):
        each.cache_clear()


def _entry_points(group: str) -> Iterable[EntryPoint]:
    """Return the entry points of a group: the one place that asks the installation."""
    from importlib.metadata import entry_points

    return entry_points(group=f"distbench.{group}")


@cache
def _index(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    if group not in GROUPS:
        raise ValueError(f"{group!r} is not a group of plug-ins")
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in _entry_points(group):
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def _entry(group: str, name: str) -> EntryPoint:
    entries = _index(group).get(name, ())
    if not entries:
        raise UsageError(unknown(group, name))
    if len(entries) > 1:
        owners = " and ".join(sorted(" ".join(_origin(entry)) for entry in entries))
        raise UsageError(f"two packages provide the {NOUNS[group]} {name!r}: {owners}; uninstall one of them")
    return entries[0]


def _origin(entry: EntryPoint) -> Origin:
    return Origin(entry.dist.name, entry.dist.version) if entry.dist else Origin("unknown", "0")


def _broken(group: str, entry: EntryPoint, reason: str) -> EnvironmentFault:
    package, version = _origin(entry)
    line = " ".join(reason.split())
    return EnvironmentFault(f"{NOUNS[group]} {entry.name!r} of {package} {version} cannot be loaded: {line}")


def _missing_module(group: str, entry: EntryPoint, error: ModuleNotFoundError) -> EnvironmentFault:
    module = (error.name or "").partition(".")[0]
    if not module or module == entry.module.partition(".")[0]:
        return _broken(group, entry, str(error))
    extra = _extra(entry, module)
    remedy = f"pip install '{_origin(entry).package}[{extra}]'" if extra else f"install the package that has {module!r}"
    return EnvironmentFault(f"{NOUNS[group]} {entry.name!r} needs {module!r}, which is not installed; {remedy}")


def _extra(entry: EntryPoint, module: str) -> str | None:
    """Return the extra of the plug-in's own package that brings `module`."""
    wanted = _normal(module)
    for requirement in (entry.dist.requires if entry.dist else None) or []:
        head = re.match(r"[A-Za-z0-9._-]+", requirement)
        extra = re.search(r"extra\s*==\s*[\"']([^\"']+)", requirement)
        if head and extra and extra[1] != "dev" and _normal(head[0]) == wanted:
            return extra[1]
    return entry.extras[0] if entry.extras else None


def _importable(module: str) -> bool:
    """Return whether a module could be imported; None in sys.modules says that it cannot."""
    import sys
    from importlib.util import find_spec

    return sys.modules[module] is not None if module in sys.modules else find_spec(module) is not None


def _version(module: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:  # the distribution has another name than its module
        owners = sorted(set(metadata.packages_distributions().get(module, [])))
        return " ".join(f"{owner} {metadata.version(owner)}" for owner in owners) or "unknown"


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()
