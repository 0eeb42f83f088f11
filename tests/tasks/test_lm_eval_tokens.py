"""lm-eval through a model that is no torch module: the same requests get the same answers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance

from distbench.errors import RunError
from distbench.models.hf_causal import HFCausal
from distbench.tasks.ask import continuations, loglikelihoods
from distbench.tasks.divergence import DivergenceTask
from distbench.tasks.lm_eval_model import language_model
from tests.conftest import CPU
from tests.tasks.harness import lines, quiet, scores, task

PAIRS = [
    ("the doctor", " was kind"),
    ("the doctor", " was kind"),  # asked twice
    ("the doctor", " with"),
    ("the doctor ", "with the patients"),  # the space belongs to the continuation
    ("", "the cats were on the mat"),
    ("", "<|endoftext|>"),
    ("the cats", ""),
    ("<|endoftext|>the cats", " were"),
    ("die Ärztin", " грела 猫 🐈"),
    ("the mat " * 400, "was very kind"),  # longer than the model
    ("the", " mat" * 1200),  # a continuation longer than the model
]


class Spoken:
    """A language model that shows nothing but the verbs of `language`."""

    offers = frozenset({"language"})
    engine = "spoken 1"

    def __init__(self, model: HFCausal) -> None:
        self._model = model
        self.tokenizer, self.context_length, self.ends = model.tokenizer, model.context_length, model.ends
        self.asked: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def logits(self, ids: Sequence[int]) -> Any:
        return self._model.logits(ids)

    def score(self, context: Sequence[int], continuation: Sequence[int]) -> tuple[float, bool]:
        self.asked.append((tuple(context), tuple(continuation)))
        return self._model.score(context, continuation)

    def continue_greedily(self, ids: Sequence[int], most: int, stop: Any = None) -> list[int]:
        return self._model.continue_greedily(ids, most, stop)


@pytest.fixture(scope="module")
def module(sure_lm: Path) -> HFCausal:
    return HFCausal.open(sure_lm, CPU)


@pytest.fixture
def spoken(module: HFCausal) -> Spoken:
    return Spoken(module)


def same(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or one == pytest.approx(other, abs=1e-3)


def test_log_likelihoods_are_those_of_the_module(module: HFCausal, spoken: Spoken) -> None:
    expected, found = (loglikelihoods(each, PAIRS, quiet) for each in (module, spoken))
    for pair, (want, greedy), (got, also) in zip(PAIRS, expected, found, strict=True):
        assert same(want, got), pair
        assert greedy == also, pair
    assert [i for i, (score, _) in enumerate(found) if math.isnan(score)] == [5, 6, 10]


def test_equal_requests_are_asked_once_and_one_context_after_the_other(spoken: Spoken) -> None:
    loglikelihoods(spoken, PAIRS, quiet)
    assert len(spoken.asked) == len(set(spoken.asked)) == len(PAIRS) - 4  # three unscored, one asked twice
    contexts = [context for context, _ in spoken.asked]
    changes = [one != other for one, other in itertools.pairwise(contexts)]
    assert sum(changes) + 1 == len(set(contexts))


def test_progress_ends_at_the_number_of_requests(spoken: Spoken) -> None:
    heard: list[tuple[int, int]] = []
    loglikelihoods(spoken, PAIRS[:4], lambda done, total: heard.append((done, total)))
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_whole_texts_are_scored_in_the_same_windows(module: HFCausal, spoken: Spoken) -> None:
    texts = ["the cats were on the mat", "", "the doctor with the patients " * 120]
    requests = [Instance("loglikelihood_rolling", {}, (text,), i) for i, text in enumerate(texts)]
    expected, found = (language_model(each, 4, quiet).loglikelihood_rolling(requests) for each in (module, spoken))
    assert found == pytest.approx(expected, rel=1e-5)
    assert found[1] == 0.0


@pytest.mark.parametrize("stop", [[], [" mat"], ["a"], ["never", "<|endoftext|>"]])
def test_continuations_stop_where_the_module_s_do(module: HFCausal, spoken: Spoken, stop: list[str]) -> None:
    prompts = ["the doctor", "the cats were on", "<|endoftext|>the mat", "the mat " * 400]
    expected, found = (
        continuations(each, prompts, quiet, max_tokens=24, stop=stop, batch_size=1) for each in (module, spoken)
    )
    assert found == expected
    assert any(found)


def test_a_stop_text_ends_the_work_not_only_the_text(spoken: Spoken, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    own = spoken.continue_greedily

    def counting(ids: Sequence[int], most: int, stop: Any = None) -> list[int]:
        tokens = own(ids, most, stop)
        written.append(len(tokens))
        return tokens

    monkeypatch.setattr(spoken, "continue_greedily", counting)
    (whole,) = continuations(spoken, ["the doctor"], quiet, max_tokens=24)
    (cut,) = continuations(spoken, ["the doctor"], quiet, max_tokens=24, stop=[whole[:3]])
    assert cut == ""
    assert written[0] == 24
    assert written[1] < 24


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"do_sample": True, "temperature": 0.7}, "continues texts greedily only"),
        ({"num_beams": 4}, "continues texts greedily only; the task asks for .*num_beams"),
        ({"max_gen_toks": 1024}, "asks for 1024 tokens, and the model has 1024 positions"),
    ],
)
def test_what_a_runtime_cannot_do_is_said(spoken: Spoken, given: dict[str, Any], message: str) -> None:
    request = Instance("generate_until", {}, ("the", {"until": [], "max_gen_toks": 4} | given), 0)
    with pytest.raises(RunError, match=message):
        language_model(spoken, 1, quiet).generate_until([request])


def test_a_task_decides_as_it_does_with_the_module(module: HFCausal, spoken: Spoken) -> None:
    asked = task("distbench_subject_verb", samples=40)
    expected, found = (asked.run(each, CPU, quiet) for each in (module, spoken))
    assert scores(found) == scores(expected)
    assert found.prompt_digest == expected.prompt_digest
    assert found.engine.endswith("through spoken 1")
    assert found.scorer is not None
    assert found.scorer.name == "runtime"
    assert len({sample.score for sample in found.samples}) == 2  # neither all right nor all wrong


def test_a_scorer_that_needs_the_module_is_refused(spoken: Spoken) -> None:
    with pytest.raises(RunError, match="shared-prefix is asked for, and Spoken has no torch module"):
        task("distbench_facts", samples=4, scorer="shared-prefix").run(spoken, CPU, quiet)


def test_divergence_is_that_of_the_modules(module: HFCausal, spoken: Spoken, other_lm: Path, tmp_path: Path) -> None:
    from distbench.schema.suite import TaskSpec

    texts = lines(tmp_path / "t.jsonl", [{"text": "the doctor with the patients"}, {"text": "the cats"}])
    compare = DivergenceTask(TaskSpec(use="divergence", data={"texts": texts}))
    teacher = HFCausal.open(other_lm, CPU)
    expected, found = (compare.run_beside(each, teacher, CPU, quiet) for each in (module, spoken))
    assert [s.score for s in found.samples] == pytest.approx([s.score for s in expected.samples], abs=1e-6)
