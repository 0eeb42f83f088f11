#!/usr/bin/env python3
"""Write the lock files under requirements/, with the hashes of every file that the package index lists; or check them.

usage: scripts/lock.py            (needs uv and the network: pip install uv)
       scripts/lock.py --check    (offline: the locks belong to pyproject.toml and constraints.txt, and all is hashed)

Versions come from constraints.txt. dev.lock is everything that `distbench[dev]` needs but torch, build.lock what builds
distbench, torch.lock torch as the package index has it, with what its CUDA build brings. They are apart because a CPU
build of torch comes from another index under the same version, with other hashes, which this script does not know.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"
INPUTS = ("pyproject.toml", "constraints.txt", "requirements/build.in")
OF_TORCH = re.compile(r"(torch|triton|cuda-.*|nvidia-(?!ml-py).*)$")
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?==(?P<version>[^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
ABOUT = {
    "dev.lock": "Everything that distbench[dev] needs, but torch.",
    "build.lock": "What builds distbench.",
    "torch.lock": "torch from the package index, with what its CUDA build brings.",
}


def main() -> int:
    """Write the locks, or say what is wrong with them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where the locks are not current")
    if parser.parse_args().check:
        faults = list_faults(ROOT)
        for fault in faults:
            print(f"requirements/{fault}; write them again with scripts/lock.py", file=sys.stderr)
        return 1 if faults else 0
    write()
    return 0


# -- writing ----------------------------------------------------------------------------------------------------------


def write() -> None:
    """Resolve with the constraints for every platform and Python from 3.11 on, and write all locks."""
    development = blocks(resolved("pyproject.toml", "--extra", "dev"))
    found = {
        "dev.lock": {name: text for name, text in development.items() if not OF_TORCH.match(name)},
        "torch.lock": {name: text for name, text in development.items() if OF_TORCH.match(name)},
        "build.lock": blocks(resolved("requirements/build.in")),
    }
    for name, entries in found.items():
        head = f"# {ABOUT[name]} Written by scripts/lock.py; inputs {digest(ROOT)}\n"
        (FOLDER / name).write_text(head + "".join(entries.values()), encoding="utf-8")
        print(f"requirements/{name}: {len(entries)} packages")


def resolved(source: str, *options: str) -> str:
    """Return what uv resolves from one file, as requirements with hashes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lock"
        command = ["uv", "pip", "compile", source, *options, "-c", "constraints.txt", "--universal", "--python-version"]
        command += ["3.11", "--generate-hashes", "--no-annotate", "--no-header", "--quiet", "-o", str(out)]
        subprocess.run(command, cwd=ROOT, check=True)
        return out.read_text(encoding="utf-8")


def blocks(text: str) -> dict[str, str]:
    """Return the lines of each package by its name; one that has several versions by platform keeps them all."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        match = PINNED.match(line)
        name = canonical(match["name"]) if match else name
        found[name] = found.get(name, "") + line
    return found


def digest(root: Path) -> str:
    """Return a hash of what the locks follow from."""
    whole = hashlib.sha256()
    for name in INPUTS:
        text = (root / name).read_text(encoding="utf-8")
        part = dependencies(text) if name == "pyproject.toml" else text
        whole.update(f"{name}\n{part}\n".encode())
    return whole.hexdigest()[:16]


def dependencies(text: str) -> str:
    """Return what the extra dev of a pyproject.toml comes to; nothing else of it matters to a lock."""
    import tomllib

    project = tomllib.loads(text)["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    named = re.findall(r"[\w-]+", " ".join(re.findall(r"distbench\[([^]]*)\]", " ".join(extras["dev"]))))
    wanted = [(name, extras[name]) for name in sorted({"dev", *named})]
    return repr((project["requires-python"], project["dependencies"], wanted))


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


# -- checking ---------------------------------------------------------------------------------------------------------


def list_faults(root: Path) -> list[str]:
    """Return what is wrong with the locks: a line each, beginning with the file."""
    faults = []
    pinned = versions((root / "constraints.txt").read_text(encoding="utf-8"))
    for name in ABOUT:
        path = root / "requirements" / name
        if not path.is_file():
            faults.append(f"{name} is missing")
            continue
        text = path.read_text(encoding="utf-8")
        if f"inputs {digest(root)}" not in text.partition("\n")[0]:
            faults.append(f"{name} was written for other dependencies or constraints")
        faults += [f"{name}: {fault}" for fault in faults_of(text, pinned, of_torch=name == "torch.lock")]
    return faults


def faults_of(text: str, pinned: dict[str, str], *, of_torch: bool) -> list[str]:
    """Return what is wrong with one lock: no hash, a version other than that of the constraints, the wrong file."""
    faults = []
    for name, entry in blocks(text.partition("\n")[2]).items():
        found = PINNED.match(entry)
        if found is None:
            faults.append(f"a line that pins nothing: {entry.splitlines()[0][:60]!r}")
            continue
        if not HASH.search(entry):
            faults.append(f"{name} has no hash")
        several = len(PINNED.findall(entry)) > 1 or ";" in entry.partition("\\")[0]
        if name in pinned and found["version"] != pinned[name] and not several:
            faults.append(f"{name} {found['version']} is not the {pinned[name]} of constraints.txt")
        if of_torch != bool(OF_TORCH.match(name)):
            faults.append(f"{name} belongs into {'dev' if of_torch else 'torch'}.lock")
    return faults


def versions(text: str) -> dict[str, str]:
    """Return the version of each package in a file of constraints."""
    matches = (PINNED.match(line) for line in text.splitlines())
    return {canonical(match["name"]): match["version"] for match in matches if match}


if __name__ == "__main__":
    sys.exit(main())
