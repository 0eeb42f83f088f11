from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.suite.load import LoadedSuite, digest_of, load_suite

from .fakes import CLASSIC, EXAMPLE, marked

Load = Callable[..., LoadedSuite]
Complaint = Callable[..., str]


def swap(old: str, new: str, text: str = EXAMPLE) -> str:
    assert old in text
    return text.replace(old, new, 1)


# --- what is accepted -----------------------------------------------------------------------------------------------


def test_the_example_loads(load: Load, tmp_path: Path) -> None:
    loaded = load(EXAMPLE)
    suite = loaded.suite
    assert loaded.directory == tmp_path
    assert loaded.text == EXAMPLE
    assert [student.name for student in suite.students] == ["int8", "drop6", "drop6-kd", "ours"]
    distil = suite.students[2].distil
    assert distil is not None
    assert distil.options == {"temperature": 1.0, "epochs": 2}
    assert distil.data.options == {"sequences": 192, "length": 96}
    assert suite.students[3].source == "./checkpoints/ours"
    assert suite.tasks[0].data == {"train": "path/to/adjunct_island.jsonl"}


def test_a_suite_without_a_language_model_loads(load: Load) -> None:
    suite = load(CLASSIC).suite
    assert suite.students[0].teachers == ["forest", "other"]
    assert suite.students[0].label == "</script><script>alert(1)</script>"
    assert suite.measure == {"latency": {}, "memory": {}}


def test_the_directory_is_that_of_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "s.yaml").write_text(EXAMPLE)
    monkeypatch.chdir(tmp_path)
    assert load_suite("deep/s.yaml").directory == tmp_path / "deep"


def test_the_digest_is_that_of_the_meaning(load: Load) -> None:
    loaded = load(EXAMPLE)
    assert load("# a comment\n" + EXAMPLE.replace("{keep: 24", "{keep:   24")).digest == loaded.digest
    assert load(swap("dtype: auto", "", EXAMPLE + "dtype: auto\n")).digest == loaded.digest
    assert load(swap("keep: 24", "keep: 23")).digest != loaded.digest
    document = json.dumps(
        loaded.suite.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert loaded.digest == digest_of(loaded.suite) == hashlib.sha256(document.encode()).hexdigest()


# --- acceptance rows 4 to 8, 12 and 13 ------------------------------------------------------------------------------

FAULTS = [
    # row 4: unknown keys, at every level
    ("students:", "«studnets:", "unknown key 'studnets'; did you mean 'students'?"),
    ("quantise:", "«quantize:", "unknown key 'quantize'; did you mean 'quantise'?"),
    ("task_floor", "«taskfloor", "unknown key 'taskfloor'; did you mean 'task_floor'?"),
    ("keep: 24", "«kep: 24", "unknown key 'kep'; did you mean 'keep'?"),
    ("batch_sizes", "«batchsizes", "unknown key 'batchsizes'; did you mean 'batch_sizes'?"),
    ('source: "pypi', '«sorce: "pypi', "unknown key 'sorce'; did you mean 'source'?"),
    ("data: {use: teacher", "«dta: {use: teacher", "unknown key 'dta'; did you mean 'data'?"),
    ("epochs: 2", "epochs: 2, «zzz: 1", "unknown key 'zzz'"),
    # missing keys, with the typo where the schema cannot know one
    ("version: 1\n", "«", "missing key 'version'"),
    ("name: drop6-kd", "«label: kd", "missing key 'name'"),
    ("{use: int8-dynamic}", "«{ues: int8-dynamic}", "missing key 'use'; is 'ues' meant to be 'use'?"),
    ("{use: teacher-sampled, sequences: 192", "«{use: teacher-sampled", "missing key 'sequences'"),
    # row 6: types
    ("samples: 200", "samples: «ten", "expected integer or 'all', got string 'ten'"),
    ("samples: 200", "samples: «true", "expected integer or 'all', got true"),
    ("samples: 200", "samples: «'200'", "expected integer or 'all', got string '200'; leave the quotes out"),
    ("seed: 0", 'seed: «"ten"', "expected integer, got string 'ten'"),
    ("seed: 0", "seed: «true", "expected integer, got true"),
    ("seed: 0", "seed: «1.0", "expected integer, got number 1.0"),
    ("epochs: 2", "epochs: «true", "expected integer, got true"),
    ("epochs: 2", "epochs: «''", "expected integer, got string ''"),
    ("epochs: 2", "epochs: «null", "expected integer, got null"),
    ("keep: 24", "keep: [1, «x]", "expected integer, got string 'x'"),
    ("temperature: 1.0", "temperature: «hot", "expected number, got string 'hot'"),
    ("temperature: 1.0", "temperature: «1e-4", "got string '1e-4'; YAML wants a point and a sign: 1.0e-4"),
    ("memory: {}", "memory: «3", "expected mapping, got integer 3"),
    ("init: {use: layer-drop, keep: 24}", "init: «layer-drop", "expected mapping, got string 'layer-drop'"),
    ("name: drop6-kd", "name: drop6-kd\n    required: «1", "expected true or false, got integer 1"),
    # row 7: ranges
    ("samples: 200", "samples: «0", "must be at least 1, got 0"),
    ("samples: 200", "samples: «-1", "must be at least 1, got -1"),
    ("temperature: 1.0", "temperature: «0", "must be greater than 0, got 0"),
    ("temperature: 1.0", "temperature: «.nan", "must be a finite number, got .nan"),
    ("temperature: 1.0", "temperature: «.inf", "must be a finite number, got .inf"),
    ("batch_sizes: [1, 8]", "batch_sizes: [1, «.nan]", "must be a finite number, got .nan"),
    ("train: path/to/adjunct_island.jsonl", "train: «-.inf", "must be a finite number, got -.inf"),
    ("gate: {", "gate: {alpha: «1.5, ", "must be less than 0.5, got 1.5"),
    ("retained: 0.95", "retained: «3", "must be at most 2, got 3"),
    ("batch_sizes: [1, 8]", "batch_sizes: «[]", "must have at least 1 entry, got 0"),
    # row 8: what YAML makes of unquoted text
    ("version: 1", "version: «1.10", "expected 1, got number 1.1, as YAML reads 1.10; quote the value"),
    ("version: 1", "version: «'1'", "expected 1, got string '1'; leave the quotes out"),
    ("version: 1", "version: «2", "expected 1, got integer 2"),
    ("seed: 0", "dtype: «no", "got false, as YAML reads no; quote the value: 'no'"),
    ("seed: 0", "dtype: «flaot32", "got string 'flaot32'; did you mean 'float32'?"),
    (
        "name: smollm2-q",
        "name: «1.10 #",
        "expected string, got number 1.1, as YAML reads 1.10; quote the value: '1.10'",
    ),
    ("name: smollm2-q", "name: «007 #", "got integer 7, as YAML reads 007; quote the value: '007'"),
    ("name: smollm2-q", "name: «null #", "expected string, got null; quote the value: 'null'"),
    ("use: soft-labels", "use: «on", "expected string, got true, as YAML reads on; quote the value: 'on'"),
    # row 13: names
    ("name: int8,", "name: «../../x,", "expected letters, digits and . _ + -"),
    ("name: int8,", "name: «a/b,", "expected letters, digits and . _ + -"),
    ("name: int8,", f"name: «{'x' * 300},", "at most 64 characters"),
    ("name: smollm2-q", "name: «-x", "a letter or digit first"),
    ("  smollm2: {", "  «a/b: {", "expected letters, digits and . _ + -"),
    ("name: blimp_adjunct_island", "name: «a b", "expected letters, digits and . _ + , : / -"),
    (
        "device: auto",
        "device: «gpu",
        "expected 'auto', 'cpu', 'cuda', 'cuda:N' or 'cuda:GPU-…' (the beginning of a UUID), got string 'gpu'",
    ),
]


@pytest.mark.parametrize(("old", "new", "core"), FAULTS)
def test_faults_have_a_position_and_plain_words(complaint: Complaint, old: str, new: str, core: str) -> None:
    text, position = marked(EXAMPLE, old, new)
    message = complaint(text)
    assert message.startswith(f"s.yaml:{position}: ")
    assert core in message
    for jargon in ("Input should", "Field required", "Extra inputs", "valid ", "pydantic", "constrained"):
        assert jargon not in message


@pytest.mark.parametrize("students", ["", "students:\n", "students: []\n"])
def test_no_students(complaint: Complaint, students: str) -> None:
    text = "version: 1\nname: x\nteachers: {t: {use: mlp, source: x}}\nmeasure: {memory: {}}\n" + students
    line = "5:" if students else "1:1"
    message = complaint(text)
    assert message.startswith(f"s.yaml:{line}")
    assert message.endswith("nothing to compare: the suite has no students")


def test_the_first_fault_by_position_is_reported_and_the_others_counted(complaint: Complaint) -> None:
    text = swap("epochs: 2", "epochs: two")
    text = swap("seed: 0", "seed: zero", text)
    text = swap("use: int8-dynamic", "use: int4", text)
    text = swap("of: smollm2, init", "of: smol, init", text)
    assert complaint(text) == "s.yaml:3:7: expected integer, got string 'zero' (and 3 more)"


def test_a_typo_is_one_fault(complaint: Complaint) -> None:
    assert complaint(swap("teachers:", "teacers:")).startswith("s.yaml:5:1: unknown key 'teacers'; did you mean")
    two = swap("tasks:", "taks:", swap("measure:", "mesure:"))
    assert complaint(two).endswith("unknown key 'taks'; did you mean 'tasks'? (and 1 more)")


def test_a_message_is_short_and_shows_no_control_characters(complaint: Complaint) -> None:
    assert len(complaint(swap("name: int8,", f"name: {'x' * 100_000},"))) < 250
    assert len(complaint(swap("keep:", f"{'k' * 1000}: 1, keep:"))) < 250
    assert "\x1b" not in complaint(swap("name: int8,", 'name: "\\e[31m",'))
    assert "\x1b" not in complaint(swap("keep:", '"\\e[31m": 1, keep:'))


def test_more_entries_than_anybody_could_run(complaint: Complaint) -> None:
    text = EXAMPLE.replace("tasks:\n", "tasks:\n" + "  - {}\n" * 1001)
    assert "tasks may have at most 1000 entries, got 1002" in complaint(text)


def test_refused_input_is_no_usage_error(load: Load) -> None:
    with pytest.raises(RefusedError, match=r"s.yaml:1:10: tag not allowed"):
        load(swap("version: 1", "version: !!python/object/apply:os.system [x]"))


def test_a_plugin_whose_package_is_missing_is_a_fault_of_the_environment_unless_the_suite_is_wrong(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distbench import plugins

    def options_type(group: str, name: str) -> None:
        raise EnvironmentFault(f"{group} {name} needs an extra")

    monkeypatch.setattr(plugins, "options_type", options_type)
    with pytest.raises(EnvironmentFault, match=r"s.yaml:6:18: models hf-causal needs an extra \(and \d+ more\)"):
        load(EXAMPLE)
    with pytest.raises(UsageError, match=r"s.yaml:20:18: expected number"):
        load(swap("retained: 0.95", "retained: x"))
