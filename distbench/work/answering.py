"""One unit of work of a model that answers a batch at once: a classifier of rows, images, texts or sounds."""

from __future__ import annotations

from collections.abc import Callable, Sized
from time import perf_counter_ns

from distbench.errors import RunError
from distbench.protocols import Timing, Work


def answering(ask: Callable[[Sized], Sized], inputs: Sized) -> Work:
    """Return the call that asks for all `inputs` at once. `ask` returns host memory, so a device has finished."""

    def work() -> Timing:
        start = perf_counter_ns()
        answers = ask(inputs)
        elapsed = perf_counter_ns() - start
        if len(answers) != len(inputs):
            raise RunError(f"answered {len(answers)} of {len(inputs)} inputs")
        return Timing(marks_ns=(elapsed,), samples=len(inputs))

    return work
