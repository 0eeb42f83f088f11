"""Which blocks stay: spaced, named, or those that change the residual stream most."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from distbench.data.calibration import Calibration
from distbench.data.token_signal import TokenRows
from distbench.errors import UsageError
from distbench.methods.importance import block_influence, strongest
from distbench.methods.layer_drop import LayerDrop, LayerDropOptions
from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU

SMALL = {"samples": 8, "length": 12}


def drop(**options: Any) -> LayerDrop:
    return LayerDrop(LayerDropOptions.model_validate(options))


def still(model: HFCausal, *blocks: int) -> None:
    """Let blocks add nothing to what goes through them."""
    with torch.no_grad():
        for index in blocks:
            model.module.model.layers[index].self_attn.o_proj.weight.zero_()
            model.module.model.layers[index].mlp.down_proj.weight.zero_()


def test_influence_equals_one_minus_the_mean_cosine_by_hand(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    ids = torch.arange(40).reshape(4, 10)
    found = block_influence(model, TokenRows(ids.int()))
    with torch.inference_mode():
        states = model.module.model(ids[:, :-1], output_hidden_states=True).hidden_states
        last: list[torch.Tensor] = []
        hook = model.module.model.layers[3].register_forward_hook(lambda _, given, out: last.append(out))
        model.module(ids[:, :-1])
        hook.remove()
    states = [*states[:4], last[0]]  # the last of transformers' hidden states stands behind the final norm
    for value, (before, after) in zip(found, itertools.pairwise(states), strict=True):
        total = 0.0
        for x, y in zip(before.flatten(0, 1), after.flatten(0, 1), strict=True):
            total += float((x @ y) / (x.norm() * y.norm()))
        assert value == pytest.approx(1 - total / 36, abs=1e-5)


def test_padding_does_not_count(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    ids = torch.arange(20).reshape(2, 10).int()
    filled = torch.cat([ids, torch.full((2, 6), 7, dtype=torch.int32)], dim=1)
    documents = torch.zeros_like(filled)
    documents[:, 9:] = -1  # the tenth token is only predicted; here it is not even there
    found = block_influence(model, TokenRows(filled, documents))
    assert found == pytest.approx(block_influence(model, TokenRows(ids)), abs=1e-7)


def test_packed_texts_count_as_they_do_alone(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    ids = torch.arange(20).int()
    documents = torch.tensor([0] * 8 + [1] * 12, dtype=torch.int32)
    packed = block_influence(model, TokenRows(ids[None], documents[None]))
    first = block_influence(model, TokenRows(torch.cat([ids[:8], ids[:1]])[None]))
    second = block_influence(model, TokenRows(ids[8:][None]))
    alone = [(8 * a + 11 * b) / 19 for a, b in zip(first, second, strict=True)]
    assert packed == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("idle", [(0,), (2,), (1, 3)])
def test_blocks_that_do_nothing_are_dropped_first_and_nothing_changes(sure_lm: Path, idle: tuple[int, ...]) -> None:
    model = HFCausal.open(sure_lm, CPU)
    layers = model.module.model.layers
    layers.extend([*HFCausal.open(sure_lm, CPU).module.model.layers])  # four blocks: the fixture has two
    for position, block in enumerate(layers):
        block.self_attn.layer_idx = position
    model.module.config.num_hidden_layers = 4
    still(model, *idle)
    ids = torch.tensor([[0, 5, 17, 33, 60]])
    with torch.inference_mode():
        expected = model.module(ids).logits
    made = drop(keep=4 - len(idle), by="influence", calibration=SMALL)
    student = made.make(model, CPU)
    kept = [i for i in range(4) if i not in idle]
    assert made.notes["kept_blocks"] == kept
    assert [made.notes["influence"][i] for i in idle] == pytest.approx([0.0] * len(idle), abs=1e-6)
    assert made.notes["calibration"] == {"texts": "written by the parent", "rows": 8, "tokens": 96}
    with torch.inference_mode():
        assert torch.equal(student.module(ids).logits, expected)


def test_the_text_decides_and_is_read_from_its_file(tiny_lm: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("the doctor with the patients\nthe cats were on the mat", encoding="utf-8")
    given = {"texts": str(tmp_path / "t.txt"), **SMALL}
    made = drop(keep=2, by="influence", calibration=given)
    made.make(HFCausal.open(tiny_lm, CPU), CPU)
    model = HFCausal.open(tiny_lm, CPU)
    expected = block_influence(model, Calibration(**given).rows(model, CPU.seed))
    assert made.notes["influence"] == expected
    assert made.notes["kept_blocks"] == strongest(expected, 2)
    assert len(made.notes["calibration"]["texts"]) == 64  # the file's digest, not its path


def test_spaced_keeps_what_it_kept_and_asks_for_no_text(tiny_lm: Path) -> None:
    made = drop(keep=3)
    made.make(HFCausal.open(tiny_lm, CPU), CPU)
    assert made.notes == {"kept_blocks": [0, 1, 3]}
    assert made.identity() == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 2, "drop": [1]}, "exactly one of 'keep' and 'drop'"),
        ({"keep": [0, 1], "by": "influence"}, "give 'keep' a number"),
        ({"drop": [0], "by": "influence"}, "give 'keep' a number"),
        ({"keep": 2, "calibration": {}}, "read by 'by: influence' only"),
        ({"keep": 2, "by": "influence", "calibration": {"samples": 0}}, "greater than or equal to 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        drop(**options)


@pytest.mark.parametrize("options", [{"keep": 5}, {"keep": [4]}, {"drop": [7]}, {"keep": 5, "by": "influence"}])
def test_too_many_blocks_are_found_in_the_parents_files(tiny_lm: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="of 4"):
        drop(**options).fits(tiny_lm)
    drop(keep=4).fits(tiny_lm)


def test_a_parent_whose_files_say_nothing_is_asked_later(tmp_path: Path) -> None:
    drop(keep=5).fits(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"n_layer": 2}), encoding="utf-8")
    drop(keep=5).fits(tmp_path)


def test_of_equal_scores_the_first_stay() -> None:
    assert strongest([1.0, 3.0, 1.0, 1.0], 3) == [0, 1, 2]
