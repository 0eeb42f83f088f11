"""Texts and templates of the tasks under suites/tasks: minimal pairs, facts, bias, word problems, prose."""
