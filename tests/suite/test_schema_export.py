from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from distbench import plugins
from distbench.errors import DistbenchError, EnvironmentFault
from distbench.suite.load import validate
from distbench.suite.schema_export import decision_schema, policy_schema, result_schema, suite_schema
from distbench.suite.yaml_source import Source

from .fakes import CLASSIC, EXAMPLE


def problems(text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(suite_schema()).iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("schema", [suite_schema, result_schema, policy_schema, decision_schema])
def test_schemas_are_valid_self_contained_json(schema: Callable[[], dict[str, Any]]) -> None:
    document = schema()
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        assert reference.startswith("#/$defs/")
        assert reference.removeprefix("#/$defs/") in document["$defs"]


@pytest.mark.parametrize("text", [EXAMPLE, CLASSIC, CLASSIC + "gate:\n"])
def test_what_loads_is_valid(load: Callable[..., object], text: str) -> None:
    load(text)
    assert problems(text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("students:", "studnets:"),
        ("use: hf-causal", "use: hf-casual"),
        ("use: int8-dynamic", "use: int8-dynamic, bits: 4"),
        ("keep: 24", "kep: 24"),
        ("temperature: 1.0", "temperature: 0"),
        ("use: teacher-sampled", "use: sampled"),
        ("length: 96", "lenght: 96"),
        ("samples: 200", "samples: 0"),
        ("samples: 200", "shots: 65"),
        ("latency:", "latencies:"),
        ("prompt_tokens", "prompts"),
        ("name: int8,", "name: a/b,"),
        ("  smollm2: {", "  a/b: {"),
        ("source: ./c", "use: mpl, source: ./c"),
        ("version: 1", "version: 2"),
        ("{train: path/to/adjunct_island.jsonl}", "{use: teacher-sampled}"),
    ],
)
def test_what_does_not_load_is_mostly_invalid(complaint: Callable[..., str], old: str, new: str) -> None:
    assert old in EXAMPLE
    text = EXAMPLE.replace(old, new, 1)
    assert complaint(text)
    assert problems(text)


def test_options_of_options_have_definitions_of_their_own() -> None:
    assert "methods.soft-labels.Schedule" in suite_schema()["$defs"]


def test_a_plugin_that_cannot_be_loaded_takes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    real = plugins.options_type

    def options_type(group: str, name: str) -> type:
        if name == "hf-causal":
            raise EnvironmentFault("needs an extra")
        return real(group, name)

    monkeypatch.setattr(plugins, "options_type", options_type)
    assert problems(EXAMPLE.replace("use: hf-causal", "use: hf-causal, anything: 1")) == []


def test_without_any_plugin_the_schema_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "names", lambda _group: [])
    Draft202012Validator.check_schema(suite_schema())


TREE = yaml.safe_load(EXAMPLE)
NAMES = st.sampled_from(["a", "b.c", "d-1", "E_2", "f+g"])
STUDENT = st.fixed_dictionaries(
    {"of": st.sampled_from(["smollm2", ["smollm2"]])},
    optional={
        "label": st.none() | st.text("xyz<é", min_size=1, max_size=5),
        "source": st.sampled_from(["./x", None]),
        "use": st.sampled_from(["mlp", "hf-causal", None, "nothing"]),
        "init": st.sampled_from(
            [{"use": "layer-drop", "keep": 3}, {"use": "mlp", "hidden": [1]}, {"use": "mlp", "keep": 1}]
        ),
        "quantise": st.sampled_from([None, {"use": "int8-dynamic"}, {"use": "int8-dynamic", "x": 1}]),
        "required": st.booleans(),
        "distil": st.sampled_from(
            [
                None,
                {"use": "soft-labels", "data": {"use": "sklearn-digits"}, "temperature": 2, "control": "none"},
                {"use": "hard-labels", "data": {"use": "teacher-sampled", "sequences": 1}, "epochs": 1.0},
            ]
        ),
    },
)
SUITE = st.fixed_dictionaries(
    {"students": st.dictionaries(NAMES, STUDENT, min_size=1, max_size=3)},
    optional={
        "seed": st.sampled_from([0, 5, -1, 1.0]),
        "device": st.sampled_from(["auto", "cuda:0", "cuda:1234"]),
        "threads": st.sampled_from([None, 1, 0]),
        "measure": st.sampled_from(
            [{}, {"memory": None}, {"latency": {"batch_sizes": [1]}}, {"latency": {"batch_sizes": []}}]
        ),
        "gate": st.none() | st.fixed_dictionaries({}, optional={"retained": st.sampled_from([1, 0.5, 0, 3])}),
        "tasks": st.sampled_from([[], [{"use": "lm-eval", "samples": "all", "weight": 1, "data": {"a": "b"}}]]),
    },
)


@given(SUITE)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_loads_is_valid(parts: dict[str, Any]) -> None:
    students = [{"name": name, **student} for name, student in parts["students"].items()]
    tree = {**TREE, **parts, "students": students}
    try:
        validate(Source("generated", "", tree))
    except DistbenchError:
        return
    assert [error.message for error in SCHEMA.iter_errors(tree)] == []


@pytest.fixture(scope="module", autouse=True)
def _schema_once(_fake_installation: None) -> None:
    global SCHEMA  # noqa: PLW0603  building it takes longer than an example
    SCHEMA = Draft202012Validator(suite_schema())


SCHEMA: Draft202012Validator
