"""Looks at the held-out rows: how far the student is from the teacher, or from the labels, where it is not trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from distbench.data.token_signal import HeldOut
from distbench.losses.head import head_of

POSITIONS = 256  # whose logits exist at once
ROWS = 4


@dataclass(frozen=True)
class Look:
    """Means over held-out positions, in nats: KL(teacher ‖ student) at temperature 1 over the whole vocabulary, None
    without a teacher's distribution; and the cross-entropy on the tokens that came."""

    kl: float | None
    cross_entropy: float
    positions: int


@torch.inference_mode()
def look(module: Any, heldout: HeldOut) -> Look:
    """Evaluate a causal language model on held-out rows; its training mode is left as it was."""
    was_training = module.training
    module.eval()
    head = head_of(module)
    length = heldout.rows.ids.shape[1] - 1
    scored = heldout.rows.mask().flatten().nonzero().flatten() if heldout.at is None else heldout.at
    kl = entropy = 0.0
    for start in range(0, len(heldout.rows), ROWS):
        rows = heldout.rows.take(slice(start, start + ROWS))
        chosen = ((scored >= start * length) & (scored < (start + ROWS) * length)).nonzero().flatten()
        if not len(chosen):
            continue
        inputs = rows.inputs(module.device)
        states = (
            module(**inputs, use_cache=False).logits if head is None else head.hidden(inputs).last_hidden_state
        ).flatten(0, 1)
        inside = (scored[chosen] - start * length).to(states.device)
        labels = rows.ids[:, 1:].flatten().to(states.device).long()[inside]
        for first in range(0, len(inside), POSITIONS):
            part = slice(first, first + POSITIONS)
            logits = states[inside[part]]
            logits = logits if head is None else module.get_output_embeddings()(logits)
            logp = torch.log_softmax(logits.float(), dim=-1)
            entropy += float(cross_entropy(logits.float(), labels[part], reduction="sum"))
            if heldout.logp is not None:
                teacher = heldout.logp[chosen[part]].to(logp.device).float()
                size = min(teacher.shape[-1], logp.shape[-1])
                p = teacher[:, :size].exp()
                kl += float(torch.where(p > 0, p * (teacher[:, :size] - logp[:, :size]), 0.0).sum())
    module.train(was_training)
    count = len(scored)
    return Look(kl / count if heldout.logp is not None else None, entropy / count, count)
