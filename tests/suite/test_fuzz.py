"""Whatever a suite file holds, it loads or is refused with one line; nothing else may ever be raised."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from distbench.errors import DistbenchError, RefusedError, UsageError
from distbench.suite.load import digest_of, validate
from distbench.suite.overrides import apply
from distbench.suite.yaml_source import Source, parse_bytes

from .fakes import CLASSIC, EXAMPLE

QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck))


def attempt(data: bytes, *overrides: str) -> None:
    try:
        suite = validate(apply(parse_bytes(data, "fuzz.yaml"), overrides))
    except (UsageError, RefusedError) as error:
        check_message(error)
    else:
        assert len(digest_of(suite)) == 64


def check_message(error: DistbenchError) -> None:
    message = str(error)
    assert message.isprintable()
    assert len(message) < 400
    assert error.at is not None
    for jargon in ("Input should", "Field required", "Extra inputs", "pydantic", "constrained", "Traceback"):
        assert jargon not in message


@given(st.binary(max_size=200))
@example(b"\xff\xfea\x00")
@settings(QUICK, max_examples=300)
def test_random_bytes(data: bytes) -> None:
    attempt(data)


WORDS = ["version: 1\n", "students:\n", "teachers:", "use", "name", "a", "no", "1.10", ".nan", "0x_"]
SIGNS = ["- ", "  ", ": ", "? ", "---\n", "...\n", "&a ", "*a", "!!python/none ", "!x ", "<<: ", *"{}[],|>'\"#%~\n\t"]
PIECES = st.sampled_from(WORDS + SIGNS)


@given(st.lists(PIECES, max_size=40))
@settings(QUICK, max_examples=400)
def test_pieces_of_yaml(pieces: list[str]) -> None:
    attempt("".join(pieces).encode())


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.sampled_from(
        ["x", "", "no", "all", "auto", "soft-labels", "lm-eval", "smollm2", "\x1b[31m", "../x", "é" * 80, "\u2028"]
    )
)
KEYS = st.sampled_from(
    ["use", "name", "of", "source", "data", "keep", "fit", "init", "distil", "samples", "int", "str", "x", "", "\n"]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
TREES = st.dictionaries(
    st.sampled_from([*yaml.safe_load(EXAMPLE), "dtype", "threads", "description", "zzz"]), VALUES, max_size=8
)


@given(TREES)
@settings(QUICK, max_examples=200)
def test_trees_that_look_like_suites(tree: dict[str, Any]) -> None:
    attempt(yaml.safe_dump(tree, allow_unicode=True).encode())


def places(tree: Any) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = []
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), tree)]
    while waiting:
        path, value = waiting.pop()
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, inner in items:
            found.append((*path, step))
            waiting.append(((*path, step), inner))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A valid suite in which a few values are replaced, removed, renamed or moved."""
    tree = copy.deepcopy(yaml.safe_load(draw(st.sampled_from([EXAMPLE, CLASSIC]))))
    for _ in range(draw(st.integers(1, 3))):
        known = places(tree)
        if not known:
            break
        *parents, last = draw(st.sampled_from(known))
        holder = tree
        for step in parents:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "remove", "rename", "copy"])):
            case "replace":
                holder[last] = draw(VALUES)
            case "remove":
                del holder[last]
            case "rename" if isinstance(holder, dict):
                holder[draw(KEYS)] = holder.pop(last)
            case _ if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
    return tree  # type: ignore[no-any-return]


@given(mutated())
@settings(QUICK, max_examples=300)
def test_mutations_of_a_valid_suite(tree: dict[str, Any]) -> None:
    attempt(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False).encode())


@given(st.sampled_from([EXAMPLE, CLASSIC]), st.integers(0), st.integers(0, 20), st.text(max_size=4))
@settings(QUICK, max_examples=300)
def test_mutations_of_the_text(text: str, where: int, length: int, new: str) -> None:
    at = where % len(text)
    attempt((text[:at] + new + text[at + length :]).encode(errors="surrogatepass"))


@given(
    st.lists(
        st.sampled_from([*yaml.safe_load(EXAMPLE), "smollm2", "drop6", "0", "9", "init", "keep", "-1", "", "zzz"]),
        max_size=5,
    ),
    st.sampled_from(["", "1", "no", "[1, 2]", "{a: 1}", "[", "&a 1", ".nan", "null", "{use: mlp}", "\0", "\ud800"]),
)
@settings(QUICK, max_examples=300)
def test_overrides(parts: list[str], value: str) -> None:
    attempt(EXAMPLE.encode(), f"{'.'.join(parts)}={value}")


def test_the_fuzz_reaches_valid_suites() -> None:
    suite = validate(Source("f", "", yaml.safe_load(EXAMPLE)))
    assert suite.name == "smollm2-quickstart"
