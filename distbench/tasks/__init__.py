"""Accuracy measurements: each yields one record per sample."""
