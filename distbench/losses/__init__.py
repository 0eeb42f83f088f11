"""Losses: what a student minimises, in torch, one idea a file.

Two families. A *vocabulary loss* reads logits: it is called with the student's logits [n, V] and a `Target` of the same
n positions and returns the sum over positions that have a target, in nats. A *feature loss* reads hidden states or
attention maps: it is a torch module, for its projectors are trained along, and returns a mean.
"""
