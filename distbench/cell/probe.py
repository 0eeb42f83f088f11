"""One model in one process, working on request: `python -m distbench.cell.probe`, JSON lines in and out.

Several probes live side by side; only the one that was asked works, the others block on a read.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from distbench import plugins
from distbench.cell.events import Events, die_with_parent
from distbench.cell.opened import open_model
from distbench.errors import DistbenchError, RunError
from distbench.meters.process_memory import status_bytes
from distbench.protocols import LoadFacts, Workload
from distbench.schema.cell import CELL, MeasureCell
from distbench.schema.strict import Use
from distbench.store.run_dir import RunDir


def _meters(cell: MeasureCell) -> dict[str, Any]:
    """Return the cell's meters, those that read once per process first."""
    made = {
        name: plugins.load("meters", name)(plugins.options("meters", Use(use=name, **options)))
        for name, options in cell.meters.items()
    }
    return dict(sorted(made.items(), key=lambda pair: pair[1].repeats))


class Probe:
    """Answers `open` once, then `step` as often as asked."""

    def __init__(self) -> None:
        self.work: dict[str, Workload] = {}

    def warm(self, cell: MeasureCell, index: int) -> dict[str, Any]:
        """Import the model's libraries before the clock starts: load time is the model's, not the libraries'."""
        plugins.load("models", cell.models[index].use).warm_up()
        return {}

    def open(self, cell: MeasureCell, run: RunDir, index: int) -> dict[str, Any]:
        """Load the model with a clock on it, read what can be read once, prepare and warm up what is repeated."""
        ref = cell.models[index]
        family = plugins.load("models", ref.use)
        before = status_bytes("VmRSS")
        start = perf_counter_ns()
        model = open_model(ref, run, cell.settings)
        load = LoadFacts((perf_counter_ns() - start) * 1e-9, before, status_bytes("VmRSS"))
        task = plugins.load("tasks", cell.workload.use)(cell.workload) if cell.workload else None
        readings = []
        for name, meter in _meters(cell).items():
            if not meter.needs & family.offers:
                continue
            for work in meter.workloads(model, lambda n: _items(task, n, cell.settings.seed), cell.settings.seed):
                self.work[f"{name}/{work.name}"] = work
            readings += [(name, reading) for reading in meter.once(model, load)]
        return {
            "footprint": model.footprint().model_dump(),
            "workloads": list(self.work),
            "readings": [
                {
                    "meter": name,
                    "metric": r.quantity.name,
                    "unit": r.quantity.unit,
                    "higher": r.quantity.higher_is_better,
                    "method": r.quantity.method,
                    "value": r.value,
                    "workload": r.workload,
                    "reason": r.reason,
                }
                for name, r in readings
            ],
        }

    def step(self, workload: str) -> dict[str, Any]:
        """Do one unit of work and return its readings."""
        return {"readings": self.work[workload].run()}


def _items(task: Any, count: int, seed: int) -> Any:
    """Return inputs for a workload from the suite's task."""
    if task is None:
        raise RunError("this model's work needs a task's inputs, and the suite has no task for it")
    return task.items(count, seed)


def main() -> int:
    """Serve requests until `quit` or end of input."""
    die_with_parent()
    events, probe = Events(), Probe()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "quit":
                return 0
            if request["do"] == "step":
                answer = probe.step(request["workload"])
            else:
                cell = CELL.validate_python(request["cell"], strict=False)
                assert isinstance(cell, MeasureCell)
                if request["do"] == "import":
                    answer = probe.warm(cell, request["index"])
                else:
                    answer = probe.open(cell, RunDir(Path(request["run"])), request["index"])
        except Exception as error:  # noqa: BLE001 - reported to the coordinator, which fails the cell
            traceback.print_exc()
            text = str(error) if isinstance(error, DistbenchError) else f"{type(error).__name__}: {error}"
            events.send("error", message=text.strip().splitlines()[0] if text.strip() else "no message")
            return 1
        events.send("answer", **answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
