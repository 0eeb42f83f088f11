"""What a cell will take in joules: its seconds times the power that a meter read here while models worked."""

from __future__ import annotations

from distbench.plan.estimates.similar import Similar
from distbench.schema.forecast import Forecast, about, unknown

SPREAD = 1.5  # one power for all kinds of work


def energy_joules(seconds: Forecast, similar: Similar) -> Forecast:
    """Return joules of one scope; unknown where no meter has read this machine, and never a guess of its power."""
    watts = similar.watts()
    if not watts:
        return unknown("no meter: no record of this machine and device holds a measured power (docs/energy.md)")
    if seconds.value is None:
        return unknown(f"its seconds are not known: {seconds.why}")
    scope, power = next(iter(sorted(watts.items())))
    factor = SPREAD * max(1.0, (seconds.hi or seconds.value) / seconds.value)
    return about(seconds.value * power, factor, "computed", f"{scope}: {power:.3g} W, measured, times the seconds")
