"""llama.cpp at work: a loaded GGUF file, and a context that sequences of token ids are fed to.

Written against the C interface (llama.h, as llama-cpp-python exposes it), because its high-level class takes one
sequence at a time, samples with random numbers by default and times nothing.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from distbench.errors import RefusedError, RunError

CacheType = Literal["float32", "float16"]
Logits = NDArray[np.float32]
_GGML = {"float32": 0, "float16": 1}  # enum ggml_type
_NO_FLASH = 0  # enum llama_flash_attn_type
_PHYSICAL = 512  # tokens that llama.cpp computes at once: its default


class Session:
    """A GGUF file and one context, which grows to what is asked of it.

    Attributes: vocabulary (tokens), trained_context (positions), positions (room of each sequence), cache (type of keys
    and values).
    """

    def __init__(self, file: Path, threads: int, cache: CacheType) -> None:
        import llama_cpp

        self._c = llama_cpp
        self.threads, self.cache = threads, cache
        self._context: Any = None
        self._sequences = self.positions = 0
        _silence()
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(str(file).encode(), llama_cpp.llama_model_default_params())
        if not self._model:
            raise RefusedError(f"{file}: llama.cpp cannot load it (damaged, or a kind of model that it does not know)")
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.vocabulary = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self.trained_context = int(llama_cpp.llama_model_n_ctx_train(self._model))

    # -- work -------------------------------------------------------------------------------------------------------

    def start(self, sequences: int, positions: int) -> None:
        """Forget everything, and have room for so many sequences of so many positions each."""
        if self._sequences != sequences or self.positions < positions:
            self._make_context(sequences, positions)
        self._c.llama_memory_clear(self._c.llama_get_memory(self._context), False)

    def feed(self, tokens: NDArray[np.int64], start: int, wanted: int = 1) -> Logits:
        """Continue every sequence with tokens [batch, length] at position `start`.

        Returns the logits after the last `wanted` of them, [batch, wanted, vocabulary] float32.
        """
        rows, length = tokens.shape
        batch = self._c.llama_batch_init(rows * length, 0, 1)
        try:
            _fill(batch, tokens, start, wanted)
            code = self._c.llama_decode(self._context, batch)
            if code:
                raise RunError(f"llama.cpp: llama_decode returned {code} for {rows} × {length} tokens")
            picked = [row * length + at for row in range(rows) for at in range(length - wanted, length)]
            return np.stack([self._row(index) for index in picked]).reshape(rows, wanted, self.vocabulary)
        finally:
            self._c.llama_batch_free(batch)

    def forget(self, start: int) -> None:
        """Drop what every sequence holds from position `start` on."""
        self._c.llama_memory_seq_rm(self._c.llama_get_memory(self._context), -1, start, -1)

    def state_bytes(self, sequences: int) -> int:
        """Return the bytes of the keys and values that these sequences hold now, with a few bytes a cell about them."""
        return sum(int(self._c.llama_state_seq_get_size(self._context, each)) for each in range(sequences))

    def ends(self) -> list[int]:
        """Return the tokens that end a text or a turn, as the file names them."""
        named = (self._c.llama_vocab_eos(self._vocab), self._c.llama_vocab_eot(self._vocab))
        return sorted({int(token) for token in named if token >= 0})

    def tokenise(self, text: str) -> list[int]:
        """Return the ids of a text by the tokenizer inside the file, special tokens not recognised."""
        encoded = text.encode()
        room = (ctypes.c_int32 * (len(encoded) + 8))()
        count = self._c.llama_tokenize(self._vocab, encoded, len(encoded), room, len(room), False, False)
        return [int(token) for token in room[: max(count, 0)]]

    def close(self) -> None:
        """Give the memory back."""
        if self._context:
            self._c.llama_free(self._context)
        if self._model:
            self._c.llama_model_free(self._model)
        self._context = self._model = None

    # -- the context ------------------------------------------------------------------------------------------------

    def _make_context(self, sequences: int, positions: int) -> None:
        if self._context:
            self._c.llama_free(self._context)
        wanted = self._c.llama_context_default_params()
        wanted.n_ctx = sequences * positions
        wanted.n_batch = sequences * positions
        wanted.n_ubatch = min(_PHYSICAL, sequences * positions)
        wanted.n_seq_max = sequences
        wanted.n_threads = wanted.n_threads_batch = self.threads
        wanted.type_k = wanted.type_v = _GGML[self.cache]
        if self.cache == "float32":  # its fused attention rounds: logits differ by 0.02 with it, by 0.00005 without
            wanted.flash_attn_type = _NO_FLASH
        wanted.no_perf = True
        self._context = self._c.llama_init_from_model(self._model, wanted)
        if not self._context:
            raise RunError(f"llama.cpp: no context for {sequences} × {positions} positions (out of memory?)")
        self._sequences, self.positions = sequences, positions

    def _row(self, index: int) -> Logits:
        pointer = self._c.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary,)).copy()


def _fill(batch: Any, tokens: NDArray[np.int64], start: int, wanted: int) -> None:
    """Write token, position, sequence and "logits wanted" of every token of a batch, one sequence after the other."""
    rows, length = tokens.shape
    batch.n_tokens = count = rows * length
    _view(batch.token, count)[:] = tokens.ravel()
    _view(batch.pos, count)[:] = np.tile(np.arange(start, start + length), rows)
    _view(batch.n_seq_id, count)[:] = 1
    _view(batch.logits, count)[:] = np.tile(np.arange(length) >= length - wanted, rows)
    for index in range(count):
        batch.seq_id[index][0] = index // length


def _view(pointer: Any, count: int) -> NDArray[Any]:
    return np.ctypeslib.as_array(pointer, shape=(count,))


@functools.cache
def _silence() -> Any:
    """Keep llama.cpp's notes out of the cell's log; errors come as return values. Cached: C keeps a pointer."""
    import llama_cpp

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator,unused-ignore]
    def nothing(level: int, text: bytes, data: Any) -> None:
        pass

    llama_cpp.llama_log_set(nothing, None)
    return nothing
