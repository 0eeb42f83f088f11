"""Checked per-sample arrays: the only door through which scores enter the statistics.

Every function here raises `ValueError` for what would otherwise become a silent wrong number: an empty array, a NaN,
two arrays of different length, a sample without a cluster.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.intp]
BoolArray: TypeAlias = NDArray[np.bool_]
Labels: TypeAlias = Iterable[Hashable] | NDArray[Any]


def vector(name: str, values: ArrayLike) -> FloatArray:
    """Return `values` as a non-empty, finite, one-dimensional float array; `name` is used in the error."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have one value a sample")
    if array.size == 0:
        raise ValueError(f"{name} is empty; at least one sample is needed")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ValueError(
            f"{name}[{bad[0]}] is {array[bad[0]]}; every score must be a finite number ({bad.size} are not)"
        )
    return array


def paired(**named: ArrayLike) -> tuple[FloatArray, ...]:
    """Return the named arrays, checked as `vector` does and of one common length (paired sample by sample)."""
    arrays = {name: vector(name, values) for name, values in named.items()}
    if len({array.size for array in arrays.values()}) > 1:
        sizes = ", ".join(f"{name} has {array.size}" for name, array in arrays.items())
        raise ValueError(f"paired arrays differ in length: {sizes}")
    return tuple(arrays.values())


def codes(name: str, labels: Labels, n: int) -> tuple[IntArray, list[Hashable]]:
    """Number the distinct `labels` 0, 1, … as they appear; return the number of each sample, and the distinct labels.

    Raises `ValueError` where a label is missing (None or NaN) or where there are not exactly `n` of them.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.ndim == 1:
        return _whole_codes(name, labels, n)
    numbers: dict[Hashable, int] = {}
    out = []
    for position, label in enumerate(labels):
        if label is None or label != label:  # noqa: PLR0124 - NaN is the one value that differs from itself
            raise ValueError(f"{name}[{position}] is missing; every sample needs one, or pass none at all")
        out.append(numbers.setdefault(label, len(numbers)))
    if len(out) != n:
        raise ValueError(f"{name} has {len(out)} labels for {n} samples")
    return np.asarray(out, dtype=np.intp), list(numbers)


def _whole_codes(name: str, labels: NDArray[Any], n: int) -> tuple[IntArray, list[Hashable]]:
    """Number whole-number labels without a Python object a sample: a million of them are no rarity."""
    if labels.size != n:
        raise ValueError(f"{name} has {labels.size} labels for {n} samples")
    distinct, first, number = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(order.size, dtype=np.intp)
    place[order] = np.arange(order.size)
    return place[number.ravel()], distinct[order].tolist()


def shared_by_ties(keys: FloatArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the order of ascending `keys`, and in that order the mean of the `values` of all samples with that key.

    It is the average over every order in which ties could be broken, so that the order of samples does not matter.
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(np.append(first, keys.size))
    return order, np.repeat(np.add.reduceat(values[order], first) / counts, counts)


def is_binary(*arrays: FloatArray) -> bool:
    """Tell whether every value is exactly 0 or 1."""
    return all(bool(np.isin(array, (0.0, 1.0)).all()) for array in arrays)


def check_alpha(alpha: float) -> None:
    """Raise `ValueError` unless `alpha` (two-sided) lies strictly between 0 and 1."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}; it must lie strictly between 0 and 1, as in 0.05 for a 95 % interval")
