"""Incomplete, damaged and unsafe checkpoints are refused from their headers, each with the file's name."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest

from distbench.data.checkpoint import check_checkpoint, checkpoint_identity
from distbench.errors import DistbenchError, EnvironmentFault, RefusedError


@pytest.fixture
def checkpoint(tiny_lm: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_lm, tmp_path / "model"))


def test_an_intact_checkpoint_passes(checkpoint: Path) -> None:
    assert check_checkpoint(checkpoint) == [checkpoint / "model.safetensors"]


def _truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + path.read_bytes()[8:])


def _shard(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _auto_map(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Model"}}))


CASES = {
    "no config": (lambda f: (f / "config.json").unlink(), EnvironmentFault, "config.json"),
    "config is not JSON": (lambda f: (f / "config.json").write_text("{"), RefusedError, "config.json"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), EnvironmentFault, "model.safetensors"),
    "empty file": (lambda f: (f / "model.safetensors").write_bytes(b""), RefusedError, "truncated: 0 bytes"),
    "truncated": (_truncate, RefusedError, "truncated"),
    "LFS pointer": (
        lambda f: (f / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        RefusedError,
        "git lfs pull",
    ),
    "header of 2^60": (_header, RefusedError, "header of 1152921504606846976 bytes"),
    "a shard is missing": (lambda f: _shard(f, "model-00002-of-00002.safetensors"), EnvironmentFault, "00002-of-00002"),
    "a shard outside": (lambda f: _shard(f, "../../etc/passwd"), RefusedError, "leaves the checkpoint"),
    "code in the repository": (_auto_map, RefusedError, "auto_map"),
    "only a pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        RefusedError,
        "pickle",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_checkpoint_is_refused(checkpoint: Path, case: str) -> None:
    damage, kind, message = CASES[case]
    damage(checkpoint)
    with pytest.raises(DistbenchError, match=message) as caught:
        check_checkpoint(checkpoint)
    assert type(caught.value) is kind
    assert str(checkpoint) in str(caught.value)


def test_identity_follows_content_not_place(checkpoint: Path, tiny_lm: Path) -> None:
    assert checkpoint_identity(checkpoint) == checkpoint_identity(tiny_lm)
    data = bytearray((checkpoint / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (checkpoint / "model.safetensors").write_bytes(bytes(data))
    assert checkpoint_identity(checkpoint) != checkpoint_identity(tiny_lm)


def test_the_tokenizer_is_part_of_the_identity(checkpoint: Path, tiny_lm: Path) -> None:
    (checkpoint / "tokenizer_config.json").write_text("{}")
    assert checkpoint_identity(checkpoint) != checkpoint_identity(tiny_lm)
