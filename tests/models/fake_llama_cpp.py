"""A stand-in for the module `llama_cpp`: the C interface that is used, computed by the torch model behind a GGUF file.

It keeps the rules that the real one has and a caller could break: room is fixed when a context is made, positions of a
sequence follow one another, logits exist only where they were asked for, and memory is freed once.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


def module() -> ModuleType:
    fake = ModuleType("llama_cpp")
    for name, value in _Interface().functions().items():
        setattr(fake, name, value)
    return fake


class _Interface:
    def __init__(self) -> None:
        self.freed: list[str] = []
        self._kept: list[Any] = []

    def functions(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in dir(self) if name.startswith("llama_")} | {"interface": self}

    llama_log_callback = staticmethod(ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p))

    def llama_log_set(self, callback: Any, data: Any) -> None:
        self._kept.append(callback)

    def llama_backend_init(self) -> None: ...

    def llama_model_default_params(self) -> Any:
        return SimpleNamespace()

    def llama_context_default_params(self) -> Any:
        return SimpleNamespace(type_k=1, type_v=1)

    def llama_model_load_from_file(self, path: bytes, params: Any) -> Any:
        file = Path(path.decode())
        return HFCausal.open(file, CPU) if file.read_bytes()[:4] == b"GGUF" else None

    def llama_model_get_vocab(self, model: Any) -> Any:
        return model

    def llama_vocab_n_tokens(self, vocab: Any) -> int:
        return int(vocab.module.config.vocab_size)

    def llama_model_n_ctx_train(self, model: Any) -> int:
        return int(model.context_length)

    def llama_vocab_eos(self, vocab: Any) -> int:
        return int(vocab.module.config.eos_token_id)

    def llama_vocab_eot(self, vocab: Any) -> int:
        return -1

    def llama_init_from_model(self, model: Any, params: Any) -> Any:
        assert params.n_ctx % params.n_seq_max == 0
        return SimpleNamespace(
            model=model, params=params, room=params.n_ctx // params.n_seq_max, rows={},
            texts=[[] for _ in range(params.n_seq_max)],
        )  # fmt: skip

    def llama_get_memory(self, context: Any) -> Any:
        return context

    def llama_memory_clear(self, context: Any, data: bool) -> None:
        context.texts = [[] for _ in context.texts]

    def llama_memory_seq_rm(self, context: Any, sequence: int, start: int, end: int) -> bool:
        assert (sequence, end) == (-1, -1)
        context.texts = [text[:start] for text in context.texts]
        return True

    def llama_batch_init(self, tokens: int, embd: int, sequences: int) -> Batch:
        rows = [(ctypes.c_int32 * sequences)() for _ in range(tokens)]
        pointers = (ctypes.POINTER(ctypes.c_int32) * tokens)(
            *(ctypes.cast(row, ctypes.POINTER(ctypes.c_int32)) for row in rows)
        )
        kept = [rows, *((ctypes.c_int32 * tokens)() for _ in range(3)), (ctypes.c_int8 * tokens)(), pointers]
        self._kept.append(kept)
        return Batch(0, kept[1], kept[2], kept[3], pointers, kept[4])

    def llama_batch_free(self, batch: Batch) -> None:
        self.freed.append("batch")

    def llama_decode(self, context: Any, batch: Batch) -> int:
        if batch.n_tokens > context.params.n_batch:
            return 1
        asked = []
        for index in range(batch.n_tokens):
            sequence = batch.seq_id[index][0]
            text = context.texts[sequence]
            assert batch.n_seq_id[index] == 1
            assert batch.pos[index] == len(text), "positions must follow one another"
            if len(text) == context.room:
                return 1
            text.append(batch.token[index])
            if batch.logits[index]:
                asked.append((index, sequence, len(text) - 1))
        computed = [context.model.logits(text) if text else None for text in context.texts]
        context.rows = {index: computed[sequence][at].copy() for index, sequence, at in asked}
        return 0

    def llama_get_logits_ith(self, context: Any, index: int) -> Any:
        row = np.ascontiguousarray(context.rows[index], dtype=np.float32)
        self._kept.append(row)
        return row.ctypes.data_as(ctypes.POINTER(ctypes.c_float))

    def llama_state_seq_get_size(self, context: Any, sequence: int) -> int:
        return 64 + 256 * len(context.texts[sequence])

    def llama_free(self, context: Any) -> None:
        self.freed.append("context")

    def llama_model_free(self, model: Any) -> None:
        self.freed.append("model")
