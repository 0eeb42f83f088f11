"""Are estimates right? Leave each finished cell of real runs out, predict it from the others, compare.

    python scripts/check_estimates.py RUN [RUN…] [--together] [--leave cell|model|task]

Each run is predicted from its own other cells; with `--together` from the cells of all runs named. `--leave model`
leaves out everything that the model did besides, `--leave task` everything that was asked of that task. Printed for
each way in which a number was found: how many cells, the median of actual ÷ predicted, the range that holds 90 % of
them, and how often the interval that `distbench plan` would have shown held the truth. Memory is also computed from
files alone, as where there is no record, with how often what is "certain" was no more than the truth.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from distbench.plan.estimates.asked import asked_again
from distbench.plan.estimates.forecasts import Forecaster
from distbench.plan.estimates.history import finished
from distbench.plan.estimates.memory import from_records
from distbench.plan.estimates.past import Past
from distbench.plan.estimates.seconds import seconds_of
from distbench.plan.estimates.similar import Similar
from distbench.schema.cell import Settings
from distbench.schema.forecast import Forecast
from distbench.store.run_dir import RunDir


def kept(row: Past, other: Past, leave: str) -> bool:
    """Say whether a row may speak for another one."""
    same = {"model": other.model == row.model, "task": other.signature == row.signature}
    return other is not row and not same.get(leave, False)


def predicted(rows: Sequence[Past], leave: str) -> Iterator[tuple[str, Past, float, Forecast]]:
    """Yield (quantity, row, what it was, what was predicted from the other rows)."""
    for row in rows:
        settings = Settings(seed=0, device=row.device, dtype=row.dtype, threads=row.threads)
        others = Similar([other for other in rows if kept(row, other, leave)], settings, row.host)
        work = asked_again(row)
        yield "seconds", row, row.seconds, seconds_of(work, others)
        if row.memory_bytes and row.kind != "measure" and (found := from_records(work, others)):
            yield "memory", row, float(row.memory_bytes), found


def from_files(path: Path) -> str:
    """Return how the memory that is computed from a run's models compares with what its cells took."""
    run = RunDir.existing(path)
    cells = [cell for cell in (run.cell(each.id) for each in run.manifest().cells) if cell.kind != "measure"]
    forecaster = Forecaster(cells, [], (run.cells,))
    ratios, held, sure = [], [], []
    for cell in (cell for cell in cells if (run.cells / cell.id).is_dir()):
        truth, found = run.record(cell.id).peak_memory_bytes, forecaster.forecast(cell).memory_bytes
        if truth and found.value is not None and found.lo is not None and found.hi is not None:
            ratios.append(truth / found.value)
            held.append(found.lo <= truth <= found.hi)
            sure.append((found.sure or 0.0) <= truth)
    if not ratios:
        return f"{path}: no model whose files are read"
    low, high = np.quantile(ratios, [0.05, 0.95])
    said = f"median {np.median(ratios):.2f}  90 % [{low:.2f}, {high:.2f}]  held {np.mean(held):.0%}"
    return f"{path}: memory from files, {len(ratios)} cells: {said}; certain was right in {sum(sure)}"


def main() -> None:
    """Predict and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--leave", choices=("cell", "model", "task"), default="cell")
    given = parser.parse_args()
    runs = {str(path): finished(RunDir.existing(path)) for path in given.runs}
    if given.together:
        runs = {"all together": [row for rows in runs.values() for row in rows]}
    for name, rows in runs.items():
        print(f"{name}: {len(rows)} cells")
        found: dict[tuple[str, str, str], list[tuple[float, bool]]] = defaultdict(list)
        for quantity, row, truth, forecast in predicted(rows, given.leave):
            key = (quantity, row.kind, forecast.why if forecast.value else "nothing is said")
            if forecast.value is None or forecast.lo is None or forecast.hi is None:
                found[key].append((float("nan"), True))
            else:
                found[key].append((truth / forecast.value, forecast.lo <= truth <= forecast.hi))
        for (quantity, kind, why), pairs in sorted(found.items()):
            ratios = np.array([ratio for ratio, _ in pairs])
            if np.isnan(ratios).any():
                print(f"  {quantity:8} {kind:9} {len(pairs):4}  {why}")
                continue
            low, high = np.quantile(ratios, [0.05, 0.95])
            held = np.mean([held for _, held in pairs])
            said = f"median {np.median(ratios):.2f}  90 % [{low:.2f}, {high:.2f}]  held {held:.0%}"
            print(f"  {quantity:8} {kind:9} {len(pairs):4}  {said}  {why}")
    for path in given.runs:
        print(from_files(path))


if __name__ == "__main__":
    main()
