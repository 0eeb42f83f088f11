"""What a reader must know of a student that was exported to another runtime."""

from __future__ import annotations

from distbench.schema.record import Agreement


def agreement_words(found: Agreement | None) -> list[str]:
    """Return a warning where an export does not say everything that its source says; nothing where it does."""
    if found is None or (found.greedy_equal == found.greedy_total and found.top1 == 1.0):
        return []
    start = "On its runtime" if found.exact else "On its runtime, in a lower precision,"
    first = "" if found.first_divergence is None else f", the first difference at token {found.first_divergence + 1}"
    text = (
        f"{start} it says something else than the model it was exported from: {found.greedy_equal} of "
        f"{found.greedy_total} greedy tokens equal{first}; top-1 agreement {found.top1:.1%}, KL {found.kl:.2g} nats "
        f"per token over {found.positions} positions."
    )
    return [text]
