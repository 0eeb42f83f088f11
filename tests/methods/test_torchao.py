"""Linear layers quantised by torchao."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from distbench.errors import EnvironmentFault, RefusedError
from distbench.methods import torchao
from distbench.methods.torchao import TorchAO
from distbench.models.hf_causal import HFCausal
from distbench.models.quantised import is_quantised
from distbench.plan.capabilities import check_start
from distbench.schema.strict import Use
from tests.conftest import CPU

IDS = [0, 5, 17, 33, 60, 7]
SCHEMES = ["int8-weight-only", "int8-dynamic"]


def installed() -> None:
    pytest.importorskip("torchao", reason="the extra 'torchao' is not installed")


def quantised(folder: Path, **options: Any) -> HFCausal:
    model: HFCausal = TorchAO(TorchAO.Options(**options)).quantise(HFCausal.open(folder, CPU))
    return model


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_saved_model_is_opened_as_it_was(sure_lm: Path, tmp_path: Path, scheme: str) -> None:
    installed()
    source, made = HFCausal.open(sure_lm, CPU), quantised(sure_lm, scheme=scheme)
    made.save(tmp_path)
    found = HFCausal.open(HFCausal.resolve(str(tmp_path), Path("/")).path or Path(), CPU)
    np.testing.assert_array_equal(found.logits(IDS), made.logits(IDS))
    assert not np.array_equal(found.logits(IDS), source.logits(IDS))
    assert float(np.abs(found.logits(IDS) - source.logits(IDS)).max()) < 0.1 * float(np.abs(source.logits(IDS)).max())
    assert is_quantised(found.module)
    assert not is_quantised(source.module)


def test_sizes_count_integers_once_and_no_scales(sure_lm: Path, tmp_path: Path) -> None:
    installed()
    source, made = HFCausal.open(sure_lm, CPU).footprint(), quantised(sure_lm)
    made.save(tmp_path)
    found = made.footprint()
    assert found.params_unique == source.params_unique
    assert found.params_non_embedding == source.params_non_embedding
    assert found.dtype == "F32+I8"
    assert made.weight_bytes() < HFCausal.open(sure_lm, CPU).weight_bytes()


def test_decoding_with_a_cache_is_decoding_without_one(sure_lm: Path) -> None:
    installed()
    model = quantised(sure_lm)
    written = model.continue_greedily(IDS, 6)
    for at, token in enumerate(written):
        assert int(model.logits([*IDS, *written[:at]])[-1].argmax()) == token


def test_layers_are_left_out_by_name_and_stay_so(sure_lm: Path, tmp_path: Path) -> None:
    installed()
    made = quantised(sure_lm, skip=["down_proj"])
    made.save(tmp_path)
    for module in (made.module, HFCausal.open(tmp_path, CPU).module):
        block = module.model.layers[0]
        assert type(block.mlp.down_proj.weight.data).__name__ == "Tensor"
        assert type(block.mlp.up_proj.weight.data).__name__ == "Int8Tensor"
        assert type(module.lm_head.weight.data).__name__ == "Tensor"


def test_nothing_left_to_quantise_is_refused(sure_lm: Path) -> None:
    installed()
    every = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    with pytest.raises(RefusedError, match="no linear layer is left to quantise"):
        quantised(sure_lm, skip=every)


def test_nan_in_scales_is_found(sure_lm: Path, tmp_path: Path) -> None:
    installed()
    made = quantised(sure_lm)
    made.module.model.layers[0].mlp.up_proj.weight.scale[0] = float("nan")
    made.save(tmp_path)
    with pytest.raises(RefusedError, match=r"up_proj\.weight' holds NaN"):
        HFCausal.open(tmp_path, CPU)


# -- where torchao is missing, or is another one ---------------------------------------------------------------------


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchao", None)
    with pytest.raises(EnvironmentFault, match=r"needs 'torchao', which is not installed; .*distbench\[torchao\]"):
        check_start(None, Use(use="torchao"), "s", "hf-causal")  # when a run is planned


def test_a_checkpoint_of_a_missing_library_is_refused_before_it_is_loaded(
    sure_lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in sure_lm.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "torchao"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setitem(sys.modules, "torchao", None)
    with pytest.raises(EnvironmentFault, match=r"was quantised by torchao: pip install 'distbench\[torchao\]'"):
        HFCausal.resolve(str(tmp_path), Path("/"))


def test_an_old_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchao, "version", lambda name: "0.9.0")
    with pytest.raises(EnvironmentFault, match=r"torchao 0\.9\.0 is older than"):
        torchao.check_version()


def test_a_library_built_for_another_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchao, "version", lambda name: "0.18.0")
    monkeypatch.setitem(sys.modules, "torchao", SimpleNamespace(skip_loading_so_files=True))
    with pytest.raises(EnvironmentFault, match=r"torchao 0\.18\.0 was built for another torch than"):
        torchao.check_version()
