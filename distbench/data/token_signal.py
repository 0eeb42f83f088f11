"""What a language model learns from: rows of tokens, and the teacher's distribution where it was recorded.

The teacher is kept as its `k` most likely tokens plus one rest bucket: 4 bytes a candidate (6 with more than 65,536
tokens) instead of 2 bytes a vocabulary entry. The candidates are never renormalised: the rest keeps its mass.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from distbench.errors import UsageError

PADDING = -1  # in `documents`


@dataclass(frozen=True)
class TokenRows:
    """n rows of L + 1 tokens on the CPU; position t predicts token t + 1.

    Shapes: ids [n, L + 1] int32; documents [n, L + 1] int32, which document of its row a token belongs to, counted from
    0 (`PADDING`: none), or None where every row is one document; scored [n, L] bool, which predictions count, or None
    where all do. A prediction across two documents never counts.
    """

    ids: Any
    documents: Any = None
    scored: Any = None

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    @property
    def positions(self) -> int:
        """Predictions that count."""
        return int(self.ids.shape[0] * (self.ids.shape[1] - 1) if self.scored is None else self.scored.sum())

    @property
    def reach(self) -> int:
        """Positions that the longest document takes: what a model's context must hold."""
        length = int(self.ids.shape[1]) - 1
        if self.documents is None or not len(self):
            return length
        seen = self.documents[:, :-1]
        return int(positions_in(seen)[seen != PADDING].max()) + 1 if bool((seen != PADDING).any()) else 0

    def check_context(self, model: Any, role: str) -> None:
        """Raise UsageError where a loaded model has fewer positions than a document takes."""
        most = model.context_length
        if self.reach > most:
            raise UsageError(
                f"the data has documents of {self.reach} positions in a row, and the {role} has {most}; "
                f"set data.length to {most} or less"
            )

    def take(self, rows: Any) -> TokenRows:
        """Return some of the rows: a slice, or a list of indices."""
        return TokenRows(*(None if each is None else each[rows] for each in (self.ids, self.documents, self.scored)))

    def inputs(self, device: Any) -> dict[str, Any]:
        """Return what a causal language model is called with to predict ids[:, 1:], without crossing a document.

        input_ids [n, L]; in packed rows also position_ids [n, L], counted from each document's start, and
        attention_mask [n, 1, L, L] bool.
        """
        given = {"input_ids": self.ids[:, :-1].long().to(device)}
        if self.documents is not None and int(self.documents.max()) > 0:
            documents = self.documents[:, :-1].to(device)
            given |= {"position_ids": positions_in(documents), "attention_mask": block_mask(documents)}
        return given

    def mask(self) -> Any:
        """Return `scored`, or all True, [n, L]."""
        import torch

        shape = (self.ids.shape[0], self.ids.shape[1] - 1)
        return torch.ones(shape, dtype=torch.bool) if self.scored is None else self.scored


def positions_in(documents: Any) -> Any:
    """Return each token's distance from the start of its document, [n, L] int64."""
    import torch

    index = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    starts = torch.ones_like(documents, dtype=torch.bool)
    starts[:, 1:] = documents[:, 1:] != documents[:, :-1]
    first = torch.where(starts, index, torch.zeros_like(index)).cummax(dim=1).values
    return index - first


def block_mask(documents: Any) -> Any:
    """Return [n, 1, L, L] bool: True where a token may see another (an earlier one, or itself, of its own document)."""
    import torch

    same = documents.unsqueeze(2) == documents.unsqueeze(1)
    length = documents.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
    return (same & earlier).unsqueeze(1)


@dataclass(frozen=True)
class Recorded:
    """The teacher's likeliest tokens at every position of the training rows.

    Shapes: ids [n, L, k] uint16 (int32 from 65,536 tokens on); logp [n, L, k] float16, natural log at `temperature`.
    """

    ids: Any
    logp: Any
    temperature: float


@dataclass(frozen=True)
class HeldOut:
    """Rows that no step of the training sees, and the teacher's whole distribution at some of their positions.

    at [m] int64: flat indices into [h, L]; logp [m, V] float16, natural log at temperature 1; both None where no
    teacher was asked.
    """

    rows: TokenRows
    at: Any = None
    logp: Any = None


@dataclass(frozen=True)
class TokenSignal:
    """Training rows, held-out rows, and what was recorded of the teacher."""

    kind: ClassVar[str] = "tokens"
    train: TokenRows
    heldout: HeldOut
    recorded: Recorded | None
    digest: str
    seconds: float = 0.0
    from_cache: bool = False
    facts: dict[str, int | float | str] = field(default_factory=dict)  # what became of the documents, for the record

    @property
    def examples(self) -> int:
        """Training rows."""
        return len(self.train)

    def limited(self, examples: int) -> TokenSignal:
        """Return the same signal with the first rows only."""
        kept = slice(0, examples)
        recorded = self.recorded and replace(self.recorded, ids=self.recorded.ids[kept], logp=self.recorded.logp[kept])
        return replace(self, train=self.train.take(kept), recorded=recorded)
