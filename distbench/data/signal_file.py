"""A token signal on disk: one safetensors file, read as a memory map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distbench.data.token_signal import HeldOut, Recorded, TokenRows, TokenSignal

FILE = "signal.safetensors"


def save_signal(signal: TokenSignal, folder: Path) -> None:
    """Write all tensors to `folder`."""
    from safetensors.torch import save_file

    tensors = {**_rows("train", signal.train), **_rows("heldout", signal.heldout.rows)}
    if signal.heldout.at is not None:
        tensors |= {"heldout.at": signal.heldout.at, "heldout.logp": signal.heldout.logp}
    meta = {"seconds": repr(signal.seconds)}
    if signal.recorded is not None:
        tensors |= {"recorded.ids": signal.recorded.ids, "recorded.logp": signal.recorded.logp}
        meta["temperature"] = repr(signal.recorded.temperature)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / FILE, metadata=meta)


def load_signal(folder: Path, digest: str, *, from_cache: bool) -> TokenSignal:
    """Read what `save_signal` wrote."""
    from safetensors import safe_open

    with safe_open(folder / FILE, framework="pt") as file:
        meta = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    recorded = None
    if "temperature" in meta:
        recorded = Recorded(tensors["recorded.ids"], tensors["recorded.logp"], float(meta["temperature"]))
    heldout = HeldOut(_read("heldout", tensors), tensors.get("heldout.at"), tensors.get("heldout.logp"))
    return TokenSignal(_read("train", tensors), heldout, recorded, digest, float(meta["seconds"]), from_cache)


def _rows(name: str, rows: TokenRows) -> dict[str, Any]:
    given = {"ids": rows.ids, "documents": rows.documents, "scored": rows.scored}
    return {f"{name}.{key}": value for key, value in given.items() if value is not None}


def _read(name: str, tensors: dict[str, Any]) -> TokenRows:
    return TokenRows(*(tensors.get(f"{name}.{key}") for key in ("ids", "documents", "scored")))
