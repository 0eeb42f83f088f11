from __future__ import annotations

from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError, field_validator, model_validator

from distbench import plugins
from distbench.schema.strict import Strict
from distbench.schema.wording import Document, describe, faults_of, keys_at


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(Strict):
    kind: Literal["inner"] = "inner"
    size: int = Field(1, multiple_of=8)


class Outer(Strict):
    kind: Literal["outer"] = "outer"
    inner: Inner | list[Inner] | None = None
    named: dict[str, Inner] = Field({})
    either: Inner | int = 1
    colour: Colour = Colour.RED
    text: str = Field("ab", min_length=2, max_length=3, pattern="^[a-z]*$")
    pair: tuple[int, str] = (1, "x")

    @field_validator("pair")
    @classmethod
    def _positive(cls, value: tuple[int, str]) -> tuple[int, str]:
        if value[0] < 0:
            raise ValueError("the first of the pair\nmust not be negative")
        return value

    @model_validator(mode="after")
    def _together(self) -> Outer:
        if self.text == "xyz" and self.colour is Colour.RED:
            raise ValueError("text xyz needs colour blue")
        return self


def messages(tree: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        plugins.validated(Outer, tree)
    faults = faults_of(caught.value, Outer, Document(tree, {}))
    return [f"{'.'.join(map(str, fault.path))}: {fault.say()}" for fault in faults]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"inner": {"size": 3}}, "inner.size: must be a multiple of 8, got 3"),
        ({"inner": [{"size": 8}, {"size": 3}]}, "inner.1.size: must be a multiple of 8, got 3"),
        ({"inner": 3}, "inner: expected mapping or list, got integer 3"),
        ({"named": {"x": {"sise": 8}}}, "named.x.sise: unknown key 'sise'; did you mean 'size'?"),
        ({"named": {"x": 1}}, "named.x: expected mapping, got integer 1"),
        ({"either": "x"}, "either: expected mapping or integer, got string 'x'"),
        ({"colour": "rde"}, "colour: expected 'red' or 'blue', got string 'rde'; did you mean 'red'?"),
        ({"text": "a"}, "text: must have at least 2 characters"),
        ({"text": "abcd"}, "text: must have at most 3 characters"),
        ({"text": "A1"}, "text: expected a string that matches ^[a-z]*$, got string 'A1'"),
        ({"pair": [-1, "x"]}, "pair: the first of the pair must not be negative, got list"),
        ({"pair": [1, 2]}, "pair.1: expected string, got integer 2"),
        ({"pair": [1]}, "pair.1: missing entry 1"),
        ({"text": "xyz"}, ": text xyz needs colour blue, got mapping"),
    ],
)
def test_any_options_of_any_plugin_are_worded(tree: dict[str, Any], message: str) -> None:
    assert messages(tree) == [message]


def test_keys_are_found_through_unions_lists_and_mappings() -> None:
    assert keys_at(Outer, ()) == list(Outer.model_fields)
    for path in (("inner",), ("inner", 3), ("named", "x"), ("either",)):
        assert keys_at(Outer, path) == ["kind", "size"]
    assert keys_at(Outer, ("nothing", "at", "all")) == []


def test_values_are_described_as_they_are_written() -> None:
    values = [None, True, False, 3, 1.5, "x", [], {}]
    words = ["null", "true", "false", "integer 3", "number 1.5", "string 'x'", "list", "mapping"]
    assert [describe(value) for value in values] == words
