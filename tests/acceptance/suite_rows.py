"""Rows about what a suite file says. Most need no model: the one they name is never looked for."""

from __future__ import annotations

from collections.abc import Callable

from tests.acceptance.row import RUN, Make, Place, Row

SUITE = """\
version: 1
name: small
device: cpu
threads: 1
teachers:
  big: {use: hf-causal, source: ./model}
students:
  - name: drop
    of: big
    init: {use: layer-drop, keep: 2}
    distil: {use: soft-labels, temperature: 2.0, data: {use: teacher-sampled, sequences: 8, length: 16}}
tasks:
  - {use: lm-eval, name: distbench_facts, samples: 8}
gate: {retained: 0.9}
"""
HIDDEN = "distil: {use: combined, losses: [{use: labels, weight: 0.5}], "


def swap(old: str, new: str) -> Make:
    """Write the suite with one text replaced."""

    def make(place: Place) -> None:
        assert old in SUITE, old
        place.write("suite.yaml", SUITE.replace(old, new, 1))

    return make


def whole(content: str | bytes | Callable[[], str]) -> Make:
    """Write another file in place of the suite."""
    return lambda place: place.write("suite.yaml", content() if callable(content) else content)


def row(number: int, name: str, make: Make, core: str | tuple[str, ...], exit: int = 2, **more: object) -> Row:  # noqa: A002
    """Return a row that a suite file alone decides: 2 unless it says another exit code."""
    return Row(number, name, make, exit, core, **more)  # type: ignore[arg-type]


def _laughs(*, merge: bool = False) -> str:
    lines = ["a0: &a0 {x: 1}" if merge else "a0: &a0 [lol, lol, lol, lol]"]
    for index in range(1, 30):
        twice = f"*a{index - 1}, *a{index - 1}"
        lines.append(f"a{index}: &a{index} " + (f"{{<<: [{twice}]}}" if merge else f"[{twice}]"))
    return "\n".join(lines)


def _folder(place: Place) -> None:
    (place.folder / "folder").mkdir()


NOTHING: Make = lambda place: None  # noqa: E731 - the shortest builder
SECOND = "  - {name: drop, of: big, init: {use: layer-drop, keep: 3}}\ntasks:"
TAG = "name: !!python/object/apply:os.system ['touch RAN']"

READING = [
    row(1, "missing file", NOTHING, ("nowhere.yaml", "working directory"), argv=("run", "nowhere.yaml"), process=True),
    row(1, "a directory", _folder, ("'folder': is a directory", "working directory"), argv=("run", "./folder")),
    row(1, "a file that is none, validated", NOTHING, "nowhere", argv=("suites", "validate", "nowhere")),
    row(1, "a file that is none, planned", NOTHING, "nowhere", argv=("plan", "nowhere")),
    row(2, "empty file", whole(""), "empty suite"),
    row(2, "only a comment", whole("# later\n"), "empty suite"),
    row(2, "a list", whole("- a\n"), "suite.yaml:1:1: expected a mapping, got list"),
    row(2, "a text", whole("hello\n"), "suite.yaml:1:1: expected a mapping, got string"),
    row(3, "tab indentation", swap("  big:", "\tbig:"), "suite.yaml:6:1: tab not allowed"),
    row(3, "syntax error", swap("{use: hf-causal", "{use: hf-causal: x"), "suite.yaml:6:23: invalid YAML"),
    row(3, "a bracket that is never closed", swap("./model}", "./model"), "suite.yaml:7:9: invalid YAML"),
    row(
        4,
        "unknown key",
        swap("students:", "studnets:"),
        "suite.yaml:7:1: unknown key 'studnets'; did you mean 'students'?",
    ),
    row(
        4, "unknown key inside", swap("keep: 2", "kep: 2"), "suite.yaml:10:29: unknown key 'kep'; did you mean 'keep'?"
    ),
    row(5, "duplicate key", swap("device: cpu", "device: cpu\ndevice: cpu"), ("suite.yaml:4:1", "line 3")),
    row(5, "duplicate key inside", swap("keep: 2", "keep: 2, keep: 3"), ("suite.yaml:10:38", "line 10")),
    row(
        6,
        "text for an integer",
        swap("samples: 8", 'samples: "ten"'),
        "suite.yaml:13:52: expected integer or 'all', got string 'ten'",
    ),
    row(6, "true for an integer", swap("samples: 8", "samples: true"), "expected integer or 'all', got true"),
    row(7, "0 samples", swap("samples: 8", "samples: 0"), "suite.yaml:13:52: must be at least 1"),
    row(7, "-1 samples", swap("samples: 8", "samples: -1"), "must be at least 1"),
    row(7, "temperature 0", swap("temperature: 2.0", "temperature: 0"), "suite.yaml:11:45: must be at least 0.05"),
    row(7, "temperature .nan", swap("temperature: 2.0", "temperature: .nan"), "must be a finite number"),
    row(7, "temperature .inf", swap("temperature: 2.0", "temperature: .inf"), "must be a finite number"),
    row(7, "alpha 1.5", swap("gate: {", "gate: {alpha: 1.5, "), "suite.yaml:14:15: must be less than 0.5"),
    row(7, "a share above 1", swap("gate: {", "gate: {max_negative_flips: 1.5, "), "must be at most 1"),
    row(8, "version 1.10", swap("version: 1", "version: 1.10"), ("suite.yaml:1:10", "quote the value")),
    row(8, "dtype no", swap("device: cpu", "device: cpu\ndtype: no"), ("suite.yaml:4:8", "quote the value")),
    row(8, "a name that is a number", swap("name: small", "name: 12"), ("suite.yaml:2:7", "quote the value")),
    row(10, "a Python object", swap("name: small", TAG), "suite.yaml:2:7: tag not allowed", 6, process=True),
    row(10, "a Python object as key", whole("!!python/name:os.system a: 1\n"), "suite.yaml:1:1: tag not allowed", 6),
    row(11, "not UTF-8", whole(SUITE.encode() + b"# \xff\n"), "not UTF-8 text: byte 0xff at byte offset"),
    row(11, "UTF-16", whole(SUITE.encode("utf-16")), "at byte offset 0"),
    row(11, "a NUL byte", whole(SUITE.encode() + b"#\x00\n"), "NUL byte at byte offset"),
    row(12, "no students", swap(SUITE[SUITE.index("students:") : SUITE.index("tasks:")], ""), "nothing to compare"),
    row(
        12,
        "an empty list of students",
        swap(SUITE[SUITE.index("students:") : SUITE.index("tasks:")], "students: []\n"),
        "nothing to compare",
    ),
    row(
        12,
        "a student that is the teacher",
        swap(SUITE[SUITE.index("    init:") : SUITE.index("tasks:")], ""),
        "nothing to compare: student 'drop'",
    ),
    row(
        13,
        "two of one name",
        swap("tasks:", SECOND),
        ("suite.yaml:12:12", "two students are named 'drop' (lines 8 and 12)"),
    ),
    row(13, "a name that leaves the folder", swap("name: drop", "name: ../../x"), ("suite.yaml:8:11", "letters")),
    row(13, "a name with a slash", swap("name: drop", "name: a/b"), ("suite.yaml:8:11", "letters")),
    row(13, "a name of 300 characters", swap("name: drop", f"name: {'x' * 300}"), ("suite.yaml:8:11", "64")),
    row(15, "unknown task", swap("distbench_facts", "helaswag"), ("unknown lm-eval task 'helaswag'", "hellaswag, ")),
    row(
        15,
        "unknown metric in a gate",
        swap("retained: 0.9", "retaind: 0.9"),
        "suite.yaml:14:8: unknown key 'retaind'; did you mean 'retained'?",
    ),
    row(
        15,
        "unknown task in a gate",
        swap("retained: 0.9", "tasks: {distbench_fact: {floor: 0.8}}"),
        "did you mean 'distbench_facts'?",
    ),
]

BOMBS: dict[str, Callable[[], str]] = {
    "billion laughs": _laughs,
    "merge-key bomb": lambda: _laughs(merge=True),
    "10 MB": lambda: "a: " + "x" * 10_000_000,
    "20,000 nested lists": lambda: "[" * 20_000 + "]" * 20_000,
    "20,000 nested mappings": lambda: "{a: " * 20_000,
    "half a million values": lambda: "a: [" + "1," * 500_000 + "]",
    "70,000 directives": lambda: "".join(f"%TAG !{n:x}! x\n" for n in range(70_000)) + "---\na: 1",
}
SIZES = [row(9, name, whole(content), "suite.yaml") for name, content in BOMBS.items()]

FLAGS = [
    row(1, "no suite at all", NOTHING, "--teacher", argv=("run",)),
    row(4, "an unknown key in --set", whole(SUITE), "studnets", argv=(*RUN, "--set", "studnets.drop.name=x")),
    row(4, "an unknown option", whole(SUITE), "--ouput", argv=("run", "suite.yaml", "--ouput", "x")),
    row(4, "an unknown command", NOTHING, "frobnicate", argv=("frobnicate",)),
]
ROWS = [*READING, *SIZES, *FLAGS]
