"""What a person sees while a run works: bars on standard error, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Reporter(Protocol):
    """Hears what happens to cells."""

    def start(self, total: int, reused: int) -> None:
        """A run begins with `total` cells, of which `reused` are finished or cached."""
        ...

    def cell(self, title: str) -> None:
        """A cell begins."""
        ...

    def progress(self, title: str, done: int, total: int, what: str) -> None:
        """A cell is at done/total."""
        ...

    def end(self, title: str, status: str, seconds: float, message: str = "") -> None:
        """A cell ended."""
        ...

    def note(self, line: str) -> None:
        """Something happened that a person should know."""
        ...

    def again(self, title: str, seconds: float, message: str) -> None:
        """A cell was lost with its machine, and will begin again."""
        ...


class TerminalReporter:
    """A bar over all cells and one for each cell at work; a line for every finished cell."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console, self.quiet = console, quiet
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._all: TaskID | None = None
        self._bar: dict[str, TaskID] = {}  # of each cell at work, by its title

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, total: int, reused: int) -> None:
        """Show the whole."""
        self._say(f"{total} cells, {reused} of them finished before or cached")
        if self._all is not None:  # an undecided task goes on: a new bar for its next parts
            self._bars.remove_task(self._all)
        self._all = self._bars.add_task("run", total=total, completed=reused)

    def cell(self, title: str) -> None:
        """Show a new bar."""
        self._remove(title)
        self._bar[title] = self._bars.add_task(title, total=1)

    def progress(self, title: str, done: int, total: int, what: str) -> None:
        """Move the bar."""
        if title in self._bar:
            self._bars.update(self._bar[title], completed=done, total=max(1, total))

    def end(self, title: str, status: str, seconds: float, message: str = "") -> None:
        """Write one line about the cell."""
        self._line(title, status, seconds, message)
        if self._all is not None:
            self._bars.advance(self._all)

    def note(self, line: str) -> None:
        """Write one line, also where no progress is wanted: it is a warning."""
        self.console.print(f"{'warning':>9}  {line}", markup=False, highlight=False, soft_wrap=True)

    def again(self, title: str, seconds: float, message: str) -> None:
        """Write one line about the loss."""
        self._line(title, "lost", seconds, message)

    def _line(self, title: str, status: str, seconds: float, message: str) -> None:
        self._remove(title)
        note = f"  {message}" if message else ""
        self._say(f"{status:>9}  {title}  {seconds:.1f} s{note}")

    def _remove(self, title: str) -> None:
        if title in self._bar:
            self._bars.remove_task(self._bar.pop(title))

    def _say(self, line: str) -> None:
        if not self.quiet:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Watch:
    """Measures how long the present cell has been at work."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def lap(self) -> float:
        """Return seconds since the last lap."""
        now = time.monotonic()
        elapsed, self._began = now - self._began, now
        return elapsed
