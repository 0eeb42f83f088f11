"""Write the quick start's own lm-eval tasks: JSONL data and task YAML, from the templates in scripts/probes.

The output depends on nothing but these files: no model, no network, no clock, no `random`. Items are drawn by sorting
candidates on a SHA-256 of a fixed seed and the text, so any Python version writes the same bytes.

Usage: python scripts/generate_tasks.py [FOLDER] [--check]
"""

from __future__ import annotations

import sys
from typing import Final

from probes import facts, minimal_pairs
from probes.draw import to_jsonl
from probes.files import run

MINE: Final = ("distbench_*",)


def build_files() -> dict[str, str]:
    """Build every file: its name and its text."""
    files = {}
    for phenomenon, templates in minimal_pairs.PAIRS.items():
        task = f"distbench_{phenomenon}"
        files[f"{task}.jsonl"] = to_jsonl(phenomenon, minimal_pairs.build_pairs(phenomenon, templates))
        files[f"{task}.yaml"] = minimal_pairs.YAML.format(task=task)
    files["distbench_facts.jsonl"] = to_jsonl("facts", facts.draw_facts())
    files["distbench_facts.yaml"] = facts.YAML.format(task="distbench_facts")
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check compare them with those on disk."""
    return run(arguments, "Write distbench's own lm-eval tasks.", build_files(), MINE)


if __name__ == "__main__":
    sys.exit(main())
