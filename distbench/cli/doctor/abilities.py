"""Meters, instruments and optional packages: which work here. Everything is asked of the plug-ins themselves."""

from __future__ import annotations

import re
from importlib import metadata

from distbench import plugins
from distbench.cli.doctor.finding import Finding
from distbench.errors import DistbenchError
from distbench.meters.energy import sources

NOT_FOR_USERS = {"dev", "quickstart"}  # the second is a part of another one
GROUPS_WITH_NEEDS = ("models", "quantisers", "deployments")


def meters() -> list[Finding]:
    """Return whether each installed meter can read anything on this machine."""
    return [_meter(name) for name in plugins.names("meters")]


def _meter(name: str) -> Finding:
    try:
        kind = plugins.load("meters", name)
    except DistbenchError as error:
        return Finding("meters", name, False, str(error))
    if not hasattr(kind, "usable"):
        return Finding("meters", name, True, "installed; it does not say whether it works here")
    usable, seen, remedy = kind.usable()
    return Finding("meters", name, usable, seen, remedy)


def instruments() -> list[Finding]:
    """Return the sources of energy readings."""
    return [Finding("energy", *found) for found in sources.findings("auto")]


def plugin_needs() -> list[Finding]:
    """Return the plug-ins that need more than distbench itself, with what is missing."""
    found = [_needs(group, name) for group in GROUPS_WITH_NEEDS for name in plugins.names(group)]
    return [finding for finding in found if finding is not None]


def _needs(group: str, name: str) -> Finding | None:
    what = f"{plugins.NOUNS[group]} {name}"
    try:
        needed = plugins.versions(group, name)
        plugins.check_installed(group, name)
    except DistbenchError as error:
        seen, _, remedy = str(error).partition("; ")
        return Finding("plug-ins", what, False, seen, remedy)
    return Finding("plug-ins", what, True, ", ".join(map(" ".join, needed.items()))) if needed else None


def extras() -> list[Finding]:
    """Return the optional parts of this installation, as its own metadata names them."""
    wanted: dict[str, list[str]] = {}
    for requirement in metadata.requires("distbench") or []:
        package = re.match(r"[A-Za-z0-9._-]+", requirement)
        extra = re.search(r"extra\s*==\s*[\"']([^\"']+)", requirement)
        if package and extra and extra[1] not in NOT_FOR_USERS:
            wanted.setdefault(extra[1], []).append(package[0])
    return [_extra(name, packages) for name, packages in sorted(wanted.items())]


def _extra(name: str, packages: list[str]) -> Finding:
    have = {package: _version(package) for package in packages}
    missing = [package for package, version in have.items() if version is None]
    seen = ", ".join(f"{package} {version or 'not installed'}" for package, version in have.items())
    return Finding("extras", name, not missing, seen, f"pip install 'distbench[{name}]'" if missing else "")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
