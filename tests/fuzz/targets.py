"""The loaders under fuzz: what each is fed, and what it may answer. pytest and a script run the same targets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from distbench.compare.reading import read_document
from distbench.errors import DistbenchError
from distbench.gate.policy_file import load_policy
from distbench.schema.wording import harmless
from distbench.suite.load import digest_of, load_suite, validate
from distbench.suite.overrides import apply
from distbench.suite.yaml_source import parse_bytes
from tests.fuzz import checkpoints, exports, imported, mutations, runs

ROOT = Path(__file__).parents[2]
YAML = [
    "- ", "  ", ": ", "? ", "---\n", "...\n", "&a ", "*a", "!!python/object/apply:os.system ", "!!binary ", "!x ",
    "<<: ", "%YAML 1.2\n", "\n\t", "[", "{", "]", "}", "|", ">", "'", '"', "#", "~", "0x_", "0o17", "1_000", "1:30",
    ".nan", ".inf", "no", "\0", "\x85", "\u2028", "\ufeff", "\\ud800", '"\\ud800"', "=", "1" * 200,
    "x: " * 50, "- [" * 50,
]  # fmt: skip
JSON = [
    "{", "}", "[", "]", ",", ":", '"', "\\", "null", "true", "NaN", "Infinity", "-", "1e400", "1" * 5000,
    "0.1" + "0" * 400, '"\\ud800"', "\0", "\ufeff", '{"a": 1, "a": 2}', "[" * 300, '"PASS"', "-0", "1.0", "1e-400",
]  # fmt: skip
OVERRIDES = st.lists(
    st.builds(
        lambda path, value: f"{'.'.join(path)}={value}",
        st.lists(
            st.sampled_from(["students", "teachers", "gate", "tasks", "measure", "0", "9", "name", "init", "zzz", ""]),
            min_size=1, max_size=5,
        ),
        st.sampled_from(["", "1", "no", "[1, 2]", "{a: 1}", "[", "&a 1", ".nan", "null", "{use: mlp}", "\0", "\ud800"]),
    ),
    max_size=1,
)  # fmt: skip
POLICY = {
    "version": 1, "extends": "suite", "alpha": 0.05, "on_inconclusive": "warn", "retained": 0.9, "task_floor": 0.8,
    "worst_group": {"threshold": 0.8, "required": False}, "max_drop": 0.02, "max_negative_flips": 0.1, "agreement": 0.7,
    "speedup": 1.2, "memory": None, "compression": {"threshold": 2.0}, "max_bytes": 1000,
    "measured": [{"metric": "e2e_ms", "meter": "latency", "workload": "batch 8", "at_least": 1.1}],
    "tasks": {"t": {"floor": 0.8, "required": False, "metrics": {"acc": {"floor": 0.8, "max_drop": 0.1}}}},
    "students": {"s*": {"retained": 0.8, "tasks": {"t": {"agreement": 0.5}}, "required": False}},
    "baseline": {"run": "../before", "retained": 0.01, "speedup": 0.9, "student": "small"},
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote. `load` returns where it gave a value, and raises what it raises."""

    name: str
    about: str
    cases: st.SearchStrategy[Any]
    load: Callable[[Any], object]


# -- suites ------------------------------------------------------------------------------------------------------------


@cache
def suite_texts() -> list[str]:
    """The suites that ship."""
    files = sorted([*(ROOT / "suites").glob("*.yaml"), *(ROOT / "suites" / "recipes").glob("*.yaml")])
    return [path.read_text(encoding="utf-8") for path in [*files, *(ROOT / "suites" / "studies").glob("*.yaml")]]


def suites() -> Target:
    """Bytes near a suite, with `--set`; one of twenty is the path of a file instead."""
    trees = [yaml.safe_load(text) for text in suite_texts()]
    files = mutations.documents(trees, mutations.as_yaml, suite_texts(), YAML)
    cases = st.tuples(files, OVERRIDES)
    paths = st.sampled_from(mutations.TEXTS) | st.text(max_size=20)
    return Target(
        "suite", "suite files and --set", st.integers(0, 19).flatmap(lambda n: cases if n else paths), load_one
    )


def load_one(case: tuple[bytes, list[str]] | str) -> None:
    """Load a suite's bytes, or the file of a name. What is wrong with a text is said with its place."""
    if isinstance(case, str):
        load_suite(Path("no-such-folder") / case)
        return
    data, overrides = case
    try:
        suite = validate(apply(parse_bytes(data, "fuzz.yaml"), overrides))
    except DistbenchError as error:
        if error.at is None:
            raise AssertionError(f"an error without its place: {error}") from error
        raise
    assert len(digest_of(suite)) == 64


# -- results and policies ----------------------------------------------------------------------------------------------


@cache
def result_trees() -> list[Any]:
    """The published results with short lists."""
    return [
        mutations.slim(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(ROOT.glob("reports/*/result.json"))
    ]


def results() -> Target:
    """Files near a result.json."""
    trees = result_trees()
    cases = mutations.documents(trees, mutations.as_json, [json.dumps(tree) for tree in trees], JSON)
    return Target("result", "result documents (result.json)", cases, through_file(read_document, "result.json"))


def policies() -> Target:
    """Files near a policy; what loads is also held against a run that has other names."""
    trees = [POLICY, {"version": 1, "extends": "nothing", "tasks": {"t": {"floor": 0.5}}}]
    sources = [mutations.as_yaml(tree).decode() for tree in trees]
    cases = mutations.documents(trees, mutations.as_yaml, sources, YAML)
    return Target("policy", "policy files", cases, through_file(judge, "policy.yaml"))


def judge(path: Path) -> None:
    """Load a policy and judge a small run by it."""
    runs.judge(load_policy(path))


def through_file(load: Callable[[Path], object], name: str) -> Callable[[bytes], object]:
    """Write bytes to a file of this name and load it."""

    def loaded(data: bytes) -> object:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            return load(path)

    return loaded


# -- all ---------------------------------------------------------------------------------------------------------------


def targets() -> dict[str, Target]:
    """Every target by name."""
    found = [
        suites(),
        results(),
        Target("lm-eval", "output of lm-eval: results and logs of samples", imported.CASES, imported.load),
        policies(),
        Target("run", "run directories: manifest, plan, records, samples", runs.cases(), runs.load),
        Target("exports", "every output of a valid but odd result", exports.cases(result_trees), exports.load),
        Target(
            "checkpoint", "model folders: configuration, shard index, headers", checkpoints.cases(), checkpoints.load
        ),
        Target("terminal", "texts of others in our messages", st.text() | st.sampled_from(mutations.TEXTS), said),
    ]
    return {target.name: target for target in found}


def said(text: str) -> None:
    """A foreign text in a message is one printable line."""
    shown = harmless(text)
    assert shown.isprintable()
    assert len(shown) <= 60
