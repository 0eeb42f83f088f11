from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from distbench.suite.uses import choices

from .fakes import CLASSIC, EXAMPLE, marked


def test_every_choice_is_found() -> None:
    found = [(each.group, each.name, each.path) for each in choices(yaml.safe_load(EXAMPLE))]
    assert found == [
        ("models", "hf-causal", ("teachers", "smollm2")),
        ("quantisers", "int8-dynamic", ("students", 0, "quantise")),
        ("inits", "layer-drop", ("students", 1, "init")),
        ("inits", "layer-drop", ("students", 2, "init")),
        ("methods", "soft-labels", ("students", 2, "distil")),
        ("data", "teacher-sampled", ("students", 2, "distil", "data")),
        ("tasks", "lm-eval", ("tasks", 0)),
        ("meters", "latency", ("measure", "latency")),
        ("meters", "memory", ("measure", "memory")),
    ]
    groups = {each.group for each in choices(yaml.safe_load(CLASSIC))}
    assert groups == {"models", "methods", "data", "inits", "tasks", "meters"}


def test_options_are_what_is_not_the_suites_own() -> None:
    distil = next(each for each in choices(yaml.safe_load(EXAMPLE)) if each.group == "methods")
    assert distil.options == {"temperature": 1.0, "epochs": 2}


@pytest.mark.parametrize(
    ("text", "old", "new", "core"),
    [
        (EXAMPLE, "use: hf-causal", "use: «hf-casual", "unknown model 'hf-casual'; did you mean 'hf-causal'?"),
        (EXAMPLE, "use: int8-dynamic", "use: «int8", "unknown quantiser 'int8'; did you mean 'int8-dynamic'?"),
        (EXAMPLE, "use: layer-drop", "use: «drop", "unknown init 'drop'; did you mean 'layer-drop'?"),
        (EXAMPLE, "use: soft-labels", "use: «soft", "unknown method 'soft'; did you mean 'soft-labels'?"),
        (EXAMPLE, "use: teacher-sampled", "use: «sampled", "unknown data source 'sampled'; did you mean 'teacher"),
        (EXAMPLE, "source: ./ch", "use: «mpl, source: ./ch", "unknown model 'mpl'; did you mean 'mlp'?"),
        (EXAMPLE, "use: lm-eval", "use: «lm_eval", "unknown task 'lm_eval'; did you mean 'lm-eval'?"),
        (EXAMPLE, "latency:", "«latencies:", "unknown meter 'latencies'; did you mean 'latency'?"),
        (CLASSIC, "use: hard-labels", "use: «hard", "unknown method 'hard'; did you mean 'hard-labels'?"),
        (CLASSIC, "data: {use: sklearn-digits, t", "data: {use: «digits, t", "unknown data source 'digits'"),
        (CLASSIC, "data: {use: sklearn-digits}, w", "data: {use: «digits}, w", "unknown data source 'digits'"),
        # options
        (EXAMPLE, "use: hf-causal", "use: hf-causal, dtype: «bf16", "expected one of 'auto', 'float32' or 'bfloat16'"),
        (EXAMPLE, "use: int8-dynamic", "use: int8-dynamic, «bits: 4", "unknown key 'bits'"),
        (EXAMPLE, "samples: 200", "shots: «65", "must be at most 64, got 65"),
        (EXAMPLE, "samples: 200", "«sampels: 200", "unknown key 'sampels'; did you mean 'samples'?"),
        (EXAMPLE, "memory: {}", "memory: {«every: 1}", "unknown key 'every'"),
        (EXAMPLE, "prompt_tokens: 64", "prompt_tokens: «0", "must be at least 1, got 0"),
        (
            CLASSIC,
            "kind: cosine",
            "kind: «sine",
            "expected 'constant' or 'cosine', got string 'sine'; did you mean 'cosine'?",
        ),
        (CLASSIC, "warmup: 3", "«warmpu: 3", "unknown key 'warmpu'; did you mean 'warmup'?"),
        (CLASSIC, "hidden: [16, 8]", "hidden: [16, «no]", "expected integer, got false"),
        (CLASSIC, "test_share: 0.3", "test_share: «1", "must be less than 1, got 1"),
    ],
)
def test_wrong_choices_and_options(complaint: Callable[..., str], text: str, old: str, new: str, core: str) -> None:
    wrong, position = marked(text, old, new)
    assert complaint(wrong).startswith(f"s.yaml:{position}: {core}")


def test_the_data_of_a_task_without_use_is_its_own_affair(load: Callable[..., object]) -> None:
    load(EXAMPLE.replace("{train: path/to/adjunct_island.jsonl}", "{train: a.jsonl, validation: b.jsonl}"))
