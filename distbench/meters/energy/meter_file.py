"""An instrument that appends to a file: a wall meter, a power distribution unit, a logger on another machine.

Lines are CSV with a header or JSON objects, in order of time:

    time,watts                       {"time": 1767225600.0, "joules": 81234.5}
    2026-01-01T00:00:00Z,231.4       {"time": 1767225601.0, "joules": 81465.9}

`time` is seconds since 1970 or ISO 8601 (UTC unless it says otherwise), and beside it either `watts` or `joules`, a
count that only rises. Other columns are ignored.
"""

from __future__ import annotations

import bisect
import csv
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.source import Window

UNITS = ("watts", "joules")
FEWEST = 4  # lines from which a period is taken
RECENT = 50
PATIENCE = 3.0  # periods: how long the next line may be overdue, and the widest gap inside a window
LEAST_PATIENCE = 2.0  # seconds; writers buffer
PAUSE = 0.05


@dataclass
class Lines:
    """What a growing file has said so far: times (s since 1970), and watts or joules at each."""

    path: Path
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    unit: str = ""
    _header: list[str] = field(default_factory=list)
    _offset: int = 0

    def read(self) -> None:
        """Read the whole lines that were appended since the last time."""
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except PermissionError as error:
            raise EnergyFault(f"permission denied: {self.path}", f"sudo chmod a+r {self.path}") from error
        except OSError as error:
            raise EnergyFault(f"{self.path}: {error.strerror}", "start the meter's logger first") from error
        if size < self._offset:
            raise EnergyFault(f"{self.path} became shorter while it was read", "let the logger append only")
        whole = chunk[: chunk.rfind(b"\n") + 1]  # the last line may be half written
        self._offset += len(whole)
        for line in whole.decode("utf-8", errors="replace").splitlines():
            if line.strip():
                self._add(line)

    def _add(self, line: str) -> None:
        if line.lstrip().startswith("{"):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise EnergyFault(f"{self.path}: not JSON: {line[:60]!r}") from error
        else:
            cells = [cell.strip() for cell in next(csv.reader([line]))]
            if not self._header:
                self._header = [cell.lower() for cell in cells]
                self._unit(self._header, line)
                return
            row = dict(zip(self._header, cells, strict=False))
        unit = self._unit(row, line)
        when, value = _seconds(row.get("time"), self.path), _number(row.get(unit), self.path)
        if self.times and when <= self.times[-1]:
            raise EnergyFault(f"{self.path}: time runs backwards at {line[:60]!r}")
        if unit == "joules" and self.values and value < self.values[-1]:
            raise EnergyFault(f"{self.path}: the counter ran backwards at {line[:60]!r}")
        self.times.append(when)
        self.values.append(value)

    def _unit(self, names: list[str] | dict[str, object], line: str) -> str:
        there = [unit for unit in UNITS if unit in names]
        if "time" not in names or len(there) != 1 or self.unit not in {"", there[0]}:
            raise EnergyFault(f"{self.path}: expected time and either watts or joules, got {line[:60]!r}")
        self.unit = there[0]
        return self.unit

    def period(self) -> float:
        """Return the median seconds between two new values of late: lines of watts, or steps of a count of joules.

        Raises EnergyFault where a count has not risen: its steps may be larger than what was used.
        """
        times = self.times
        if self.unit == "joules":
            pairs = pairwise(zip(self.times, self.values, strict=True))
            times = [late for (_, before), (late, after) in pairs if after != before]
        if len(times) < FEWEST:
            raise EnergyFault(
                f"{self.path}: the count rose {len(times)} times in {self.times[-1] - self.times[0]:.0f} s; "
                f"{FEWEST} steps are needed to know its period",
                "start the logger earlier, or log watts: a count in steps of a watt-hour is too coarse for short work",
            )
        return median(late - early for early, late in pairwise(times[-RECENT:]))

    def joules(self, start: float, end: float) -> float:
        """Return the joules between two times that lie within the lines; straight lines between readings."""
        if self.unit == "joules":
            return self._at(end) - self._at(start)
        inside = range(bisect.bisect_right(self.times, start), bisect.bisect_left(self.times, end))
        points = [(start, self._at(start)), *((self.times[i], self.values[i]) for i in inside), (end, self._at(end))]
        return sum((late - early) * (before + after) / 2 for (early, before), (late, after) in pairwise(points))

    def _at(self, when: float) -> float:
        after = max(1, bisect.bisect_left(self.times, when))
        (t0, t1), (v0, v1) = self.times[after - 1 : after + 1], self.values[after - 1 : after + 1]
        return v0 + (v1 - v0) * (when - t0) / (t1 - t0)

    def gap(self, start: float, end: float) -> float:
        """Return the longest time without a reading in a window, in seconds."""
        first, last = bisect.bisect_right(self.times, start) - 1, bisect.bisect_left(self.times, end)
        return max(late - early for early, late in pairwise(self.times[first : last + 1]))


class MeterFile:
    """The file of an instrument outside this machine, joined by wall-clock time."""

    name = "external"
    least_window = 60.0

    def __init__(self, path: Path, scope: str, clock: Callable[[], float] = time.time) -> None:
        self.scope = scope
        self._clock = clock
        self._lines = Lines(path)
        self._lines.read()
        self._period: float | None = None

    def period(self, stir: Callable[[], object]) -> float:
        """Return the median spacing of the latest lines. Nothing needs to be stirred: the lines have times.

        Raises EnergyFault where the file has stopped growing, or its clock is not this machine's.
        """
        lines = self._lines
        lines.read()
        if len(lines.times) < FEWEST:
            raise EnergyFault(
                f"{lines.path} has {len(lines.times)} readings; {FEWEST} are needed to know how often there is one",
                "start the meter's logger some time before the run",
            )
        self._period = lines.period()
        self._await(self._clock())
        ahead = lines.times[-1] - self._clock()
        if ahead > self._patience():
            raise EnergyFault(
                f"{lines.path}: the last reading is {ahead:.1f} s in the future",
                "set both clocks by NTP: readings are joined to the work by time",
            )
        return self._period

    def _patience(self) -> float:
        assert self._period is not None
        return max(LEAST_PATIENCE, PATIENCE * self._period)

    def _await(self, when: float) -> None:
        """Wait until there is a reading at or after `when`."""
        until = time.monotonic() + self._patience()
        while self._lines.times[-1] < when:
            if time.monotonic() > until:
                behind = when - self._lines.times[-1]
                raise EnergyFault(
                    f"{self._lines.path}: the last reading is {behind:.1f} s old",
                    "is the meter's logger running, and its clock set by NTP?",
                )
            time.sleep(PAUSE)
            self._lines.read()

    @contextmanager
    def watch(self) -> Iterator[Window]:
        """Yield a window; its joules are known when the file has a reading after its end."""
        window, start = Window(), self._clock()
        yield window
        end = self._clock()
        window.seconds = end - start
        self._await(end)
        if start < self._lines.times[0]:
            raise EnergyFault(f"{self._lines.path} has no reading before the window", final=False)
        gap = self._lines.gap(start, end)
        if gap > self._patience():
            raise EnergyFault(f"{self._lines.path}: no reading for {gap:.1f} s within a window", final=False)
        window.joules = self._lines.joules(start, end)

    def guard(self) -> None:
        """Nothing to refuse: the instrument sees a whole machine or socket, and its scope says so."""

    def limit_watts(self) -> float | None:
        """Return None: a socket's limit is not told."""
        return None

    def facts(self) -> dict[str, float | str]:
        """Return what the lines hold. The file's name stays here: a path says more about its owner than about watts."""
        return {"readings": f"{self._lines.unit} from a file"}

    def close(self) -> None:
        """Nothing is held."""


def _seconds(value: object, path: Path) -> float:
    if isinstance(value, str) and not _is_number(value):
        try:
            when = datetime.fromisoformat(value)
        except ValueError as error:
            raise EnergyFault(f"{path}: {value[:40]!r} is no time: seconds since 1970 or ISO 8601") from error
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return _number(value, path)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(value: object, path: Path) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool) and _is_number(str(value)):
        number = float(value)
        if math.isfinite(number) and number >= 0:
            return number
    raise EnergyFault(f"{path}: {str(value)[:40]!r} is not a number of at least 0")
