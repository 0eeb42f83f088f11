"""Hypothesis strategies for inputs that are nearly right: trees and texts in which a few places are wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

Path = tuple[str | int, ...]

TEXTS = [
    "", " ", "x", "no", "null", "1.10", "nan", "-inf", "1e400", "0x_", "2026-01-01", "all", "auto", "__class__",
    "../../x", "/etc/passwd", "~", "a/b", "C:\\x", "file:///etc/passwd", "https://u:p@h.invalid/?token=t", "x" * 300,
    "é" * 80, "</script><b>", "]]>", "=HYPERLINK(1)", "::error::x", "##[x]", "{{ 7*7 }}", "%s%n{0}", "\x1b[31m", "a\nb",
    "\r\n", "\t", "\0", "\u2028", "\u202e", "\ufeff", "\ufffe", "\ud800", "\U0001f600", "a.b", "*", "[a", "use", "name",
    "no such plug-in", "soft-labels", "lm-eval", "teacher", "student", "evaluate", "PASS", "ok", "measured", "cpu",
]  # fmt: skip
INTEGERS = [0, 1, -1, 2, 3, 32, 101, 1001, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**20, -(10**40), 10**400]
FLOATS = [
    0.0,
    -0.0,
    0.5,
    1.0,
    1.5,
    -1.0,
    1e-320,
    1e308,
    -1e308,
    1e15,
    0.1 + 0.2,
    float("nan"),
    float("inf"),
    -float("inf"),
]
KEYS = [
    "k" * 700,
    "use",
    "name",
    "of",
    "source",
    "data",
    "kind",
    "id",
    "n",
    "value",
    "task",
    "result",
    "x",
    "",
    "\n",
    "é",
    "a.b",
    "0",
]

SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.sampled_from(INTEGERS)
    | st.sampled_from(FLOATS)
    | st.sampled_from(TEXTS)
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
EDITS = ("replace", "replace", "kind", "kind", "remove", "rename", "repeat", "move", "bury", "grow")
DEPTHS = (1, 2, 33, 150)


def places(tree: Any) -> list[Path]:
    """Every place inside a tree, but for the top."""
    found: list[Path] = []
    waiting: list[tuple[Path, Any]] = [((), tree)]
    while waiting:
        path, value = waiting.pop()
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, inner in items:
            found.append((*path, step))
            waiting.append(((*path, step), inner))
    return found


def at(tree: Any, path: Path) -> Any:
    """The value at a place."""
    for step in path:
        tree = tree[step]
    return tree


def slim(tree: Any, most: int = 3) -> Any:
    """A document of the same shape with short lists: a long one would take all the edits, and all the time."""
    if isinstance(tree, dict):
        return {key: slim(value, most) for key, value in tree.items()}
    if isinstance(tree, list):
        return [slim(value, most) for value in tree[:most]]
    return tree


def edit(draw: st.DrawFn, tree: Any, values: st.SearchStrategy[Any] = VALUES) -> Any:
    """Change one place of a tree that belongs to the caller; the top may be replaced, too."""
    known = places(tree)
    if not known:
        return draw(values)
    *parents, last = draw(st.sampled_from(known))
    holder = at(tree, tuple(parents))
    match draw(st.sampled_from(EDITS)):
        case "kind":
            holder[last] = draw(like(holder[last]))
        case "remove":
            del holder[last]
        case "rename" if isinstance(holder, dict):
            holder[draw(st.sampled_from([*KEYS, *map(str, holder)]))] = holder.pop(last)
        case "repeat" if isinstance(holder, list):
            holder.insert(draw(st.integers(0, len(holder))), copy.deepcopy(holder[last]))
        case "move":
            holder[last] = copy.deepcopy(at(tree, draw(st.sampled_from(known))))
        case "bury":
            holder[last] = buried(holder[last], draw(st.sampled_from(DEPTHS)), in_list=draw(st.booleans()))
        case "grow" if isinstance(holder[last], list) and holder[last]:
            holder[last] = holder[last] * draw(st.sampled_from([2, 70]))
        case "grow" if isinstance(holder[last], str):
            holder[last] = holder[last] * draw(st.sampled_from([2, 1000]))
        case _:
            holder[last] = draw(values)
    return tree


def like(value: Any) -> st.SearchStrategy[Any]:
    """Values of the same kind, which are more often allowed."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.integers(0, 9)
    if isinstance(value, float):
        return st.sampled_from([0.01, 0.5, 0.9, 0.95, 1.0, 1.2, 2.0])
    if isinstance(value, list | dict):
        return st.sampled_from([type(value)(), value])
    return st.none() | st.sampled_from(TEXTS)


def buried(value: Any, depth: int, *, in_list: bool) -> Any:
    """A value inside so many lists, or mappings."""
    for _ in range(depth):
        value = [value] if in_list else {"x": value}
    return value


@st.composite
def trees(draw: st.DrawFn, seeds: Sequence[Any], most: int = 3) -> Any:
    """One of the seeds with up to `most` places changed."""
    tree = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, most]))):
        tree = edit(draw, tree)
    return tree


@st.composite
def texts(draw: st.DrawFn, seeds: Sequence[str], tokens: Sequence[str]) -> bytes:
    """One of the seeds with spans cut, doubled and replaced, as bytes that may be no text at all."""
    data = bytearray(draw(st.sampled_from(seeds)).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        match draw(st.sampled_from(["token", "cut", "double", "bytes", "line", "tail"])):
            case "token":
                data[start:end] = draw(st.sampled_from(tokens)).encode("utf-8", "surrogatepass")
            case "cut":
                del data[start:end]
            case "double":
                data[start:start] = data[start:end] * draw(st.sampled_from([1, 2, 50]))
            case "bytes":
                data[start:start] = draw(st.binary(min_size=1, max_size=4))
            case "line":
                lines = bytes(data).split(b"\n")
                lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(lines)))
                data = bytearray(b"\n".join(lines))
            case _:
                del data[start:]
    return bytes(data)


def as_yaml(tree: Any) -> bytes:
    """A tree as YAML, whatever it holds; what YAML's writer cannot write becomes JSON, which is YAML too."""
    try:
        return yaml.dump(tree, Dumper=_Plain, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, RecursionError, ValueError):
        return as_json(tree)


def as_json(tree: Any) -> bytes:
    """A tree as JSON with NaN, infinity and numbers of any size; what is nested too deeply for its writer is cut."""
    try:
        return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except (RecursionError, ValueError):
        return b"[" * 5000


class _Plain(yaml.SafeDumper):
    """Writes values out: an anchor would be refused before anything else is looked at."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def documents(
    seeds: Sequence[Any], write: Callable[[Any], bytes], sources: Sequence[str], tokens: Sequence[str]
) -> st.SearchStrategy[bytes]:
    """Files of a format: trees that are nearly right three times of four, else texts, else bytes."""
    tree = trees(seeds).map(write)
    return st.one_of(tree, tree, tree, texts(sources, tokens), st.binary(max_size=200))
