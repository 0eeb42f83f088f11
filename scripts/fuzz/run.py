#!/usr/bin/env python3
"""Feed loaders inputs that nobody vouches for, by the thousand, and write down what became of them.

usage: scripts/fuzz/run.py [--loader NAME …] [--cases 10000] [--seed 0] [--out FILE] [--memory-mib 4096]
       scripts/fuzz/run.py --engine atheris --loader NAME [--seconds 300]   (pip install atheris; guided by coverage)

Each loader runs in a process of its own under a limit on address space. A case that raises anything but one of our own
errors in one printable line, takes more than 10 s or grows the process by more than 300 MiB is a failure; the smallest
input of each kind of failure is printed with its traceback. Exits 1 where there was one. The inputs and the rules stand
in tests/fuzz/.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import multiprocessing
import os
import platform
import random
import resource
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - folders of our own are made in it
sys.path.insert(0, str(ROOT))
os.environ["HF_HUB_OFFLINE"] = "1"  # some of the names that are made up may exist there


@dataclass
class Failures:
    """The smallest input of every kind of failure, a kind being an exception and where it was raised."""

    count: int = 0
    found: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, case: object, error: BaseException) -> None:
        """Keep a failure."""
        self.count += 1
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "/distbench/" in f.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"
        kind, shown = f"{type(error).__name__} at {where}", repr(case)
        if kind not in self.found or len(shown) < len(self.found[kind][0]):
            self.found[kind] = shown, "".join(traceback.format_exception(error))


def fuzz(name: str, cases: int, seed: int, memory_mib: int) -> dict[str, Any]:
    """Run a loader on so many cases of a seed; return what became of them."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    guard = importlib.import_module("tests.fuzz.guard")
    target = importlib.import_module("tests.fuzz.targets").targets()[name]
    if MEMORY_FOLDER.is_dir():  # else most of the time goes to fsync, which no case is about
        tempfile.tempdir = str(MEMORY_FOLDER)
    resource.setrlimit(resource.RLIMIT_AS, (memory_mib << 20, memory_mib << 20))
    tally, failures = guard.Tally(), Failures()

    @seeded(seed)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.cases)
    def test(case: object) -> None:
        try:
            guard.attempt(target.load, case, tally)
        except (Exception, guard.TooSlow) as error:  # noqa: BLE001 - whatever it is, it is what we look for
            failures.add(case, error)

    started = time.perf_counter()
    test()
    return {
        "loader": name,
        "about": target.about,
        "cases": tally.cases,
        "values": tally.values,
        "refused": dict(sorted(tally.refused.items())),
        "failures": failures.count,
        "kinds": sorted(failures.found),
        "slowest_seconds": round(tally.slowest_seconds, 4),
        "slowest_case": tally.slowest,
        "peak_growth_mib": round(tally.peak_bytes / 2**20, 1),
        "peak_case": tally.peak,
        "seconds": round(time.perf_counter() - started, 1),
        "_texts": failures.found,
    }


def with_atheris(name: str, seconds: int) -> None:
    """Let coverage choose the inputs: libFuzzer drives the same strategies. Ends the process."""
    atheris: Any = importlib.import_module("atheris")
    from hypothesis import HealthCheck, given, settings

    with atheris.instrument_imports(include=["distbench"]):
        guard = importlib.import_module("tests.fuzz.guard")
        target = importlib.import_module("tests.fuzz.targets").targets()[name]

    @settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(target.cases)
    def test(case: object) -> None:
        guard.attempt(target.load, case)

    # Hypothesis makes a case of some kilobytes of choices: libFuzzer begins with such, instead of growing single bytes.
    corpus = Path(tempfile.mkdtemp(prefix="fuzz-corpus-"))
    for number in range(64):
        (corpus / str(number)).write_bytes(random.Random(number).randbytes(4096))  # noqa: S311 - not for secrets
    options = [f"-max_total_time={seconds}", "-max_len=8192", "-len_control=0", str(corpus)]
    atheris.Setup([sys.argv[0], *options], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()


def in_a_process(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one loader in a fresh process, so that its memory is its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(fuzz, (name, arguments.cases, arguments.seed, arguments.memory_mib))


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--loader", action="append", help="suite, result, lm-eval, policy, run or exports; all if left out"
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=["hypothesis", "atheris"], default="hypothesis")
    parser.add_argument("--seconds", type=int, default=300, help="with atheris")
    parser.add_argument("--memory-mib", type=int, default=4096)
    parser.add_argument(
        "--out", type=Path, help="write the summary here, as JSON; loaders that it has already stay in it"
    )
    arguments = parser.parse_args()
    if arguments.engine == "atheris":  # before anything of distbench is imported, else nothing of it is instrumented
        if len(arguments.loader or []) != 1:
            parser.error("--engine atheris takes one --loader")
        with_atheris(arguments.loader[0], arguments.seconds)
    known = list(importlib.import_module("tests.fuzz.targets").targets())
    names = arguments.loader or known
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no loader {unknown[0]!r}; there are {', '.join(known)}")
    failed = 0
    for name in names:
        found = in_a_process(name, arguments)
        for kind, (case, text) in found.pop("_texts").items():
            print(f"-- {name}: {kind}\n{case[:3000]}\n{text}", file=sys.stderr)
        print(json.dumps({key: found[key] for key in found if not key.endswith("_case")}), flush=True)
        failed += found["failures"]
        if arguments.out:
            write(arguments.out, found, arguments)
    return 1 if failed else 0


def write(path: Path, found: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Put a loader's facts into the summary."""
    document: dict[str, Any] = {"loaders": {}}
    with contextlib.suppress(OSError, ValueError):
        document = json.loads(path.read_text(encoding="utf-8"))
    command = f"python scripts/fuzz/run.py --loader {found['loader']} --cases {arguments.cases} --seed {arguments.seed}"
    document["loaders"][found["loader"]] = {"command": command, **found}
    document |= {
        "python": platform.python_version(),
        "hypothesis": version("hypothesis"),
        "memory_limit_mib": arguments.memory_mib,
        "limit_seconds": 10,
        "limit_growth_mib": 300,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
