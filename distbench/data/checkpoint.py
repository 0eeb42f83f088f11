"""Is this folder a complete, safe Hugging Face checkpoint? Answered from headers, without torch."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from distbench.data.pickles import check_pickle
from distbench.data.trust import NOBODY, Trust, check_code, code_named, identity_of
from distbench.errors import EnvironmentFault, RefusedError
from distbench.hashing import digest, file_digest
from distbench.schema.trusted import Trusted
from distbench.schema.wording import harmless

MAX_HEADER = 100 << 20  # the safetensors format's own limit
INDEX = "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
ONLY_PICKLES = (
    "has no safetensors on the hub; where it has pytorch_model.bin, allow_pickle: true reads that as weights only"
)
LONGEST_NAME = 255  # bytes that file systems take
IDENTITY_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


def check_checkpoint(folder: Path, trust: Trust = NOBODY) -> list[Path]:
    """Return the weight files of a checkpoint folder: safetensors, or pickles where there are no others.

    Raises EnvironmentFault for a missing file, RefusedError for a damaged one, or an unsafe one that nobody trusts.
    """
    config = _config(folder)
    if trust.code:
        check_code(folder)
    elif "auto_map" in config:
        named = harmless(next(iter(code_named(folder)), ""))
        raise RefusedError(
            f"{folder}/config.json names code to run (auto_map: {named}); to let it run, read its .py files and give "
            "trust_remote_code: true (a student: options: {trust_remote_code: true}) or --trust-remote-code MODEL; "
            "else take a version that transformers knows by itself, or serve it elsewhere, use: openai"
        )
    files = _weight_files(folder, trust)
    for file in files:
        check_pickle(file) if file.suffix == ".bin" else check_safetensors(file)
    return files


def read_config(folder: Path) -> dict[str, Any] | None:
    """Return a checkpoint's configuration, None where the folder has none. RefusedError where it is no JSON object."""
    return _config(folder) if (folder / "config.json").is_file() else None


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise EnvironmentFault(f"{path} is missing: {folder} is not a Hugging Face checkpoint")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RefusedError(f"{path} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise RefusedError(f"{path} is not a JSON object")
    return config


def safe_weights(folder: Path) -> list[Path]:
    """Return the safetensors files of a checkpoint whose sizes are read and which nobody opens.

    Raises EnvironmentFault for a missing file, RefusedError for a damaged one, and where the weights are a pickle.
    """
    _config(folder)
    files = _weight_files(folder, Trust(pickle=True))
    for file in files:
        if file.suffix == ".bin":
            raise RefusedError(
                f"{file} is a pickle; sizes are read from safetensors only, so leave this checkpoint out"
            )
        check_safetensors(file)
    return files


def _weight_files(folder: Path, trust: Trust) -> list[Path]:
    if (folder / INDEX).is_file():
        return _shards(folder, INDEX)
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    pickled = sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt"))
    if pickled and not trust.pickle:
        raise RefusedError(
            f"{pickled[0]} is a pickle and can run code when it is loaded; to have it read as weights only, give "
            "allow_pickle: true (a student: options: {allow_pickle: true}) or --allow-pickle MODEL; else convert the "
            "checkpoint to safetensors where you trust it"
        )
    if (folder / PICKLED_INDEX).is_file():
        return _shards(folder, PICKLED_INDEX, ".bin")
    if (folder / PICKLED).is_file():
        return [folder / PICKLED]
    if pickled:
        raise RefusedError(f"{pickled[0]} is a pickle of another form; allow_pickle reads {PICKLED} and its shards")
    raise EnvironmentFault(f"{folder}/model.safetensors is missing")


def _shards(folder: Path, index: str, suffix: str = ".safetensors") -> list[Path]:
    try:
        names = sorted(set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise RefusedError(f"{folder / index} is not a shard index") from None
    if not names:
        raise RefusedError(f"{folder / index} names no shard, so there are no weights")
    for name in names:
        if not isinstance(name, str) or len(PurePosixPath(name).parts) != 1 or name in {"..", "."} or "\\" in name:
            raise RefusedError(f"{folder / index} names {name!r:.80}, which leaves the checkpoint folder")
        if not name.endswith(suffix):
            raise RefusedError(f"{folder / index} names {name!r:.80}, which is no {suffix} file")
        if len(name.encode("utf-8", "replace")) > LONGEST_NAME or not (folder / name).is_file():
            raise EnvironmentFault(f"shard {folder / name[:80]} is missing")
    return [folder / name for name in names]


def check_safetensors(path: Path) -> dict[str, dict[str, Any]]:
    """Return the tensors' headers of a safetensors file: name → {dtype, shape, data_offsets}."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start.startswith(b"version "):
            raise RefusedError(f"{path} is a Git LFS pointer ({size} bytes), not the weights; run 'git lfs pull'")
        if len(start) < 8:
            raise RefusedError(f"{path} is truncated: {size} bytes")
        (length,) = struct.unpack("<Q", start)
        if length > min(MAX_HEADER, size - 8):
            raise RefusedError(f"{path} is truncated or damaged: header of {length} bytes in a file of {size}")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            raise RefusedError(f"{path} is damaged: its header is not JSON") from None
    try:
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    except (AttributeError, KeyError, TypeError, IndexError):
        raise RefusedError(f"{path} is damaged: its header does not describe tensors") from None
    if not tensors or end != size - 8 - length:
        raise RefusedError(f"{path} is truncated: {size - 8 - length} bytes of tensors where its header says {end}")
    return tensors


def checkpoint_identity(folder: Path, trusted: Trusted | None = None) -> str:
    """Return the content hash of a checkpoint: weights, configuration, tokenizer and templates; and of its Python
    where that may run."""
    return (identity_of(trusted) if trusted else None) or _identity(folder)


def _identity(folder: Path, besides: Iterable[str] = ()) -> str:
    names = {path.name for pattern in IDENTITY_FILES for path in folder.glob(pattern) if path.is_file()}
    return digest({name: file_digest(folder / name) for name in sorted(names.union(besides))})


def trusted_in(folder: Path, trust: Trust) -> Trusted | None:
    """Return what of a checked checkpoint only a trust lets in; None where there is nothing of the kind."""
    files = check_checkpoint(folder, trust)
    code = check_code(folder) if trust.code else {}
    pickles = [file.name for file in files if file.suffix == ".bin"]
    if not code and not pickles:
        return None
    return Trusted(code=code, pickles=pickles, besides=_identity(folder, pickles))


def weights_digest(folder: Path) -> str:
    """Return the content hash of the weight files alone."""
    return digest({path.name: file_digest(path) for path in sorted(folder.glob("*.safetensors"))})
