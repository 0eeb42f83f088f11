"""Typed values that cross a process boundary; every one is a file that a person can open."""
