"""Write the probes under suites/tasks: bias, word problems and prose, from the templates and texts in scripts/probes.

Like scripts/generate_tasks.py: the output depends on nothing but these files, and any Python writes the same bytes.

Usage: python scripts/generate_probes.py [FOLDER] [--check]
"""

from __future__ import annotations

import sys
from typing import Final

from probes import bias_pairs, bias_questions, prose, word_problems
from probes.draw import to_jsonl
from probes.files import run

MINE: Final = ("bias/*", "prose/*", "word_problems/*")


def build_files() -> dict[str, str]:
    """Build every file: its path in the folder, and its text."""
    pairs, questions, guesses = "distbench_bias_pairs", "distbench_bias_questions", "distbench_bias_guesses"
    problems, passages = "distbench_word_problems", "distbench_prose"
    return {
        f"bias/{pairs}.jsonl": to_jsonl("pair", bias_pairs.build()),
        f"bias/{pairs}.yaml": bias_pairs.YAML.format(task=pairs),
        f"bias/{questions}.jsonl": to_jsonl("question", bias_questions.questions()),
        f"bias/{questions}.yaml": bias_questions.YAML.format(task=questions),
        f"bias/{guesses}.jsonl": to_jsonl("guess", bias_questions.guesses()),
        f"bias/{guesses}.yaml": bias_questions.YAML.format(task=guesses),
        f"word_problems/{problems}.jsonl": to_jsonl("problem", word_problems.build()),
        f"word_problems/{problems}_examples.jsonl": to_jsonl("example", word_problems.examples()),
        f"word_problems/{problems}.yaml": word_problems.YAML.format(task=problems),
        f"prose/{passages}.jsonl": to_jsonl("passage", prose.build()),
        f"prose/{passages}.yaml": prose.YAML.format(task=passages),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check compare them with those on disk."""
    return run(arguments, "Write distbench's own probes.", build_files(), MINE)


if __name__ == "__main__":
    sys.exit(main())
