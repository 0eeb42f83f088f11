#!/usr/bin/env python3
"""Is the report of a large run small, fast and light enough? Prints each number beside its limit; exits 1 where one is
missed.

    python scripts/report/bench_page.py                       # a million samples; about 3 minutes
    python scripts/report/bench_page.py --records 100000      # smaller, the same limits

Every step runs in a process of its own. The large run comes from scripts/bench_compare.py, which asks no model; the
page with 5,000 sample rows is that run's result with ten students, each with 500 samples of 300 characters of the
English in docs/. Peak memory is VmHWM. "Interactive" is when the charts in sight are drawn and the page has answered
a filter, from the start of the navigation, the median of several loads of a file in headless Chromium; other work on
the machine makes it longer, so that the CPU time of the page's main thread stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
STUDENTS, SAMPLES, LETTERS = 10, 500, 300
MB = 1e6


@dataclass(frozen=True)
class Measured:
    """One number beside the limit that it must not pass."""

    what: str
    value: float
    limit: float
    unit: str

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit

    def row(self) -> str:
        """Return a row of a Markdown table."""
        kept = "yes" if self.kept else "NO"
        return f"| {self.what} | {self.value:.2f} {self.unit} | {self.limit:g} {self.unit} | {kept} |"


def main() -> int:
    """Run all steps, or one of them inside the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--loads", type=int, default=5, help="how often each page is opened")
    parser.add_argument("--keep", type=Path, help="a folder to keep runs and pages in; a temporary one where left out")
    parser.add_argument("--step", choices=["report", "many"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(inside(options.step, options.keep)))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = measure(folder, options.records, options.loads)
    print("| what | measured | limit | kept |\n|---|---|---|---|")
    for each in found:
        print(each.row())
    print(f"\nload average while it ran: {os.getloadavg()[1]:.1f} on {len(os.sched_getaffinity(0))} usable cores")
    return 0 if all(each.kept for each in found) else 1


def measure(folder: Path, records: int, loads: int) -> list[Measured]:
    """Write the runs and pages, and measure them."""
    run = folder / "run"
    if not (run / "manifest.json").exists():
        writer = ROOT / "scripts" / "bench_compare.py"
        command = [sys.executable, str(writer), "--step", "write", "--run", str(run), "--records", str(records)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    large, many = fresh("report", folder), fresh("many", folder)
    title = f"{records:,} samples"
    found = [
        Measured(f"report of {title}: time", large["seconds"], 60, "s"),
        Measured(f"report of {title}: peak memory", large["peak_gib"], 1.5, "GiB"),
        Measured(f"report of {title}: size", large["bytes"] / MB, 15, "MB"),
        Measured(f"page with {many['rows']:,} sample rows, {STUDENTS} students: size", many["bytes"] / MB, 2.5, "MB"),
    ]
    browser = os.environ.get("DISTBENCH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        raise SystemExit("no Chromium is installed: what a browser does was not measured")
    pages = {f"page of {title}": "large.html", f"page with {many['rows']:,} sample rows": "many.html"}
    for what, page in pages.items():
        seconds, busy = zip(*interactive(browser, folder / page, loads), strict=True)
        found.append(Measured(f"{what}: interactive, median of {loads}", statistics.median(seconds), 2, "s"))
        found.append(Measured("of it, its main thread at work (CPU time)", statistics.median(busy), 2, "s"))
    return found


def fresh(step: str, folder: Path) -> dict[str, Any]:
    """Run a step in a process of its own and return what it measured."""
    command = [sys.executable, __file__, "--step", step, "--keep", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def inside(step: str, folder: Path) -> dict[str, Any]:
    """Write one page, as `distbench report` does, and return what that cost."""
    from distbench.cli.reading import write_report
    from distbench.compare.run import compare
    from distbench.store.run_dir import RunDir

    started = time.perf_counter()
    rows = 0
    if step == "report":
        written = write_report(folder / "run", folder / "large.html")
    else:
        result = with_samples(compare(RunDir.existing(folder / "run")))
        rows = sum(len(student.disagreements) for student in result.students)
        written = write_report(folder / "run", folder / "many.html", result)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_gib": peak_memory_gib(), "bytes": written.size, "rows": rows}


def with_samples(result: Any) -> Any:
    """Return a result with many students, each with samples of its own."""
    english = " ".join(" ".join(path.read_text("utf-8").split()) for path in sorted((ROOT / "docs").glob("*.md")))
    draw = random.Random(1)  # noqa: S311 - which piece of text a sample shows
    (first,) = result.students
    sample = first.disagreements[0]

    def text(letters: int) -> str:
        at = draw.randrange(len(english) - letters)
        return english[at : at + letters]

    students = []
    for number in range(STUDENTS):
        samples = [
            sample.model_copy(
                update={"sample_id": f"{number}-{k}", "prompt": text(LETTERS), "teacher": text(40), "student": text(40)}
            )
            for k in range(SAMPLES)
        ]
        facts = {"name": f"student-{number}", "label": f"Student {number}", "disagreements": samples}
        students.append(first.model_copy(update={**facts, "disagreements_total": SAMPLES}))
    return result.model_copy(update={"students": students, "recommended": None})


def peak_memory_gib() -> float:
    """Return the high-water mark of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024**2


def interactive(browser: str, page: Path, loads: int) -> list[tuple[float, float]]:
    """Return, a load, the seconds from the start of the navigation until the page had drawn and answered a filter, and
    the CPU time of its main thread until then, which other work on the machine does not change.
    """
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=browser, args=FLAGS)
        for _ in range(loads):
            opened = started.new_page(viewport={"width": 1320, "height": 900})
            session = opened.context.new_cdp_session(opened)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            opened.goto(page.as_uri(), wait_until="commit")
            opened.wait_for_selector("html.ready", state="attached")
            answered = opened.evaluate(ANSWER) / 1000
            metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
            found.append((answered, metrics["TaskDuration"]))
            opened.close()
        started.close()
    return found


# A filter is set as a reader would, and the time is read when its answer stands in the page.
ANSWER = """() => {
  const search = document.getElementById('samples-search');
  const status = document.getElementById('samples-status');
  const ready = performance.getEntriesByName('distbench-ready')[0].startTime;
  const before = performance.now();
  search.value = 'nothing says this';
  search.dispatchEvent(new Event('input'));
  if (status.textContent !== 'none') throw new Error('the filter did not answer');
  return ready + (performance.now() - before);
}"""


if __name__ == "__main__":
    sys.exit(main())
