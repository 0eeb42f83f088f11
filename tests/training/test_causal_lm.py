"""Training a language model: it does what its numbers say, stops when it should, and resumes exactly."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from distbench.data.teacher_sampled import TeacherSampledOptions, sample
from distbench.data.token_signal import HeldOut, TokenRows, TokenSignal
from distbench.errors import EnvironmentFault, RunError
from distbench.models.hf_causal import HFCausal
from distbench.protocols import LearnSession, SignalRequest, TrainingRecipe
from distbench.schema.training import Budget, Term
from distbench.training import checkpoints
from distbench.training.looks import look
from distbench.training.rewriting import Rewriter
from tests.conftest import CPU

SOFT, HARD = Term(use="forward-kl", temperature=1.0), Term(use="labels")


class Handle:
    """A teacher by its path."""

    def __init__(self, path: Path) -> None:
        self.identity, self.path = str(path), path

    def open(self) -> HFCausal:
        return HFCausal.open(self.path, CPU)

    def tokenizer(self) -> Any:
        return HFCausal.tokenizer_of(self.path)


def recipe(*terms: Term, seed: int = 0, **budget: Any) -> TrainingRecipe:
    return TrainingRecipe(terms or (SOFT,), Budget(**{"batch_size": 8, "learning_rate": 1e-3, **budget}), seed)


@pytest.fixture(scope="module")
def signal(tiny_lm: Path) -> TokenSignal:
    options = TeacherSampledOptions(sequences=24, length=12, heldout=4)
    return sample([HFCausal.open(tiny_lm, CPU)], options, SignalRequest([Handle(tiny_lm)]))


def student(path: Path) -> HFCausal:
    model = HFCausal.open(path, CPU)
    model.keep_layers([0, 3])
    return model


def weights(model: HFCausal) -> str:
    """Return a hash of all parameters."""
    found = hashlib.sha256()
    for name, parameter in sorted(model.module.named_parameters()):
        found.update(name.encode() + parameter.detach().numpy().tobytes())
    return found.hexdigest()


def test_training_lowers_the_heldout_kl_and_is_reproducible(tiny_lm: Path, signal: TokenSignal) -> None:
    first, second = student(tiny_lm), student(tiny_lm)
    report = first.learn(signal, recipe(epochs=6), LearnSession())
    second.learn(signal, recipe(epochs=6), LearnSession())
    assert report.heldout_after is not None
    assert report.heldout_before is not None
    assert report.heldout_after < report.heldout_before
    assert report.steps == 18
    assert report.units == 18 * 8 * 12
    assert report.heldout_n == 4 * 12
    assert report.stopped == "budget"
    assert weights(first) == weights(second)


def test_the_teacher_itself_has_no_heldout_kl(tiny_lm: Path, signal: TokenSignal) -> None:
    assert look(HFCausal.open(tiny_lm, CPU).module, signal.heldout).kl == pytest.approx(0.0, abs=1e-4)


def test_hard_labels_do_not_read_the_teachers_distribution(tiny_lm: Path, signal: TokenSignal) -> None:
    assert signal.recorded is not None
    recorded = dataclasses.replace(signal.recorded, logp=torch.full_like(signal.recorded.logp, math.nan))
    blind = dataclasses.replace(signal, recorded=recorded)
    report = student(tiny_lm).learn(blind, recipe(HARD), LearnSession())
    assert all(math.isfinite(loss) for _, loss in report.loss)


def test_a_diverging_run_stops_and_names_step_and_rate(tiny_lm: Path, signal: TokenSignal) -> None:
    model = student(tiny_lm)
    with torch.no_grad():
        model.module.get_input_embeddings().weight.fill_(math.nan)
    with pytest.raises(RunError, match=r"diverged: loss nan at step 0, lr"):
        model.learn(signal, recipe(), LearnSession())


def test_small_batches_accumulated_are_one_large_batch(tiny_lm: Path, signal: TokenSignal) -> None:
    # Rows of different lengths: a mean of means would weigh their positions unequally.
    scored = torch.ones(24, 12, dtype=torch.bool)
    scored[::3, 4:] = False
    uneven = dataclasses.replace(signal, train=dataclasses.replace(signal.train, scored=scored))
    large, small = student(tiny_lm), student(tiny_lm)
    one = large.learn(uneven, recipe(HARD, batch_size=8, steps=4), LearnSession())
    four = small.learn(uneven, recipe(HARD, batch_size=2, accumulate=4, steps=4), LearnSession())
    for (_, a), (_, b) in zip(one.loss, four.loss, strict=True):
        assert a == pytest.approx(b, rel=2e-5)
    entropies = [report.options["heldout_cross_entropy"][1] for report in (one, four)]
    assert entropies[0] == pytest.approx(entropies[1], rel=1e-6)


def test_what_was_recorded_teaches_like_the_teacher_asked_online(tiny_lm: Path, tmp_path: Path) -> None:
    sharp = HFCausal.open(tiny_lm, CPU)  # random weights say nearly nothing; this teacher is sure of itself
    with torch.no_grad():
        sharp.module.get_decoder().norm.weight.mul_(20.0)
    sharp.save(tmp_path / "sharp")
    handle = Handle(tmp_path / "sharp")
    options = TeacherSampledOptions(sequences=24, length=12, heldout=4)
    signal = sample([sharp], options, SignalRequest([handle]))
    recorded = student(tiny_lm).learn(signal, recipe(steps=3), LearnSession())
    bare = dataclasses.replace(signal, recorded=None)
    online = student(tiny_lm).learn(bare, recipe(steps=3), LearnSession(teachers=[handle]))
    assert (recorded.options["teacher"], online.options["teacher"]) == ("recorded", "online")
    for (_, known), (_, asked) in zip(recorded.loss, online.loss, strict=True):
        assert known < asked  # a coarser partition has the smaller divergence
        assert known == pytest.approx(asked, rel=0.05)


class Killed(Exception):
    """Stands for SIGKILL: nothing is cleaned up after it."""


def killed_at(step: int) -> LearnSession:
    """Return a progress that kills the training after a step."""

    def progress(done: int, total: int, what: str) -> None:
        if done == step:
            raise Killed

    return LearnSession(progress=progress)


@pytest.mark.parametrize("step", [2, 5, 7])
def test_a_killed_training_ends_with_the_same_weights(
    tiny_lm: Path, signal: TokenSignal, tmp_path: Path, step: int
) -> None:
    budget = {"steps": 9, "checkpoint_every": 2, "look_every": 3, "batch_size": 2, "accumulate": 2}
    whole, cut = student(tiny_lm), student(tiny_lm)
    expected = whole.learn(signal, recipe(**budget), LearnSession())
    with pytest.raises(Killed):
        cut.learn(signal, recipe(**budget), dataclasses.replace(killed_at(step), scratch=tmp_path))
    again = student(tiny_lm)
    report = again.learn(signal, recipe(**budget), LearnSession(scratch=tmp_path))
    assert report.resumed_from == (None if step == 2 else step - 1)
    assert weights(again) == weights(whole)
    assert report.heldout == expected.heldout
    assert report.loss == expected.loss


def test_a_checkpoint_without_its_seal_is_no_checkpoint(tiny_lm: Path, signal: TokenSignal, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        student(tiny_lm).learn(
            signal, recipe(steps=9, checkpoint_every=2), dataclasses.replace(killed_at(7), scratch=tmp_path)
        )
    newest = checkpoints.newest(tmp_path)
    assert newest is not None
    assert checkpoints.step_of(newest) == 6
    file = next(newest.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1])
    older = checkpoints.newest(tmp_path)
    assert older is not None
    assert checkpoints.step_of(older) == 4
    assert not newest.exists()


def test_a_full_disk_is_found_before_a_checkpoint_is_written(
    tiny_lm: Path, signal: TokenSignal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(EnvironmentFault, match=r"No space left on device writing .* \(need .* MiB, have 0 MiB\)"):
        student(tiny_lm).learn(signal, recipe(steps=2, checkpoint_every=1), LearnSession(scratch=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_while_writing_is_one_line(
    tiny_lm: Path, signal: TokenSignal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [2**40]

    def half_written(*_: object) -> None:
        free[0] = 1000
        raise RuntimeError("PytorchStreamWriter failed writing file data/12: file write failed")  # torch on a full disk

    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free[0]}))
    monkeypatch.setattr("transformers.Trainer._save_rng_state", half_written)
    with pytest.raises(EnvironmentFault, match="No space left on device"):
        student(tiny_lm).learn(signal, recipe(steps=2, checkpoint_every=1), LearnSession(scratch=tmp_path))
    assert checkpoints.newest(tmp_path) is None


def test_a_board_has_every_step_and_look(tiny_lm: Path, signal: TokenSignal, tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    session = LearnSession(board=tmp_path)
    report = student(tiny_lm).learn(signal, recipe(steps=4, look_every=2), session)
    found = events.EventAccumulator(str(tmp_path)).Reload()
    written = [(event.step, event.value) for event in found.Scalars("train/objective")]
    assert written == [(step, pytest.approx(value)) for step, value in report.loss]
    assert [event.step for event in found.Scalars("heldout")] == [2, 4]


def test_the_best_look_is_kept_and_patience_ends_the_training(tiny_lm: Path, signal: TokenSignal) -> None:
    model = student(tiny_lm)
    budget = {"steps": 60, "learning_rate": 0.05, "schedule": "constant", "look_every": 2, "patience": 3, "warmup": 0.0}
    report = model.learn(signal, recipe(**budget), LearnSession())
    best = min(report.heldout, key=lambda one: one[1])
    assert report.stopped == "patience"
    assert report.kept_step == best[0]
    assert [step for step, _ in report.heldout][-1] == best[0] + 6
    assert report.heldout_after == pytest.approx(best[1], rel=1e-5)


def test_a_control_is_chosen_by_labels_never_by_the_teacher(tiny_lm: Path, signal: TokenSignal) -> None:
    report = student(tiny_lm).learn(signal, recipe(HARD, steps=4, look_every=2), LearnSession())
    assert report.options["looked_at"] == "cross-entropy on held-out labels"
    best = min(value for _, value in report.heldout)
    assert best == pytest.approx(report.options["heldout_cross_entropy"][1], rel=1e-5)


def test_seconds_are_a_budget(tiny_lm: Path, signal: TokenSignal) -> None:
    report = student(tiny_lm).learn(signal, recipe(steps=100_000, max_seconds=0.5), LearnSession())
    assert report.stopped == "seconds"
    assert report.steps is not None
    assert 1 <= report.steps < 100_000


def test_nothing_to_learn_from_is_an_error(tiny_lm: Path, signal: TokenSignal) -> None:
    empty = TokenSignal(TokenRows(signal.train.ids[:0]), HeldOut(signal.heldout.rows), None, "d")
    with pytest.raises(RunError, match="0 examples"):
        student(tiny_lm).learn(empty, recipe(HARD), LearnSession())


def test_an_on_policy_training_resumes_with_the_same_texts(tiny_lm: Path, signal: TokenSignal, tmp_path: Path) -> None:
    on_policy = dataclasses.replace(recipe(steps=6, checkpoint_every=2, batch_size=4), on_policy=0.5)
    bare, teachers = dataclasses.replace(signal, recorded=None), [Handle(tiny_lm)]
    whole, cut, again = student(tiny_lm), student(tiny_lm), student(tiny_lm)
    expected = whole.learn(bare, on_policy, LearnSession(teachers=teachers))
    with pytest.raises(Killed):
        cut.learn(bare, on_policy, dataclasses.replace(killed_at(5), scratch=tmp_path, teachers=teachers))
    report = again.learn(bare, on_policy, LearnSession(scratch=tmp_path, teachers=teachers))
    assert report.resumed_from == 4
    assert weights(again) == weights(whole)
    offline = student(tiny_lm).learn(bare, recipe(steps=6, batch_size=4), LearnSession(teachers=teachers))
    assert offline.loss != expected.loss
    assert expected.options["on_policy"] == 0.5


def test_a_share_of_the_batches_is_rewritten(tiny_lm: Path, signal: TokenSignal) -> None:
    batches = [{"ids": signal.train.ids[i : i + 2]} for i in range(0, 24, 2)]
    rewritten = Rewriter(student(tiny_lm).module, 0.5, seed=1)(batches, 3)
    changed = [after is not before for before, after in zip(batches, rewritten, strict=True)]
    assert 2 <= sum(changed) <= 10  # binomial(12, 1/2) leaves this range once in 300 seeds; this seed is fixed
    for before, after, was in zip(batches, rewritten, changed, strict=True):
        assert after["ids"].shape == before["ids"].shape
        assert torch.equal(after["ids"][:, 0], before["ids"][:, 0])  # the prompt stays
        assert was == (not torch.equal(after["ids"], before["ids"]))


def test_a_padded_output_layer_is_cut_to_the_tokens_both_have(tiny_lm: Path, signal: TokenSignal) -> None:
    plain, padded = student(tiny_lm), student(tiny_lm)
    padded.module.resize_token_embeddings(padded.module.config.vocab_size + 40)
    bare, session = dataclasses.replace(signal, recorded=None), LearnSession(teachers=[Handle(tiny_lm)])
    one, other = (model.learn(bare, recipe(steps=3), session) for model in (plain, padded))
    assert [loss for _, loss in other.loss] == pytest.approx([loss for _, loss in one.loss], rel=1e-4)


def test_packed_documents_do_not_see_each_other(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    first, second = torch.arange(5, 11), torch.arange(20, 27)
    packed = TokenRows(torch.cat([first, second]).int()[None], torch.tensor([[0] * 6 + [1] * 7], dtype=torch.int32))
    with torch.inference_mode():
        together = model.module(**packed.inputs("cpu"), use_cache=False).logits[0]
        alone = [model.module(one[None], use_cache=False).logits[0] for one in (first, second)]
    torch.testing.assert_close(together[:6], alone[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together[6:], alone[1][:-1], atol=1e-4, rtol=1e-4)
