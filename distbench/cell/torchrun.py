"""torchrun as the prefix of a worker's command line: it ends with its parent, and says which process failed.

`python -m distbench.cell.torchrun --nproc-per-node 2 --standalone -m -- distbench.cell --run DIR --id ID` is torch's
own torchrun, with the same arguments; on a cluster, torchrun itself or `accelerate launch` stands in its place.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from typing import Any

from distbench.cell.events import die_with_parent
from distbench.errors import ExitCode
from distbench.host import PARENT


def main() -> int:
    """Run torchrun with this process's arguments."""
    die_with_parent()
    os.environ[PARENT] = str(os.getpid())  # torch starts the workers in sessions of their own
    try:
        runpy.run_module("torch.distributed.run", run_name="__main__", alter_sys=True)
    except Exception as error:
        failures = getattr(error, "failures", None)
        if failures is None:
            raise
        print(first_failure(failures), file=sys.stderr)  # noqa: T201 - the last line of the log is what a person sees
        return ExitCode.RUN_FAILED
    return ExitCode.OK


def first_failure(failures: dict[int, Any]) -> str:
    """Say in words which process failed: one that was killed before one that then missed it, and before those that
    torchrun ended itself, with SIGTERM."""

    def order(rank: int) -> tuple[bool, bool, int]:
        code = failures[rank].exitcode
        return code == -signal.SIGTERM, code >= 0, rank

    rank = min(failures, key=order)
    code = failures[rank].exitcode
    if code == -signal.SIGKILL:
        return f"process {rank} was killed by signal 9, likely out of memory"
    if code < 0:
        return f"process {rank} was killed by signal {-code} ({signal.Signals(-code).name})"
    return f"process {rank} ended with exit code {code}"


if __name__ == "__main__":
    sys.exit(main())
