"""An environment full of credentials, and a search that looks into every file as deep as a reader could."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

MARK = "c4n4ry"  # in every canary, and in nothing else
ENVIRONMENT = {
    "HF_TOKEN": f"hf_{MARK}AbCdEfGhIjKlMnOpQrStUv",
    "OPENAI_API_KEY": f"sk-proj-{MARK}-0123456789abcdef",
    "AWS_ACCESS_KEY_ID": f"AKIA{MARK.upper()}ABCDEF",
    "AWS_SECRET_ACCESS_KEY": f"wJalr/{MARK}/K7MDENG",
    "NVIDIA_API_KEY": f"nvapi-{MARK}-0123456789",
    "DISTBENCH_TEST_PASSWORD": f"{MARK}-in-an-allowed-family",
    "GITHUB_TOKEN": f"ghp_{MARK}0123456789012345678901234567",
    "HTTPS_PROXY": f"http://me:{MARK}-proxy@127.0.0.1:9",
}
_GZIP = re.compile(rb"H4sI[A-Za-z0-9+/]{20,}={0,2}")


def found(folder: Path, said: str = "") -> list[str]:
    """Where a canary stands: files below `folder` (also inside Parquet and the packed parts of a page), and texts."""
    hits = [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and _holds(path)]
    names = [str(path) for path in folder.rglob("*") if MARK in str(path.relative_to(folder)).lower()]
    return hits + names + (["standard output or error"] if MARK in said.lower() else [])


def _holds(path: Path) -> bool:
    return any(MARK.encode() in content.lower() for content in _contents(path))


def _contents(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield str(pq.read_table(path).to_pydict()).encode()
        yield str(pq.read_schema(path).metadata).encode()
    for packed in _GZIP.findall(data):
        yield gzip.decompress(base64.b64decode(packed))
