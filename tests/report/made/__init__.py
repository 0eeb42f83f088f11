"""SYNTHETIC results: every name and number is invented to exercise the report. Nothing was measured."""
