"""Energy of CPU packages and their memory: RAPL counters, as Linux shows them under /sys/class/powercap.

Names and units: https://docs.kernel.org/power/powercap/powercap.html. `core` and `uncore` are parts of a package,
`psys` is a whole platform of which the packages are a part, and `intel-rapl-mmio` is a second view of the same package:
adding any of them would count joules twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from distbench.meters.energy.calibrate import update_period
from distbench.meters.energy.counting import counted, repeated
from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.source import Clock, Window

POWERCAP = Path("/sys/class/powercap")
ZONES = ("intel-rapl:*", "intel-rapl:*/intel-rapl:*")  # AMD's packages are listed under this name as well
MICRO = 1e-6
MOST_WATTS = 1000.0  # of one zone: bounds how soon a counter can wrap
NO_RAPL = "use a machine that shows its RAPL counters (bare metal; virtual machines hide them), or source: external"


@dataclass
class Zone:
    """One counter: microjoules that start again at 0 after `wraps_at`."""

    folder: Path
    name: str
    wraps_at: int
    last: int | None = None
    total: int = field(default=0)  # microjoules since the first reading

    def advance(self) -> None:
        """Read the counter; at most one wrap since the last reading is undone."""
        now = _integer(self.folder / "energy_uj")
        if now > self.wraps_at:
            raise EnergyFault(f"{self.folder}: energy_uj {now} is beyond its range {self.wraps_at}")
        if self.last is not None:
            self.total += (now - self.last) % (self.wraps_at + 1)
        self.last = now


def zones(root: Path = POWERCAP) -> list[Zone]:
    """Return the counters that add up to the machine's packages and memory, none of them twice.

    Raises EnergyFault where there are none.
    """
    found: dict[str, Zone] = {}
    for folder in (folder for pattern in ZONES for folder in sorted(root.glob(pattern))):
        name = _word(folder / "name")
        if folder.name not in found and (name.startswith("package-") or name == "dram"):
            found[folder.name] = Zone(folder, name, _integer(folder / "max_energy_range_uj"))
    if not any(zone.name.startswith("package-") for zone in found.values()):
        raise EnergyFault(f"no RAPL counters of a CPU package under {root}", NO_RAPL)
    return list(found.values())


class Rapl:
    """All packages and memory of this machine together."""

    name = "rapl"
    least_window = 1.0

    def __init__(self, root: Path = POWERCAP, clock: Clock = perf_counter) -> None:
        self.zones = zones(root)
        self.scope = "CPU package + DRAM" if any(zone.name == "dram" for zone in self.zones) else "CPU package"
        self._clock = clock
        self._lock = threading.Lock()
        self.joules()

    def joules(self) -> float:
        """Return joules since this was opened, wraps undone."""
        with self._lock:
            for zone in self.zones:
                zone.advance()
            return sum(zone.total for zone in self.zones) * MICRO

    def period(self, stir: Callable[[], object]) -> float:
        """Return the seconds between two updates of the first package's counter."""
        first = self.zones[0].folder / "energy_uj"
        return update_period(lambda: _integer(first), stir, clock=self._clock)

    @contextmanager
    def watch(self) -> Iterator[Window]:
        """Yield a window; no counter can wrap twice in it, however long it is."""
        with counted(self.joules, self._clock) as window, repeated(self.joules, self.quarter_wrap()):
            yield window

    def quarter_wrap(self) -> float:
        """Return a quarter of the seconds in which the shortest counter wraps at `MOST_WATTS`."""
        return min(zone.wraps_at for zone in self.zones) * MICRO / MOST_WATTS / 4

    def guard(self) -> None:
        """Nothing to refuse: a package has no list of its processes. What else runs here is in its joules."""

    def limit_watts(self) -> float | None:
        """Return the sum over packages of their highest power limit; a generous bound where one does not tell.

        A counter that ran backwards looks as if it had wrapped, and by that as a power beyond any limit.
        """
        limits = [_limit(zone.folder) for zone in self.zones if zone.name.startswith("package-")]
        known = [limit for limit in limits if limit is not None]
        if len(known) < len(limits):
            return MOST_WATTS * len(self.zones)
        return sum(known) * (2 if "DRAM" in self.scope else 1)  # memory has no limit; it takes less than its package

    def facts(self) -> dict[str, float | str]:
        """Return the zones that are summed."""
        return {"zones": ", ".join(f"{zone.folder.name} ({zone.name})" for zone in self.zones)}

    def close(self) -> None:
        """Nothing is held."""


def _limit(package: Path) -> float | None:
    """Return the largest of a package's power limits in watts: short bursts have a higher one than the long run."""
    found = [_integer(file) for file in package.glob("constraint_*_power_limit_uw")]
    return max(found) * MICRO if found and max(found) > 0 else None


def _word(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except PermissionError as error:
        remedy = f"sudo chmod a+r {file.parent.parent}/intel-rapl:*/energy_uj"
        raise EnergyFault(f"permission denied: {file}", remedy) from error
    except (OSError, ValueError) as error:
        raise EnergyFault(f"{file} cannot be read ({type(error).__name__})") from error


def _integer(file: Path) -> int:
    word = _word(file)
    if not word.isdigit():
        raise EnergyFault(f"{file} holds {word[:40]!r}, not a number")
    return int(word)
