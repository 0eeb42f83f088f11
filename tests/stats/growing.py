"""Tasks whose samples arrive one after the other, drawn with given shares of agreements and flips."""

import math

import numpy as np

from distbench.stats import ClusterPlan, GrowingTask

STUDENT, TEACHER = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0])


def drawn(n, shares, *, seed=0):
    kind = np.random.default_rng(seed).choice(4, size=n, p=shares)
    return STUDENT[kind], TEACHER[kind]


EQUAL, WORSE, MUCH_WORSE = (0.68, 0.02, 0.02, 0.28), (0.62, 0.08, 0.02, 0.28), (0.5, 0.2, 0.02, 0.28)


def grown(shares=EQUAL, *, n=4000, name="a", so_far=None, seed=0, **options):
    student, teacher = drawn(n, shares, seed=seed)
    options = {"scale": (0.25, 1.0)} | options
    return GrowingTask(name, student[:so_far], teacher[:so_far], n, **options)


def noise(rate, repetitions):
    """Three standard errors of a simulated rate."""
    return 3 * math.sqrt(rate * (1 - rate) / repetitions)


def clustered(shares=EQUAL, *, n_clusters=200, size=10, so_far=None, **options):
    student, teacher = drawn(n_clusters * size, shares)
    labels = np.repeat(np.arange(n_clusters), size)[:so_far].tolist()
    defaults = {"scale": (0.25, 1.0), "clusters": labels, "cluster_plan": ClusterPlan(n_clusters, size)}
    return GrowingTask("a", student[:so_far], teacher[:so_far], n_clusters * size, **(defaults | options))
