"""Language models: loading refuses what is incomplete, students keep what they should, int8 survives saving."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.methods.int8_dynamic import Int8Dynamic, Int8DynamicOptions
from distbench.methods.layer_drop import LayerDrop, LayerDropOptions, spaced
from distbench.models.hf_causal import HFCausal, HFCausalOptions
from tests.conftest import CPU

IDS = torch.tensor([[0, 5, 17, 33, 60]])


def logits(model: HFCausal) -> torch.Tensor:
    with torch.inference_mode():
        return model.module(IDS).logits


def test_save_and_open_give_the_same_logits(tiny_lm: Path, tmp_path: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    model.save(tmp_path / "copy")
    assert torch.equal(logits(HFCausal.open(tmp_path / "copy", CPU)), logits(model))


def test_footprint_counts_tied_tensors_once(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    found = model.footprint()
    assert found.params_unique == sum(p.numel() for p in model.module.parameters())
    embedding = model.module.get_input_embeddings().weight.numel()
    assert found.params_non_embedding == found.params_unique - embedding
    assert found.bytes_on_disk == (tiny_lm / "model.safetensors").stat().st_size


def test_layer_drop_equals_running_the_kept_blocks_by_hand(tiny_lm: Path) -> None:
    full, student = HFCausal.open(tiny_lm, CPU), HFCausal.open(tiny_lm, CPU)
    student = LayerDrop(LayerDropOptions(keep=[0, 3])).make(student, CPU)
    decoder = full.module.model
    with torch.inference_mode():
        hidden = decoder.embed_tokens(IDS)
        positions = torch.arange(IDS.shape[1])[None]
        rotary = decoder.rotary_emb(hidden, position_ids=positions)
        for index in (0, 3):
            hidden = decoder.layers[index](
                hidden, attention_mask=None, position_ids=positions, position_embeddings=rotary
            )
        expected = full.module.lm_head(decoder.norm(hidden))
    torch.testing.assert_close(logits(student), expected)
    assert student.module.config.num_hidden_layers == 2


def test_a_student_with_dropped_layers_generates_with_a_cache_after_reload(tiny_lm: Path, tmp_path: Path) -> None:
    student = LayerDrop(LayerDropOptions(drop=[1])).make(HFCausal.open(tiny_lm, CPU), CPU)
    student.save(tmp_path / "student")
    again = HFCausal.open(tmp_path / "student", CPU)
    with torch.inference_mode():
        cached = again.module.generate(IDS, max_new_tokens=6, do_sample=False, use_cache=True)
        plain = again.module.generate(IDS, max_new_tokens=6, do_sample=False, use_cache=False)
    assert torch.equal(cached, plain)


@pytest.mark.parametrize(("total", "keep"), [(t, k) for t in (2, 4, 12, 30) for k in range(2, t + 1)])
def test_spaced_keeps_both_ends(total: int, keep: int) -> None:
    kept = spaced(total, keep)
    assert len(kept) == keep
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, total - 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 5}, "keep 5 of 4"),
        ({"keep": 1}, "between 2 and 4"),
        ({"keep": [0, 9]}, "block 9 of 4"),
        ({"drop": [0, 1, 2, 3]}, "keeps no block"),
    ],
)
def test_layer_drop_refuses_blocks_that_do_not_exist(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LayerDrop(LayerDropOptions.model_validate(options)).kept(4)


def test_int8_is_close_smaller_and_survives_saving(tiny_lm: Path, tmp_path: Path) -> None:
    reference = logits(HFCausal.open(tiny_lm, CPU))
    model = Int8Dynamic(Int8DynamicOptions(skip=["down_proj"])).quantise(HFCausal.open(tiny_lm, CPU))
    before = logits(model)
    assert torch.nn.functional.cosine_similarity(before.flatten(), reference.flatten(), dim=0) > 0.99
    model.save(tmp_path / "int8")
    again = HFCausal.open(tmp_path / "int8", CPU)
    assert torch.equal(logits(again), before)
    found = again.footprint()
    assert found.dtype == "F32+I8"
    assert found.params_unique == HFCausal.open(tiny_lm, CPU).footprint().params_unique
    tensors = load_file(tmp_path / "int8" / "model.safetensors")
    assert tensors["model.layers.0.self_attn.q_proj.weight_int8"].dtype is torch.int8
    assert "model.layers.0.mlp.down_proj.weight" in tensors  # skipped
    assert "lm_head.weight" not in tensors  # tied to the embedding


def test_int8_rounding_error_is_at_most_half_a_step(tiny_lm: Path, tmp_path: Path) -> None:
    weight = HFCausal.open(tiny_lm, CPU).module.model.layers[0].self_attn.q_proj.weight.detach()
    model = Int8Dynamic(Int8DynamicOptions()).quantise(HFCausal.open(tiny_lm, CPU))
    model.save(tmp_path / "int8")
    tensors = load_file(tmp_path / "int8" / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    scale = tensors[f"{name}_scale"][:, None]
    assert float(((tensors[f"{name}_int8"].float() * scale - weight).abs() / scale).max()) <= 0.5 + 1e-4


def _rewrite(folder: Path, change: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    if change == "missing":
        del tensors[name]
    elif change == "nan":
        tensors[name][0, 0] = math.nan
    else:
        tensors[name] = tensors[name][:-1].contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"), [("missing", "missing"), ("nan", "NaN"), ("shape", "up_proj.* has shape")]
)
def test_bad_weights_are_refused_not_replaced_by_random_ones(
    tiny_lm: Path, tmp_path: Path, change: str, message: str
) -> None:
    folder = Path(shutil.copytree(tiny_lm, tmp_path / "model"))
    _rewrite(folder, change)
    with pytest.raises(RefusedError, match=message):
        HFCausal.open(folder, CPU)


def test_an_int8_answer_does_not_depend_on_its_batch(tiny_lm: Path) -> None:
    model = Int8Dynamic(Int8DynamicOptions()).quantise(HFCausal.open(tiny_lm, CPU))
    loud = torch.randn(1, 5, 32) * 100
    quiet = torch.randn(1, 5, 32) * 0.01
    layer = model.module.model.layers[0].self_attn.q_proj
    with torch.inference_mode():
        alone, together = layer(quiet), layer(torch.cat([quiet, loud]))[:1]
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-7)


def test_options_choose_the_attention_kernel(tiny_lm: Path) -> None:
    default, eager = (HFCausal.open(tiny_lm, CPU, options) for options in (None, HFCausalOptions(attention="eager")))
    assert default.module.config._attn_implementation == "sdpa"
    assert eager.module.config._attn_implementation == "eager"
    torch.testing.assert_close(logits(eager), logits(default))


def test_verbs_of_language_are_those_of_the_module(sure_lm: Path) -> None:
    model = HFCausal.open(sure_lm, CPU)
    ids = [0, 5, 17, 33, 60]
    with torch.inference_mode():
        expected = model.module(torch.tensor([ids])).logits[0]
    np.testing.assert_allclose(model.logits(ids), expected.numpy(), atol=1e-5)
    logp = expected.log_softmax(-1)
    score, greedy = model.score(ids[:2], ids[2:])
    assert score == pytest.approx(sum(float(logp[i - 1, ids[i]]) for i in (2, 3, 4)), abs=1e-3)
    assert not greedy
    written = model.continue_greedily(ids, 6)
    plain = model.module.generate(torch.tensor([ids]), max_new_tokens=6, do_sample=False, eos_token_id=-1)
    assert written == plain[0, len(ids) :].tolist()
    assert model.score(ids, written)[1]
    assert model.continue_greedily(ids, 6, lambda tokens: tokens[-1] == written[2]) == written[:3]
    assert model.ends == {0}
    assert model.context_length == 1024


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile builds C++ kernels with g++")
def test_compiled_decoding_writes_the_same_tokens(sure_lm: Path) -> None:
    plain, compiled = (HFCausal.open(sure_lm, CPU, HFCausalOptions(compile=flag)) for flag in (False, True))
    prompts = plain.prompts(2, 7, 0)
    for length in (5, 9):  # another length is another cache, and the graph of the first must not serve it
        found, expected = (model.decode(prompts[:, :length], 6) for model in (compiled, plain))
        assert found.tokens.tolist() == expected.tokens.tolist()
        assert len(found.marks_ns) == 6
    assert compiled.decode(prompts, 6).tokens.tolist() == compiled.decode(prompts, 6).tokens.tolist()


def test_a_missing_compiler_is_named(tiny_lm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # nothing that was built before
    monkeypatch.setattr(inductor.cpp, "cxx", (str(tmp_path / "no-compiler"),))
    torch._dynamo.reset()
    model = HFCausal.open(tiny_lm, CPU, HFCausalOptions(compile=True))
    with pytest.raises(EnvironmentFault, match=r"compile: true: torch.compile cannot build .* needs a C\+\+ compiler"):
        model.decode(model.prompts(1, 3, 0), 3)
