"""Is a run what it says it is? Checks over a run directory alone: no model, no torch, no network."""
