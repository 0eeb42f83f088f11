"""The key chart as a picture of pixels, for programs that cannot show SVG."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from distbench.errors import EnvironmentFault
from distbench.exports.svg import key_chart
from distbench.protocols.export import Exported, Source, Writes
from distbench.report.figures.plane import HEIGHT
from distbench.report.figures.static import FOOT, WIDTH
from distbench.schema.strict import Strict
from distbench.store.files import writing
from distbench.store.leftovers import temporary_folder

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
VARIABLE = "DISTBENCH_CHROMIUM"
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_SECONDS = 60
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class PNG:
    """`--format png`: the SVG chart, drawn by an installed browser. The browser gets an empty profile."""

    class Options(Strict):
        """Options of the format."""

        scheme: Literal["light", "dark"] = Field("light", description="light or dark")
        scale: float = Field(2.0, ge=0.5, le=8.0, description="pixels of the picture to one of the chart")

    summary: ClassVar[str] = f"the key chart in pixels; needs Chromium or Chrome (or the path of one in {VARIABLE})"
    writes: ClassVar[Writes] = "file"
    suffix: ClassVar[str] = ".png"

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Draw the chart. Raises EnvironmentFault where there is no browser, or where it draws nothing."""
        assert to is not None
        browser = found_browser()
        with temporary_folder("png") as folder:
            (folder / "chart.svg").write_text(key_chart(source.result, self.options.scheme), encoding="utf-8")
            drawn = _draw(browser, folder, self.options.scale)
        with writing(to) as file:
            file.write_bytes(drawn)
        return Exported(files=[to])


def found_browser() -> str:
    """Return the path of an installed Chromium or Chrome."""
    named = os.environ.get(VARIABLE)
    path = shutil.which(named) if named else next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        where = f"{VARIABLE} names {named!r}, which is no program" if named else "none is on the PATH"
        raise EnvironmentFault(
            f"format 'png' needs Chromium or Chrome, and {where}; install one, or set {VARIABLE} to its path; "
            "format 'svg' needs none"
        )
    return path


def _draw(browser: str, folder: Path, scale: float) -> bytes:
    width, height = round(WIDTH), HEIGHT + FOOT
    picture = folder / "chart.png"
    command = [
        browser,
        *_FLAGS,
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses to start as root with one
        f"--user-data-dir={folder / 'profile'}",
        f"--force-device-scale-factor={scale:g}",
        f"--window-size={width},{height}",
        f"--screenshot={picture}",
        (folder / "chart.svg").as_uri(),
    ]
    said = _run(command)
    found = picture.read_bytes() if picture.is_file() else b""
    if size_of(found) != (round(width * scale), round(height * scale)):
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        raise EnvironmentFault(f"{browser} did not draw the chart: {last[0][:200]}")
    return found


def _run(command: list[str]) -> str:
    """Run the browser in a group of its own, and end the whole group where it takes too long."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
    )
    try:
        return process.communicate(timeout=_SECONDS)[1]
    except subprocess.TimeoutExpired:
        raise EnvironmentFault(f"{command[0]} drew nothing within {_SECONDS} seconds") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def size_of(png: bytes) -> tuple[int, int] | None:
    """Return the width and height that a PNG states, None where it is no PNG."""
    return struct.unpack(">II", png[16:24]) if png[:8] == _SIGNATURE and len(png) > 24 else None
