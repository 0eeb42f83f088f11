"""`pull.lock.json`: what was fetched from the hub, pinned by commit and by content."""

from __future__ import annotations

from typing import Literal

from distbench.schema.strict import Strict


class LockedFile(Strict):
    """One file. `path` is relative to the folder of the lock; `rows` is None for a file of a model."""

    path: str
    sha256: str
    rows: int | None = None


class LockedTask(Strict):
    """The data of one task: the splits it reads, as JSON Lines."""

    task: str
    repo: str
    commit: str
    config: str | None
    splits: dict[str, LockedFile]
    task_digest: str
    lm_eval: str


class LockedModel(Strict):
    """A model's weights, configuration and tokenizer."""

    source: str
    repo: str
    commit: str
    folder: str
    files: list[LockedFile]


class PullLock(Strict):
    """The whole file."""

    lock_schema: Literal[1] = 1
    distbench: str
    tasks: dict[str, LockedTask] = {}
    models: dict[str, LockedModel] = {}
    suite: LockedFile | None = None
