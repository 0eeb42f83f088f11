"""What must be true of a run directory, a cache and the processes at any moment, whoever was killed when."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distbench.store.files import damage
from distbench.store.leftovers import is_temporary

MARK = "DISTBENCH_KILL_LOOP"  # in the environment of everything that a trial starts, children of children too
TIMES = {  # what may differ between two runs of one cell: times, and where a training went on from
    "started_at", "seconds", "teacher_seconds", "training_seconds", "peak_memory_bytes", "from_cache", "resumed_from",
    "redone_steps",
}  # fmt: skip
CARDS = {"README.md", "provenance.json", "SHA256SUMS", "record.json"}  # hold times, or hashes of files that do
DIES = 10.0  # seconds in which nothing may be left of what was ended


def content(cell: Path) -> dict[str, str]:
    """Return what a finished cell holds, by name: hashes of samples and weights, and the record without its times."""
    found = {
        path.relative_to(cell).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(cell.rglob("*"))
        if path.is_file() and path.name not in CARDS
    }
    record = document(cell / "record.json") or {"result": {"kind": "none: the record is half written"}}
    if record["result"]["kind"] == "measure":  # its values are times; what was measured must be the same
        record["result"] = sorted([s["model"], s["meter"], s["metric"]] for s in record["result"]["series"])
    found["record.json"] = json.dumps(_timeless(record), sort_keys=True)
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in TIMES}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def acknowledged(run: Path, said: str = "") -> set[str]:
    """Return the ids of cells that were said to be done: in the journal, or by a line on standard error."""
    titles = {document(p).get("title"): p.stem for p in (run / "plan").glob("[!.]*.json")}
    named = [line.split("  ")[1] for line in map(str.strip, said.splitlines()) if line.startswith("done  ")]
    ids = {titles.get(title, title) for title in named}
    if (run / "journal.jsonl").exists():
        for line in (run / "journal.jsonl").read_text(encoding="utf-8").splitlines():
            event = json.loads(line) if line.endswith("}") else {}
            ids |= {event["cell"]} if event.get("event") == "done" else set()
            ids |= {*event["done"], *event["cached"]} if event.get("event") == "run" else set()
    return ids


def violations(run: Path, cache: Path, said: str, reference: dict[str, dict[str, str]]) -> Iterator[str]:
    """Yield what is wrong right after a kill."""
    visible = {p.name: p for p in (run / "cells").glob("*") if not p.name.startswith(".")}
    for cell in sorted(acknowledged(run, said) - set(visible)):
        yield f"cell {cell} was acknowledged and is not there"
    for name, folder in visible.items():
        if why := damage(folder):
            yield f"cell {name} is visible and damaged: {why}"
        elif name in reference and content(folder) != reference[name]:
            changed = [key for key, value in content(folder).items() if reference[name].get(key) != value]
            yield f"cell {name} is not what an uninterrupted run makes: {', '.join(changed)}"
    for entry in cache.glob("v1/*/[!.]*"):
        if entry.is_dir() and (why := damage(entry)):
            yield f"cache entry {entry.parent.name}/{entry.name} is visible and damaged: {why}"
        elif entry.suffix == ".json":
            yield from _half(entry)
    for path in (run / "manifest.json", run / "result.json", *(run / "plan").glob("*.json")):
        if path.exists() and not path.name.startswith("."):
            yield from _half(path)
    page = run / "report.html"
    if page.exists() and not page.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        yield "report.html is half written"


def document(path: Path) -> dict[str, Any]:
    """Return a JSON file's object; an empty one where the file is half written, which `violations` says."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _half(path: Path) -> Iterator[str]:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        yield f"{path.name} is half written"


def leftovers(*places: Path) -> list[str]:
    """Return temporary files and folders that are still there."""
    return [
        str(path)
        for place in places
        for path in place.rglob("*")
        if path.name.startswith((".tmp", "distbench-")) or is_temporary(path.name) or path.parent.name == "scratch"
    ]


def alive(mark: str) -> dict[int, str]:
    """Return the command lines, by process id, of everything that a trial started and that is not gone."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:  # gone meanwhile, or not ours to read
            continue
    found.pop(os.getpid(), None)
    return {pid: line for pid, line in found.items() if line}  # a zombie has none: its parent has yet to hear of it


def orphans(mark: str, others: set[int], patience: float = DIES) -> dict[int, str]:
    """Return what is still alive after `patience` seconds, besides `others`."""
    deadline = time.monotonic() + patience
    while True:
        left = {pid: line for pid, line in alive(mark).items() if pid not in others}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)
