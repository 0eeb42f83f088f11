"""A fault in a plug-in inside another's options, or inside a list, stands where it was written, as any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import yaml
from jsonschema import Draft202012Validator

from distbench import plugins
from distbench.suite.schema_export import suite_schema

from .fakes import marked, real_entry_points

SUITE = """\
version: 1
name: nested
teachers:
  big: {use: hf-causal, source: ./big}
students:
  - name: sum
    of: big
    init: {use: layer-drop, keep: 4, by: influence, calibration: {samples: 8}}
    distil:
      use: combined
      losses:
        - {use: forward-kl, weight: 5, temperature: 2.0}
        - use: jsd
          beta: 0.5
      data: {use: text, files: a.txt, length: 32}
  - name: one
    of: big
    distil: {use: soft-labels, divergence: {use: skew-kl, alpha: 0.2}, data: {use: teacher-sampled, sequences: 8}}
  - {name: named, of: big, distil: {use: soft-labels, divergence: reverse-kl, data: {use: teacher-sampled}}}
  - {name: out, of: big, quantise: {use: torchao, skip: [a]}, deploy: [{use: transformers}, {use: onnxruntime}]}
measure:
  latency: {prompt_tokens: 64}
"""


@pytest.fixture(scope="module", autouse=True)
def _real_installation(_fake_installation: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "_entry_points", real_entry_points)
        plugins.forget()
        yield
    plugins.forget()


@pytest.fixture(scope="module")
def schema(_real_installation: None) -> Draft202012Validator:
    return Draft202012Validator(suite_schema())


def test_it_is_right_as_it_stands(load: Callable[..., object], schema: Draft202012Validator) -> None:
    load(SUITE)
    assert schema.is_valid(yaml.safe_load(SUITE))


@pytest.mark.parametrize(
    ("old", "new", "core"),
    [
        # losses of a sum
        ("weight: 5, temperature", "weight: 5, «temprature", "unknown key 'temprature'; did you mean 'temperature'?"),
        ("use: forward-kl", "use: «forward_kl", "unknown loss 'forward_kl'; did you mean 'forward-kl'?"),
        ("use: jsd", "use: «jd", "unknown loss 'jd'; did you mean 'jsd'?"),
        ("beta: 0.5", "beta: «1.5", "must be at most 1, got 1.5"),
        ("beta: 0.5", "«bta: 0.5", "unknown key 'bta'; did you mean 'beta'?"),
        ("weight: 5,", "weight: «0,", "must be greater than 0, got 0"),
        ("- {use: forward-kl, weight", "- {use: «3, weight", "expected string, got integer 3"),
        ("- {use: forward-kl, weight: 5, temperature: 2.0}", "- «forward-kl", "expected mapping, got string"),
        # the divergence of soft labels, as a mapping and as a name
        ("alpha: 0.2", "«alpa: 0.2", "unknown key 'alpa'; did you mean 'alpha'?"),
        ("alpha: 0.2", "alpha: «no", "expected number, got false"),
        ("use: skew-kl", "use: «skew", "unknown loss 'skew'; did you mean 'skew-kl'"),
        ("divergence: reverse-kl", "divergence: «revers-kl", "unknown loss 'revers-kl'; did you mean 'reverse-kl'"),
        # inside other steps
        ("calibration: {samples: 8}", "calibration: {samples: «0}", "must be at least 1, got 0"),
        ("calibration: {samples: 8}", "calibration: {«sampels: 8}", "unknown key 'sampels'; did you mean 'samples'?"),
        ("files: a.txt, length: 32", "files: a.txt, «lenght: 32", "unknown key 'lenght'; did you mean 'length'?"),
        ("skip: [a]", "skip: [a, «3]", "expected string, got integer 3"),
        (
            "{use: onnxruntime}",
            "{use: onnxruntime, «precison: int8}",
            "unknown key 'precison'; did you mean 'precision'",
        ),
        ("{use: onnxruntime}", "{use: «onnx}", "unknown deployment 'onnx'; did you mean 'onnxruntime'"),
        ("prompt_tokens: 64", "«promt_tokens: 64", "unknown key 'promt_tokens'; did you mean 'prompt_tokens'?"),
    ],
)
def test_a_fault_has_its_line_and_column(complaint: Callable[..., str], old: str, new: str, core: str) -> None:
    wrong, position = marked(SUITE, old, new)
    assert complaint(wrong).startswith(f"s.yaml:{position}: {core}")


def test_the_losses_of_a_grid_stand_in_their_own_list(complaint: Callable[..., str]) -> None:
    start, end = SUITE.index("      losses:"), SUITE.index("      data: {use: text")
    grid = "      losses: [[{use: forward-kl}], [{use: labels}, {use: jsd, «bta: 1}]]\n"
    wrong, position = marked(SUITE, SUITE[start:end], grid)
    assert complaint(wrong).startswith(f"s.yaml:{position}: unknown key 'bta'; did you mean 'beta'?")


def test_what_was_set_on_the_command_line_stands_there(complaint: Callable[..., str]) -> None:
    override = "students.sum.distil.losses=[{use: jsd, bta: 1}]"
    assert complaint(SUITE, override).startswith(f"--set {override}: unknown key 'bta'")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("weight: 5, temperature", "weight: 5, temprature"),
        ("use: jsd", "use: jd"),
        ("beta: 0.5", "beta: 1.5"),
        ("alpha: 0.2", "alpa: 0.2"),
        ("divergence: reverse-kl", "divergence: revers-kl"),
    ],
)
def test_editors_are_told_too(schema: Draft202012Validator, old: str, new: str) -> None:
    assert old in SUITE
    assert not schema.is_valid(yaml.safe_load(SUITE.replace(old, new)))
