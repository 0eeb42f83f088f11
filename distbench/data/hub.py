"""The model hub, for fetching once: commits, data sets as JSON Lines, checkpoints; and its faults in plain words."""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distbench import secrets
from distbench.data.trust import NOBODY, Trust
from distbench.errors import DistbenchError, EnvironmentFault, RefusedError, UsageError

ATTEMPTS = 3
AT_ONCE_SECONDS = 5  # a download that fails within these was not tried again by huggingface_hub, which waits between
API_SECONDS = 10  # of one answer of the API; files have huggingface_hub's own limits (HF_HUB_DOWNLOAD_TIMEOUT)
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}
_TRANSPORTS = ("httpx", "httpcore", "requests", "urllib3", "aiohttp")
MODEL_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "*.txt"]


class Unreachable(EnvironmentFault):
    """The hub does not answer: asking for another repository would only take the same time again."""


@dataclass(frozen=True)
class Found:
    """A repository at one commit, with the size of each file in bytes."""

    repo: str
    commit: str
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class Source:
    """A data set on the hub, as a task names it."""

    repo: str
    config: str | None = None
    revision: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # data_dir, data_files


def find(kind: str, repo: str, revision: str | None) -> Found:
    """Return the commit that a revision means now. `kind` is "dataset" or "model"."""
    from huggingface_hub import HfApi

    def ask() -> Any:
        return HfApi().repo_info(repo, repo_type=kind, revision=revision, files_metadata=True, timeout=API_SECONDS)

    info = patiently(kind, repo, ask)
    return Found(repo, str(info.sha), {s.rfilename: int(s.size or 0) for s in info.siblings or []})


def open_dataset(source: Source, found: Found, splits: Sequence[str], cache: Path) -> tuple[Any, int]:
    """Return (builder of the named splits alone, bytes to download).

    Raises UsageError where the data set has no such split, RefusedError where it is a loading script.
    """
    from datasets import load_dataset_builder
    from datasets.data_files import DataFilesDict

    def ask() -> Any:
        return load_dataset_builder(
            source.repo, source.config, revision=found.commit, cache_dir=str(cache), **source.options
        )

    builder = patiently("dataset", source.repo, ask)
    files = builder.config.data_files or {}
    if absent := [split for split in splits if split not in files]:
        raise UsageError(f"data set {source.repo!r} has no split {absent[0]!r}; it has {', '.join(map(str, files))}")
    wanted = {split: files[split] for split in splits}
    builder.config.data_files = DataFilesDict(wanted)  # what no task reads is not fetched
    names = sorted({str(each).partition(f"@{found.commit}/")[2] for split in wanted.values() for each in split})
    _ask_for_a_file("dataset", found, names)
    return builder, sum(found.sizes.get(name, 0) for name in names)


def download(source: Source, builder: Any) -> None:
    """Fetch the data set's files and prepare them. huggingface_hub checks their sizes."""
    # The numbers in a data set's card are of all its splits; ours are pinned by the lock instead.
    patiently(
        "dataset", source.repo, lambda: builder.download_and_prepare(verification_mode="no_checks"), AT_ONCE_SECONDS
    )


def download_model(repo: str, found: Found, folder: Path, trust: Trust = NOBODY) -> None:
    """Fetch a checkpoint: safetensors, configuration, tokenizer; nothing that runs code, unless it is trusted."""
    from huggingface_hub import snapshot_download

    _ask_for_a_file("model", found, weights_of(found, trust))
    code = ["*.py"] if trust.code else []
    pickles = ["*.bin"] if any(name.endswith(".bin") for name in weights_of(found, trust)) else []

    def fetch() -> None:
        wanted = [*MODEL_FILES, *code, *pickles]
        snapshot_download(repo, revision=found.commit, allow_patterns=wanted, local_dir=str(folder))

    patiently("model", repo, fetch, AT_ONCE_SECONDS)


def weights_of(found: Found, trust: Trust) -> list[str]:
    """Return the names of a model's weights, sorted; pickles only where there are no others and they are trusted."""
    safe = sorted(name for name in found.sizes if name.endswith(".safetensors"))
    return safe if safe or not trust.pickle else sorted(name for name in found.sizes if name.endswith(".bin"))


def _ask_for_a_file(kind: str, found: Found, names: Sequence[str]) -> None:
    """Ask for the head of the last of some files: huggingface_hub waits for a silent server for over six minutes."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    if names and names[-1] in found.sizes:
        url = hf_hub_url(found.repo, names[-1], repo_type=kind, revision=found.commit)
        patiently(kind, found.repo, lambda: get_hf_file_metadata(url, timeout=API_SECONDS))


def patiently(kind: str, repo: str, ask: Callable[[], Any], seconds: float = math.inf) -> Any:
    """Ask the hub; a fault that may pass is asked again, twice, a little later, where it came within so many seconds.

    huggingface_hub tries a broken body again by itself, but not a kept connection that the server has closed meanwhile.
    """
    for attempt in range(1, ATTEMPTS + 1):
        began = time.monotonic()
        try:
            with _plain_words(kind, repo):
                return ask()
        except Unreachable:
            if attempt == ATTEMPTS or _offline() or time.monotonic() - began > seconds:
                raise
            time.sleep(attempt)
    raise AssertionError("the last attempt returns or raises")


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


@contextmanager
def _plain_words(kind: str, repo: str) -> Iterator[None]:
    """Turn whatever the hub's libraries raise into one line that says what to do. Their texts may quote secrets."""
    try:
        yield
    except DistbenchError:
        raise
    except Exception as error:  # noqa: BLE001 - two libraries and their transports, each with its own tree
        raise _explained(kind, repo, error) from None


def _explained(kind: str, repo: str, error: Exception) -> DistbenchError:
    from huggingface_hub import errors

    what = f"{'data set' if kind == 'dataset' else kind} {repo!r}"
    local = "give local files, data: {split: file}" if kind == "dataset" else "give a local folder, source: ./folder"
    chain = list(_causes(error))
    if any(isinstance(each, errors.OfflineModeIsEnabled) for each in chain) or _offline():
        return Unreachable(f"{what}: HF_HUB_OFFLINE is set, so nothing can be fetched; unset it, or {local}")
    for each in chain:
        if (known := _refusal(what, each, errors)) is not None:
            return known
    if "scripts are no longer supported" in str(error):
        return RefusedError(
            f"{what} is a loading script, which runs code; datasets 4 and later refuse it; export its splits to JSON "
            "Lines and map them with data: {split: file}"
        )
    last = chain[-1]
    if full := next((e for e in chain if isinstance(e, OSError) and e.errno in _DISK), None):
        return EnvironmentFault(f"{what}: {full.strerror} while it was fetched; make room, or free the hub's cache")
    if any(_may_pass(each, errors) for each in chain):
        return Unreachable(
            f"{what}: the hub cannot be reached ({type(last).__name__}); try again, or set HF_HUB_OFFLINE=1 and {local}"
        )
    text = secrets.text(" ".join(str(last).split()))[:200]
    return RefusedError(f"{what} cannot be read: {type(last).__name__}: {text}")


def _refusal(what: str, error: BaseException, errors: Any) -> DistbenchError | None:
    """Return what a clear answer of the hub means, or None."""
    if isinstance(error, errors.GatedRepoError):
        return EnvironmentFault(
            f"{what} is gated: accept its terms on its page, then log in (hf auth login, or HF_TOKEN)"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return UsageError(f"{what} has no such revision")
    if isinstance(error, errors.RepositoryNotFoundError):
        return EnvironmentFault(
            f"{what}: the hub knows no such repository, or it is private; check the name, and log in where it is yours "
            "(hf auth login, or HF_TOKEN)"
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in {401, 403}:
        return EnvironmentFault(f"{what}: the hub refused the token (status {status}); log in again (hf auth login)")
    if type(error).__name__ == "DatasetNotFoundError":
        return EnvironmentFault(f"{what}: the hub knows no such data set; check its name")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it, outermost first."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _may_pass(error: BaseException, errors: Any) -> bool:
    """Whether an error is the network's or the server's, and not about what was asked for."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status >= 500 or status == 429
    if isinstance(error, FileNotFoundError):
        return isinstance(error, errors.LocalEntryNotFoundError)
    return isinstance(error, OSError) or type(error).__module__.startswith(_TRANSPORTS)
