"""What is asked, by which scorer, how often something is built: options, parts, fall-backs, kept requests."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import RefusedError, RunError
from distbench.models.hf_causal import HFCausal
from distbench.protocols import Outcome
from distbench.schema.suite import Part, TaskSpec
from distbench.scoring.requests import NotHonouredError
from distbench.tasks import lm_eval as lm_eval_task
from distbench.tasks.ask import loglikelihoods
from distbench.tasks.drawing import draw
from distbench.tasks.lm_eval import LMEvalTask
from distbench.tasks.lm_eval_encoded import tokenizer_digest
from distbench.tasks.lm_eval_index import index_of
from distbench.tasks.lm_eval_kept import Kept
from distbench.tasks.lm_eval_model import context_length, scorer_for
from tests.conftest import CPU, save_tiny_lm
from tests.tasks.harness import lines, quiet, scores, task, task_file

WORDS = ("doctor", "patient", "kind", "mat", "cats", "very")


def document(i: int) -> dict[str, Any]:
    return {
        "q": f"the {WORDS[i % 6]} with {i}", "c": [f"was {WORDS[k]} {i}" for k in range(3)], "y": i % 3,
        "source": f"s{i % 4}", "dialect": ["a", "b"][i % 2], "tokens": 100 * (i % 3),
    }  # fmt: skip


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    """Return what names a small task of 24 documents."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    task_file(
        folder, "small", output_type="multiple_choice", test_split="test", doc_to_text="{{q}}", doc_to_target="{{y}}",
        doc_to_choice="{{c}}", metric_list=[{"metric": "acc"}, {"metric": "acc_norm"}],
    )  # fmt: skip
    return {"include": str(folder), "data": {"test": lines(tmp_path / "d.jsonl", map(document, range(24)))}}


@pytest.fixture
def model(tiny_lm: Path) -> HFCausal:
    return HFCausal.open(tiny_lm, CPU)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm_eval_task, "KEPT", Kept())


def ids(outcome: Outcome) -> list[int]:
    return [int(s.sample_id.split("-")[0]) for s in outcome.samples if s.metric == "acc"]


# -- options -----------------------------------------------------------------------------------------------------------


def test_fields_of_the_document_fill_the_columns(model: HFCausal, asked: dict[str, Any]) -> None:
    given = {"cluster": "source", "groups": ["dialect", "absent"], "length": "tokens"}
    outcome = task("small", **asked, **given).run(model, CPU, quiet)
    for sample in outcome.samples:
        doc = document(int(sample.sample_id.split("-")[0]))
        assert sample.cluster == doc["source"]
        assert sample.groups == {"dialect": doc["dialect"]}
        assert sample.length == doc["tokens"]
        assert sample.label == " " + doc["c"][doc["y"]]


def test_a_bias_metric_is_primary_and_has_its_neutral_value(model: HFCausal, asked: dict[str, Any]) -> None:
    outcome = task("small", **asked, bias={"metric": "acc", "neutral": 0.5}).run(model, CPU, quiet)
    assert {m.name: (m.primary, m.neutral) for m in outcome.metrics} == {"acc": (True, 0.5), "acc_norm": (False, None)}


def test_another_metric_can_be_primary(model: HFCausal, asked: dict[str, Any]) -> None:
    outcome = task("small", **asked, metric="acc").run(model, CPU, quiet)
    assert [m.name for m in outcome.metrics if m.primary] == ["acc"]
    with pytest.raises(RunError, match="has no metric 'f1'; it has acc, acc_norm"):
        task("small", **asked, metric="f1").run(model, CPU, quiet)


def test_samples_are_a_seeded_draw(model: HFCausal, asked: dict[str, Any]) -> None:
    outcome = task("small", **asked, samples=7).run(model, CPU, quiet)
    assert ids(outcome) == draw(24, 7, CPU.seed, "small").indices
    assert outcome.drawn is not None
    assert (outcome.drawn.total, outcome.drawn.start, outcome.drawn.stop) == (7, 0, 7)
    other = task("small", **asked, samples=7).run(model, CPU.model_copy(update={"seed": 1}), quiet)
    assert ids(other) != ids(outcome)
    assert other.data_digest != outcome.data_digest


# -- parts -------------------------------------------------------------------------------------------------------------


def parts(asked: dict[str, Any], model: HFCausal, cuts: list[int], **given: Any) -> list[Outcome]:
    found = []
    for start, stop in itertools.pairwise(cuts):
        (spec,) = LMEvalTask.resolve(TaskSpec(use="lm-eval", name="small", **asked, **given), Path.cwd())
        part = spec.model_copy(update={"part": Part(start=start, stop=stop)})
        found.append(LMEvalTask(part).run(model, CPU, quiet))
    return found


def test_parts_follow_each_other_to_the_whole_draw(model: HFCausal, asked: dict[str, Any]) -> None:
    found = parts(asked, model, [0, 5, 6, 20])
    order = [i for outcome in found for i in ids(outcome)]
    assert order == draw(24, "all", CPU.seed, "small", Part(start=0, stop=20)).indices
    assert len(set(order)) == 20
    whole = scores(task("small", **asked).run(model, CPU, quiet))
    together: dict[int, Any] = {}
    for outcome in found:
        together |= scores(outcome)
        assert outcome.drawn is not None
        assert outcome.drawn.total == 24
    assert together == {i: whole[i] for i in order}


def test_no_part_holds_half_a_cluster_out_of_order(model: HFCausal, asked: dict[str, Any]) -> None:
    found = parts(asked, model, [0, 6, 12, 24], cluster="source")
    clusters = [s.cluster for outcome in found for s in outcome.samples if s.metric == "acc"]
    runs = [label for label, before in zip(clusters, [None, *clusters], strict=False) if label != before]
    assert len(runs) == len(set(runs)) == 4
    assert {tuple(outcome.drawn.cluster_sizes or ()) for outcome in found if outcome.drawn} == {(6, 6, 6, 6)}
    for outcome in found[:2]:
        assert len({s.cluster for s in outcome.samples}) == 1


def test_the_first_part_ends_at_the_first_look(model: HFCausal, asked: dict[str, Any]) -> None:
    (spec,) = LMEvalTask.resolve(TaskSpec(use="lm-eval", name="small", **asked, cluster="source"), Path.cwd())
    outcome = LMEvalTask(spec.model_copy(update={"part": Part()})).run(model, CPU, quiet)
    assert outcome.drawn is not None
    assert outcome.drawn.stop == len(ids(outcome))
    sizes = Counter(s.cluster for s in outcome.samples if s.metric == "acc")
    assert set(sizes.values()) == {6}


# -- built once --------------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is built and encoded."""
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.models.huggingface import HFLM

    seen: Counter[str] = Counter()

    def count(kind: type, name: str) -> None:
        own = getattr(kind, name)

        def wrapped(self: Any, *args: Any, **given: Any) -> Any:
            seen[name] += 1
            return own(self, *args, **given)

        monkeypatch.setattr(kind, name, wrapped)

    count(TemplateLM, "_encode_pair")
    count(HFLM, "tok_encode")
    count(ConfigurableTask, "build_all_requests")
    return seen


def other_tokenizer(folder: Path) -> None:
    """Give a checkpoint a tokenizer without merges."""
    file = folder / "tokenizer.json"
    definition = json.loads(file.read_text())
    definition["model"]["merges"] = definition["model"]["merges"][:5]
    file.write_text(json.dumps(definition))


def test_requests_are_built_once_and_encoded_once_a_tokenizer(
    tiny_lm: Path, other_lm: Path, tmp_path: Path, asked: dict[str, Any], counted: Counter[str]
) -> None:
    third = save_tiny_lm(tmp_path / "third", seed=2)
    other_tokenizer(third)
    models = [HFCausal.open(folder, CPU) for folder in (tiny_lm, other_lm, third)]
    assert tokenizer_digest(models[0].tokenizer) == tokenizer_digest(models[1].tokenizer)
    assert tokenizer_digest(models[0].tokenizer) != tokenizer_digest(models[2].tokenizer)
    found = [task("small", **asked).run(each, CPU, quiet) for each in models[:2]]
    texts = 24 * (1 + 3)  # of each document its context and its choices: the context is not encoded for each of them
    assert counted == {"_encode_pair": 72, "tok_encode": texts, "build_all_requests": 1}
    found.append(task("small", **asked).run(models[2], CPU, quiet))
    assert counted == {"_encode_pair": 144, "tok_encode": 2 * texts, "build_all_requests": 1}
    alone = []
    for each in models:
        lm_eval_task.KEPT = Kept()
        alone.append(task("small", **asked).run(each, CPU, quiet))
    assert [outcome.samples for outcome in found] == [outcome.samples for outcome in alone]
    assert len({outcome.prompt_digest for outcome in found}) == 1


def test_changed_data_are_never_answered_with_kept_requests(model: HFCausal, asked: dict[str, Any]) -> None:
    before = task("small", **asked).run(model, CPU, quiet)
    lines(Path(asked["data"]["test"]), map(document, range(100, 110)))
    after = task("small", **asked).run(model, CPU, quiet)
    assert len(ids(after)) == 10
    assert before.data_digest != after.data_digest


def test_what_is_kept_is_bounded_and_the_last_task_stays(model: HFCausal, asked: dict[str, Any]) -> None:
    lm_eval_task.KEPT = kept = Kept(limit=10)
    for count in (3, 4, 5):
        task("small", **asked, samples=count).run(model, CPU, quiet)
        assert len(kept) == 1
    lm_eval_task.KEPT = kept = Kept(limit=10**6)
    for count in (3, 4, 5):
        task("small", **asked, samples=count).run(model, CPU, quiet)
    assert len(kept) == 3


def test_kept_tokens_take_four_bytes(model: HFCausal, asked: dict[str, Any]) -> None:
    task("small", **asked).run(model, CPU, quiet)
    ((prepared, _),) = lm_eval_task.KEPT._known.values()
    (encoded,) = prepared.tokenised.values()
    assert {part.dtype.itemsize for _, *parts in encoded for part in parts} == {4}
    texts = {text for request in prepared.task.instances for text in request.args}
    each = sum(len(text) for request in prepared.task.instances for text in request.args)
    tokens = sum(len(part) for _, *parts in encoded for part in parts)
    assert sum(map(len, texts)) + 4 * tokens <= prepared.size < each + 4 * tokens


# -- which scorer ------------------------------------------------------------------------------------------------------


def deaf(model: HFCausal) -> HFCausal:
    """Make a model ignore masks."""
    own = model.module.base_model.forward
    model.module.base_model.forward = lambda *args, **given: own(*args, **(given | {"attention_mask": None}))
    return model


def test_auto_falls_back_with_a_reason_and_the_answers_are_right(
    model: HFCausal, tiny_lm: Path, asked: dict[str, Any]
) -> None:
    want = task("small", **asked, scorer="hf").run(model, CPU, quiet)
    found = task("small", **asked).run(deaf(HFCausal.open(tiny_lm, CPU)), CPU, quiet)
    assert scores(found) == scores(want)
    assert found.scorer is not None
    assert want.scorer is not None
    assert (found.scorer.name, want.scorer.name) == ("hf", "hf")
    assert "its answers change when sequences share a row" in (found.scorer.reason or "")
    assert want.scorer.reason == "asked for"
    assert (found.scorer.compared, found.scorer.tokens_run) == (0, None)
    assert found.engine.endswith("HFLM")


def test_a_scorer_that_is_asked_for_and_impossible_fails(tiny_lm: Path, asked: dict[str, Any]) -> None:
    broken = deaf(HFCausal.open(tiny_lm, CPU))
    with pytest.raises(RunError, match="shared-prefix is asked for, and this model cannot use it: its answers change"):
        task("small", **asked, scorer="shared-prefix").run(broken, CPU, quiet)


def test_one_task_does_not_decide_the_scorer_of_the_next(model: HFCausal, asked: dict[str, Any]) -> None:
    """A cell's record must not depend on what the same process did before it."""
    first = task("small", **asked).run(model, CPU, quiet)
    state = scorer_for(model)
    assert state.fast is not None

    def refuse(*_: Any) -> Any:
        raise NotHonouredError("a request is too long")

    state.fast.score = refuse  # type: ignore[method-assign]
    assert state.score([], 10, lambda *_: None) is None
    second = task("small", **asked).run(model, CPU, quiet)
    assert first.scorer == second.scorer
    assert first.scorer is not None
    assert (first.scorer.name, first.scorer.reason) == ("shared-prefix", None)
    assert first.scorer.compared > 0
    assert (first.scorer.tokens_run or 0) < (first.scorer.tokens_asked or 0)
    assert first.engine.endswith("shared prefixes")


def test_both_scorers_decide_alike_and_close_calls_are_listed(model: HFCausal, asked: dict[str, Any]) -> None:
    rows = [document(i) | {"c": [f"was {WORDS[i % 6]}"] * 2 + ["mat"]} for i in range(6)]
    data = {"test": lines(Path(asked["data"]["test"]).with_name("ties.jsonl"), rows)}
    fast, plain = (
        task("small", **(asked | {"data": data}), scorer=each).run(model, CPU, quiet) for each in ("auto", "hf")
    )
    assert fast.scorer is not None
    assert plain.scorer is not None
    ties = {s.sample_id.split("-")[0] for s in fast.samples if " was " in f"{s.prediction} " and s.metric == "acc"}
    assert ties <= set(fast.scorer.close_calls) | set(plain.scorer.close_calls)
    assert fast.scorer.close_calls_total == len(fast.scorer.close_calls)


@pytest.mark.parametrize("scorer", ["auto", "hf"])
def test_progress_rises_to_the_number_of_requests(model: HFCausal, asked: dict[str, Any], scorer: str) -> None:
    heard: list[tuple[int, int]] = []
    task("small", **asked, scorer=scorer, batch_size=5).run(model, CPU, lambda d, t, _: heard.append((d, t)))
    assert heard == sorted(heard)
    assert heard[-1] == (72, 72)


@pytest.mark.parametrize("honest", [True, False])
def test_rolling_windows_are_scored_in_batches_whoever_scores(
    tiny_lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    """After a refusal the windows of every document must not land in one batch."""
    from lm_eval.models.huggingface import HFLM

    model = HFCausal.open(tiny_lm, CPU)
    sizes: list[int] = []
    own = HFLM._model_call
    monkeypatch.setattr(HFLM, "_model_call", lambda self, inps, *a, **k: sizes.append(len(inps)) or own(self, inps))
    pages = [{"page": " ".join(f"the {WORDS[(i + k) % 6]}" for k in range(40))} for i in range(15)]
    pages[3]["page"] *= 40
    data = {"test": lines(tmp_path / "pages.jsonl", pages)}
    want = task("wikitext", data=data, scorer="hf", batch_size=4).run(model, CPU, quiet)
    assert max(sizes) == 4
    sizes.clear()
    heard: list[tuple[int, int]] = []
    asked = model if honest else deaf(model)
    found = task("wikitext", data=data, batch_size=4).run(asked, CPU, lambda d, t, _: heard.append((d, t)))
    assert found.scorer is not None
    assert found.scorer.name == ("shared-prefix" if honest else "hf")
    assert max(sizes, default=4) == 4
    assert heard[-1][0] == heard[-1][1] > 15  # the long page has several windows
    for a, b in zip(found.samples, want.samples, strict=True):
        assert a.numerator == pytest.approx(b.numerator, rel=1e-5)
        assert a.denominator == b.denominator


def test_our_own_tasks_ask_with_the_same_scorer(model: HFCausal) -> None:
    pairs = [("the doctor", f" was {word}") for word in WORDS] + [("the doctor", "")]
    found = loglikelihoods(model, pairs, lambda *_: None)
    assert all(math.isfinite(score) for score, _ in found[:-1])
    assert math.isnan(found[-1][0])
    again = loglikelihoods(model, pairs[::-1], lambda *_: None)
    assert [score for score, _ in again][1:] == pytest.approx([score for score, _ in found][-2::-1], abs=1e-5)


def test_the_context_length_is_the_text_models_own(model: HFCausal) -> None:
    from transformers import Gemma3Config, GPT2Config, MambaConfig

    assert context_length(model.module.config) == 1024
    assert context_length(GPT2Config(n_positions=77)) == 77
    assert context_length(MambaConfig()) == 2048
    assert context_length(Gemma3Config(text_config={"max_position_embeddings": 99})) == 99


def test_a_tokenizer_that_does_not_show_itself_equals_no_other() -> None:
    class Hidden:
        special_tokens_map = ()

    one, two = Hidden(), Hidden()
    assert tokenizer_digest(one) == tokenizer_digest(one) != tokenizer_digest(two)


# -- documents that fail -----------------------------------------------------------------------------------------------

CODE = """\
def process_results(doc, results):
    if doc["y"] == 2:
        raise ZeroDivisionError("no such thing")
    return {"acc": float(results[0][0] > results[1][0])}
"""


def failing(tmp_path: Path, asked: dict[str, Any], code: str = CODE) -> dict[str, Any]:
    folder = Path(asked["include"])
    (folder / "own.py").write_text(code)
    task_file(
        folder, "fails", output_type="multiple_choice", test_split="test", doc_to_text="{{q}}", doc_to_target="{{y}}",
        doc_to_choice="{{c}}", metric_list=[{"metric": "acc"}], process_results="!function own.process_results",
    )  # fmt: skip
    return asked


def test_a_document_whose_processing_raises_is_an_error_and_the_others_stay(
    model: HFCausal, tmp_path: Path, asked: dict[str, Any]
) -> None:
    outcome = task("fails", **failing(tmp_path, asked)).run(model, CPU, quiet)
    assert len(outcome.samples) == 24
    for sample in outcome.samples:
        bad = int(sample.sample_id.split("-")[0]) % 3 == 2
        assert (sample.status, sample.score is None) == (("error", True) if bad else ("ok", False))
        assert (sample.prediction == "[ZeroDivisionError: no such thing]") == bad


def test_where_every_document_fails_the_first_error_is_told(
    model: HFCausal, tmp_path: Path, asked: dict[str, Any]
) -> None:
    given = failing(tmp_path, asked, CODE.replace("== 2", ">= 0"))
    with pytest.raises(RunError, match="the first error: ZeroDivisionError: no such thing"):
        task("fails", **given).run(model, CPU, quiet)


def test_a_template_that_reaches_for_python_is_refused(model: HFCausal, asked: dict[str, Any]) -> None:
    marker = Path(asked["include"]) / "HACKED"
    reach = "{{ q.__class__.__mro__[1].__subclasses__() }}"
    call = f"{{{{ cycler.__init__.__globals__.os.system('touch {marker}') }}}}"
    for number, template in enumerate((reach, call)):
        task_file(
            Path(asked["include"]), f"reach{number}", output_type="multiple_choice", test_split="test",
            doc_to_text=template, doc_to_target="{{y}}", doc_to_choice="{{c}}", metric_list=[{"metric": "acc"}],
        )  # fmt: skip
        index_of.cache_clear()
        with pytest.raises(RefusedError, match="templates must not touch"):
            task(f"reach{number}", **asked).run(model, CPU, quiet)
    assert not marker.exists()


def test_a_template_that_does_not_fit_the_data_says_so(model: HFCausal, asked: dict[str, Any]) -> None:
    data = {
        "test": lines(Path(asked["data"]["test"]).with_name("other.jsonl"), [{"question": "?", "y": 0, "c": ["a"]}])
    }
    with pytest.raises(RunError, match=r"task 'small': its template does not fit the data: 'q' is undefined"):
        task("small", **(asked | {"data": data})).run(model, CPU, quiet)
