"""Canaries: credentials that nobody may find again in anything that a command wrote or said."""
