"""One pass of a causal language model over tries: 4-D ancestor mask, depth as position, scored nodes at the head."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from distbench.scoring.packing import Segment
from distbench.scoring.requests import Answer, Request
from distbench.scoring.trie import Row, Scored

HEAD_BYTES = 128 * 2**20  # of logits at once; the softmax needs as much again


class TrieForward:
    """Scores packed rows with a `transformers` causal language model.

    The head is applied by itself, to the scored nodes only and a bounded number of them at a time. Whether this model
    honours the mask is for the scorer's check to find out; `beside_head`, whether the head is all there is.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.backbone = module.base_model
        self.head = module.get_output_embeddings()
        self.dtype = next(module.parameters()).dtype
        self.device = next(module.parameters()).device

    def run(self, segment: Segment, tokens_at_once: int) -> Iterator[tuple[int, Answer]]:
        """Yield (request index, answer) of every request of a segment."""
        import torch

        with torch.inference_mode():
            cache = self._prefix(segment) if len(segment.prefix) else None
            for rows in self._batches(segment, tokens_at_once):
                yield from self._answers(rows, self._hidden(rows, cache, len(segment.prefix)))

    def plain(self, request: Request) -> Answer:
        """Score one request with the model as it is: no mask, no packing, its own head."""
        import torch

        with torch.inference_mode():
            ids = torch.as_tensor(request.tokens[None].astype(np.int64), device=self.device)
            logits = self.module(input_ids=ids, use_cache=False, **self._only(request)).logits[
                0, -len(request.targets) :
            ]
            targets = torch.as_tensor(request.targets.astype(np.int64), device=self.device)
            logprobs, greedy = _read(logits[-len(request.targets) :], targets)
        return Answer(float(logprobs.sum()), bool(greedy.all()))

    def _only(self, request: Request) -> dict[str, int]:
        """Return how to ask for the scored positions alone: a long document's logits would fill the memory."""
        known = "logits_to_keep" in inspect.signature(self.module.forward).parameters
        return {"logits_to_keep": len(request.targets)} if known else {}

    def beside_head(self, request: Request) -> str | None:
        """Return what this model computes between its backbone, its head and its logits that `run` would leave out.

        A soft cap or a scale is found here however small its effect on one request; None where there is nothing.
        """
        import torch

        seen: dict[str, Any] = {}

        def on_backbone(_: Any, __: Any, output: Any) -> None:
            seen["hidden"] = output.last_hidden_state

        def on_head(_: Any, given: Any, output: Any) -> None:
            seen["given"], seen["raw"] = given[0], output

        # some classes call the decoder inside their backbone and never the backbone
        decoder = self.module.get_decoder() or self.backbone
        hooks = [part.register_forward_hook(on_backbone) for part in {decoder, self.backbone} - {self.module}]
        hooks.append(self.head.register_forward_hook(on_head))
        try:
            with torch.inference_mode():
                ids = torch.as_tensor(request.tokens[None].astype(np.int64), device=self.device)
                logits = self.module(input_ids=ids, use_cache=False).logits
        finally:
            for hook in hooks:
                hook.remove()
        if len(seen) < 3:
            return "its head is not a layer of its own"
        if not _same(seen["hidden"], seen["given"]):
            return "its hidden states are changed before they reach the head"
        return None if _same(seen["raw"], logits) else "its logits are changed behind the head (a soft cap or a scale)"

    def _batches(self, segment: Segment, tokens_at_once: int) -> Iterator[list[Row]]:
        """Group rows of similar length; one row at a time where a cached prefix is extended in place."""
        if len(segment.prefix):
            yield from ([row] for row in segment.rows)
            return
        batch: list[Row] = []
        for row in sorted(segment.rows, key=len, reverse=True):
            if batch and len(batch[0]) * (len(batch) + 1) > tokens_at_once:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _prefix(self, segment: Segment) -> Any:
        import torch
        from transformers import DynamicCache

        ids = torch.as_tensor(segment.prefix[None].astype(np.int64), device=self.device)
        # Without the configuration: it would make layers that keep a sliding window, which a row of nodes overruns.
        cache = DynamicCache()
        return self.backbone(input_ids=ids, past_key_values=cache, use_cache=True).past_key_values

    def _hidden(self, rows: Sequence[Row], cache: Any, before: int) -> Any:
        """Return [rows, longest row, width] last hidden states."""
        import torch

        width = max(len(row) for row in rows)
        tokens, depth, end = (np.zeros((len(rows), width), dtype=np.int64) for _ in range(3))
        end[:] = np.arange(width) + 1  # a padding node sees itself alone: a row without any key would be NaN
        # Where nothing is shared the model's own causal mask does, which costs no memory; its padding counts on, since
        # positions that start again would read as a second sequence.
        tree = not all(row.chain for row in rows)
        depth[:] = 0 if tree else before + np.arange(width)
        for i, row in enumerate(rows):
            tokens[i, : len(row)], depth[i, : len(row)], end[i, : len(row)] = row.tokens, row.depth, row.end
        mask = self._mask(torch.as_tensor(end, device=self.device), before) if tree else None
        out = self.backbone(
            input_ids=torch.as_tensor(tokens, device=self.device),
            position_ids=torch.as_tensor(depth, device=self.device),
            attention_mask=mask,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        if cache is not None:
            cache.crop(-width)
        return out.last_hidden_state

    def _mask(self, end: Any, before: int) -> Any:
        """Return the additive mask [rows, 1, nodes, before + nodes]: each node sees the prefix and its ancestors."""
        import torch

        rows, width = end.shape
        node = torch.arange(width, device=self.device)
        sees = (node[:, None] >= node[None, :]) & (node[None, :, None] < end[:, None, :])
        mask = torch.zeros((rows, 1, width, before + width), dtype=self.dtype, device=self.device)
        mask[:, 0, :, before:].masked_fill_(~sees, torch.finfo(self.dtype).min)
        return mask

    def _answers(self, rows: Sequence[Row], hidden: Any) -> Iterator[tuple[int, Answer]]:
        import torch

        where: list[tuple[int, Scored]] = [(i, scored) for i, row in enumerate(rows) for scored in row.scored]
        row_of = np.concatenate([np.full(len(scored.nodes), i) for i, scored in where])
        node_of = np.concatenate([scored.nodes for _, scored in where])
        target = np.concatenate([scored.targets for _, scored in where]).astype(np.int64)
        # Two continuations that part after their first token are predicted from one node: the head sees it once.
        places, inverse = np.unique(np.stack([row_of, node_of]), axis=1, return_inverse=True)
        chosen = hidden[torch.as_tensor(places[0], device=self.device), torch.as_tensor(places[1], device=self.device)]
        logprob, greedy = self._scored(chosen, inverse.reshape(-1), target)
        start = 0
        for _, scored in where:
            stop = start + len(scored.nodes)
            # float64: a long document's sum would lose in float32 what the tolerance promises
            yield scored.index, Answer(float(logprob[start:stop].sum()), bool(greedy[start:stop].all()))
            start = stop

    def _scored(self, chosen: Any, place: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (log-probability float64 [n], is it the most likely [n]) of target n at hidden state place[n]."""
        import torch

        logprob, greedy = np.empty(len(target)), np.empty(len(target), dtype=bool)
        at_once = max(1, HEAD_BYTES // (4 * self.head.weight.shape[0]))
        for low in range(0, len(chosen), at_once):
            logits = self.head(chosen[low : low + at_once])
            mine = np.flatnonzero((place >= low) & (place < low + at_once))
            here = torch.as_tensor(place[mine] - low, device=self.device)
            targets = torch.as_tensor(target[mine], device=self.device)
            best = logits.argmax(-1)
            # log_softmax, as stock does. On the CPU in float32 it is off by 5e-6 a token, mostly to one side; logsumexp
            # is not, and would differ from stock by that much times the length of a continuation.
            logprobs = logits.float().log_softmax(-1)
            logprob[mine] = logprobs[here, targets].double().cpu().numpy()
            greedy[mine] = (best[here] == targets).cpu().numpy()
        return logprob, greedy


def _same(a: Any, b: Any) -> bool:
    """Say whether two tensors hold the same numbers, NaN being one of them."""
    return a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())


def _read(logits: Any, targets: Any) -> tuple[Any, Any]:
    """Return (log-probabilities, is each target the most likely) of logits [n, vocabulary] and targets [n]."""
    logprobs = logits.float().log_softmax(-1).gather(1, targets[:, None])[:, 0].double()
    return logprobs, logits.argmax(-1) == targets
