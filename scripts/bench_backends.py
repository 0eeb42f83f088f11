#!/usr/bin/env python3
"""One model on several runtimes: agreement, size, and speed measured interleaved in one process.

    scripts/bench_backends.py MODEL --out FOLDER 'onnxruntime' 'onnxruntime precision=int8' 'transformers compile=true'

A runtime is a deployment and its options. Exports are kept in FOLDER and used again. Speed is the median over rounds in
which every runtime takes its turn; for a comparison with intervals and fresh processes run a suite.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from distbench import plugins
from distbench.cell.agreement import agreement_of, listen, prompts_for
from distbench.models.hf_causal import HFCausal
from distbench.plan.deployments import deployed_as
from distbench.schema.cell import Settings
from distbench.schema.strict import Use


def exported(source: HFCausal, use: Use, out: Path) -> tuple[str, Any]:
    """Return (name, opened export); made where it is not in `out` yet."""
    deployment = plugins.load("deployments", use.use)(plugins.options("deployments", use))
    folder = out / deployed_as(use)
    if not folder.is_dir():
        folder.mkdir(parents=True)
        deployment.export(source, folder)
    options = plugins.options("models", Use(use=deployment.makes, **deployment.opens()))
    model = plugins.load("models", deployment.makes).open(folder, source.settings, options)
    return deployed_as(use), model


def use_of(words: str) -> Use:
    """Return a deployment from its command-line form."""
    name, *options = words.split()
    return Use(use=name, **{key: yaml.safe_load(value) for key, _, value in (o.partition("=") for o in options)})


def main() -> None:
    """Print one Markdown row a runtime."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("runtimes", nargs="+", type=use_of)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    settings = Settings(seed=0, device="cpu", dtype="float32", threads=given.threads)
    source = HFCausal.open(given.model, settings)
    models: dict[str, Any] = {"source": source} | dict(exported(source, use, given.out) for use in given.runtimes)
    prompts = prompts_for(source, 0)
    expected = listen(source, prompts.ids)
    times: dict[str, list[tuple[int, ...]]] = {name: [] for name in models}
    inputs = {name: model.prompts(1, 64, 0) for name, model in models.items()}
    for _ in range(given.rounds + 1):  # the first warms up
        for name, model in models.items():
            times[name].append(model.decode(inputs[name], 32).marks_ns)
    print("| runtime | greedy tokens equal | top-1 | KL, nats | MB on disk | prefill ms | decode tokens/s |")
    print("|---|---|---|---|---|---|---|")
    for name, model in models.items():
        found = agreement_of(prompts, expected, model, exact=False)
        prefill = median(marks[0] for marks in times[name][1:]) / 1e6
        decode = median(31e9 / (marks[-1] - marks[0]) for marks in times[name][1:])
        size = (model.footprint().bytes_on_disk or 0) / 1e6
        print(
            f"| {name} | {found.greedy_equal}/{found.greedy_total} | {found.top1:.1%} | {found.kl:.2g} | {size:.0f} "
            f"| {prefill:.0f} | {decode:.1f} |"
        )


if __name__ == "__main__":
    main()
