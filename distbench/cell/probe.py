"""One model in one process, working on request: `python -m distbench.cell.probe`, JSON lines in and out.

Several probes live side by side; only the one that was asked works, the others block on a read.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from distbench import plugins, secrets
from distbench.cell.events import Events, die_with_parent
from distbench.cell.measure import meters_of
from distbench.cell.opened import open_model
from distbench.errors import DistbenchError, ExitCode, is_out_of_memory
from distbench.meters.out_of_memory import out_of_memory
from distbench.meters.process_memory import resident_bytes, watching
from distbench.protocols import LoadFacts, Missing, Reading, Shape, Work, Workload
from distbench.schema.cell import CELL, MeasureCell
from distbench.store.run_dir import RunDir
from distbench.work.generation import generation
from distbench.work.steady import warm_up


class Probe:
    """Answers `open` once, then `step` as often as asked."""

    def __init__(self) -> None:
        self.work: dict[str, Workload] = {}
        self.doing = "loading"  # said where a failure needs a place

    def warm(self, cell: MeasureCell, index: int) -> dict[str, Any]:
        """Import the model's libraries before the clock starts: load time is the model's, not the libraries'."""
        plugins.load("models", cell.models[index].use).warm_up()
        return {}

    def open(self, cell: MeasureCell, run: RunDir, request: dict[str, Any]) -> dict[str, Any]:
        """Load the model with a clock on it, read what can be read once, prepare and warm up what is repeated."""
        before = resident_bytes()
        with watching() as watch:
            start = perf_counter_ns()
            model = open_model(cell.models[request["index"]], run, cell.settings)
            seconds = (perf_counter_ns() - start) * 1e-9
            load = LoadFacts(seconds, before, resident_bytes(), watch.peak(), watch.method)
        task = plugins.load("tasks", cell.workload.use)(cell.workload) if cell.workload else None

        def work_at(shape: Shape) -> Work:
            seed = cell.settings.seed
            return generation(model, shape, seed) if task is None else task.work(model, shape, seed)

        meters = meters_of(cell)
        near = {name for name, meter in meters.items() if "served" not in model.offers or _at_a_distance(meter)}
        readings = []
        for name, meter in meters.items():
            self.doing = name
            if name not in near:
                found = _out_of_sight(meter) if request["once"] else []
            else:
                found = meter.once(model, work_at, load) if _due(name, meter, request) else []
            readings += [_told(name, reading) for reading in found]
        warm_ups = []
        for name in (name for name in request["repeat"] if name in near):
            for work in meters[name].workloads(model, work_at):
                self.doing = f"{name}/{work.name}"
                self.work[self.doing] = work
                if not work.works:
                    continue
                warm = warm_up(work.warm or work.run)
                warm_ups.append(
                    {"workload": self.doing, "runs": warm.runs, "seconds": warm.seconds, "settled": warm.settled}
                )
        return {
            "footprint": model.footprint().model_dump(),
            "workloads": list(self.work),
            "about": {name: asdict(work.about) for name, work in self.work.items()},
            "readings": readings,
            "warm_ups": warm_ups,
        }

    def step(self, workload: str) -> dict[str, Any]:
        """Do one unit of work and return its readings, and apart from them the reasons of those that are missing."""
        self.doing = workload
        readings = self.work[workload].run()
        missing = {name: asdict(why) for name, why in readings.items() if isinstance(why, Missing)}
        return {"readings": {name: read for name, read in readings.items() if name not in missing}, "missing": missing}

    def explain(self, error: Exception) -> str:
        """Return one line about a failure: what was being done, and for a lack of memory how much was in use."""
        text = (str(error).strip().splitlines() or ["no message"])[0]
        if is_out_of_memory(error):
            return f"{self.doing}: {out_of_memory(error)}"
        if isinstance(error, DistbenchError):
            return f"{self.doing}: {error}".splitlines()[0]
        return f"{self.doing}: {type(error).__name__}: {text}"


def _at_a_distance(meter: Any) -> bool:
    """Say whether a meter can read a model that computes in another process, as its clients see it."""
    return bool(getattr(meter, "at_a_distance", False))


def _out_of_sight(meter: Any) -> list[Reading]:
    """Return why a meter reads nothing, once: the numbers of this process would be those of a client."""
    reason = "the model is served by another process, into which this meter cannot look"
    return [Reading(quantity, None, reason=reason) for quantity in meter.quantities()[:1]]


def _due(name: str, meter: Any, request: dict[str, Any]) -> bool:
    """Say whether `once` is due: in each launch a meter takes part in; if it searches, until it has found something."""
    if meter.repeats and name not in request["repeat"]:
        return False
    if not hasattr(meter, "begin"):
        return bool(request["once"])
    found = request["found"].get(name, {})
    meter.begin(request["launch"], found)
    return not found


def _told(meter: str, reading: Reading) -> dict[str, Any]:
    quantity = reading.quantity
    return {
        "meter": meter,
        "metric": quantity.name,
        "unit": quantity.unit,
        "higher": quantity.higher_is_better,
        "method": quantity.method,
        "value": reading.value,
        "workload": reading.workload,
        "reason": reading.reason,
        "remedy": reading.remedy,
        "about": asdict(reading.about),
    }


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
                    answer = probe.open(cell, RunDir(Path(request["run"])), request)
        except Exception as error:  # noqa: BLE001 - reported to the coordinator, which fails the cell
            print(secrets.text(traceback.format_exc()), file=sys.stderr)  # noqa: T201 - the worker's log
            code = error.exit_code if isinstance(error, DistbenchError) else ExitCode.RUN_FAILED
            events.send("error", message=probe.explain(error), exit_code=int(code))
            return 1
        events.send("answer", **answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
