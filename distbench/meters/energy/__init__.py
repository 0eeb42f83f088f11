"""Joules of a model at work: where they are read, over which window, and when no number is given."""
