"""What scoring costs, ours beside stock HFLM: `pytest tests/benchmarks`. Shown, never asserted: machines are noisy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distbench.models.hf_causal import HFCausal
from distbench.scoring.packing import pack
from distbench.tasks.lm_eval_model import language_model, scorer_for
from tests.conftest import CPU
from tests.scoring.models import choices

STEM = "the doctor with the patients was very kind and the cats were on the mat because "


@pytest.fixture
def requests() -> list[Any]:
    """Return 40 contexts of about 40 tokens with four answers each."""
    from lm_eval.api.instance import Instance

    pairs = [
        (f"{STEM}{i}", f" answer {k} of the {['doctor', 'cat', 'mat', 'patient'][k]}")
        for i in range(40)
        for k in range(4)
    ]
    return [Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=i) for i, pair in enumerate(pairs)]


@pytest.mark.parametrize("scorer", ["shared-prefix", "hf"])
def test_multiple_choice(benchmark: Any, tiny_lm: Path, requests: list[Any], scorer: Any) -> None:
    model = HFCausal.open(tiny_lm, CPU)

    def answer() -> tuple[Any, list[Any]]:
        state = scorer_for(model, scorer)
        return state, language_model(model, 32, lambda *_: None, state).loglikelihood(requests)

    state, found = benchmark(answer)
    assert state.name == scorer
    assert len(found) == 160


def test_packing_of_ten_thousand_requests(benchmark: Any) -> None:
    many = choices(documents=2500, context=40)
    segments = benchmark(pack, many, 512)
    assert sum(len(row.scored) for segment in segments for row in segment.rows) == 10_000
