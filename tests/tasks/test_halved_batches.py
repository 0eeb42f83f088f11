"""Memory that ends in an evaluation: half the batch from there on, nothing asked twice, and the same answers."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench.cell.make import less_memory
from distbench.errors import is_out_of_memory
from distbench.models.hf_causal import HFCausal
from distbench.models.mlp import MLPClassifier
from distbench.protocols import Outcome, Shape
from distbench.protocols.batches import Batch, batches_may_shrink
from distbench.schema.cell import MakeCell
from distbench.schema.record import BatchHalved, CellRecord, EvaluateResult
from distbench.schema.suite import FitSpec, TaskSpec
from distbench.store.samples import read_samples
from distbench.tasks import lm_eval as lm_eval_task
from distbench.tasks.lm_eval_kept import Kept
from distbench.tasks.long_context import LongContextTask
from tests.command import Done, here
from tests.conftest import CPU
from tests.tasks.harness import lines, quiet, task, task_file
from tests.tasks.test_classification import SUITE, data
from tests.tasks.test_classification import task as classification

assert data  # a fixture

ENDED = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes"
WORDS = ("doctor", "patient", "kind", "mat", "cats", "very")


class Fitting:
    """Lets a torch module take so many tokens at once, and notes what it was asked."""

    def __init__(self, module: Any, most: int, after: int = 0) -> None:
        self.most, self.after, self.calls = most, after, list[int]()
        self._hook = module.base_model.register_forward_pre_hook(self._heard, with_kwargs=True)

    def _heard(self, _: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        ids = named.get("input_ids", given[0] if given else None)
        assert ids is not None
        if len(self.calls) >= self.after and ids.numel() > self.most:
            raise RuntimeError(ENDED)
        self.calls.append(ids.numel())

    def off(self) -> list[int]:
        self._hook.remove()
        return self.calls


@contextmanager
def shrinking() -> Iterator[list[BatchHalved]]:
    heard: list[BatchHalved] = []
    with batches_may_shrink(lambda error: f"out of memory; {error}", heard.append) as found:
        yield found
    assert heard == found, "each is said when it happens"


def sizes(found: list[BatchHalved]) -> list[tuple[str, int, int]]:
    return [(half.unit, half.before, half.after) for half in found]


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm_eval_task, "KEPT", Kept())
    monkeypatch.setattr("distbench.protocols.batches.free_memory", lambda: None)  # most of these tests' time


@pytest.fixture
def model(tiny_lm: Path) -> HFCausal:
    return HFCausal.open(tiny_lm, CPU)


def choices(folder: Path, **options: Any) -> Callable[[], Any]:
    """Return what makes a task of 40 documents with three choices of their own."""
    task_file(
        folder, "small", output_type="multiple_choice", test_split="test", doc_to_text="{{q}}", doc_to_target="{{y}}",
        doc_to_choice="{{c}}", metric_list=[{"metric": "acc"}],
    )  # fmt: skip
    some = [" ".join(WORDS[i * k % 6] for k in range(1, 9)) for i in range(40)]
    rows = [{"q": f"{i} {q}", "c": [f"{w} {i}" for w in WORDS[:3]], "y": i % 3} for i, q in enumerate(some)]
    return lambda: task("small", include=str(folder), data={"test": lines(folder / "d.jsonl", rows)}, **options)


def assert_same(one: Outcome, two: Outcome) -> None:
    """What another batch size may change is the last digits of a log-probability."""
    keys = [[(s.sample_id, s.metric, s.prompt, s.label) for s in each.samples] for each in (one, two)]
    assert keys[0] == keys[1]
    assert one.prompt_digest == two.prompt_digest
    for a, b in zip(one.samples, two.samples, strict=True):
        assert a.score == b.score
        assert (a.loglikelihood or 0.0) == pytest.approx(b.loglikelihood or 0.0, abs=1e-4)


@pytest.mark.parametrize(("scorer", "unit", "first"), [("auto", "tokens", 512), ("hf", "requests", 32)])
@pytest.mark.parametrize("after", [0, 2])
def test_log_likelihoods_go_on_in_smaller_batches(
    model: HFCausal, tmp_path: Path, scorer: str, unit: str, first: int, after: int
) -> None:
    made = choices(tmp_path, scorer=scorer)
    asked = Fitting(model.module, most=10**9)
    whole = made().run(model, CPU, quiet)
    once = sum(asked.off())
    watch, heard = Fitting(model.module, most=130, after=after), list[tuple[int, int]]()
    with shrinking() as found:
        outcome = made().run(model, CPU, lambda done, total, _: heard.append((done, total)))
    calls = watch.off()
    assert_same(whole, outcome)
    assert sizes(found)[0] == (unit, first, first // 2)
    assert all(a.after == b.before for a, b in itertools.pairwise(found))
    assert all(each <= 130 for each in calls[after:])
    assert found[-1].reason == f"out of memory; {ENDED}"
    assert heard[-1] == (120, 120)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert sum(calls) < 1.2 * once, "what was answered is not asked again; smaller rows share a little less"
    assert outcome.scorer is not None
    assert whole.scorer is not None
    assert outcome.scorer.name == whole.scorer.name, "a lack of memory says nothing about the scorer"


def test_what_is_written_goes_on_in_smaller_batches(model: HFCausal, tmp_path: Path) -> None:
    task_file(
        tmp_path, "written", output_type="generate_until", test_split="test", doc_to_text="{{q}}",
        doc_to_target="{{y}}", generation_kwargs={"until": ["zzz"], "max_gen_toks": 4, "do_sample": False},
        metric_list=[{"metric": "exact_match"}],
    )  # fmt: skip
    rows = [{"q": f"the {WORDS[i % 6]} {i} with", "y": "x"} for i in range(12)]
    made = task("written", include=str(tmp_path), data={"test": lines(tmp_path / "d.jsonl", rows)}, batch_size=4)
    whole = made.run(model, CPU, quiet)
    asked = Fitting(model.module, most=10**9)
    made.run(model, CPU, quiet)
    once = sum(asked.off())
    watch = Fitting(model.module, most=12, after=4)  # the first four are written, the next do not fit
    with shrinking() as found:
        outcome = made.run(model, CPU, quiet)
    assert sum(watch.off()) <= once, "nothing is written twice"
    assert [(s.sample_id, s.prediction) for s in outcome.samples] == [
        (s.sample_id, s.prediction) for s in whole.samples
    ]
    assert sizes(found) == [("requests", 4, 2)]


def test_one_request_that_is_too_much_fails(model: HFCausal, tmp_path: Path) -> None:
    watch = Fitting(model.module, most=8)
    with shrinking() as found, pytest.raises(RuntimeError, match="can't allocate memory"):
        choices(tmp_path, scorer="hf")().run(model, CPU, quiet)
    watch.off()
    assert sizes(found)[-1] == ("requests", 2, 1)


def test_nothing_shrinks_unless_it_is_allowed(model: HFCausal, tmp_path: Path) -> None:
    watch = Fitting(model.module, most=130)
    for scorer in ("auto", "hf"):
        with pytest.raises(RuntimeError, match="can't allocate memory"):
            choices(tmp_path, scorer=scorer)().run(model, CPU, quiet)
    assert max(watch.off()) < 130


def test_another_error_is_no_reason_to_ask_for_less() -> None:
    def ask(size: int) -> int:
        raise ValueError(size)

    with shrinking() as found, pytest.raises(ValueError, match="8"):
        Batch(8, "rows").run(ask)
    assert not found


def test_questions_about_long_texts_shrink_too(model: HFCausal) -> None:
    spec = TaskSpec(use="long-context", samples=4, lengths=[128], answer="generate")
    made = LongContextTask(LongContextTask.resolve(spec, Path()))
    whole = made.run(model, CPU, quiet)
    watch = Fitting(model.module, most=700)
    with shrinking() as found:
        outcome = made.run(model, CPU, quiet)
    watch.off()
    assert found
    assert [s.score for s in outcome.samples] == [s.score for s in whole.samples]


# -- classifiers ----------------------------------------------------------------------------------------------------


class Small:
    """Answers a row by its length, and holds at most so many once it has answered `after` rows."""

    def __init__(self, most: int, after: int = 0) -> None:
        self.most, self.after, self.rows = most, after, 0

    def classify(self, x: Any) -> Any:
        if self.rows >= self.after and len(x) > self.most:
            raise MemoryError
        self.rows += len(x)
        share = np.asarray([len(each) % 2 for each in x], dtype=np.float64)
        return np.stack([share, 1 - share], axis=1)


def test_a_classifier_goes_on_with_fewer_rows(data: Path) -> None:
    whole, small = Small(100), Small(4)
    expected = classification(data).run(whole, CPU, quiet)
    heard: list[int] = []
    with shrinking() as found:
        outcome = classification(data).run(small, CPU, lambda done, *_: heard.append(done))
    assert outcome == expected
    assert sizes(found) == [("rows", 12, 6), ("rows", 6, 3)]
    assert heard == [3, 6, 9, 12]
    with shrinking() as found, pytest.raises(MemoryError):
        classification(data).run(Small(0), CPU, quiet)
    assert sizes(found)[-1] == ("rows", 3, 1)


def test_rows_that_were_answered_are_not_asked_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distbench.tasks.classification.BATCH", 4)
    expected, late = classification(data).run(Small(100), CPU, quiet), Small(2, after=8)
    with shrinking() as found:
        assert classification(data).run(late, CPU, quiet) == expected
    assert sizes(found) == [("rows", 4, 2)]
    assert late.rows == 12


def test_measured_work_keeps_its_batch(data: Path) -> None:
    with shrinking() as found, pytest.raises(MemoryError):
        classification(data).work(Small(4), Shape(8), 0)()
    assert not found


# -- a run ----------------------------------------------------------------------------------------------------------


def tight(plenty: Callable[..., Any]) -> Callable[..., Any]:
    """Return a network's `classify` that holds at most five rows of the test set."""

    def classify(self: MLPClassifier, x: Any) -> Any:
        if len(x) > 5 and str(x[0]).startswith("test"):
            raise RuntimeError(ENDED)
        return plenty(self, x)

    return classify


def evaluated(run: Path, title: str) -> tuple[str, EvaluateResult, Any]:
    for path in run.glob("cells/*/record.json"):
        record = CellRecord.model_validate_json(path.read_text())
        if record.title == title:
            assert isinstance(record.result, EvaluateResult)
            return record.cell_id, record.result, read_samples(path.parent / "samples.parquet")
    raise AssertionError(title)


def run(folder: Path) -> Done:
    rows = "{use: labelled, files: {train: train.jsonl, test: test.jsonl}}"
    (folder / "s.yaml").write_text(SUITE.replace("data: &d {", "data: {").replace("*d", rows))
    return here(folder, "run", "s.yaml", "--out", "out", check=0, DISTBENCH_CACHE=str(folder / "cache"))


def test_a_run_says_where_a_batch_was_halved(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    title, warning = "t on made-up", "it went on with 3 instead of 12 rows at once"
    with monkeypatch.context() as patch:
        patch.setattr(MLPClassifier, "classify", tight(MLPClassifier.classify))
        done = run(data)
    mine, result, samples = evaluated(data / "out", title)
    assert sizes(result.batch_halved) == [("rows", 12, 6), ("rows", 6, 3)]
    assert "out of memory at a peak of" in result.batch_halved[0].reason
    assert f"{title}: memory ended at 12 rows at once; it goes on with 6" in done.stderr
    journal = [json.loads(line) for line in (data / "out/journal.jsonl").read_text().splitlines()]
    assert sum(line["event"] == "halved" for line in journal) == 2
    assert warning in (data / "out/report.html").read_text()
    assert "12 rows at once; 6 from then on" in here(data, "show", "out", "--cell", mine[:12], check=0).stdout
    here(data, "verify", "out", check=0)

    for folder in (data / "out/cells" / mine, data / "cache/v1/cells" / mine):
        shutil.rmtree(folder)
    run(data)
    other, plain, expected = evaluated(data / "out", title)
    assert mine == other, "an id says what is asked, not how"
    assert plain.batch_halved == []
    assert samples["score"] == expected["score"]
    assert warning not in (data / "out/report.html").read_text()


def test_a_record_of_before_has_no_such_field(data: Path) -> None:
    old = {"kind": "evaluate", "task": "t", "task_version": "1", "engine": "e", "data_digest": "d"} | {
        "prompt_digest": "p", "footprint": {}, "answers_digest": "a",
        "metrics": [{"name": "acc", "primary": True, "kind": "binary", "higher_is_better": True, "baseline": 0.5,
                     "best": 1.0, "n": 1, "mean": 1.0}],
    }  # fmt: skip
    assert EvaluateResult.model_validate(old).batch_halved == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "; a smaller batch_size with a larger accumulate makes the same steps in less memory"),
        (
            {"batch_size": 64},
            "; a smaller batch_size than 64 with a larger accumulate makes the same steps in less memory",
        ),
        ({"batch_size": 1}, "; its batch_size is 1 already: lora, or shorter rows of data, need less"),
    ],
)
def test_a_training_that_runs_out_of_memory_names_what_needs_less(given: dict[str, Any], words: str) -> None:
    train = FitSpec.model_validate({"use": "hard-labels", "data": {"use": "labelled"}, **given})
    cell = MakeCell(id="m", title="m", needs=[], role="student", use="mlp", teachers=[], settings=CPU, train=train)
    assert less_memory(cell) == words
    assert less_memory(cell.model_copy(update={"train": None})) == ""


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (RuntimeError(ENDED), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("shapes do not fit"), False),
        (OSError("out of memory"), False),
    ],
)
def test_what_a_lack_of_memory_is(error: Exception, memory: bool) -> None:
    assert is_out_of_memory(error) is memory
