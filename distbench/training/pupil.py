"""The student in training: one forward pass from a batch of token rows to the objective's value.

It is one module, so that whatever wraps it (data parallel, FSDP) sees every parameter that is used, the output head of
the chunked loss included. Teachers are no part of it: they are not trained, saved or counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from distbench.data.token_signal import TokenRows
from distbench.losses.chunked import chunked_sum
from distbench.losses.head import Head, Room, head_of
from distbench.losses.target import Full, Target, TopK
from distbench.training.foreign import Foreigner
from distbench.training.objective import Weighted
from distbench.training.teachers import Thought, Tutors

ACROSS = "other-tokenizer"  # what a loss asks that compares with a teacher of another vocabulary


class Pupil(torch.nn.Module):
    """A student module with the losses it is trained by, and the projectors that some of them train along."""

    def __init__(
        self,
        student: Any,
        losses: Sequence[Weighted],
        tutors: Tutors | None = None,
        temperature: float = 1.0,
        foreigner: Foreigner | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.head: Head | None = head_of(student)
        self.room = Room()
        self.temperature = temperature
        self.tutors, self.foreigner = tutors, foreigner
        own = int(student.get_output_embeddings().weight.shape[0])
        self.shared = tutors.shared_vocabulary(student) if tutors else own  # tokens that losses compare
        self._cut = self.shared < own
        by_logits = [each for each in losses if each.reads == "logits"]
        self.vocabulary = [(each.weight, each.loss) for each in by_logits if each.asks != ACROSS]
        self.across = [(each.weight, each.loss) for each in by_logits if each.asks == ACROSS]
        self.features = torch.nn.ModuleDict()
        self.feature_weights: dict[str, float] = {}
        self._reads = {each.reads for each in losses}
        for index, each in enumerate(each for each in losses if each.reads != "logits"):
            assert tutors is not None, "a feature loss compares with a teacher that is there"
            name = f"{index}-{each.name}"
            self.features[name] = each.loss.build(*tutors.shapes(student))
            self.feature_weights[name] = each.weight
        if "attention" in self._reads:  # the fused kernels never hold the map
            for module in (student, *(tutors.modules if tutors else ())):
                module.set_attn_implementation("eager")

    @property
    def asked_for(self) -> dict[str, bool]:
        """What the trunk returns besides its last hidden states."""
        return {
            name: True
            for name, kind in (("output_hidden_states", "hidden"), ("output_attentions", "attention"))
            if kind in self._reads
        }

    def forward(self, batch: dict[str, Any], positions: Any, share: float = 1.0) -> Any:
        """Return the objective of a batch.

        The sum over positions is divided by `positions`, those of the whole optimiser step, so that a step of several
        batches weighs each position the same. Feature losses are means of a batch; `share` is the batch's part of the
        step.
        """
        rows = TokenRows(batch["ids"], batch.get("documents"), batch.get("scored"))
        inputs = rows.inputs(batch["ids"].device)
        out = self._trunk(inputs)
        thought = self.tutors.think(inputs, self.asked_for, self.shared) if self.tutors else None
        loss = self._vocabulary(batch, rows, out, thought, 1.0 / float(positions)) if self.vocabulary else 0.0
        if self.across:
            loss = loss + self._across(rows, out, share)
        for name, module in self.features.items():
            assert thought is not None
            value = module(outputs_of(out), outputs_of(thought.outputs[0]), rows.mask().to(batch["ids"].device))
            loss = loss + share * self.feature_weights[name] * value
        return loss

    def _trunk(self, inputs: dict[str, Any]) -> Any:
        if self.head is not None:
            return self.head.hidden(inputs, **self.asked_for)
        return self.student(**inputs, use_cache=False, **self.asked_for)

    def _vocabulary(
        self, batch: dict[str, Any], rows: TokenRows, out: Any, thought: Thought | None, scale: float
    ) -> Any:
        """Return `scale` times the sum over positions. In the weights it costs nothing; afterwards, a pass."""
        losses = [(scale * weight, loss) for weight, loss in self.vocabulary]
        keep = None if rows.scored is None else rows.scored.flatten()
        labels = chosen(rows.ids[:, 1:].flatten(), keep).long()
        target_of = self._targets(batch, labels, keep, thought)
        if self.head is not None:
            hidden = chosen(out.last_hidden_state.flatten(0, 1), keep)
            weight, bias = self.head.weight, self.head.bias
            if self._cut:
                weight, bias = weight[: self.shared], bias if bias is None else bias[: self.shared]
            return chunked_sum(hidden, weight, bias, target_of, losses, room=self.room)
        logits = chosen(out.logits.flatten(0, 1), keep)[:, : self.shared]
        target = target_of(slice(0, len(labels)))
        return sum(weight * loss(logits, target) for weight, loss in losses)

    def _across(self, rows: TokenRows, out: Any, share: float) -> Any:
        """Return `share` times the mean of the losses across tokenizers, where both models have read equally far."""
        assert self.foreigner is not None, "a loss across tokenizers compares with a teacher that is there"
        states = out.logits if self.head is None else out.last_hidden_state
        heard = self.foreigner.hear(rows)
        if heard is None:
            return states.sum() * 0.0
        chosen_states = states.flatten(0, 1)[heard.positions.to(states.device)]
        labels = rows.ids[:, 1:].flatten().to(states.device).long()[heard.positions.to(states.device)]

        def target_of(part: slice) -> Target:
            return Target(labels[part], Full([heard.logits(part)]))

        losses = [(weight * share / len(labels), loss) for weight, loss in self.across]
        if self.head is None:
            whole = target_of(slice(0, len(labels)))
            return sum(weight * loss(chosen_states, whole) for weight, loss in losses)
        return chunked_sum(chosen_states, self.head.weight, self.head.bias, target_of, losses, room=self.room)

    def _targets(
        self, batch: dict[str, Any], labels: Any, keep: Any, thought: Thought | None
    ) -> Callable[[slice], Target]:
        if thought is not None and self.asks_teacher:
            logits_of = thought.logits(keep)
            return lambda rows: Target(labels[rows], Full(logits_of(rows), thought.weights))
        if "recorded_ids" in batch:
            ids = chosen(batch["recorded_ids"].flatten(0, 1), keep)
            logp = chosen(batch["recorded_logp"].flatten(0, 1), keep)
            return lambda rows: Target(labels[rows], TopK(ids[rows].long(), logp[rows].float(), self.temperature))
        return lambda rows: Target(labels[rows])

    @property
    def teacher(self) -> str:
        """Where the teacher's part of the objective comes from: "online", "recorded" or "none"."""
        if self.tutors is not None or self.foreigner is not None:
            return "online"
        return "recorded" if self.asks_teacher else "none"

    @property
    def asks_teacher(self) -> bool:
        """Whether a loss over the vocabulary compares with the teacher."""
        return any(type(loss).asks != "nothing" for _, loss in self.vocabulary)


def chosen(values: Any, keep: Any) -> Any:
    """Return the rows of `values` [n, …] that count; all where `keep` is None."""
    return values if keep is None else values[keep]


def outputs_of(out: Any) -> Any:
    """Return what a feature loss reads of a model's output."""
    from distbench.losses.features import Outputs

    return Outputs(hidden=out.hidden_states, attentions=out.attentions)
