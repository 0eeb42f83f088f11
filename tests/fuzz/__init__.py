"""Inputs that nobody vouches for, made by the thousand: what reads them gives a value or one line, and nothing else."""
