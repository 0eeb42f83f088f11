"""Start distbench many times a minute: the interpreter and its imports once, then a fork for each start.

What is left out is only what comes before `main`: a forked command has a session of its own, and so has each worker
that it forks, with the worker's own pipe, log and environment. Everything else is the code that users run.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn


class Server:
    """A process that has imported everything; it forks one command at a time."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self.hear(120.0)

    def start(
        self, arguments: list[str], place: Path, environment: dict[str, str], said: Path, largest: int | None = None
    ) -> Started:
        """Start a command; `largest`: the bytes that a file may have, as on a full disk."""
        assert self.process.stdin is not None
        told: dict[str, Any] = {"arguments": arguments, "place": str(place), "environment": environment}
        told |= {"said": str(said), "largest": largest}
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.hear(30.0)
        assert answer is not None, "the server answers"
        return Started(self, answer)

    def hear(self, seconds: float) -> int | None:
        """Return the next number that it says, or None where it says none in time."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, seconds))
        return int(self.process.stdout.readline()) if ready else None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Started:
    """A forked command, with what the loop uses of `subprocess.Popen`."""

    def __init__(self, server: Server, pid: int) -> None:
        self.server, self.pid = server, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self.server.hear(0.0)
        return self.returncode

    def wait(self, timeout: float = 600.0) -> int:
        if self.returncode is None:
            self.returncode = self.server.hear(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("distbench", timeout)
        return self.returncode


class ForkedWorker:
    """`python -m distbench.cell …` without the interpreter's start: what LocalExecutor uses of `subprocess.Popen`."""

    def __init__(self, command: list[str], *, stderr: Any, env: dict[str, str], **_: Any) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os.dup2(writing, 1)
            os.dup2(stderr.fileno(), 2)
            os.close(reading)
            os.close(writing)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            _become(env, ["distbench.cell", *command[command.index("distbench.cell") + 1 :]])
            from distbench.cell.__main__ import main

            _leave(main)
        os.close(writing)
        self.stdout = os.fdopen(reading, encoding="utf-8")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                return self.returncode
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _become(environment: dict[str, str], arguments: list[str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments


def _leave(main: Any) -> NoReturn:
    """End this fork as the interpreter would, without what its parent has registered for the end."""
    code = 70
    try:
        code = int(main() or 0)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _command(told: dict[str, Any]) -> NoReturn:
    os.setsid()
    os.chdir(told["place"])
    quiet = os.open(os.devnull, os.O_RDWR)
    said = os.open(told["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for target, source in ((0, quiet), (1, quiet), (2, said)):
        os.dup2(source, target)
    if told["largest"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (told["largest"], resource.RLIM_INFINITY))
    _become(told["environment"], ["distbench", *told["arguments"]])
    from distbench.cli import main

    local: Any = importlib.import_module("distbench.executors.local")
    local.subprocess = SimpleNamespace(Popen=ForkedWorker, DEVNULL=subprocess.DEVNULL, PIPE=subprocess.PIPE)
    local._reap = _reap  # noqa: SLF001 - what a fork used most is not known apart from its parent
    _leave(main)


def _reap(child: Any) -> tuple[int, int]:
    while child.poll() is None:
        time.sleep(0.002)
    return int(child.returncode), 0


def serve() -> None:
    """Import what a run imports, then fork on request."""

    for module in ["quick_model", *os.environ.get("KILL_LOOP_PRELOAD", "").split()]:
        importlib.import_module(module)
    print(0, flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _command(told)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
