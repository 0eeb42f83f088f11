"""What a language model learns from: token sequences with the teacher's distribution at every position.

The teacher is kept as its `k` most likely tokens plus one rest bucket: 4 bytes a candidate instead of 4 bytes a
vocabulary entry. The candidates are never renormalised: the rest keeps its mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

FILE = "signal.safetensors"


@dataclass
class TokenSignal:
    """Tensors on the CPU. n sequences of L+1 ids; position t predicts id t+1.

    Shapes: ids [n, L+1] int32; top_ids [n, L, k] int32 and top_logp [n, L, k] float16 (natural log, at `temperature`);
    heldout_ids [h, L+1] int32; heldout_logp [h, L, V] float16, the teacher's full distribution at temperature 1.
    """

    kind: ClassVar[str] = "tokens"
    ids: Any
    top_ids: Any
    top_logp: Any
    heldout_ids: Any
    heldout_logp: Any
    temperature: float
    digest: str
    seconds: float
    from_cache: bool

    @property
    def examples(self) -> int:
        """Training sequences."""
        return int(self.ids.shape[0])

    def save(self, folder: Path) -> None:
        """Write all tensors to `folder`."""
        from safetensors.torch import save_file

        names = ("ids", "top_ids", "top_logp", "heldout_ids", "heldout_logp")
        meta = {"temperature": repr(self.temperature), "seconds": repr(self.seconds)}
        save_file({name: getattr(self, name).contiguous() for name in names}, folder / FILE, metadata=meta)

    @classmethod
    def load(cls, folder: Path, digest: str, *, from_cache: bool) -> TokenSignal:
        """Read what `save` wrote."""
        from safetensors import safe_open

        with safe_open(folder / FILE, framework="pt") as file:
            meta = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return cls(
            **tensors,
            temperature=float(meta["temperature"]),
            digest=digest,
            seconds=float(meta["seconds"]),
            from_cache=from_cache,
        )
