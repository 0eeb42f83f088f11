"""Every key that a suite file may have stands in docs/suite.md."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from distbench.schema.suite import GateSpec, StudentSpec, Suite, TaskGate, TaskSpec
from distbench.tasks.divergence import DivergenceOptions
from distbench.tasks.lm_eval_options import LMEvalOptions
from distbench.tasks.long_context import LongContextOptions

TEXT = (Path(__file__).parents[2] / "docs" / "suite.md").read_text(encoding="utf-8")
NAMED = {word for quoted in re.findall(r"`([^`\n]+)`", TEXT) for word in re.findall(r"\w+", quoted)}


@pytest.mark.parametrize(
    "model",
    [Suite, StudentSpec, TaskSpec, GateSpec, TaskGate, LMEvalOptions, DivergenceOptions, LongContextOptions],
    ids=lambda model: model.__name__,
)
def test_every_key_is_documented(model: type[BaseModel]) -> None:
    assert sorted(set(model.model_fields) - NAMED) == []
