"""Paid answers: kept one by one, never bought twice, never beyond the budget, whatever the store went through."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distbench import plugins
from distbench.data.paid_asking import Effort, Inquiry, Wanted
from distbench.data.paid_budget import BudgetSpentError, PaidBudget, Prices, Purse, Spent, at_most, spent_on
from distbench.data.paid_store import AnswerStore
from distbench.errors import EnvironmentFault, RunError
from distbench.protocols import Asked, Guess, Sampling, Written

SAMPLING = Sampling(10)
ANSWER = Written("ja", True, (3, 4), 7, 2, (Guess(b"\xff\x00", ((b"\xff\x00", -0.1), (None, -3.0))), Guess(None, ())))


def wanted(count: int) -> list[Wanted]:
    return [Wanted(f"key {i}", Asked(f"prompt {i}", i)) for i in range(count)]


class Model:
    """Answers "to PROMPT"; remembers what it was asked."""

    def __init__(self, fails: Callable[[str], Exception | None] = lambda _: None, tokens: int | None = 4) -> None:
        self.fails, self.tokens = fails, tokens
        self.asked: list[str] = []
        self.lock = threading.Lock()

    def write(self, asked: Sequence[Asked], sampling: Sampling) -> list[Written]:
        with self.lock:
            self.asked += [str(one.prompt) for one in asked]
        for one in asked:
            if (error := self.fails(str(one.prompt))) is not None:
                raise error
        return [Written(f"to {one.prompt}", True, None, self.tokens and 6, self.tokens) for one in asked]


def inquiry(
    model: Model, store: AnswerStore, budget: PaidBudget | None = None, effort: Effort | None = None
) -> Inquiry:
    purse = Purse(budget or PaidBudget(), Spent())
    return Inquiry(model, SAMPLING, store, purse, effort or Effort(), lambda *_: None)


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers" / "store.jsonl")


# -- the store ---------------------------------------------------------------------------------------------------------


def test_an_answer_comes_back_as_it_was(store: AnswerStore) -> None:
    plain = Written("line\nline\u2028\ud800", False)
    with store.held():
        store.add("a", ANSWER)
        store.add("b", plain)
        store.mark("c", "it failed")
    with AnswerStore(store.path).held() as again:
        assert again.get("a") == ANSWER
        assert again.get("b") == plain
        assert again.get("c") is None


@given(st.integers(1, 200))
def test_a_line_that_a_kill_cut_short_is_dropped_and_no_other(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = AnswerStore(Path(folder) / "store.jsonl")
        with store.held():
            for number in range(3):
                store.add(f"key {number}", Written(f"answer {number}", True))
        data = store.path.read_bytes()
        last = len(data.splitlines(keepends=True)[-1])
        store.path.write_bytes(data[: len(data) - min(cut, last)])
        with store.held():
            assert [store.get(f"key {n}") is not None for n in range(3)] == [True, True, False]
            store.add("key 2", Written("answer 2", True))
        with AnswerStore(store.path).held() as again:
            assert [again.get(f"key {n}") is not None for n in range(3)] == [True, True, True]


def test_a_damaged_line_counts_as_no_answer(store: AnswerStore) -> None:
    with store.held():
        store.add("a", ANSWER)
        store.add("b", ANSWER)
    text = store.path.read_text(encoding="utf-8").splitlines()
    store.path.write_text("\n".join(["{" + text[0], "[]", '{"key": 3, "text": ""}', text[1], ""]), encoding="utf-8")
    with store.held():
        assert store.get("a") is None
        assert store.get("b") == ANSWER


def test_a_second_process_waits_for_the_first(store: AnswerStore) -> None:
    from filelock import FileLock, Timeout

    with store.held(), pytest.raises(Timeout), FileLock(store.path.with_name(".store.jsonl.lock"), timeout=0.05):
        pass


def test_every_answer_is_on_the_disk_before_the_next_is_asked_for(store: AnswerStore) -> None:
    lines: list[int] = []

    class Looking(Model):
        def write(self, asked: Sequence[Asked], sampling: Sampling) -> list[Written]:
            lines.append(len(store.path.read_text(encoding="utf-8").splitlines()) if store.path.exists() else 0)
            return super().write(asked, sampling)

    with store.held():
        inquiry(Looking(), store).run(wanted(5))
    assert lines == [0, 1, 2, 3, 4]


# -- asking ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effort", [Effort(), Effort(3, 1), Effort(1, 4)])
def test_what_is_there_is_not_asked_for_again(store: AnswerStore, effort: Effort) -> None:
    model = Model()
    with store.held():
        inquiry(model, store, effort=effort).run(wanted(7))
    with store.held():
        inquiry(model, store, effort=effort).run(wanted(10))
        assert sorted(model.asked) == sorted(f"prompt {i}" for i in range(10))
        assert [store.get(f"key {i}") for i in range(10)] == [
            Written(f"to prompt {i}", True, None, 6, 4) for i in range(10)
        ]


def test_one_failure_in_a_hundred_is_marked_and_lived_with_and_two_are_not(store: AnswerStore) -> None:
    def failing(*names: str) -> Callable[[str], Exception | None]:
        return lambda prompt: RunError(f"no answer to {prompt}") if prompt in names else None

    with store.held():
        first = inquiry(Model(failing("prompt 50")), store)
        first.run(wanted(100))
        assert first.errors == 1
        assert store.get("key 50") is None
    marked = [
        row for line in store.path.read_text(encoding="utf-8").splitlines() if "error" in (row := json.loads(line))
    ]
    assert marked == [{"key": "key 50", "error": "no answer to prompt 50"}]
    other = AnswerStore(store.path.with_name("other.jsonl"))
    model = Model(failing("prompt 3", "prompt 4"))
    with other.held(), pytest.raises(RunError, match="2 of 100 answers could not be had, more than 1%") as failed:
        inquiry(model, other).run(wanted(100))
    assert "no answer to prompt 4" in str(failed.value)
    assert "(3 are there and kept" in str(failed.value)
    assert len(model.asked) == 5  # it does not go on paying for data that will not be used
    with other.held():
        inquiry(model := Model(), other).run(wanted(100))
    assert sorted(model.asked) == sorted(f"prompt {i}" for i in range(3, 100))


@pytest.mark.parametrize("effort", [Effort(), Effort(4, 1)])
def test_a_refused_key_stops_everything_at_once(store: AnswerStore, effort: Effort) -> None:
    model = Model(lambda prompt: EnvironmentFault("refuses access") if prompt == "prompt 2" else None)
    with store.held(), pytest.raises(EnvironmentFault, match="refuses access"):
        inquiry(model, store, effort=effort).run(wanted(500))
    assert len(model.asked) < 50


# -- the budget --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 5])
def test_a_budget_of_requests_is_used_up_and_never_exceeded(store: AnswerStore, threads: int) -> None:
    model = Model(lambda _: time.sleep(0.02))  # so that several are under way
    with store.held(), pytest.raises(BudgetSpentError) as stopped:
        inquiry(model, store, PaidBudget(requests=6), Effort(threads, 1)).run(wanted(20))
    assert len(model.asked) == 6
    assert "budget of 6 requests: 6 are spent; 6 of 20 answers are there and kept" in str(stopped.value)
    assert stopped.value.exit_code == 4


def test_tokens_and_cost_are_ceilings(store: AnswerStore) -> None:
    """An answer here takes 6 + 4 tokens; before it comes it may take 8 bytes + 32 of prompt, and 10 of answer."""
    assert at_most("prompt 0", 10) == Spent(1, 40, 10)
    model = Model()
    with store.held(), pytest.raises(BudgetSpentError, match="budget of 100 tokens: 60 are spent"):
        inquiry(model, store, PaidBudget(tokens=100), Effort(3, 1)).run(wanted(20))
    assert len(model.asked) == 6  # 60 spent, and 60 + 50 would be too much
    prices = Prices(input=1e4, output=1e5)  # an answer costs .06 + .4, and may cost .4 + 1
    other = AnswerStore(store.path.with_name("other.jsonl"))
    model = Model()
    with other.held(), pytest.raises(BudgetSpentError, match=r"budget of 3: 1\.84 is spent"):
        inquiry(model, other, PaidBudget(cost=3.0, price_per_million=prices), Effort(2, 1)).run(wanted(20))
    assert len(model.asked) == 4  # at .46 each: a fifth could bring 1.84 to 3.24


def test_where_nothing_is_counted_the_most_it_can_be_is_charged() -> None:
    assert spent_on(Asked("four"), Written("a", True), 10) == Spent(1, 36, 10)
    assert spent_on(Asked("four"), Written("a", True, None, 3, 2), 10) == Spent(1, 3, 2)
    assert at_most([{"role": "user", "content": "ä"}, {"role": "user", "content": "b"}], 1) == Spent(1, 2 + 1 + 64, 1)


@pytest.mark.parametrize(
    "given",
    [{"cost": 1.0}, {"requests": 0}, {"tokens": -1}, {"cost": 0.0}, {"cost": 1.0, "price_per_million": {"input": 1.0}}],
)
def test_a_budget_that_means_nothing_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        plugins.validated(PaidBudget, given)
