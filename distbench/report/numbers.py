"""Numbers in words. Every number of every output passes through here, so that it is rounded once.

A value never rounds across a threshold that it is compared with: 94.97 % against 95 % keeps its second decimal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from distbench.schema.result import Estimate

DASH = "—"
SPACE = "\u00a0"
_FULL = 0.9995  # three digits of 0.9995 GB read 1.00 GB; those of MB would read 1,000 MB
_SECONDS = {"s": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_SIZES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_STATUS = {
    "no_signal": "no signal",
    "no_gap": "no gap",
    "left_out": "left out",
    "undefined": "undefined",
    "invalid": "invalid",
}


@dataclass(frozen=True)
class Shown:
    """A number as it is printed. `title` is the tooltip, `sort` the unrounded number that tables sort by."""

    text: str
    interval: str = ""
    title: str = ""
    sort: float | None = None
    missing: bool = False

    @property
    def brief(self) -> Shown:
        """The same without the reason for a missing value, which stays in the tooltip."""
        return replace(self, text=self.text.split(":")[0]) if self.missing else self

    def __str__(self) -> str:
        return f"{self.text} {self.interval}".strip()


def _side(value: float, threshold: float) -> int:
    if math.isclose(value, threshold, rel_tol=1e-9, abs_tol=1e-12):
        return 0
    return 1 if value > threshold else -1


def decimal(value: float, places: int, against: Sequence[float] = ()) -> str:
    """Return the value with thousands separators and a real minus sign, and as many decimals as keep its side."""
    for more in range(places, places + 5):
        rounded = round(value, more)
        if all(_side(value, limit) == _side(rounded, round(limit, more)) for limit in against):
            break
    text = f"{rounded + 0.0:,.{more}f}"
    if float(text.replace(",", "")) == 0:
        return text.removeprefix("-")
    return text.replace("-", "−")


def bare_percent(value: float, against: Sequence[float] = ()) -> str:
    """Return a share as a percentage without its sign."""
    return decimal(value * 100, 1, [limit * 100 for limit in against])


def percent(value: float, against: Sequence[float] = ()) -> str:
    """Return a share as a percentage."""
    return f"{bare_percent(value, against)}{SPACE}%"


def whole_percent(value: float) -> str:
    """Return a threshold or a level as a percentage, with no more decimals than it has."""
    return f"{value * 100:.10g}{SPACE}%"


def whole_ratio(value: float) -> str:
    """Return a threshold as a ratio, with no more decimals than it has."""
    return f"{value:.10g}×"


def whole_plain(value: float) -> str:
    """Return a threshold in the unit of its metric, with no more decimals than it has."""
    return f"{value:.10g}"


def whole_points(value: float) -> str:
    """Return a threshold of a difference of shares, with no more decimals than it has."""
    return f"{value * 100:+.10g}{SPACE}points".replace("-", "−").replace("+0", "0")


def bare_ratio(value: float, against: Sequence[float] = ()) -> str:
    """Return a ratio with three significant digits and without its sign."""
    size = abs(value)
    return decimal(value, 2 if size < 10 else 1 if size < 100 else 0, against)


def ratio(value: float, against: Sequence[float] = ()) -> str:
    """Return a ratio: 2.31×."""
    return f"{bare_ratio(value, against)}×"


def plain(value: float, against: Sequence[float] = ()) -> str:
    """Return a score with three decimals, or with about four digits where it is large."""
    size = abs(value)
    return decimal(value, 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0, against)


def fine(value: float, against: Sequence[float] = ()) -> str:
    """Return a number that may be small, such as a divergence, with three significant digits."""
    size = abs(value)
    if not 0 < size < 0.1:
        return plain(value, against)
    return decimal(value, min(7, 2 - math.floor(math.log10(size))), against)


def signed(value: float, against: Sequence[float] = ()) -> str:
    """Return a difference with its sign."""
    text = plain(value, against)
    return text if value <= 0 or text.strip("0.,") == "" else f"+{text}"


def signed_points(value: float, against: Sequence[float] = ()) -> str:
    """Return a difference of shares in percentage points with its sign."""
    text = bare_percent(value, against)
    return text if value <= 0 or text.strip("0.,") == "" else f"+{text}"


def count(value: int) -> str:
    """Return a whole number with thousands separators."""
    return f"{value:,}"


def items(number: int) -> str:
    """Return a number of items as it stands beside an estimate; it never breaks across lines."""
    return f"n{SPACE}={SPACE}{count(number)}"


def size(value: float, against: Sequence[float] = ()) -> str:
    """Return bytes in decimal units."""
    for unit, factor in _SIZES:
        if abs(value) >= factor * _FULL:
            return f"{bare_ratio(value / factor, [limit / factor for limit in against])}{SPACE}{unit}"
    return f"{value:,.0f}{SPACE}B"


def whole_size(value: float) -> str:
    """Return a threshold in bytes, with no more decimals than it has."""
    unit, factor = next((each for each in _SIZES if value >= each[1]), ("B", 1.0))
    return f"{value / factor:.15g}{SPACE}{unit}"


def parameters(value: int) -> str:
    """Return a number of parameters."""
    for unit, factor in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor * _FULL:
            return f"{bare_ratio(value / factor)}{SPACE}{unit}"
    return count(value)


def duration(seconds: float) -> str:
    """Return seconds in the unit a person would choose."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= factor * _FULL and abs(seconds) < 120:
            return f"{bare_ratio(seconds / factor)}{SPACE}{unit}"
    if abs(seconds) < 120:
        return f"{bare_ratio(seconds / 1e-9)}{SPACE}ns" if seconds else f"0{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,}{SPACE}h {minutes:02d}{SPACE}min"
    return f"{minutes}{SPACE}min {rest:02d}{SPACE}s"


def quantity(value: float, unit: str) -> str:
    """Return a measured value with its unit."""
    if unit in {"B", "byte", "bytes"}:
        return size(value)
    if unit.startswith("bytes/"):
        return f"{size(value)}{unit.removeprefix('bytes')}"
    if unit.startswith("share"):
        return percent(value)
    if unit == "samples":
        return f"{count(round(value))}{SPACE}samples"
    if unit in _SECONDS:
        return duration(value * _SECONDS[unit])
    return f"{bare_ratio(value) if abs(value) >= 1 or not value else f'{value:.3g}'}{SPACE}{unit}"


def estimate(found: Estimate, bare: Callable[..., str], unit: str, against: Sequence[float] = ()) -> Shown:
    """Return an estimate: value, unit and interval; or the dash and why there is no value."""
    if found.value is None:
        status = _STATUS.get(found.status)
        because = found.reason or ("not measured" if status is None else "")
        text = ": ".join(part for part in (status, because) if part)
        return Shown(f"{DASH} {text}".strip(), title=text, missing=True)
    text = f"{bare(found.value, against)}{unit}"
    interval, words = _interval(found, bare, against)
    sample = items(found.n) if found.n else ""
    title = "; ".join(part for part in (words, sample, f"method: {found.method}", found.reason or "") if part)
    return Shown(text, interval, title, found.value)


def _interval(found: Estimate, bare: Callable[..., str], against: Sequence[float]) -> tuple[str, str]:
    if found.method == "exact":
        return "", "exact"
    if found.lo is None and found.hi is None and (found.status != "ok" or found.n < 2):
        return "", "no interval"
    lo = "−∞" if found.lo is None else bare(found.lo, against)
    hi = "∞" if found.hi is None else bare(found.hi, against)
    unbounded = "; unbounded: the data set no limit on that side" if None in {found.lo, found.hi} else ""
    return f"[{lo}, {hi}]", f"interval {lo} to {hi}{unbounded}"


def as_percent(found: Estimate, against: Sequence[float] = ()) -> Shown:
    """Return an estimate that is a share of the teacher."""
    return estimate(found, bare_percent, f"{SPACE}%", against)


def as_ratio(found: Estimate, against: Sequence[float] = ()) -> Shown:
    """Return an estimate that is a ratio, teacher to student."""
    return estimate(found, bare_ratio, "×", against)


def as_signed(found: Estimate) -> Shown:
    """Return an estimate that is a difference."""
    return estimate(found, signed, "", (0.0,))


def as_signed_fine(found: Estimate) -> Shown:
    """Return a difference that may be small, with as many decimals as give its interval two digits."""
    limits = [limit for limit in (found.lo, found.hi) if limit is not None]
    reach = (limits[1] - limits[0]) / 2 if len(limits) == 2 else abs(found.value or 0.0)
    places = min(7, max(3, 1 - math.floor(math.log10(reach)))) if reach > 0 else 3

    def bare(value: float, against: Sequence[float] = ()) -> str:
        text = decimal(value, places, against)
        return text if value <= 0 or text.strip("0.,") == "" else f"+{text}"

    return estimate(found, bare, "", (0.0,))


def as_points(found: Estimate, against: Sequence[float] = ()) -> Shown:
    """Return an estimate that is a difference of shares."""
    return estimate(found, signed_points, f"{SPACE}points", against)


def as_size(found: Estimate, against: Sequence[float] = ()) -> Shown:
    """Return a counted number of bytes."""
    return estimate(found, size, "", against)


def as_plain(found: Estimate, against: Sequence[float] = ()) -> Shown:
    """Return an estimate in the unit of its own metric."""
    return estimate(found, fine, "", against)


def perhaps(found: Estimate | None, wording: Callable[[Estimate], Shown], reason: str) -> Shown:
    """Return an estimate that a task may not have at all; `reason` says why it may be missing."""
    return Shown(DASH, title=reason, missing=True) if found is None else wording(found)


def nothing(reason: str) -> Shown:
    """Return the dash of a number that is not there."""
    return Shown(DASH, title=reason, missing=True)


def optional(value: float | None, wording: Callable[[float], str], reason: str, title: str = "") -> Shown:
    """Return a number without an interval; `reason` says why it may be missing."""
    if value is None or not math.isfinite(value):
        return nothing(reason)
    return Shown(wording(value), title=title, sort=value)
