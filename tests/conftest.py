"""Shared fixtures: a cache of its own for the whole session, and language models of a few kilobytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from distbench.schema.cell import Settings

# A busy machine is no failure: hypothesis allows an example 200 ms unless told otherwise.
hypothesis.settings.register_profile("distbench", parent=hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("distbench")

CPU = Settings(seed=0, device="cpu", dtype="float32", threads=1)


# Files that take long, the longest first. They begin in this order: no worker is left alone with one at the end.
LONG = (
    "tests/executors/test_ray.py",
    "tests/test_main_job.py",
    "tests/test_real_model.py",
    "tests/training/test_launch.py",
    "tests/data/test_pull.py",
    "tests/cell/",
    "tests/models/",
    "tests/reliability/",
    "tests/schedulers/",
    "tests/secrets/",
    "tests/training/",
    "tests/report/",
    "tests/test_study_run.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; `--no-loadscope-reorder` has xdist keep this order."""

    def place(item: pytest.Item) -> int:
        return next((number for number, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep tests away from the user's cache, and the hub out of reach. A cache named in the environment is kept for
    downloads of real models only (`REAL_CACHE`)."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("DISTBENCH_CACHE")
    os.environ["DISTBENCH_CACHE"] = str(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    yield folder
    os.environ.pop("DISTBENCH_CACHE")
    if before is not None:
        os.environ["DISTBENCH_CACHE"] = before


def save_tiny_lm(folder: Path, *, layers: int = 4, seed: int = 0, hidden: int = 32) -> Path:
    """Write a random Llama with a byte-pair tokenizer trained on a few sentences."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        ["the doctor with the patients was very kind", "the cats were on the mat"] * 4, trainer
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random language model with four layers."""
    return save_tiny_lm(tmp_path_factory.mktemp("tiny") / "teacher")


@pytest.fixture(scope="session")
def other_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another random language model with two layers and the same tokenizer."""
    return save_tiny_lm(tmp_path_factory.mktemp("tiny") / "other", layers=2, seed=1)


@pytest.fixture(scope="session")
def sure_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model whose answers hang on positions: random weights of the usual size are nearly indifferent.

    Its rotary base is 100,000, which transformers 5 writes where older readers do not look.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = save_tiny_lm(tmp_path_factory.mktemp("sure") / "model", layers=2)
    config = AutoConfig.from_pretrained(folder)
    config.rope_parameters["rope_theta"] = 100_000.0
    model = AutoModelForCausalLM.from_pretrained(folder, config=config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(12.0)
    model.save_pretrained(folder)
    return folder
