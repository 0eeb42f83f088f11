"""Measurements: times with their percentiles and values, memory, energy, agreement of exports."""

from __future__ import annotations

from typing import Any

from distbench.schema.record import Agreement
from distbench.schema.result import Measurement, PercentileFacts
from tests.report.made.estimates import estimate


def measurement(
    meter: str, metric: str, unit: str, teacher: float, times: float | None, workload: str, **more: Any
) -> Measurement:
    return Measurement(
        **{
            "meter": meter,
            "metric": metric,
            "unit": unit,
            "workload": workload,
            "higher_is_better": False,
            "teacher": teacher,
            "student": None if times is None else teacher / times,
            "ratio": estimate(times, 0.04, 30, method="bootstrap over launches"),
            "n": 30,
            "status": "measured",
            **more,
        }
    )


WORK = "batch 1"


def percentiles(middle: float, n: int) -> list[PercentileFacts]:
    needs = {50.0: 5, 90.0: 29, 95.0: 59, 99.0: 299}
    return [
        PercentileFacts(
            percent=p, value=middle * (1 + k * 0.06) if n >= least else None,
            upper=middle * (1.02 + k * 0.08) if n >= least else None, n=n, needs=least,
        )
        for k, (p, least) in enumerate(needs.items())
    ]  # fmt: skip


def drawn_times(middle: float, n: int) -> list[float]:
    """Times in ms that are slow now and then, one of them very."""
    known = [middle * (0.97 + 0.06 * k / n + (0.3 if k > 0.97 * n else 0.0)) for k in range(min(n, 100))]
    return [*known[:-1], middle * 4]


def again() -> list[Measurement]:
    """The teacher against itself: a known noise floor."""
    exact = {"ratio": estimate(1.002, 0.009, 30, method="t over launches")}
    return [
        measurement("latency", "ttft_ms", "ms", 146.0, 1.0, WORK, **exact),
        measurement("latency", "e2e_ms", "ms", 451.0, 1.0, WORK, **exact),
    ]


def energy(times: float | None) -> list[Measurement]:
    facts: dict[str, dict[str, float | str]] = {
        "student": {"source": "nvml-counter", "window_seconds": 5.0, "edge_error": 0.02, "idle_watts": 71.5}
    }
    name, unit = "gross_joules_per_token", "J/token"
    if times is None:
        why = "assumed power is no measurement: there is no ratio"
        guess = estimate(None, n=0, status="undefined", reason=why)
        spans = {"teacher": (0.3, 0.6), "student": (0.2, 0.4)}
        assumed = measurement("energy", name, unit, 0.0, None, WORK, ratio=guess, n=0, status="estimated", reason=why)
        remedy = "sudo chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj"
        return [assumed.model_copy(update={"teacher": None, "estimates": spans, "remedy": remedy})]
    return [
        measurement("energy", name, unit, 0.455, times, WORK, scope="GPU board", facts=facts),
        measurement("energy", "net_joules_per_token", unit, 0.31, times * 1.1, WORK, scope="GPU board", facts=facts),
    ]


def agreement(equal: int = 32, *, exact: bool = True) -> Agreement:
    return Agreement(
        prompts=4, prompt_kind="text", exact=exact, greedy_equal=equal, greedy_total=32,
        first_divergence=None if equal == 32 else 5, positions=128, top1=1.0 if equal == 32 else 0.897,
        kl=2.1e-7 if equal == 32 else 0.0413, largest_difference=0.0004 if equal == 32 else 3.1,
    )  # fmt: skip


def sizes(memory: float) -> list[Measurement]:
    rows = {
        "peak_bytes": 954e6, "model_bytes": 560e6, "weight_bytes": 538e6, "prefill_peak_bytes": 930e6,
        "uss_bytes": 700e6, "rss_anon_bytes": 610e6, "rss_file_bytes": 330e6,
    }  # fmt: skip
    found = [measurement("memory", name, "bytes", value, memory, WORK) for name, value in rows.items()]
    return [*found, measurement("memory", "kv_bytes_per_token", "bytes/token", 46_080, memory, WORK)]


def measurements(speed: float, memory: float | None, load: float = 1.4) -> list[Measurement]:
    why = "the peak memory of a child process cannot be read on this system"

    def time(metric: str, middle: float, times: float, n: int) -> Measurement:
        sides: dict[str, Any] = {
            "teacher_percentiles": percentiles(middle, n),
            "student_percentiles": percentiles(middle / times, n),
        }
        sides |= {"teacher_times": drawn_times(middle, n), "student_times": drawn_times(middle / times, n)}
        return measurement("latency", metric, "ms", middle, times, WORK, **sides)

    found = [
        time("ttft_ms", 146.0, speed * 0.92, 30),
        time("itl_ms", 9.6, speed * 1.02, 930),
        time("e2e_ms", 451.0, speed, 30),
        measurement(
            "latency", "decode_tokens_per_s", "tokens/s", 104.0, speed, WORK, higher_is_better=True,
            student=104.0 * speed,
        ),
        measurement("load", "load_seconds", "s", 2.31, load, ""),
    ]  # fmt: skip
    if memory is None:
        unknown = estimate(None, n=0, status="undefined", reason=why)
        missing = measurement("memory", "peak_bytes", "bytes", 0, None, WORK, n=0, reason=why)
        lost = {"status": "not_measurable", "teacher": None, "ratio": unknown}
        return [*found, missing.model_copy(update=lost), *energy(None)]
    return [*found, *sizes(memory), *energy(speed)]
