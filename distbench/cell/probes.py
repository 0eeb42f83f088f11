"""The children of a measurement, as their parent sees them: each holds one loaded model and works only when asked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

from distbench.errors import DistbenchError, EnvironmentFault, RefusedError, RunError
from distbench.meters.host_memory import Died, peak_of, total_bytes
from distbench.protocols import Missing, Readings
from distbench.schema.cell import MeasureCell
from distbench.store.run_dir import RunDir

Found = dict[str, dict[str, float]]
_KINDS: dict[int, type[DistbenchError]] = {int(each.exit_code): each for each in (EnvironmentFault, RefusedError)}


class ProbeProcess:
    """A child that holds one loaded model and works on request. Waiting for it blocks: a spinning parent slows it."""

    def __init__(self, cell: MeasureCell, run: RunDir, index: int, name: str | None = None) -> None:
        self.name = name or cell.models[index].name
        self._child = subprocess.Popen(
            [sys.executable, "-m", "distbench.cell.probe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._request = {"cell": cell.model_dump(mode="json"), "run": str(run.path), "index": index}
        self.opened: dict[str, Any] = {}
        self._send({"do": "import", **self._request})

    def imported(self) -> None:
        """Wait until the child has imported its libraries; several children do so at the same time."""
        self._receive()

    def open(self, repeat: list[str], once: bool, launch: int = 0, found: Found | None = None) -> None:
        """Let the child load its model, alone, and warm up the meters named in `repeat`.

        found: by meter and quantity, what searches of an earlier launch ended with.
        """
        told = {"repeat": repeat, "once": once, "launch": launch, "found": found or {}}
        self._send({"do": "open", **told, **self._request})
        self.opened = self._receive()

    def step(self, workload: str) -> Readings:
        """Do one unit of work; return its readings."""
        self._send({"do": "step", "workload": workload})
        answer = self._receive()
        readings: Readings = answer["readings"]
        return readings | {name: Missing(**why) for name, why in answer["missing"].items()}

    def close(self) -> None:
        """End the child."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()

    def _send(self, request: dict[str, Any]) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the reading side says how the child ended
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RunError(f"measuring {self.name!r}: {died(*self._reap())}")
        answer: dict[str, Any] = json.loads(line)
        if answer["event"] == "error":
            kind = _KINDS.get(int(answer.get("exit_code", RunError.exit_code)), RunError)
            raise kind(f"measuring {self.name!r}: {answer['message']}")
        return answer

    def _reap(self) -> tuple[int, int | None]:
        """Return (exit code, peak bytes where the system tells) of a child that has ended."""
        if not hasattr(os, "wait4"):
            return self._child.wait(), None
        _, status, usage = os.wait4(self._child.pid, 0)
        self._child.returncode = os.waitstatus_to_exitcode(status)
        # includes what this small parent held when it forked; a model that died of its size is far beyond that
        return self._child.returncode, peak_of(usage.ru_maxrss)


def died(code: int, peak: int | None = None) -> str:
    """Say in words how a child ended."""
    if code == -signal.SIGKILL:
        return Died(peak, total_bytes(), counted=False).words()
    return f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
