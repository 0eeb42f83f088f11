"""Results that other tools computed, as runs that compare, gate and report read."""
