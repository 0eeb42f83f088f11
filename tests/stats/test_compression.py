import pytest

from distbench.stats import (
    KINDS,
    compression_ratio,
    compression_ratios,
    flops_per_token,
    gpt2_parameters,
    llama_linear_parameters,
)


def test_known_flops_of_smollm2():
    # torch 2.13 FlopCounterMode on the real SmolLM2-135M at T = 64.
    linear = llama_linear_parameters(layers=30, width=576, feed_forward=1536, query_width=576, key_value_width=192)
    shape = {"vocabulary": 49152, "width": 576, "layers": 30, "sequence_length": 64}
    assert flops_per_token(linear, **shape) == 273_383_424
    assert flops_per_token(linear, **shape, attention_width=576) * 64 == 17_496_539_136
    # Tied: embedding once, 61 norms.
    assert linear + 49152 * 576 + 61 * 576 == 134_515_008


def test_known_parameters_of_gpt2():
    # transformers GPT2LMHeadModel on the meta device.
    big = gpt2_parameters(layers=12, width=768, vocabulary=50257, context=1024)
    small = gpt2_parameters(layers=6, width=768, vocabulary=50257, context=1024)
    assert (big.unique, big.state_dict_sum, big.embedding) == (124_439_808, 163_037_184, 39_383_808)
    assert big.non_embedding == 85_056_000
    assert small.unique == 81_912_576
    assert compression_ratio(big.unique, small.unique) == pytest.approx(1.5191783005334858, abs=1e-9)
    assert compression_ratio(big.non_embedding, small.non_embedding) == pytest.approx(1.999963883270731, abs=1e-9)


def test_each_kind_has_its_own_ratio():
    ratios = compression_ratios(
        {"bytes_on_disk": 400, "params_unique": 100, "resident_memory": None},
        {"bytes_on_disk": 100, "params_unique": 100, "resident_memory": 7},
    )
    assert tuple(ratios) == KINDS
    assert KINDS[0] == "bytes_on_disk"
    assert (ratios["bytes_on_disk"], ratios["params_unique"]) == (4.0, 1.0)
    assert ratios["resident_memory"] is None
    assert ratios["params_active"] is None


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (-1, 1), (float("inf"), 1), (float("nan"), 1)])
def test_sizes_are_positive(sizes):
    with pytest.raises(ValueError, match="positive"):
        compression_ratio(*sizes)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="params"):
        compression_ratios({"params": 1}, {"params": 1})
