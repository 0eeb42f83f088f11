#!/usr/bin/env python3
"""Write a software bill of materials (CycloneDX 1.6, JSON) of distbench as it is installed here.

usage: scripts/sbom.py [--extra quickstart …] [--out sbom.cdx.json]

It lists distbench and, with the extras that are named, everything that its metadata says it needs on this platform:
name, version, package URL, licences as their packages state them, and who needs whom. It is checked against the schema
of CycloneDX before it is written. SOURCE_DATE_EPOCH sets its date; equal environments give equal serial numbers.
"""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distribution
from pathlib import Path

from cyclonedx.contrib.license.exceptions import InvalidLicenseExpressionException
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAME = "distbench"


def main() -> int:
    """Write the document; 1 where it is not valid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="append", default=[], help="an extra of distbench; repeatable")
    parser.add_argument("--out", type=Path, help="standard output where left out")
    arguments = parser.parse_args()
    text = document(closure(NAME, arguments.extra))
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        print(f"scripts/sbom.py: not valid CycloneDX: {fault}", file=sys.stderr)
        return 1
    if arguments.out is None:
        print(text)
    else:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0


def closure(name: str, extras: Iterable[str] = ()) -> dict[str, tuple[Distribution, list[str]]]:
    """Return every package that is needed, by name, with the names of those that it needs itself.

    Raises PackageNotFoundError where something that is needed is not installed: such a list would not be one.
    """
    found: dict[str, tuple[Distribution, list[str]]] = {}
    asked: dict[str, set[str]] = {}
    waiting = [(canonicalize_name(name), frozenset(extras))]
    while waiting:
        each, wanted = waiting.pop()
        new = wanted - asked.get(each, set())
        if each in asked and not new:
            continue
        asked.setdefault(each, set()).update(wanted)
        package = distribution(each)
        needs = list(requirements(package, asked[each]))
        found[each] = package, sorted({canonicalize_name(need.name) for need in needs})
        waiting += [(canonicalize_name(need.name), frozenset(need.extras)) for need in needs]
    return found


def requirements(package: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    """Yield what a package needs on this platform, with these extras."""
    for line in package.requires or []:
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield need


def document(packages: dict[str, tuple[Distribution, list[str]]]) -> str:
    """Return the bill as JSON."""
    components = {name: component(package) for name, (package, _) in packages.items()}
    root = components[NAME]
    bom = Bom(components=[each for each in components.values() if each is not root])
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", now())), UTC)
    content = "\n".join(f"{name}=={package.version}" for name, (package, _) in sorted(packages.items()))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, content)
    for name, (_, needs) in packages.items():
        bom.register_dependency(components[name], [components[need] for need in needs if need in components])
    return JsonV1Dot6(bom).output_as_string(indent=1)


def now() -> str:
    """Return the seconds since 1970."""
    return str(int(datetime.now(UTC).timestamp()))


def component(package: Distribution) -> Component:
    """Return what is known of one package."""
    name = canonicalize_name(package.metadata["Name"])
    url = PackageURL("pypi", name=name, version=package.version)
    return Component(
        name=name,
        version=package.version,
        type=ComponentType.APPLICATION if name == NAME else ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        description=stated(package, "Summary")[:300] or None,
        licenses=list(licences(package)),
    )


def licences(package: Distribution) -> Iterator[LicenseExpression | DisjunctiveLicense]:
    """Yield the licences that a package states: an SPDX expression, else its classifiers, else its own words."""
    factory = LicenseFactory()
    if expression := stated(package, "License-Expression"):
        try:
            yield factory.make_with_expression(expression)
        except InvalidLicenseExpressionException:
            yield factory.make_with_name(expression)
        return
    classifiers = package.metadata.get_all("Classifier") or []
    names = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: ")]
    words = stated(package, "License")
    for name in names or ([words.splitlines()[0][:100]] if words else []):
        yield factory.make_with_name(name)


def stated(package: Distribution, field: str) -> str:
    """Return a field of a package's metadata; empty where it has none."""
    return str(package.metadata[field]).strip() if field in package.metadata else ""


if __name__ == "__main__":
    sys.exit(main())
