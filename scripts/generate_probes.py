"""Write the probes under suites/tasks: bias, word problems and prose, from the templates and texts in scripts/probes.

Like scripts/generate_tasks.py: the output depends on nothing but these files, and any Python writes the same bytes.

Usage: python scripts/generate_probes.py [FOLDER] [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from probes import bias_pairs, bias_questions, prose, word_problems
from probes.draw import to_jsonl

DEFAULT_FOLDER: Final = Path(__file__).resolve().parent.parent / "suites" / "tasks"
FOLDERS: Final = ("bias", "prose", "word_problems")


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


def find_differences(folder: Path, files: dict[str, str]) -> list[str]:
    """Name the files of the probes' folders that are missing, out of date, or no longer generated."""
    here = {
        path.relative_to(folder).as_posix() for name in FOLDERS for path in (folder / name).glob("*") if path.is_file()
    }
    wrong = {
        name
        for name, text in files.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != text.encode()
    }
    return sorted((here - files.keys()) | wrong)


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check compare them with those on disk."""
    parser = argparse.ArgumentParser(description="Write distbench's own probes.")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER, help="output folder")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the folder is out of date")
    options = parser.parse_args(arguments)
    files = build_files()
    if options.check:
        differences = find_differences(options.folder, files)
        for name in differences:
            print(f"out of date: {options.folder / name}", file=sys.stderr)
        return 1 if differences else 0
    for name, text in files.items():
        (options.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (options.folder / name).write_bytes(text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
