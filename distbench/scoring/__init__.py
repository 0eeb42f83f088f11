"""Exact log-likelihoods of many continuations under one model, each shared prefix computed once."""
