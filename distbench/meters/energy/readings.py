"""From the joules of a window to what a reader asks: per token, per request, per sample; gross and net."""

from __future__ import annotations

from distbench.meters.energy.filling import Done, Filled
from distbench.protocols import Missing, Quantity, Readings

LEAST_OVER_IDLE = 1.3  # mean power below this multiple of idle: the net energy would be a difference of near equals
THOUSAND = 1000.0
GROSS = "everything that the instrument saw in the window, over what was done in it"
NET = f"gross less idle power × seconds; withheld below {LEAST_OVER_IDLE:g} × idle"

TOKEN, REQUESTS, SAMPLES, PROMPT = "token", "1000_requests", "1000_samples", "prompt_token"
UNITS = {TOKEN: "J/token", REQUESTS: "J/1000 requests", SAMPLES: "J/1000 samples", PROMPT: "J/prompt token"}
WATTS = Quantity("mean_watts", "W", False, "joules of a window over its seconds", "windows")
IDLE = Quantity("idle_watts", "W", False, "mean power of a window at rest, the model loaded; once a launch")


def gross(per: str) -> str:
    """Return the name of the gross energy per something."""
    return f"gross_joules_per_{per}"


def net(per: str) -> str:
    """Return the name of the net energy per something."""
    return f"net_joules_per_{per}"


def quantities() -> list[Quantity]:
    """Return everything that a window may tell."""
    found = []
    for per, unit in UNITS.items():
        found.append(Quantity(gross(per), unit, False, GROSS, "windows"))
        found.append(Quantity(net(per), unit, False, NET, "windows"))
    return [*found, WATTS, IDLE]


def counts(done: Done, *, prefill: bool) -> dict[str, float]:
    """Return by what the joules of a window are divided, by name: generated tokens include the cost of their prompt.

    A window of prompts alone (one token each) counts prompt tokens.
    """
    if done.output_tokens is None:
        return {SAMPLES: done.samples / THOUSAND}
    if prefill:
        assert done.prompt_tokens is not None
        return {PROMPT: float(done.prompt_tokens)}
    return {TOKEN: float(done.output_tokens), REQUESTS: done.samples / THOUSAND}


def names(*, tokens: bool, prefill: bool, idle: bool = True) -> list[str]:
    """Return the names of what a window of this kind reads; the first is the one that is gated."""
    per = [SAMPLES] if not tokens else [PROMPT] if prefill else [TOKEN, REQUESTS]
    return [*map(gross, per), *(map(net, per) if idle else ()), WATTS.name]


def readings_of(window: Filled, idle: float | Missing, *, prefill: bool) -> Readings:
    """Return gross and net joules of a window, or why there is no net."""
    found: Readings = {}
    above = _above_idle(window, idle)
    for per, count in counts(window.done, prefill=prefill).items():
        found[gross(per)] = window.joules / count
        found[net(per)] = above if isinstance(above, Missing) else above / count
    return found | {WATTS.name: window.watts}


def assumed(done: Done, watts: tuple[float, float], *, prefill: bool) -> Readings:
    """Return (least, most) joules where the power was assumed and only the seconds were read."""
    return {
        gross(per): [low * done.seconds / count for low in watts]
        for per, count in counts(done, prefill=prefill).items()
    }


def _above_idle(window: Filled, idle: float | Missing) -> float | Missing:
    if isinstance(idle, Missing):
        return Missing(f"idle power is not known: {idle.reason}", idle.remedy)
    if window.watts < LEAST_OVER_IDLE * idle:
        return Missing(
            f"mean power of {window.watts:.1f} W is below {LEAST_OVER_IDLE:g} × the idle power of {idle:.1f} W",
            "larger batches load the device more",
        )
    return window.joules - idle * window.seconds
