"""Commands in forks of an interpreter that has imported their libraries: processes of their own, begun at once.

For many runs of one command whose libraries read the environment when they are imported, so that `tests.command.here`
cannot give them another one. Run as a program this is the interpreter; a process without threads can be forked safely.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.command import Done

ROOT = Path(__file__).parents[1]


class Warm:
    """An interpreter with `modules` imported in `environment`; every command is a fork of it."""

    def __init__(self, modules: Sequence[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", *modules], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, folder: Path, *arguments: str, **environment: str) -> Done:
        """Run `distbench` with these arguments in `folder`, to its end; `environment` is added for this command."""
        with tempfile.TemporaryDirectory() as said:
            asked = {"folder": str(folder), "arguments": arguments, "environment": environment, "said": said}
            code = answer(self._process, asked)
            return Done(code, *((Path(said) / name).read_text("utf-8") for name in ("out", "err")))

    def close(self) -> None:
        """End the interpreter."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


def answer(process: subprocess.Popen[str], asked: object, seconds: float = 120.0) -> int:
    """Return the number that a program answers one line of JSON with. What hangs is ended with all its forks."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    if not select.select([process.stdout], [], [], seconds)[0]:
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError(f"no end within {seconds} s: {asked}")
    return int(process.stdout.readline())


def _become(asked: dict[str, str], arguments: Sequence[str], environment: dict[str, str]) -> None:
    """Run the command in this process, a fork, and end it."""
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(Path(asked["said"]) / name, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, number)
    os.chdir(asked["folder"])
    os.environ |= environment
    sys.argv = ["distbench", *arguments]
    from distbench.cli import main

    main()
    raise SystemExit(0)


def serve() -> None:
    """Answer each line of standard input with the exit code of the command that it describes."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(asked, asked["arguments"], asked["environment"])
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
