"""Model folders, wrong somewhere: they are found to be complete and safe from headers alone, or refused in one line."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from distbench.data.checkpoint import check_checkpoint, checkpoint_identity, trusted_in
from distbench.data.sources import resolve_checkpoint
from distbench.data.trust import Trust
from tests.fuzz import mutations

TENSORS = {
    "__metadata__": {"format": "pt"},
    "a.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b.weight": {"dtype": "F16", "shape": [4], "data_offsets": [16, 24]},
}
CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 2, "vocab_size": 2}
INDEX = {
    "metadata": {"total_size": 24},
    "weight_map": {"a.weight": "model.safetensors", "b.weight": "model.safetensors"},
}
CODED = CONFIG | {"auto_map": {"AutoConfig": "own.Config", "AutoTokenizer": ["own.Slow", None]}}
LENGTHS = [0, 7, 8, 2**31, 2**60, 2**64 - 1]
SOURCES = [
    "m",
    "m@main",
    "./m",
    "m/../m",
    "pypi:",
    "~",
    "file:///etc",
    "https://u:p@h/x",
    "org/name@x y",
    "m.gguf",
    "\0",
    "",
]


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """The files of a folder by name, and how the suite names it."""
    header = mutations.as_json(draw(mutations.trees([TENSORS], 2)))
    length = draw(st.sampled_from([len(header)] * 9 + LENGTHS))
    weights = struct.pack("<Q", length) + header + b"\0" * draw(st.sampled_from([24] * 6 + [0, 23, 25]))
    if draw(st.integers(0, 9)) == 0:
        weights = draw(st.sampled_from([b"", b"version https://git-lfs", b"PK\x03\x04", b"\x80\x02", weights[:9]]))
    files = {"config.json": mutations.as_json(draw(mutations.trees([CONFIG], 2))), "model.safetensors": weights}
    if draw(st.booleans()):
        files["model.safetensors.index.json"] = mutations.as_json(draw(mutations.trees([INDEX], 2)))
    for name in list(files):
        if draw(st.integers(0, 19)) == 0:
            files[draw(st.sampled_from(["pytorch_model.bin", "model.pt", "x"]))] = files.pop(name)
    trust = draw(st.sampled_from([Trust()] * 3 + [Trust(code=True), Trust(pickle=True), Trust(code=True, pickle=True)]))
    if trust.code:
        files["config.json"] = mutations.as_json(draw(mutations.trees([CODED], 2)))
        files["own.py"] = b"raise SystemExit"
    if trust.pickle and draw(st.booleans()):
        files.pop("model.safetensors", None)
        files.pop("model.safetensors.index.json", None)
        files["pytorch_model.bin"] = draw(pickles())
    source = draw(st.sampled_from(["m"] * 12 + SOURCES) | st.text(max_size=5))
    return {"files": files, "source": source, "trust": trust}


@st.composite
def pickles(draw: st.DrawFn) -> bytes:
    """A pickle, alone or in the archive that torch writes, with some bytes exchanged."""
    content = pickle.dumps(draw(st.sampled_from([OrderedDict(a=1), {"a": [b"x" * 300, 2.5]}, os.system, "x"])),
                           draw(st.integers(0, 4)))  # fmt: skip
    if draw(st.booleans()):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as into:
            into.writestr(draw(st.sampled_from(["m/data.pkl", "data.pkl", "m/../data.pkl", "x"])), content)
        content = archive.getvalue()
    changed = bytearray(content * draw(st.integers(1, 4)))
    for place in draw(st.lists(st.integers(0, len(changed) - 1), max_size=3)):
        changed[place] = draw(st.integers(0, 255))
    return bytes(changed[: draw(st.integers(0, len(changed)))] if draw(st.integers(0, 4)) == 0 else changed)


def load(case: dict[str, Any]) -> None:
    """Check the folder, or what the source names beside it."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        folder = Path(place) / "m"
        folder.mkdir()
        for name, content in case["files"].items():
            (folder / name).write_bytes(content)
        if case["source"] == "m":
            assert check_checkpoint(folder, case["trust"])
            assert len(checkpoint_identity(folder, trusted_in(folder, case["trust"]))) == 64
        elif not case["source"].startswith("pypi:"):
            resolve_checkpoint(case["source"], Path(place), case["trust"])
