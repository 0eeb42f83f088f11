"""Layers and sizes that a loss cannot compare are refused when a run is planned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distbench.errors import UsageError
from distbench.losses.features import Shape
from distbench.plan.expand import expand
from distbench.plan.shapes import after
from distbench.schema.strict import Use
from distbench.suite.load import load_suite

SUITE = """\
version: 1
name: shapes
device: cpu
teachers: {{big: {{use: hf-causal, source: {teacher}}}}}
students:
  - name: small
    of: big
    init: {init}
    distil: {{use: combined, losses: [{loss}], data: {{use: teacher-sampled}}}}
tasks: [{{use: lm-eval, name: distbench_facts, samples: 4}}]
"""


def plan(folder: Path, teacher: Path, init: str, loss: str) -> None:
    path = folder / "suite.yaml"
    path.write_text(SUITE.format(teacher=teacher, init=init, loss=loss))
    expand(load_suite(path, ()).suite, folder)


def test_sizes_that_differ_without_a_projector_name_layer_and_sizes(tiny_lm: Path, tmp_path: Path) -> None:
    width = json.loads((tiny_lm / "config.json").read_text())["hidden_size"]
    init = f"{{use: width-prune, hidden_size: {width // 2}}}"
    message = (
        rf"student 'small': .*layer 1 of the student has {width // 2} channels and layer 1 of the teacher {width};"
    )
    with pytest.raises(UsageError, match=message):
        plan(tmp_path, tiny_lm, init, "{use: hidden, projector: none}")
    plan(tmp_path, tiny_lm, init, "{use: hidden}")


def test_a_layer_that_is_not_there_is_refused(tiny_lm: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"layer 3 of the student .* it has layers 0 to 2"):
        plan(tmp_path, tiny_lm, "{use: layer-drop, keep: 2}", "{use: hidden, layers: [[3, 4]]}")
    plan(tmp_path, tiny_lm, "{use: layer-drop, keep: 3}", "{use: hidden, layers: [[3, 4]]}")


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        (None, Shape(4, 32, 4)),
        (Use(use="layer-drop", keep=2), Shape(2, 32, 4)),
        (Use(use="layer-drop", keep=[0, 1, 3]), Shape(3, 32, 4)),
        (Use(use="layer-drop", drop=[1]), Shape(3, 32, 4)),
        (Use(use="config", num_hidden_layers=6, hidden_size=16, num_attention_heads=2), Shape(6, 16, 2)),
    ],
)
def test_what_an_initialiser_makes_of_a_shape(init: Use | None, expected: Shape) -> None:
    assert after(Shape(4, 32, 4), init) == expected
