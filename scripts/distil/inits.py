"""How close is an untrained student to its teacher, by how it starts?

    python scripts/distil/inits.py TEACHER TEXTS --field question --calibration OTHER_TEXTS

TEACHER is a checkpoint folder, TEXTS a file of texts (JSON Lines, or a text a line) that no start has seen. For every
start it prints the student's parameters, mean KL(teacher ‖ student) a token over the whole vocabulary, and the
student's perplexity on the texts. Nothing is trained. Two rows are controls: "random" keeps as many neurons, drawn by
the seed; "norms as they were" keeps the same channels and does not scale the norms.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distbench.data.calibration import Calibration
from distbench.data.text_lines import read_texts
from distbench.methods.layer_drop import LayerDrop, LayerDropOptions
from distbench.methods.slicing import Kept, KeptInside, Widths, narrowed
from distbench.methods.width_prune import Measured, WidthPrune, WidthPruneOptions
from distbench.models.hf_causal import HFCausal
from distbench.schema.cell import Settings
from distbench.tasks.divergence import divergences

Start = Callable[[HFCausal], Any]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--field", default="text", help="of the JSON documents, in both files")
    parser.add_argument("--calibration", type=Path, help="texts to measure activations on, beside the parent's own")
    parser.add_argument("--samples", type=int, default=64, help="rows of calibration text")
    parser.add_argument("--length", type=int, default=128, help="tokens of a row, and of a text that is compared")
    parser.add_argument("--compared", type=int, default=64, help="texts that are compared")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="only the starts whose names this regular expression finds")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    return parser.parse_args()


def remember_rows() -> None:
    """Let the parent write its calibration text once for all starts: the same seed gives the same rows."""
    make, rows = Calibration.rows, {}

    def remembered(self: Calibration, model: Any, seed: int) -> Any:
        key = (self.model_dump_json(), seed)
        if key not in rows:
            rows[key] = make(self, model, seed)
        return rows[key]

    setattr(Calibration, "rows", remembered)  # noqa: B010 - mypy forbids the plain assignment


def starts(args: argparse.Namespace, settings: Settings, config: dict[str, Any]) -> Iterator[tuple[str, Start]]:
    blocks, widths = round(0.8 * config["num_hidden_layers"]), Widths.of(config)
    inner, hidden = widths.inner * 3 // 4, widths.hidden * 3 // 4
    texts = {"own text": None} | ({"texts": str(args.calibration)} if args.calibration else {})

    def drop(**options: Any) -> Start:
        return lambda parent: LayerDrop(LayerDropOptions.model_validate(options)).make(parent, settings)

    def prune(**options: Any) -> Start:
        return lambda parent: WidthPrune(WidthPruneOptions.model_validate(options)).make(parent, settings)

    yield "the teacher itself", lambda parent: parent
    yield f"layer-drop {blocks} spaced", drop(keep=blocks)
    yield f"MLP {inner} random", lambda parent: random_neurons(parent, inner, args.seed)
    for name, file in texts.items():
        seen = {"texts": file, "field": args.field, "samples": args.samples, "length": args.length}
        yield f"layer-drop {blocks} influence, {name}", drop(keep=blocks, by="influence", calibration=seen)
        yield f"width-prune MLP {inner}, {name}", prune(intermediate_size=inner, calibration=seen)
        yield f"width-prune hidden {hidden}, {name}", prune(hidden_size=hidden, calibration=seen)
        yield f"the same, norms as they were, {name}", plain_norms(hidden, Calibration.model_validate(seen), args.seed)
        groups = widths.groups - max(1, widths.groups // 3)
        yield f"width-prune key/value heads {groups}, {name}", prune(num_key_value_heads=groups, calibration=seen)


def random_neurons(parent: HFCausal, inner: int, seed: int) -> HFCausal:
    """Keep as many neurons of each block, drawn by the seed."""
    config = parent.module.config.to_dict()
    old, draw = Widths.of(config), np.random.default_rng(seed)
    everything = list(range(old.heads)), list(range(old.groups))
    inside = [
        KeptInside(sorted(draw.permutation(old.inner)[:inner].tolist()), *everything)
        for _ in range(config["num_hidden_layers"])
    ]
    new = dataclasses.replace(old, inner=inner)
    return parent.remade(narrowed(parent.module, new, Kept(list(range(old.hidden)), inside)))


def plain_norms(hidden: int, calibration: Calibration, seed: int) -> Start:
    """Keep the same channels, without scaling the norms for it."""

    def start(parent: HFCausal) -> HFCausal:
        old = Widths.of(parent.module.config.to_dict())
        new = dataclasses.replace(old, hidden=hidden)
        measured = Measured.on(parent.module, calibration.rows(parent, seed))
        kept = measured.best(list(range(parent.layer_count())), old, new)
        return parent.remade(narrowed(parent.module, new, kept))

    return start


def surprise(module: Any, ids: list[int]) -> float:
    """Return the summed cross-entropy of a text's tokens but the first, in nats."""
    with torch.inference_mode():
        logits = module(torch.tensor([ids], device=module.device), use_cache=False).logits[0, :-1]
        labels = torch.tensor(ids[1:], device=module.device)
        return float(torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum"))


def main() -> None:
    args = arguments()
    remember_rows()
    settings = Settings(seed=args.seed, device=args.device, dtype="float32", threads=args.threads)
    teacher = HFCausal.open(args.teacher, settings)
    texts = [ids for text in read_texts(args.texts, args.field) if len(ids := encoded(teacher, text, args.length)) > 1]
    texts = texts[: args.compared]
    predicted = sum(len(ids) - 1 for ids in texts)
    found = []
    print(f"{len(texts)} texts, {predicted} predicted tokens\n")
    print("| start | parameters | KL (nats a token) | perplexity |\n|---|---|---|---|")
    for name, start in starts(args, settings, teacher.module.config.to_dict()):
        if not re.search(args.only, name):
            continue
        student = start(HFCausal.open(args.teacher, settings))
        kl = sum(float(divergences(student.module, teacher.module, ids)["kl"].sum()) for ids in texts) / predicted
        perplexity = math.exp(sum(surprise(student.module, ids) for ids in texts) / predicted)
        parameters = sum(parameter.numel() for parameter in student.module.parameters())
        found.append({"start": name, "parameters": parameters, "kl": kl, "perplexity": perplexity})
        print(f"| {name} | {parameters / 1e6:.1f} M | {kl:.3f} | {perplexity:.1f} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps({"predicted_tokens": predicted, "starts": found}, indent=2), encoding="utf-8")


def encoded(model: HFCausal, text: str, most: int) -> list[int]:
    return [int(i) for i in model.tokenizer(text)["input_ids"][:most]]


if __name__ == "__main__":
    main()
