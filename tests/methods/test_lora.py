"""Low-rank adapters: nothing changes until they learn, only they learn, and afterwards they are gone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from distbench import plugins
from distbench.errors import EnvironmentFault, RunError, UsageError
from distbench.models.hf_causal import HFCausal
from distbench.plan.capabilities import check_training
from distbench.schema.suite import DistilSpec
from distbench.schema.training import Lora
from distbench.training.lora import merge, targets, wrap
from tests.conftest import CPU

IDS = torch.tensor([[0, 5, 17, 33, 60, 7]])
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(autouse=True)
def installed() -> None:
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")


def logits(module: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return module(IDS).logits


def stir(module: torch.nn.Module) -> None:
    """Give every adapter an update as training would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)


def test_nothing_changes_before_the_first_step(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    before = logits(model.module)
    wrap(model.module, Lora())
    assert torch.equal(logits(model.module), before)


def test_only_the_adapters_have_gradients_and_they_are_as_many_as_computed_by_hand(tiny_lm: Path) -> None:
    module = HFCausal.open(tiny_lm, CPU).module
    wrap(module, Lora(rank=4))
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name for name in trained)
    width, narrow, inner, layers = 32, 16, 64, 4  # of the fixture: 4 heads of 8, 2 of them keys and values
    ends = 2 * (width + width) + 2 * (width + narrow) + 3 * (width + inner)  # q, o; k, v; gate, up, down
    assert sum(parameter.numel() for parameter in trained.values()) == 4 * ends * layers
    module(IDS, labels=IDS).loss.backward()
    assert all(parameter.grad is not None for parameter in trained.values())
    assert all(p.grad is None for name, p in module.named_parameters() if name not in trained)


def test_merging_keeps_the_logits_and_leaves_a_plain_checkpoint(tiny_lm: Path, tmp_path: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    plain, types = logits(model.module), {name: type(part) for name, part in model.module.named_modules()}
    names = {name for name, _ in model.module.named_parameters()}
    wrap(model.module, Lora(rank=4, alpha=8.0))
    stir(model.module)
    learnt = logits(model.module)
    assert not torch.allclose(learnt, plain, atol=1e-2)
    merge(model.module)
    torch.testing.assert_close(logits(model.module), learnt, rtol=0, atol=2e-6)
    assert {name: type(part) for name, part in model.module.named_modules()} == types
    assert {name for name, p in model.module.named_parameters() if p.requires_grad} == names
    model.save(tmp_path)
    assert not list(tmp_path.glob("adapter*"))
    loaded, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    torch.testing.assert_close(logits(loaded), learnt, rtol=0, atol=2e-6)


def test_the_update_is_alpha_over_rank_times_b_a(tiny_lm: Path) -> None:
    module = HFCausal.open(tiny_lm, CPU).module
    layer = module.model.layers[1].self_attn.q_proj
    before = layer.weight.detach().clone()
    wrap(module, Lora(rank=4, alpha=12.0, targets=["q_proj"]))
    stir(module)
    wrapped = module.model.layers[1].self_attn.q_proj
    a, b = wrapped.lora_A["default"].weight.detach().clone(), wrapped.lora_B["default"].weight.detach().clone()
    merge(module)
    torch.testing.assert_close(module.model.layers[1].self_attn.q_proj.weight, before + 12.0 / 4 * b @ a)


def test_the_same_seed_gives_the_same_adapters(tiny_lm: Path) -> None:
    def drawn(seed: int) -> torch.Tensor:
        module = HFCausal.open(tiny_lm, CPU).module
        torch.manual_seed(seed)
        wrap(module, Lora(targets=["q_proj"]))
        return module.model.layers[0].self_attn.q_proj.lora_A["default"].weight.detach()

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


def test_all_linear_layers_but_the_head_unless_named(tiny_lm: Path) -> None:
    module = HFCausal.open(tiny_lm, CPU).module
    assert {name.rpartition(".")[2] for name in targets(module, None)} == set(PROJECTIONS)
    assert len(targets(module, None)) == 7 * 4
    assert targets(module, ["layers.2.mlp.up_proj"]) == ["model.layers.2.mlp.up_proj"]


def test_a_target_that_is_not_there_is_refused_with_the_nearest(tiny_lm: Path) -> None:
    with pytest.raises(UsageError, match=r"no linear layer 'q_porj'; did you mean 'q_proj'\?"):
        wrap(HFCausal.open(tiny_lm, CPU).module, Lora(targets=["k_proj", "q_porj"]))


def test_an_update_that_is_not_finite_is_never_merged(tiny_lm: Path) -> None:
    module = HFCausal.open(tiny_lm, CPU).module
    wrap(module, Lora())
    with torch.no_grad():
        module.model.layers[2].mlp.up_proj.lora_B["default"].weight.fill_(float("nan"))
    with pytest.raises(RunError, match=r"layers\.2\.mlp\.up_proj is not finite"):
        merge(module)


def spec() -> DistilSpec:
    return DistilSpec.model_validate(
        {"use": "soft-labels", "data": {"use": "teacher-sampled"}, "lora": {"rank": 4}, "epochs": 1}
    )


def test_a_missing_library_is_named_with_its_extra_when_a_run_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    check_training(spec(), "s", "hf-causal", ["hf-causal"])
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(EnvironmentFault, match=r"lora needs 'peft', which is not installed; .*distbench\[lora\]"):
        check_training(spec(), "s", "hf-causal", ["hf-causal"])


def test_a_family_without_adapters_is_refused_when_a_run_is_planned() -> None:
    data = {"use": "sklearn-digits"}
    train = DistilSpec.model_validate({"use": "soft-labels", "data": data, "lora": {}})
    with pytest.raises(UsageError, match="lora needs lora, which 'mlp' does not offer"):
        check_training(train, "s", "mlp", ["mlp"])


def test_the_version_of_the_library_is_known() -> None:
    assert plugins.version_of("peft")[0].isdigit()
