"""Text on which a model's activations are measured before a student is trained: of a file, or the model's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from distbench.data.corpus_rows import Tokens, lay_out
from distbench.data.teacher_sampled import start_token
from distbench.data.text_decoding import Decoding, continue_rows
from distbench.data.text_lines import read_texts
from distbench.data.token_signal import TokenRows
from distbench.errors import RunError, UsageError
from distbench.hashing import file_digest
from distbench.schema.strict import Strict

BATCH = 64  # rows that are written at once
CODE_VERSION = 1  # part of a cell's id: raise it when the same options would give other rows


class Calibration(Strict):
    """Which text activations are measured on. Without `texts` the parent writes it itself: no data is needed."""

    texts: str | None = Field(
        None, min_length=1, description="a file: JSON Lines, or plain text with a text a line; else the parent's own"
    )
    field: str = Field("text", min_length=1, description="field of the JSON documents that holds the text")
    samples: int = Field(64, ge=1, le=65_536, description="rows of text; as many as there are where a file has fewer")
    length: int = Field(128, ge=2, le=131_072, description="tokens of a row")

    def identity(self) -> dict[str, Any]:
        """Return what decides the rows beside the options. Raises UsageError where the file is not there."""
        if self.texts is None:
            return {"code": CODE_VERSION}
        if not Path(self.texts).is_file():
            raise UsageError(f"calibration: the file {self.texts} does not exist")
        return {"code": CODE_VERSION, "texts": file_digest(Path(self.texts))}

    def rows(self, model: Any, seed: int) -> TokenRows:
        """Return at most `samples` rows of `length` tokens for a loaded causal language model.

        Texts are drawn by the seed and packed; attention stays inside each. Raises RunError where a file has no text.
        """
        return self._written(model, seed) if self.texts is None else self._read(model.tokenizer, seed)

    def facts(self, rows: TokenRows) -> dict[str, Any]:
        """Return what was used, for the record."""
        source = {"texts": "written by the parent"} if self.texts is None else self.identity()
        return source | {"rows": len(rows), "tokens": int(counted(rows).sum())}

    def _written(self, model: Any, seed: int) -> TokenRows:
        import torch

        levels = torch.rand(
            self.samples, self.length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
        )
        start = [start_token(model.tokenizer)]
        how = Decoding(self.length, frozenset(), 1.0, levels)
        written = continue_rows(model.module, [start] * self.samples, how, BATCH)
        return TokenRows(torch.tensor([start + tokens for tokens in written], dtype=torch.int32))

    def _read(self, tokenizer: Any, seed: int) -> TokenRows:
        import numpy as np

        texts = list(read_texts(Path(self.texts or ""), self.field))
        documents, wanted = [], self.samples * (self.length + 1)
        for index in np.random.default_rng(seed).permutation(len(texts)):
            ids = np.asarray(tokenizer(texts[index])["input_ids"], dtype=np.int32)
            if len(ids) >= 2:  # nothing follows a single token
                documents.append(Tokens(ids, np.ones(len(ids), dtype=np.bool_)))
                wanted -= len(ids)
            if wanted <= 0:
                break
        if not documents:
            raise RunError(f"calibration: {self.texts} has no text of two tokens or more")
        return lay_out(documents, self.length, 0, packing=True).rows.take(slice(0, self.samples))


def counted(rows: TokenRows) -> Any:
    """Return which inputs are tokens of a text, [n, L] bool; the others fill a row up."""
    import torch

    if rows.documents is None:
        return torch.ones(len(rows), rows.ids.shape[1] - 1, dtype=torch.bool)
    return rows.documents[:, :-1] >= 0
