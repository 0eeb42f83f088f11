"""A first look at PyTorch pickles: what they would call, in plain words, without loading anything.

What keeps the code out is `torch.load(weights_only=True)`, which knows a short list of harmless names. This look comes
before it, without torch, so that a payload is named when a run is planned.
"""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from distbench.errors import RefusedError
from distbench.schema.wording import harmless

MOST = 64 << 20  # bytes of pickle (without tensors) that are looked at: those of the largest models have a few
HARMLESS = frozenset({"torch", "collections", "numpy", "_codecs"})  # packages; torch's own list is far shorter
OTHER_WAYS = frozenset({"INST", "EXT1", "EXT2", "EXT4"})  # to name things; torch.save never takes them
BROKEN = (ValueError, zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, LookupError, RuntimeError)
LEGACY_PARTS = 4  # before torch 1.6: magic number, version, machine, then the object; tensors follow


def check_pickle(path: Path) -> None:
    """Raise RefusedError where a weights file is no PyTorch pickle, or names what no weights need."""
    with path.open("rb") as file:
        start = file.read(8)
        if start == b"version ":
            raise RefusedError(f"{path} is a Git LFS pointer ({path.stat().st_size} bytes), not the weights; run "
                               "'git lfs pull'")  # fmt: skip
        file.seek(0)
        try:
            for name in _names(file, zipped=start.startswith(b"PK\x03\x04")):
                if name.partition(".")[0] not in HARMLESS:
                    raise RefusedError(
                        f"{path} would call {harmless(name)} when it is unpickled, which weights never do; do not load "
                        "it anywhere"
                    )
        except RefusedError:
            raise
        except BROKEN as error:
            raise RefusedError(f"{path} is truncated, or no PyTorch checkpoint ({harmless(str(error))})") from None


def _names(file: BinaryIO, *, zipped: bool) -> Iterator[str]:
    """Yield what a checkpoint's pickles import, "module.name" each."""
    content = io.BytesIO(_zipped(file) if zipped else file.read(MOST))
    for _ in range(1 if zipped else LEGACY_PARTS):
        texts = ["?", "?"]  # a newer pickle puts module and name on its stack: nearly always the last two texts
        for opcode, argument, _place in pickletools.genops(content):
            if opcode.name in OTHER_WAYS:
                raise ValueError(f"it uses {opcode.name}")
            if isinstance(argument, str) and "UNICODE" in opcode.name:
                texts = [texts[1], argument]
            if opcode.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL":
                yield ".".join(texts)


def _zipped(file: BinaryIO) -> bytes:
    with zipfile.ZipFile(file) as archive:
        inside = [member for member in archive.infolist() if Path(member.filename).name == "data.pkl"]
        if len(inside) != 1 or inside[0].file_size > MOST:
            raise ValueError("its data.pkl is missing, double or far too large")
        with archive.open(inside[0]) as member:
            return member.read(MOST)
