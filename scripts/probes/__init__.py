"""Texts and templates of the probes under suites/tasks: bias, word problems, prose."""
