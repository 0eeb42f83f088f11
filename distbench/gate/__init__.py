"""The gate: one verdict object, an exit code that follows it, and a policy for the undecided."""
