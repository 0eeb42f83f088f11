"""Instruments outside the machine: files that grow, and exporters."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from distbench.meters.energy import meter_file
from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.meter_file import Lines, MeterFile
from distbench.meters.energy.options import EnergyOptions
from distbench.meters.energy.prometheus import PrometheusCounter, PrometheusPower, value_of
from distbench.meters.energy.sources import choose


def write(path: Path, rows: list[tuple[object, float]], unit: str = "watts") -> Path:
    path.write_text(f"time,{unit},note\n" + "".join(f"{when},{value},x\n" for when, value in rows))
    return path


class Wall:
    """A wall clock that the test moves, and a meter that has written up to now when it is looked at."""

    def __init__(self, path: Path, watts: float = 50.0, unit: str = "joules") -> None:
        self.now, self.path, self.unit, self.watts = 1000.0, path, unit, watts
        self.written = 980.0
        path.write_text(f"time,{unit}\n")
        self.catch_up()

    def __call__(self) -> float:
        return self.now

    def catch_up(self) -> None:
        with self.path.open("a") as file:
            while self.written <= self.now + 1:
                value = self.watts * (self.written - 980) if self.unit == "joules" else self.watts
                file.write(f"{self.written},{value}\n")
                self.written += 1


@pytest.mark.parametrize("unit", ["joules", "watts"])
def test_a_window_is_joined_by_time(tmp_path: Path, unit: str) -> None:
    wall = Wall(tmp_path / "wall.csv", unit=unit)
    source = MeterFile(wall.path, "wall", clock=wall)
    assert source.period(lambda: None) == pytest.approx(1.0)
    with source.watch() as window:
        wall.now += 60.5
        wall.catch_up()
    assert (window.seconds, window.joules) == (pytest.approx(60.5), pytest.approx(60.5 * 50))
    assert source.least_window == 60


def test_watts_are_integrated_between_readings(tmp_path: Path) -> None:
    lines = Lines(write(tmp_path / "a.csv", [(0, 0.0), (10, 100.0), (20, 100.0)]))
    lines.read()
    assert lines.joules(0, 10) == pytest.approx(500)
    assert lines.joules(5, 15) == pytest.approx(5 * (50 + 100) / 2 + 500)
    assert lines.joules(12, 13) == pytest.approx(100)
    assert lines.gap(11, 12) == 10


def test_json_lines_and_iso_times_and_half_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    rows = [{"time": "2026-01-01T00:00:00Z", "joules": 5}, {"time": start + 1, "joules": 6.5, "more": 1}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"time": 1767')
    lines = Lines(path)
    lines.read()
    assert (lines.times, lines.values, lines.unit) == ([start, start + 1], [5, 6.5], "joules")
    with path.open("a") as file:
        file.write('225602, "joules": 7}\n')
    lines.read()
    assert lines.times[-1] == start + 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,volts\n1,2\n", "expected time and either watts or joules"),
        ("time,watts,joules\n1,2,3\n", "expected time and either"),
        ("time,watts\nnoon,2\n", "is no time"),
        ("time,watts\n1,\n", "is not a number"),
        ("time,watts\n1,nan\n", "is not a number"),
        ("time,watts\n1,-3\n", "is not a number of at least 0"),
        ("time,watts\n2,3\n1,3\n", "time runs backwards"),
        ("time,joules\n1,3\n2,2\n", "the counter ran backwards"),
        ('{"time": 1, "watts": 2}\n{"time": 2, "joules": 2}\n', "expected time and either"),
        ("{nonsense}\n", "not JSON"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a"
    path.write_text(text)
    with pytest.raises(EnergyFault, match=words):
        MeterFile(path, "wall")


def test_a_missing_short_or_stopped_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_file, "LEAST_PATIENCE", 0.05)
    with pytest.raises(EnergyFault, match="No such file"):
        MeterFile(tmp_path / "none", "wall")
    few = MeterFile(write(tmp_path / "few", [(1, 1.0), (2, 1.0)]), "wall")
    with pytest.raises(EnergyFault, match="has 2 readings; 4 are needed"):
        few.period(lambda: None)
    rows = [(i * 0.01, 1.0) for i in range(9)]
    old = MeterFile(write(tmp_path / "old", rows), "wall", clock=lambda: 1000.0)
    with pytest.raises(EnergyFault, match=r"is 999\.9 s old"):
        old.period(lambda: None)
    ahead = MeterFile(write(tmp_path / "ahead", [(500 + when, 1.0) for when, _ in rows]), "wall", clock=lambda: 0.0)
    with pytest.raises(EnergyFault, match="in the future"):
        ahead.period(lambda: None)


def test_the_period_of_a_count_is_that_of_its_steps(tmp_path: Path) -> None:
    """A socket that counts watt-hours says the same number for minutes, however often it is logged."""
    rows: list[tuple[object, float]] = [(when, 3600.0 * (when // 40)) for when in range(400)]
    lines = Lines(write(tmp_path / "coarse", rows, "joules"))
    lines.read()
    assert lines.period() == 40
    still = Lines(write(tmp_path / "still", [(when, 5.0) for when in range(99)], "joules"))
    still.read()
    with pytest.raises(EnergyFault, match="the count rose 0 times in 98 s"):
        still.period()


def test_a_meter_that_paused_costs_a_window_and_no_more(tmp_path: Path) -> None:
    wall = Wall(tmp_path / "wall.csv")
    source = MeterFile(wall.path, "wall", clock=wall)
    source.period(lambda: None)

    def pause() -> None:
        with source.watch():
            wall.now += 60
            wall.written += 58
            wall.catch_up()

    with pytest.raises(EnergyFault, match="no reading for") as fault:
        pause()
    assert not fault.value.final
    wall.path.write_text("time,joules\n")
    with pytest.raises(EnergyFault, match="became shorter"):
        pause()


TEXT = """# HELP node_power_watts Power
# TYPE node_power_watts gauge
node_power_watts{outlet="1",rack="a"} 231.5 1767225600000
node_power_watts{outlet="2",rack="a"} 9e1
energy_joules_total 1e6
broken_watts NaN
"""


@pytest.mark.parametrize(
    ("series", "value"),
    [
        ('node_power_watts{outlet="1"}', 231.5),
        ('node_power_watts{rack="a",outlet="2"}', 90),
        ("energy_joules_total", 1e6),
    ],
)
def test_one_series_is_found(series: str, value: float) -> None:
    assert value_of(TEXT, series) == value


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ("node_power_watts", "2 lines are"),
        ('node_power_watts{rack="b"}', "0 lines are"),
        ("broken_watts", "is 'NaN'"),
        ("node power", "is not a series"),
    ],
)
def test_anything_else_is_refused(series: str, words: str) -> None:
    with pytest.raises(EnergyFault, match=words):
        value_of(TEXT, series)


@pytest.fixture
def exporter() -> Iterator[tuple[str, list[float]]]:
    """A page whose counter is 100 W of real time, in steps of 20 ms; the list holds one factor of it."""
    factor = [100.0]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            now = int(time.monotonic() / 0.02) * 0.02
            body = f"joules_total {now * factor[0]}\nwatts {factor[0] + int(now / 0.02) % 2}\n".encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/metrics", factor
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("series", "kind"), [("joules_total", PrometheusCounter), ("watts", PrometheusPower)])
def test_an_exporter_is_read(
    exporter: tuple[str, list[float]], series: str, kind: type[PrometheusCounter] | type[PrometheusPower]
) -> None:
    source = kind(exporter[0], series, "rack")
    assert 0.015 < source.period(lambda: None) < 0.5
    with source.watch() as window:
        time.sleep(0.6)
    assert window.joules / window.seconds == pytest.approx(100, rel=0.15)
    assert source.facts() == {"series": series}


def test_an_exporter_that_is_not_there_is_a_fault_and_not_an_error(tmp_path: Path) -> None:
    with pytest.raises(EnergyFault, match="does not answer"):
        PrometheusCounter("http://127.0.0.1:9/metrics", "x", "wall")
    with pytest.raises(EnergyFault, match="does not answer"):
        PrometheusCounter(str(tmp_path / "none"), "x", "wall")


def test_the_suite_chooses_among_them(tmp_path: Path) -> None:
    page = tmp_path / "page.prom"
    page.write_text(TEXT)
    lines = write(tmp_path / "wall.csv", [(1, 2.0)])

    def source(**external: str) -> object:
        return choose(EnergyOptions.model_validate({"source": "external", "external": external}), "cpu").source

    assert isinstance(source(path=str(lines)), MeterFile)
    assert isinstance(source(path=str(page), metric="energy_joules_total", unit="joules"), PrometheusCounter)
    assert isinstance(source(path=str(page), metric='node_power_watts{outlet="1"}'), PrometheusPower)
