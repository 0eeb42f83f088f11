from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import yaml
from jsonschema import Draft202012Validator

from distbench.schema.strict import NAME_PATTERN
from distbench.schema.suite import StudentSpec
from distbench.suite.load import LoadedSuite
from distbench.suite.schema_export import suite_schema

from .fakes import marked

SUITE = """\
version: 1
name: x
teachers:
  t: {use: hf-causal, source: ./t}
students:
  - name: kd
    of: t
    init: {use: layer-drop, keep: 24}
    distil:
      use: soft-labels
      temperature: 2.0
      data: {use: teacher-sampled, sequences: 100}
measure: {memory: {}}
"""
Load = Callable[..., LoadedSuite]


def students(load: Load, *changes: tuple[str, str]) -> list[StudentSpec]:
    text = SUITE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return list(load(text).suite.students)


def test_a_list_where_one_value_is_wanted_is_a_student_for_each(load: Load) -> None:
    found = students(load, ("temperature: 2.0", "temperature: [1, 2.0, 4]"))
    assert [each.name for each in found] == ["kd-temperature1", "kd-temperature2.0", "kd-temperature4"]
    assert [each.distil.options["temperature"] for each in found if each.distil] == [1, 2.0, 4]
    assert found[0].label == "kd, temperature 1"
    assert found[0].study is not None
    assert (found[0].study.name, found[0].study.at) == ("kd", {"temperature": 1})


def test_several_lists_are_a_product_in_a_fixed_order(load: Load) -> None:
    found = students(
        load, ("sequences: 100", "sequences: [10, 100]"), ("temperature: 2.0", "temperature: [1.0, 2.0]"),
        ("keep: 24", "keep: [[0, 29], [0, 15, 29], 24]"),
    )  # fmt: skip
    assert len({each.name for each in found}) == len(found) == 12
    assert found[0].name == "kd-keep0x29-temperature1.0-sequences10"
    assert found[-1].name == "kd-keep24-temperature2.0-sequences100"
    assert all(each.study and list(each.study.at) == ["keep", "temperature", "sequences"] for each in found)


def test_a_list_that_the_option_takes_is_a_value(load: Load) -> None:
    (one,) = students(load, ("keep: 24", "keep: [0, 29]"))
    assert (one.name, one.study) == ("kd", None)
    assert one.init is not None
    assert one.init.options == {"keep": [0, 29]}


def test_a_grid_of_lists_is_a_list_of_lists(load: Load) -> None:
    found = students(load, ("{use: layer-drop, keep: 24}", "{use: mlp, hidden: [[8], [16, 8]]}"))
    assert [each.name for each in found] == ["kd-hidden8", "kd-hidden16x8"]


def test_methods_vary_and_each_gets_the_options_that_it_has(load: Load) -> None:
    found = students(
        load, ("use: soft-labels", "use: [soft-labels, hard-labels]"), ("temperature: 2.0", "temperature: [1.0, 2.0]")
    )
    assert [each.name for each in found] == [
        "kd-soft-labels-temperature1.0",
        "kd-soft-labels-temperature2.0",
        "kd-hard-labels",
    ]
    assert found[2].distil is not None
    assert found[2].distil.options == {}
    assert found[2].study is not None
    assert found[2].study.at == {"method": "hard-labels"}


def test_one_value_in_a_list_is_a_grid_of_one(load: Load) -> None:
    """So that a second value does not rename the first."""
    (one,) = students(load, ("temperature: 2.0", "temperature: [2.0]"))
    assert one.name == "kd-temperature2.0"


def test_null_in_a_grid_is_the_default(load: Load) -> None:
    found = students(
        load, ("use: hf-causal, source: ./t", "use: mlp, source: ./t"),
        ("{use: teacher-sampled, sequences: 100}", "{use: sklearn-digits, test_share: [0.1, 0.2]}"),
        ("{use: layer-drop, keep: 24}", "{use: mlp}"),
    )  # fmt: skip
    assert [each.name for each in found] == ["kd-test_share0.1", "kd-test_share0.2"]


def test_a_long_name_stays_a_unique_name(load: Load) -> None:
    found = students(
        load, ("name: kd", "name: " + "k" * 60), ("temperature: 2.0", "temperature: [1.0, 2.0]"),
        ("sequences: 100", "sequences: [10, 100]"),
    )  # fmt: skip
    assert len({each.name for each in found}) == 4
    assert all(re.fullmatch(NAME_PATTERN, each.name) for each in found)


def test_label_and_study_of_the_suite_stay(load: Load) -> None:
    (one, _) = students(
        load, ("name: kd", "name: kd\n    label: Ours\n    study: {name: sizes, at: {size: 6}}"),
        ("temperature: 2.0", "temperature: [1.0, 2.0]"),
    )  # fmt: skip
    assert one.label == "Ours, temperature 1.0"
    assert one.study is not None
    assert (one.study.name, one.study.at) == ("sizes", {"size": 6, "temperature": 1.0})


def test_seeds_and_controls_are_lists_of_their_own(load: Load) -> None:
    (one,) = students(load, ("temperature: 2.0", "seeds: [3, 5]\n      control: [no-teacher, untrained]"))
    assert one.distil is not None
    assert one.distil.training_seeds(0) == [3, 5]
    assert one.distil.controls == ("no-teacher", "untrained")


def test_a_number_of_seeds_counts_from_the_suites_own(load: Load) -> None:
    (one,) = students(load, ("temperature: 2.0", "seeds: 3"))
    assert one.distil is not None
    assert one.distil.training_seeds(7) == [7, 8, 9]
    assert one.distil.training_seeds(2**31 - 1) == [2**31 - 1, 0, 1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("temperature: 2.0", "temperature: [1, «-2]", "must be greater than 0, got -2"),
        ("temperature: 2.0", "temperature: [«-1, -2]", "must be greater than 0, got -1 (and 1 more)"),
        ("temperature: 2.0", "temperature: [1, 2, «1]", "the grid of temperature has the value integer 1 twice"),
        ("temperature: 2.0", "temperature: «[]", "expected number, got list"),
        ("temperature: 2.0", "«temperatur: [1, 2]", "unknown key 'temperatur'; did you mean 'temperature'?"),
        ("keep: 24", "keep: [1, «x]", "expected integer, got string 'x'"),
        ("keep: 24", "keep: [[1], [«x]]", "expected integer, got string 'x'"),
        ("use: soft-labels", "use: [soft-labels, «soft]", "unknown method 'soft'; did you mean 'soft-labels'?"),
        ("sequences: 100", "sequences: [100, «0]", "must be at least 1, got 0"),
        ("temperature: 2.0", "seeds: [1, 2, «1]", "seed 1 is listed twice"),
        ("temperature: 2.0", "seeds: «0", "must be at least 1, got 0"),
        ("temperature: 2.0", "control: [untrained, «untrained]", "control untrained is listed twice"),
        ("temperature: 2.0", "control: «teacher", "expected one of 'no-teacher', 'untrained' or 'none'"),
    ],
)
def test_faults_name_the_entry_of_the_list(complaint: Callable[..., str], old: str, new: str, message: str) -> None:
    text, position = marked(SUITE, old, new)
    said = complaint(text)
    assert said.startswith(f"s.yaml:{position}: ")
    assert message in said


def test_what_all_students_of_a_grid_have_wrong_is_one_fault(complaint: Callable[..., str]) -> None:
    text = SUITE.replace("temperature: 2.0", "temperature: [1.0, 2.0, 3.0]").replace("keep: 24", "kep: 24")
    assert "more)" not in complaint(text).replace("(and 1 more)", "")  # 'kep' is unknown, and 'keep' is missing
    assert "unknown key 'kep'" in complaint(text)


def test_a_grid_that_nobody_could_run_is_refused(complaint: Callable[..., str]) -> None:
    text = SUITE.replace("temperature: 2.0", f"temperature: {list(range(1, 12))}").replace(
        "sequences: 100", f"sequences: {list(range(1, 13))}"
    )
    said = complaint(text)
    assert "student 'kd' is a grid of 132 students (11 temperature × 12 sequences); at most 64 are allowed" in said
    assert said.startswith("s.yaml:6:")


def test_grids_come_from_the_command_line_too(load: Load, complaint: Callable[..., str]) -> None:
    loaded = load(SUITE, "students.kd.distil.temperature=[1.0, 3.0]")
    assert [each.name for each in loaded.suite.students] == ["kd-temperature1.0", "kd-temperature3.0"]
    said = complaint(SUITE, "students.kd.distil.temperature=[1.0, -3.0]")
    assert said.startswith("--set students.kd.distil.temperature=[1.0, -3.0]: must be greater than 0")


def test_two_grids_must_not_meet_in_a_name(complaint: Callable[..., str]) -> None:
    other = "  - {name: kd-temperature1, of: t, source: ./y}\nmeasure:"
    text = SUITE.replace("temperature: 2.0", "temperature: [1, 2]").replace("measure:", other)
    assert "two students are named 'kd-temperature1' (lines 6 and 13)" in complaint(text)


def problems(text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(suite_schema()).iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize(
    ("old", "new", "fits"),
    [
        ("temperature: 2.0", "temperature: [1.0, 2.0]", True),
        ("sequences: 100", "sequences: [10, 100]", True),
        ("keep: 24", "keep: [[0, 1], [1, 2]]", True),
        ("use: soft-labels", "use: [soft-labels, hard-labels]", True),
        ("temperature: 2.0", "seeds: 3", True),
        ("temperature: 2.0", "seeds: [1, 2]\n      control: [no-teacher, untrained]", True),
        ("temperature: 2.0", "temperature: [1.0, x]", False),
        ("use: soft-labels", "use: [soft-labels, soft]", False),
        ("temperature: 2.0", "tempo: [1.0]", False),
        ("temperature: 2.0", "seeds: x", False),
    ],
)
def test_the_json_schema_knows_grids(old: str, new: str, fits: bool) -> None:
    assert (problems(SUITE.replace(old, new)) == []) is fits
