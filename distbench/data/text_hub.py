"""A data set on the hub as rows of text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from distbench.data import hub
from distbench.host import cache_dir

COMMIT = re.compile(r"[0-9a-f]{40}")


def commit_of(name: str) -> list[str]:
    """Return [id, commit] of `id[@revision]`; the hub is asked unless the revision is a commit.

    Raises EnvironmentFault where the hub is out of reach.
    """
    repo, _, revision = name.partition("@")
    if COMMIT.fullmatch(revision):
        return [repo, revision]
    return [repo, hub.find("dataset", repo, revision or None).commit]


def hub_rows(name: str, config: str | None, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, row) of one split, fetched into the cache once."""
    repo, _, revision = name.partition("@")
    source = hub.Source(repo, config, revision or None)
    builder, _ = hub.open_dataset(source, hub.find("dataset", repo, source.revision), [split], cache_dir() / "datasets")
    hub.download(source, builder)
    for number, row in enumerate(builder.as_dataset(split=split)):
        yield f"{repo}, row {number}", row
