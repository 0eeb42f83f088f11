"""Run a plan and keep what it yields."""
