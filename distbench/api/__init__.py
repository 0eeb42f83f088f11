"""Results in Python: `distbench.load`, and what it returns."""

from distbench.api.run import Run, load

__all__ = ["Run", "load"]
