"""Kill distbench at random moments, hundreds of times, and look at what is left.

    python scripts/reliability/kill_loop.py --signals 300 --out reports/reliability/kill_loop.json

A trial is a fresh run directory and cache. The command is started, signalled at a random moment and started again, a
few times, and then left to finish. After every signal: what was acknowledged is there and has the content that an
uninterrupted run gives it, nothing half-written is visible, no process is left. At the end: every cell has the
reference's content, no temporary file is left. `--mutant` does the same with a broken copy of the package, which must
be caught.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import evidence
import quick_model
from forks import Server
from mutants import MUTANTS, patched_copy
from phases import workers_of
from victims import VICTIMS, Victim

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
POINTS = (  # where a process kills itself instead, now and then: moments that a random signal seldom meets
    "write.opened", "write.written", "write.synced", "write.renamed", "seal.file", "commit.begin", "commit.sealed",
    "commit.renamed", "put.linked", "put.renamed", "make.made", "adopt.linked", "adopt.renamed", "checkpoint.written",
    "checkpoint.renamed", "journal.begin", "journal.done",
)  # fmt: skip
SHARE_OF_MOMENTS = 0.25  # of all starts
WITHIN = 1.5  # seconds after the beginning of a phase that is waited for, at most, until the signal
SETTLES = 30.0  # seconds after which a signalled command counts as one that does not end
LONGEST = 600.0


@dataclass
class Tally:
    """What was done and what was seen."""

    rows: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)  # phase, signal, target, outcome
    broken: list[str] = field(default_factory=list)
    exits: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)  # named moments at which a process killed itself
    trials: int = 0
    finished_cells: int = 0  # cells that were finished at the moment of a signal, summed
    slowest_end: float = 0.0  # seconds from a signal until the command had ended

    @property
    def signals(self) -> int:
        return sum(self.rows.values())


class Launcher:
    """How commands of one copy of the package are started: each in a fresh interpreter, or forked from a server."""

    def __init__(self, overlay: Path, preload: str, *, forked: bool) -> None:
        quick_model.install(overlay / "plugin")
        self.mark = uuid.uuid4().hex
        self.environment = os.environ | {
            "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join([str(overlay), str(overlay / "plugin")]),
            "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", evidence.MARK: self.mark, "KILL_LOOP_PRELOAD": preload,
        }  # fmt: skip
        self.server = Server(self.environment) if forked else None
        self.moments, self.until = SHARE_OF_MOMENTS, float("inf")
        self.points: tuple[str, ...] = POINTS
        self.during: str | None = None  # a phase to wait for; None: any moment

    def others(self) -> set[int]:
        """Return the processes that carry the mark and are no part of a trial."""
        return set() if self.server is None else {self.server.process.pid}


class Trial:
    """One run directory that is killed again and again."""

    def __init__(self, victim: Victim, place: Path, launcher: Launcher, tally: Tally, dice: random.Random) -> None:
        self.victim, self.place, self.tally, self.dice, self.launcher = victim, place, tally, dice, launcher
        self.mark = launcher.mark
        (place / "tmp").mkdir(parents=True)
        victim.prepare(place)
        self.environment = launcher.environment | {
            "DISTBENCH_CACHE": str(place / "cache"), "TMPDIR": str(place / "tmp"),
        }  # fmt: skip

    def start(self, **more: str) -> Any:
        if self.launcher.server is not None:
            environment = self.environment | more
            return self.launcher.server.start([*self.victim.command], self.place, environment, self.place / "said.log")
        log = (self.place / "said.log").open("w")
        return subprocess.Popen(
            [sys.executable, "-m", "distbench", *self.victim.command], cwd=self.place, env=self.environment | more,
            stdout=subprocess.DEVNULL, stderr=log, text=True, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - a shell's & ignores it
        )  # fmt: skip

    def finish(self) -> float:
        """Run to the end; return how many seconds that took."""
        began = time.monotonic()
        child = self.start()
        code = child.wait(LONGEST)
        self.tally.exits[f"last start: {code}"] += 1
        if code not in self.victim.ends:
            self.broken(f"the last, undisturbed start ended with {code}: {self.said().strip()[-300:]}")
        return time.monotonic() - began

    def again(self) -> None:
        """Begin anew: what the first time brought into the file system's caches is not part of the time it takes."""
        for name in ("run", "cache", "out"):
            shutil.rmtree(self.place / name, ignore_errors=True)
        if not self.victim.makes_run:
            (self.place / "out").mkdir()

    def said(self) -> str:
        return (self.place / "said.log").read_text(encoding="utf-8", errors="replace")

    def broken(self, what: str) -> None:
        self.tally.broken.append(f"{self.victim.name}: {what}")

    def disturb(self, starts: int, horizon: float, reference: dict[str, dict[str, str]]) -> None:
        """Start and signal the command up to so many times, then let it finish and compare."""
        for _ in range(starts):
            if time.time() > self.launcher.until or not self._once(horizon, reference):
                break
        self.finish()
        self._at_the_end(reference)
        self.tally.trials += 1

    def _once(self, horizon: float, reference: dict[str, dict[str, str]]) -> bool:
        """Start the command and signal it; return whether there is still something to do."""
        if self.dice.random() < self.launcher.moments:
            return self._at_a_point(reference)
        child, began = self.start(), time.monotonic()
        if self.launcher.during is not None:
            return self._in_a_phase(child, self.launcher.during, reference)
        within = self.dice.choice((0.15, 0.3, 0.3, 1.0))  # mostly early, so that one run is disturbed many times
        moment = began + self.dice.uniform(0.01, within) * horizon * self.victim.share_left(self.place)
        while self.dice.random() < 0.5:  # first a worker or two
            if _ended(child, self.dice.uniform(0.0, 0.6) * max(0.0, moment - time.monotonic()) + 0.05):
                break
            self._signal(child, "worker", last=False, reference=reference)
        if not _ended(child, max(0.05, moment - time.monotonic())):
            self._signal(child, self.dice.choice(("everything", "parent")), last=True, reference=reference)
            return True
        self.tally.exits[f"ended by itself: {child.returncode}"] += 1
        return child.returncode not in self.victim.ends

    def _in_a_phase(self, child: Any, phase: str, reference: dict[str, dict[str, str]]) -> bool:
        """Wait until a phase has begun and for a random time after; signal the worker or everything or the parent."""
        while not _ended(child, 0.02):
            if self.victim.phase(self.place, workers_of(child.pid)) == phase:
                _ended(child, self.dice.uniform(0.0, WITHIN))
                target = self.dice.choice(("worker", "everything", "parent"))
                self._signal(child, target, last=target != "worker", reference=reference)
                break
        if not _ended(child, LONGEST):
            self.broken(f"still alive {LONGEST:.0f} s later")
            os.killpg(child.pid, signal.SIGKILL)
        if child.returncode in self.victim.ends:
            self.tally.exits[f"ended by itself: {child.returncode}"] += 1
        self._look(reference)
        return child.returncode not in self.victim.ends

    def _at_a_point(self, reference: dict[str, dict[str, str]]) -> bool:
        """Let whichever process gets there first kill itself at a named moment."""
        point = f"{self.dice.choice(self.launcher.points)}#{self.dice.choice((1, 1, 2, 3, 5, 8))}"
        child = self.start(DISTBENCH_CRASH_AT=point)
        child.wait(LONGEST)
        self.tally.points[point.partition("#")[0] + ("" if child.returncode else ", not reached")] += 1
        self._look(reference)
        return child.returncode not in self.victim.ends

    def _signal(self, child: Any, target: str, *, last: bool, reference: dict[str, dict[str, str]]) -> None:
        sign, run = self.dice.choice(SIGNALS), self.place / "run"
        found = workers_of(child.pid)
        phase = self.victim.phase(self.place, found)
        if target == "worker" and not found:
            return
        self.tally.finished_cells += len([p for p in (run / "cells").glob("*") if not p.name.startswith(".")])
        began = time.monotonic()
        for group in {"everything": [child.pid, *found], "worker": found, "parent": [child.pid]}[target]:
            try:
                os.killpg(group, sign)
            except ProcessLookupError:
                phase = "just ended"
        outcome = self._after(child, began, reference) if last else "goes on"
        self.tally.rows[phase, signal.Signals(sign).name, target, outcome] += 1

    def _after(self, child: Any, began: float, reference: dict[str, dict[str, str]]) -> str:
        try:
            code = child.wait(SETTLES)
        except subprocess.TimeoutExpired:
            self.broken(f"still alive {SETTLES:.0f} s after a signal")
            os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
        self.tally.slowest_end = max(self.tally.slowest_end, time.monotonic() - began)
        self._look(reference)
        return f"exit {code}"

    def _look(self, reference: dict[str, dict[str, str]]) -> None:
        """Look for orphans, tracebacks, and whatever is not as it must be."""
        for pid, line in evidence.orphans(self.mark, self.launcher.others()).items():
            self.broken(f"orphan {pid}: {line[:160]}")
            os.kill(pid, signal.SIGKILL)
        if "Traceback" in self.said():
            self.broken(f"a traceback: {self.said()[-300:]}")
        for what in self.victim.violations(self.place, self.said(), reference):
            self.broken(what)

    def _at_the_end(self, reference: dict[str, dict[str, str]]) -> None:
        made = self.victim.outcome(self.place)
        for name in sorted(set(reference) | set(made)):
            if made.get(name) != reference.get(name):
                self.broken(f"after resuming, {name} is not what an uninterrupted run makes")
        for what in self.victim.violations(self.place, "", reference):
            self.broken(what)
        places = [self.place / name for name in ("run", "cache", "tmp", "out")]
        for path in evidence.leftovers(*(place for place in places if place.exists())):
            self.broken(f"left behind: {path.removeprefix(str(self.place))}")


def _ended(child: Any, seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def hunt(  # noqa: PLR0913 - the loop's options
    victim: Victim, mutant: str | None, wanted: int, *, seed: int, until: float, forked: bool,
    moments: float = SHARE_OF_MOMENTS, points: tuple[str, ...] = POINTS, during: str | None = None,
) -> Tally:  # fmt: skip
    """Disturb a victim until `wanted` signals were sent, or the time is up, or (for a mutant) something broke."""
    tally, dice = Tally(), random.Random(seed)  # noqa: S311 - no secret, and the same again for a seed
    with tempfile.TemporaryDirectory(prefix="kill-loop-") as name, contextlib.ExitStack() as stack:
        sound = Launcher(patched_copy(None, Path(name) / "sound"), victim.preload, forked=forked)
        launcher = sound
        if mutant:
            launcher = Launcher(patched_copy(mutant, Path(name) / "mutant"), victim.preload, forked=forked)
        for each in {sound, launcher}:
            stack.callback(each.server.close if each.server else lambda: None)
        launcher.moments, launcher.until, launcher.points = (0.0 if during else moments), until, points
        launcher.during = during
        undisturbed = Trial(victim, Path(name) / "reference", sound, Tally(), dice)
        horizon = undisturbed.finish()
        if forked:  # what the first time brought into the file system's caches does not count
            undisturbed.again()
            horizon = undisturbed.finish()
        print(f"{victim.name}: {horizon:.1f} s undisturbed", flush=True)
        if undisturbed.tally.broken:
            raise SystemExit(f"the reference run failed: {undisturbed.tally.broken}")
        reference = victim.outcome(Path(name) / "reference")
        number = 0
        while tally.signals < wanted and time.time() < until and not (mutant and tally.broken):
            place = Path(name) / f"trial-{number}"
            Trial(victim, place, launcher, tally, dice).disturb(victim.starts, horizon, reference)
            shutil.rmtree(place, ignore_errors=True)
            number += 1
            print(
                f"{victim.name}: {tally.signals} signals, {tally.trials} trials, {len(tally.broken)} broken", flush=True
            )
    return tally


def document(tally: Tally, seed: int, **more: Any) -> dict[str, Any]:
    """Return what is committed."""
    rows = [dict(zip(("phase", "signal", "to", "outcome"), key, strict=True)) | {"count": n}
            for key, n in sorted(tally.rows.items())]  # fmt: skip
    return {
        "seed": seed, "signals": tally.signals, "trials": tally.trials,
        "finished_cells_at_a_signal": tally.finished_cells, "broken": tally.broken,
        "slowest_end_seconds": round(tally.slowest_end, 2), "exits": dict(sorted(tally.exits.items())),
        "named_moments": dict(sorted(tally.points.items())), "table": rows,
        **more,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--victim", choices=sorted(VICTIMS), default="quick")
    parser.add_argument("--signals", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this long")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="break the package like this; it must be caught")
    parser.add_argument("--teacher", type=Path, help="of the victim 'smollm2': a checkpoint folder")
    parser.add_argument("--forked", action="store_true", help="fork commands and workers from one warm interpreter")
    parser.add_argument("--moments", type=float, default=SHARE_OF_MOMENTS, help="share of starts that end at one")
    parser.add_argument("--moment", choices=POINTS, help="this one only")
    parser.add_argument("--during", help="signal in this phase only, such as 'measuring', and at no named moment")
    parser.add_argument("--run", type=Path, help="a finished run, for commands that read one")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    victim, until = VICTIMS[given.victim](given), time.time() + 60 * given.minutes
    tally = hunt(
        victim, given.mutant, given.signals, seed=given.seed, until=until, forked=given.forked, moments=given.moments,
        points=(given.moment,) if given.moment else POINTS, during=given.during,
    )  # fmt: skip
    words = [Path(word).name if os.sep in word else word for word in sys.argv[1:]]  # no paths of this machine
    command = "python scripts/reliability/kill_loop.py " + " ".join(words)
    found = document(tally, given.seed, command=command, victim=given.victim, mutant=given.mutant)
    text = json.dumps(found, indent=1) + "\n"
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text)
    print(text if not given.out else f"{tally.signals} signals, {len(tally.broken)} broken: {given.out}")
    return int(bool(tally.broken) != bool(given.mutant))


if __name__ == "__main__":
    sys.exit(main())
