#!/usr/bin/env python3
"""What does our own client add to the times of a served model? A server in another process, with known delays.

usage: scripts/measurement/endpoint.py [--ttft 0.1] [--itl 0.01] [--tokens 32] [--requests 200]

For each concurrency: measured minus known, in ms, of every single request's first token, gaps and end (`answer`, each
request on its own), and of whole batches (`decode`). A server's own lateness is in these numbers too: it sleeps until a
piece is due, and no system wakes up early. Then Poisson arrivals at a rate that keeps many streams open: how late we
ourselves sent, and what was measured.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from distbench.meters.arrivals import poisson
from distbench.meters.open_loop import serve_at_once
from distbench.models.openai_endpoint import OpenAIEndpoint, OpenAIOptions
from distbench.protocols import Decoded
from distbench.schema.cell import Settings
from tests.endpoint.server import MODEL, serving

MS = 1e-6  # of a nanosecond count
SETTINGS = Settings(seed=0, device="cpu", dtype="float32", threads=1)


def serve(pipe: Connection, ttft: float, itl: float) -> None:
    """Serve until told to stop: in a process of its own, so that client and server do not share an interpreter."""
    with serving(ttft=ttft, itl=itl) as server:
        pipe.send(server.url)
        pipe.recv()


def spread(values: Sequence[float]) -> str:
    """Return the median, the 99th percentile and the largest of some differences, in ms."""
    ordered = sorted(values)
    return f"{statistics.median(ordered):8.2f} {ordered[int(0.99 * (len(ordered) - 1))]:8.2f} {ordered[-1]:8.2f}"


def compare(name: str, answers: Sequence[Decoded], known: argparse.Namespace) -> None:
    """Print how far answers are from what is known."""
    ends = known.ttft + (known.tokens - 1) * known.itl
    gaps = [(late - early) * MS - known.itl * 1e3 for each in answers for early, late in pairwise(each.marks_ns)]
    print(f"{name:28} {spread([each.marks_ns[0] * MS - known.ttft * 1e3 for each in answers])}  "
          f"{spread(gaps)}  {spread([each.marks_ns[-1] * MS - ends * 1e3 for each in answers])}")  # fmt: skip


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ttft", type=float, default=0.1)
    parser.add_argument("--itl", type=float, default=0.01)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--requests", type=int, default=200)
    known = parser.parse_args()
    here, there = multiprocessing.Pipe()
    child = multiprocessing.Process(target=serve, args=(there, known.ttft, known.itl), daemon=True)
    child.start()
    model = OpenAIEndpoint.open(here.recv(), SETTINGS, OpenAIOptions(model=MODEL))
    print(f"measured - known, ms: median, p99, largest of\n{'':28} {'first token':26}  {'gap':26}  end")
    for streams in (1, 4, 16, 64):
        prompts = model.prompts(streams, 64, 0)
        rounds = max(3, known.requests // streams)
        model.decode(prompts, known.tokens)
        compare(f"decode, batch {streams}", [model.decode(prompts, known.tokens) for _ in range(rounds)], known)
        with ThreadPoolExecutor(streams) as threads:
            asked = list(threads.map(lambda _: model.answer(prompts[0], known.tokens), range(rounds * streams)))  # noqa: B023
        compare(f"answer, {streams} at a time", asked, known)
    for rate in (10.0, 50.0):
        served = serve_at_once(
            poisson(known.requests, rate, "0"), lambda _: model.answer(prompts[0], known.tokens), known.tokens
        )
        from_schedule = [Decoded(None, tuple(m - each.scheduled for m in each.marks)) for each in served]
        compare(f"open loop, {rate:g} a second", from_schedule, known)
        print(f"{'':28} sent late {spread([(each.begun - each.scheduled) * MS for each in served])}")
    here.send("stop")
    child.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
