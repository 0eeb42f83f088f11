"""Runs and caches on disk: sealed folders, one rename, no database."""
