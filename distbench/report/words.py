"""The plain words for verdicts, kinds of size and rules: one place, so that every output says the same."""

from __future__ import annotations

from dataclasses import dataclass

from distbench.report.visible import one_line


@dataclass(frozen=True)
class VerdictWords:
    """How a verdict looks. `tone` names its colour; the glyph and the word carry it without colour."""

    glyph: str
    word: str
    meaning: str
    tone: str


VERDICTS = {
    "PASS": VerdictWords("✓", "pass", "Good enough", "pass"),
    "FAIL": VerdictWords("✗", "fail", "Not good enough", "fail"),
    "INCONCLUSIVE": VerdictWords("?", "undecided", "Cannot be decided yet", "undecided"),
    "NO_SIGNAL": VerdictWords("∅", "no signal", "The teacher itself is no better than guessing", "neutral"),
    "INVALID": VerdictWords("!", "invalid", "The comparison cannot be trusted", "neutral"),
}

SIZE_KINDS = {
    "bytes_on_disk": "size on disk",
    "params_unique": "parameters",
    "params_non_embedding": "parameters outside the embeddings",
    "params_active": "active parameters",
    "resident_memory": "resident memory",
    "flops_per_token": "floating-point operations per token",
}

METRICS = {
    "ttft_ms": "time to first token",
    "itl_ms": "time per generated token",
    "e2e_ms": "end-to-end time",
    "prefill_tokens_per_s": "prompt tokens per second",
    "decode_tokens_per_s": "generated tokens per second",
    "samples_per_s": "samples per second",
    "load_seconds": "time to load",
    "tpot_ms": "mean time per generated token of an answer",
    "tokens_per_s": "generated tokens per second, prompts included in the time",
    "saturated_batch": "batch at which throughput stops growing",
    "sweep_samples_per_s": "samples per second while the batch was searched",
    "sweep_tokens_per_s": "generated tokens per second while the batch was searched",
    "queue_ms": "time in the queue",
    "send_lag_ms": "our own delay in sending a request",
    "requests_per_s": "requests answered per second",
    "offered_per_s": "requests that arrived per second",
    "capacity_per_s": "requests per second without a queue",
    "goodput_per_s": "requests per second within the stated limits",
    "slo_met_share": "share of requests within the stated limits",
    "refused_share": "share of requests refused by the server",
    "peak_bytes": "peak memory of the process while it works",
    "model_bytes": "memory that the model adds to the process",
    "weight_bytes": "weights in memory",
    "prefill_peak_bytes": "peak memory up to the first token",
    "kv_bytes_per_token": "key-value cache per token of context",
    "uss_bytes": "memory that the warm process has for itself",
    "rss_anon_bytes": "memory that the warm process wrote",
    "rss_file_bytes": "files mapped into the warm process",
    "load_peak_bytes": "peak memory while loading",
    "device_peak_bytes": "peak accelerator memory of its tensors",
    "device_prefill_peak_bytes": "peak accelerator memory up to the first token",
    "device_reserved_bytes": "accelerator memory that the allocator held",
    "device_process_bytes": "accelerator memory of the process, as the driver counts it",
    "device_load_peak_bytes": "peak accelerator memory while loading",
    "gross_joules_per_token": "gross energy per generated token",
    "net_joules_per_token": "net energy per generated token",
    "gross_joules_per_prompt_token": "gross energy per prompt token",
    "net_joules_per_prompt_token": "net energy per prompt token",
    "gross_joules_per_1000_requests": "gross energy per 1,000 requests",
    "net_joules_per_1000_requests": "net energy per 1,000 requests",
    "gross_joules_per_1000_samples": "gross energy per 1,000 samples",
    "net_joules_per_1000_samples": "net energy per 1,000 samples",
    "mean_watts": "mean power at work",
    "idle_watts": "power at rest, the model loaded",
}

_RULES = {
    "retained": "retained over all tasks",
    "task_floor": "no task far below",
    "worst_group": "retained in every group",
    "evidence": "suspicious evidence",
    "max_delta_bpb": "more bits per byte",
    "max_negative_flips": "answers lost (teacher right, student wrong)",
    "max_bias_transfer": "bias further from neutral than the teacher's",
    "max_kl": "KL from the teacher, nats per token",
    "speedup": "speed-up",
    "energy": "less energy (gross joules)",
    "compression": "compression by size on disk",
    "memory": "less peak memory",
    "parameters": "compression by number of parameters",
    "max_bytes": "weights on disk",
    "gap_recovered": "gap between control and teacher recovered",
    "agreement": "same answer as the teacher",
    "retained_knowledge": "right where the teacher is right",
    "token_agreement": "same most likely token as the teacher",
    "max_drop": "score below the teacher's",
    "measured": "measured, times better",
    "baseline_retained": "change since the baseline of what is retained over all tasks",
    "baseline_task": "change since the baseline of what is retained",
    "baseline_speedup": "speed-up, times that of the baseline",
    "baseline_memory": "saving of memory, times that of the baseline",
    "baseline_energy": "saving of energy, times that of the baseline",
    "baseline_compression": "compression, times that of the baseline",
    "alpha": "error level of the intervals",
}


RATIO_RULES = {
    "speedup", "energy", "compression", "memory", "parameters", "measured",
    "baseline_speedup", "baseline_memory", "baseline_energy", "baseline_compression",
}  # fmt: skip
PLAIN_RULES = {"max_delta_bpb", "max_kl", "max_drop", "evidence"}  # in the unit of their metric, or counted
POINT_RULES = {"baseline_retained", "baseline_task"}  # differences of shares
SIZE_RULES = {"max_bytes"}  # every other rule is about a share

_DIVERGENCES = {
    "kl": "KL(teacher ‖ student), nats per token",
    "js": "Jensen–Shannon divergence, nats per token",
    "token_agreement": "same most likely token",
    "kl_median": "KL, median over a document's tokens (mean over documents)",
    "heldout_kl": "held-out KL from the teacher, nats",
    "kl_p99": "KL, 99th percentile of a document's tokens (mean over documents)",
}


def divergence_words(metric: str) -> str:
    """Return a statement about the student against its teacher in words; an unknown one keeps its own name."""
    return _DIVERGENCES.get(metric, humanise(metric))


def humanise(name: str) -> str:
    """Return an identifier as words."""
    return one_line(name.replace("_", " "), 80)


def size_kind(kind: str) -> str:
    """Return what a kind of compression counts."""
    return SIZE_KINDS.get(kind, humanise(kind))


def metric_words(metric: str) -> str:
    """Return a measured metric in words; an unknown one keeps its own name."""
    return METRICS.get(metric, humanise(metric))


def rule_words(rule: str) -> str:
    """Return a rule of the gate in words."""
    return _RULES.get(rule, humanise(rule))


def plural(number: int, noun: str, many: str | None = None) -> str:
    """Return the number with its noun: 1 task, 2 tasks."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"
