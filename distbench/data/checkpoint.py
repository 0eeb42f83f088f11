"""Is this folder a complete, safe Hugging Face checkpoint? Answered from headers, without torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path, PurePosixPath
from typing import Any

from distbench.errors import EnvironmentFault, RefusedError
from distbench.hashing import digest, file_digest
from distbench.schema.wording import harmless

MAX_HEADER = 100 << 20  # the safetensors format's own limit
INDEX = "model.safetensors.index.json"
LONGEST_NAME = 255  # bytes that file systems take
IDENTITY_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


def check_checkpoint(folder: Path) -> list[Path]:
    """Return the weight files of a checkpoint folder.

    Raises EnvironmentFault for a missing file, RefusedError for a damaged or unsafe one.
    """
    config = _config(folder)
    if "auto_map" in config:
        raise RefusedError(
            f"{folder}/config.json names code to run (auto_map: {_code_named(config['auto_map'])}), which distbench "
            "never does; use a version of the model that transformers knows by itself, or serve it elsewhere and "
            "compare it with use: openai"
        )
    files = _weight_files(folder)
    for file in files:
        check_safetensors(file)
    return files


def _code_named(auto_map: Any) -> str:
    named = next(iter(auto_map.values()), "") if isinstance(auto_map, dict) else auto_map
    return harmless(str(named))


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


def _weight_files(folder: Path) -> list[Path]:
    if (folder / INDEX).is_file():
        return _shards(folder)
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if pickled := sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt")):
        raise RefusedError(
            f"{pickled[0]} is a pickle and can run code when it is loaded; convert the checkpoint to safetensors where "
            "you trust it: AutoModelForCausalLM.from_pretrained(…).save_pretrained(…)"
        )
    raise EnvironmentFault(f"{folder}/model.safetensors is missing")


def _shards(folder: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise RefusedError(f"{folder / INDEX} is not a shard index") from None
    if not names:
        raise RefusedError(f"{folder / INDEX} names no shard, so there are no weights")
    for name in names:
        if not isinstance(name, str) or len(PurePosixPath(name).parts) != 1 or name in {"..", "."} or "\\" in name:
            raise RefusedError(f"{folder / INDEX} names {name!r:.80}, which leaves the checkpoint folder")
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


def checkpoint_identity(folder: Path) -> str:
    """Return the content hash of a checkpoint: weights, configuration, tokenizer and templates."""
    names = sorted({path for pattern in IDENTITY_FILES for path in folder.glob(pattern) if path.is_file()})
    return digest({path.name: file_digest(path) for path in names})


def weights_digest(folder: Path) -> str:
    """Return the content hash of the weight files alone."""
    return digest({path.name: file_digest(path) for path in sorted(folder.glob("*.safetensors"))})
