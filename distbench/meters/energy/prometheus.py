"""An instrument with an exporter: one series of a page or file in Prometheus' text format.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/. A counter of joules is read at both ends of a
window, a gauge of watts is sampled and integrated.
"""

from __future__ import annotations

import http.client
import math
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from distbench.meters.energy.calibrate import update_period
from distbench.meters.energy.counting import counted
from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.integrating import integrated, interval
from distbench.meters.energy.source import Window

SECONDS = 5.0  # for an answer
MOST_BYTES = 16 << 20
AT_REST = 120.0  # exporters scrape their instruments every few seconds, some every half minute
PAUSE = 0.05  # between two requests: it is somebody's server
LINE = re.compile(r"^\s*([A-Za-z_:][\w:]*)\s*(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$")
SERIES = re.compile(r"^\s*([A-Za-z_:][\w:]*)\s*(?:\{(.*)\})?\s*$")
LABEL = re.compile(r'([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"')


def value_of(text: str, series: str) -> float:
    """Return the value of the one line whose name is that of `series` and whose labels include its labels.

    Raises EnergyFault where no line or several match, or the value is no finite number.
    """
    asked = SERIES.match(series)
    if asked is None:
        raise EnergyFault(f'{series!r} is not a series: expected name or name{{label="value"}}')
    name, labels = asked[1], set(LABEL.findall(asked[2] or ""))
    found = [
        line[3]
        for line in map(LINE.match, text.splitlines())
        if line is not None and line[1] == name and labels <= set(LABEL.findall(line[2] or ""))
    ]
    if len(found) != 1:
        raise EnergyFault(
            f"{len(found)} lines are {series!r}", "name exactly one series; add labels to tell several apart"
        )
    try:
        value = float(found[0])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise EnergyFault(f"{series} is {found[0][:40]!r}")
    return value


class _Exporter:
    """Fetches the text anew for every reading."""

    name = "external"
    least_window = 60.0

    def __init__(self, where: str, series: str, scope: str) -> None:
        self.scope = scope
        self._where, self._series = where, series
        self.read()

    def read(self) -> float:
        """Return the value of now."""
        return value_of(_text(self._where), self._series)

    def period(self, stir: Callable[[], object]) -> float:
        """Return the seconds between two new values."""
        return update_period(self.read, stir, at_rest=AT_REST, pause=PAUSE)

    def guard(self) -> None:
        """Nothing to refuse: the instrument sees a whole machine or socket, and its scope says so."""

    def limit_watts(self) -> float | None:
        """Return None: a socket's limit is not told."""
        return None

    def facts(self) -> dict[str, float | str]:
        """Return which series; where the page lies is not recorded."""
        return {"series": self._series}

    def close(self) -> None:
        """Nothing is held."""


class PrometheusCounter(_Exporter):
    """A counter of joules."""

    def watch(self) -> AbstractContextManager[Window]:
        """Read the counter at both ends."""
        return counted(self.read)


class PrometheusPower(_Exporter):
    """A gauge of watts."""

    _every = interval(None)

    def period(self, stir: Callable[[], object]) -> float:
        """Return the seconds between two new values."""
        period = super().period(stir)
        self._every = max(interval(None), period / 2)
        return period

    def watch(self) -> AbstractContextManager[Window]:
        """Integrate over the window."""
        return integrated(self.read, self._every)


def _text(where: str) -> str:
    """Return the text at a URL or in a file."""
    try:
        if where.startswith(("http://", "https://")):
            with urllib.request.urlopen(where, timeout=SECONDS) as answer:  # noqa: S310 - the scheme was just checked
                body: bytes = answer.read(MOST_BYTES)
        else:
            body = Path(where).read_bytes()[:MOST_BYTES]
    except PermissionError as error:
        raise EnergyFault(f"permission denied: {where}", f"sudo chmod a+r {where}") from error
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        remedy = "is it running? try the address with curl"
        raise EnergyFault(f"the exporter does not answer ({error})", remedy, final=False) from error
    return body.decode("utf-8", errors="replace")
