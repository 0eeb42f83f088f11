from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import DistbenchError, ExitCode, Position, RefusedError, UsageError
from distbench.suite.yaml_source import MAX_BYTES, parse_bytes, parse_text, read_source
from distbench.suite.yaml_tree import MAX_DEPTH, MAX_NODES

from .fakes import EXAMPLE


def fault(data: str | bytes) -> DistbenchError:
    with pytest.raises(DistbenchError) as caught:
        parse_bytes(data.encode() if isinstance(data, str) else data, "f.yaml")
    assert "\n" not in str(caught.value)
    return caught.value


def at(error: DistbenchError) -> tuple[int | None, int | None]:
    assert error.at is not None
    assert error.at.file == "f.yaml"
    return error.at.line, error.at.column


# --- what is read ---------------------------------------------------------------------------------------------------


def test_scalars_resolve_as_yaml_1_1_does_and_dates_stay_strings() -> None:
    text = "a: [no, On, 1.10, 10, 0x1F, 1_000, ~, null, '1', text, 2024-01-31, 1e-4, 1.0e-4, 12:30, =, .5]"
    assert parse_text(text, "f").tree["a"] == [
        *(False, True, 1.1, 10, 31, 1000, None, None, "1"),
        *("text", "2024-01-31", "1e-4", 1.0e-4, 750, "=", 0.5),
    ]


def test_the_text_of_an_unquoted_scalar_that_is_no_string_is_kept() -> None:
    assert parse_text("a: no\nb: [1.10, 'no', x]", "f").plain == {("a",): "no", ("b", 0): "1.10"}


def test_a_number_of_absurd_length_is_a_string() -> None:
    digits = "1" * 100_000
    assert parse_text(digits, "f").tree == digits


def test_positions_of_nested_keys_and_values() -> None:
    source = parse_bytes(EXAMPLE.encode(), "f.yaml")
    lines = EXAMPLE.splitlines()

    def place(line: int, text: str) -> Position:
        return Position("f.yaml", line, lines[line - 1].index(text) + 1)

    assert source.position(("version",)) == Position("f.yaml", 1, 10)
    assert source.key_position(("teachers", "smollm2")) == Position("f.yaml", 6, 3)
    assert source.position(("teachers", "smollm2")) == place(6, "{use")
    assert source.position(("students", 1, "init", "keep")) == place(9, "24")
    assert source.key_position(("students", 1, "init", "keep")) == place(9, "keep")
    assert source.position(("students", 2)) == Position("f.yaml", 10, 5)
    assert source.position(("students", 2, "distil", "data", "length")) == place(13, "96")
    assert source.position(("measure", "latency", "batch_sizes", 1)) == place(18, "8]")


def test_positions_count_characters_not_bytes() -> None:
    source = parse_bytes("ä: {ö: 1, ü: 2}".encode(), "f.yaml")
    assert source.key_position(("ä", "ü")) == Position("f.yaml", 1, 11)


def test_what_is_absent_stands_where_its_mapping_stands() -> None:
    source = parse_bytes(b"a: 1\nb:\n  c: {d: 1}\n", "f.yaml")
    assert source.position(("b", "c", "nothing", "at", "all")) == Position("f.yaml", 3, 6)
    assert source.key_position(("b", "nothing")) == Position("f.yaml", 3, 3)


def test_every_value_has_a_position() -> None:
    source = parse_bytes(EXAMPLE.encode(), "f.yaml")
    waiting: list[tuple[Any, Any]] = [((), source.tree)]
    while waiting:
        path, value = waiting.pop()
        assert path in source.positions
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*path, step), each) for step, each in items]


def test_a_byte_order_mark_and_one_explicit_document_are_fine() -> None:
    source = parse_bytes("\ufeff---\na: 1\n...\n# end\n".encode(), "f.yaml")
    assert source.tree == {"a": 1}
    assert source.position(("a",)) == Position("f.yaml", 2, 4)


def test_windows_line_ends() -> None:
    assert parse_bytes(b"a: 1\r\nb: 2\r\n", "f").positions["b",] == Position("f", 2, 4)


def test_an_empty_text_is_null() -> None:
    assert parse_text("", "--set a=").tree is None


# --- acceptance rows 1 to 3 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "core"), [("nope.yaml", "no such suite file"), ("folder", "is a directory"), ("f/x", "no such suite file")]
)
def test_missing_file_and_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, core: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("f").touch()
    with pytest.raises(UsageError, match=core) as caught:
        read_source(Path(name))
    assert name in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_path_with_a_nul_byte_is_no_file() -> None:
    with pytest.raises(UsageError, match="no such suite file"):
        read_source(Path("a\0b"))


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "null", "~\n", "\ufeff"])
def test_empty(text: str) -> None:
    assert fault(text).message == "empty suite"


@pytest.mark.parametrize(
    ("text", "got"), [("- 1", "list"), ("[]", "list"), ("text", "string 'text'"), ("3", "integer 3"), ("no", "false")]
)
def test_the_top_must_be_a_mapping(text: str, got: str) -> None:
    error = fault(text)
    assert error.message == f"expected a mapping, got {got}"
    assert at(error) == (1, 1)


@pytest.mark.parametrize(
    ("text", "core", "position"),
    [
        ("a:\n\tb: 1\n", "tab not allowed", (2, 1)),
        ("a:\n  b: 1\n\tc: 1\n", "tab not allowed", (3, 1)),
        ("a: [1,\n", "invalid YAML", (2, 1)),
        ("a: b: c\n", "mapping values are not allowed", (1, 5)),
        ("a: 1\n b: 2\n", "invalid YAML", (2, 3)),
        ("a: 1\nb: 'x\n\n", "in what begins on line 2", (4, 1)),
        ("a: @x", "invalid YAML", (1, 4)),
        ('a: "\\q"', "unknown escape", (1, 5)),
        ("a: {b: 1} c", "invalid YAML", (1, 11)),
        ("{a: 1} b", "text after the end", (1, None)),
    ],
)
def test_syntax_errors_name_line_and_column(text: str, core: str, position: tuple[int, int]) -> None:
    error = fault(text)
    assert error.exit_code is ExitCode.USAGE
    assert core in error.message
    assert at(error) == position


# --- acceptance rows 5, 9, 10, 11: what is refused ------------------------------------------------------------------


def test_duplicate_keys_name_both_lines() -> None:
    error = fault("a: 1\nb:\n  c: 1\n  d: 2\n  'c': 3\n")
    assert error.message == "duplicate key 'c' (first on line 3)"
    assert at(error) == (5, 3)


@pytest.mark.parametrize(
    ("text", "core", "position"),
    [
        ("a: &x 1", "anchors are not allowed (&x)", (1, 4)),
        ("a: 1\nb: *x", "aliases are not allowed (*x)", (2, 4)),
        ("&k a: 1", "anchors are not allowed (&k)", (1, 1)),
        ("*k : 1", "aliases are not allowed (*k)", (1, 1)),
        ("a:\n  <<: {b: 1}", "merge keys are not allowed", (2, 3)),
        ("1: a", "expected a string as key, got integer 1; quote the key: '1'", (1, 1)),
        ("a: {no: 1}", "expected a string as key, got false; quote the key: 'no'", (1, 5)),
        ("~: 1", "expected a string as key, got null", (1, 1)),
        ("? [a]\n: 1", "expected a string as key, got list", (1, 3)),
        ("? {a: 1}\n: 1", "expected a string as key, got mapping", (1, 3)),
        ("a: 1\n---\nb: 1", "multiple documents", (2, None)),
        ("a: 1\n...\n# x\r---\rb: 1", "multiple documents", (4, None)),
        ("%YAML 1.1\n---\na: 1", "directives", (1, 1)),
        ("a: 1\n...\n%TAG ! x\n---\na: 1", "directives", (3, 1)),
        ("a: 0x_", "expected a number or a quoted string", (1, 4)),
        ('a: "\\0"', "NUL or a surrogate", (1, 4)),
        ("a: !!str 1", "tag not allowed: '!!str'; quote the value", (1, 4)),
        ("a: !!map {}", "tag not allowed: '!!map'", (1, 4)),
    ],
)
def test_what_yaml_offers_and_a_suite_does_not_take(text: str, core: str, position: tuple[int, int]) -> None:
    error = fault(text)
    assert error.exit_code is ExitCode.USAGE
    assert core in error.message
    assert at(error) == position


def test_a_quoted_merge_key_is_a_key() -> None:
    assert parse_bytes(b"'<<': 1", "f").tree == {"<<": 1}


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system",
        "!!python/name:os.system",
        "!!binary",
        "!!set",
        "!foo",
        "!",
        "!<tag:x.org,1:y>",
    ],
)
@pytest.mark.parametrize("value", ["x", "[touch marker]", "{a: 1}"])
def test_foreign_tags_are_refused_with_their_line(tag: str, value: str) -> None:
    error = fault(f"a: 1\nb: {tag} {value}\n")
    assert isinstance(error, RefusedError)
    assert error.exit_code is ExitCode.REFUSED
    assert "tag not allowed" in error.message
    assert at(error) == (2, 4)


def test_a_foreign_tag_on_a_key_is_refused() -> None:
    assert isinstance(fault("!!python/name:os.system a: 1"), RefusedError)


@pytest.mark.parametrize(
    ("data", "core", "position"),
    [
        (b"a: 1\nb: \xff", "byte 0xff at byte offset 8", (2, 4)),
        ("ä: ".encode() + b"\xc3(", "byte 0xc3 at byte offset 4", (1, 4)),
        ("a: 1".encode("utf-16"), "not UTF-8 text: byte 0xff at byte offset 0", (1, 1)),
        (b"a: 1\nb: \0", "NUL byte at byte offset 8", (2, 4)),
        ("ä: \0".encode(), "NUL byte at byte offset 4", (1, 4)),
        (b"a: \x07", "control character U+0007 at byte offset 3", (1, 4)),
        ("\ufeffa: \x07".encode(), "control character U+0007 at byte offset 6", (1, 4)),
        ("a: x\ufeffy".encode(), "control character U+FEFF at byte offset 4", (1, 5)),
    ],
)
def test_bytes_that_are_no_text_name_their_offset(data: bytes, core: str, position: tuple[int, int]) -> None:
    error = fault(data)
    assert error.exit_code is ExitCode.USAGE
    assert core in error.message
    assert at(error) == position


def test_depth_and_number_of_values_end_where_they_say() -> None:
    deep = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert parse_bytes(deep.encode(), "f").tree
    assert "nested deeper than 32 levels" in fault("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH).message
    many = "a: [" + "1," * (MAX_NODES - 3) + "]"  # the mapping, the key and the list count too
    assert len(parse_bytes(many.encode(), "f").tree["a"]) == MAX_NODES - 3
    assert "more than 50000 values" in fault(many.replace("[", "[1,")).message


def test_size_ends_at_one_mebibyte() -> None:
    assert parse_bytes(b"a: 1\n#" + b"x" * (MAX_BYTES - 6), "f").tree == {"a": 1}
    assert "at most 1 MiB" in fault(b"a: 1\n#" + b"x" * (MAX_BYTES - 5)).message


def laughs(merge: bool = False) -> str:
    lines = ["a0: &a0 {x: 1}" if merge else "a0: &a0 [lol, lol, lol, lol]"]
    for index in range(1, 30):
        twice = f"*a{index - 1}, *a{index - 1}"
        lines.append(f"a{index}: &a{index} " + (f"{{<<: [{twice}]}}" if merge else f"[{twice}]"))
    return "\n".join(lines)


ATTACKS: dict[str, Callable[[], str]] = {
    "billion laughs": laughs,
    "merge bomb": lambda: laughs(merge=True),
    "merge bomb without anchors": lambda: "a: {<<: {<<: {<<: {b: 1}}}}",
    "20,000 nested lists": lambda: "[" * 20_000 + "]" * 20_000,
    "20,000 nested lists, never closed": lambda: "[" * 20_000,
    "20,000 nested block lists": lambda: "- " * 20_000,
    "20,000 nested mappings": lambda: "{a: " * 20_000,
    "20,000 explicit keys": lambda: "? " * 20_000,
    "10 MB": lambda: "a: " + "x" * 10_000_000,
    "70,000 directives": lambda: "".join(f"%TAG !{n:x}! x\n" for n in range(70_000)) + "---\na: 1",
    "directives of a second document": lambda: "a: 1\n...\n" + "".join(f"%TAG !{n:x}! x\n" for n in range(70_000)),
    "too many values": lambda: "a: [" + "1," * 500_000 + "]",
    "too many anchors": lambda: "".join(f"- &a{n} 1\n" for n in range(80_000)),
    "a key of a million characters": lambda: "k" * 1_000_000 + ": 1",
    "a million line breaks in quotes": lambda: "a: '" + "\n" * 1_000_000 + "'\nb: [",
    "a long tag": lambda: "a: !<" + "x" * 1_000_000 + "> 1",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused_quickly_in_little_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "attack.yaml"
    path.write_text(ATTACKS[name]())
    seconds = []
    for _ in range(2):  # CPU seconds, and the better of two: these tests share their cores with others
        started = time.process_time()
        with pytest.raises(DistbenchError):
            read_source(path)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.5
    tracemalloc.start()
    try:
        with pytest.raises(DistbenchError):
            read_source(path)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_the_largest_file_that_is_allowed_is_read_quickly() -> None:
    text = "".join(f"key{index}: [1.5, yes, text]\n" for index in range(9_999))
    started = time.process_time()
    assert len(parse_bytes(text.encode(), "f").tree) == 9_999
    assert time.process_time() - started < 10.0  # a tenth of it here; quadratic work would take minutes


def test_without_the_c_parser_the_result_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    from distbench.suite import yaml_source

    def outcomes(texts: list[str]) -> list[object]:
        found: list[object] = []
        for text in texts:
            try:
                source = parse_bytes(text.encode(), "f")
                found.append((source.tree, source.positions, source.plain))
            except DistbenchError as error:
                found.append((type(error), error.at and error.at.line))
        return found

    dice = random.Random(1)
    texts = [EXAMPLE, "a: &x 1", "a: !!python/none", "a:\n\tb: 1", "a: 1\n---\nb: 1", '"\\0": 1']
    texts += ["".join(dice.sample(EXAMPLE.splitlines(keepends=True), 12)) for _ in range(20)]
    with_c = outcomes(texts)
    monkeypatch.setattr(yaml_source, "_LOADER", yaml.SafeLoader)
    assert outcomes(texts) == with_c
