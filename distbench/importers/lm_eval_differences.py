"""What was set differently on two sides: the likely reason where their prompts differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from distbench import secrets
from distbench.importers.lm_eval_files import Output, TaskFiles
from distbench.schema.wording import harmless

TOP = {
    "chat_template_sha": "the chat template",
    "system_instruction_sha": "the system message",
    "fewshot_as_multiturn": "fewshot_as_multiturn",
    "lm_eval_version": "the version of lm-eval",
    "transformers_version": "the version of transformers",
}
CONFIG = {"limit": "limit", "gen_kwargs": "gen_kwargs", "fewshot_seed": "fewshot_seed", "random_seed": "random_seed"}


def differences(teacher: Output, student: Output) -> list[str]:
    """Return one line for each setting that is not the same on both sides, with both values."""
    found: dict[str, list[str]] = {}
    for task, theirs in teacher.tasks.items():
        if task in student.tasks:
            for what, left, right in _of_task(theirs, student.tasks[task]):
                found.setdefault(f"{what} differs: {_short(left)} (teacher) and {_short(right)}", []).append(task)
    return [f"{line} ({', '.join(tasks[:4])}{' …' if len(tasks) > 4 else ''})" for line, tasks in found.items()]


def _of_task(left: TaskFiles, right: TaskFiles) -> Iterator[tuple[str, Any, Any]]:
    yield from _unequal("num_fewshot", left.facts.num_fewshot, right.facts.num_fewshot)
    for key, words in TOP.items():
        yield from _unequal(words, left.results.raw.get(key), right.results.raw.get(key))
    for key, words in CONFIG.items():
        yield from _unequal(words, left.results.config.get(key), right.results.config.get(key))


def _unequal(words: str, left: Any, right: Any) -> Iterator[tuple[str, Any, Any]]:
    if left != right:
        yield words, left, right


def _short(value: Any) -> str:
    return "none" if value is None else harmless(secrets.text(str(value)))
