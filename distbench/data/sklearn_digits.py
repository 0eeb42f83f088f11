"""scikit-learn's digits: 1,797 real images of 8 × 8 pixels, 10 classes (Alpaydin & Kaynak 1998)."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from distbench.data.feature_signal import FeatureSignal, Kind
from distbench.data.labelled_rows import OnlineInside, Rows, few_labels, signal_of
from distbench.errors import EnvironmentFault
from distbench.hashing import digest, file_digest
from distbench.protocols import SignalRequest
from distbench.schema.strict import Strict

SPLIT_SEED = 20240101  # the split belongs to the data set, not to a run: every run sees the same test images
TEST, HELDOUT = 600, 119
CLASSES = tuple(str(digit) for digit in range(10))


@functools.cache
def rows(split: Literal["train", "heldout", "test"], kind: Kind = "features") -> Rows:
    """Return one part: 600 test, 119 held-out, 1,078 training images, drawn once with a fixed seed.

    Pixels are scaled to 0–1: vectors [n, 64], or images [n, 8, 8, 1].
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(data.target))
    bounds = {"test": (0, TEST), "heldout": (TEST, TEST + HELDOUT), "train": (TEST + HELDOUT, len(order))}[split]
    index = np.sort(order[bounds[0] : bounds[1]])
    x = (data.data[index] / 16.0).astype(np.float32)
    x = x.reshape(-1, 8, 8, 1) if kind == "images" else x
    return Rows(kind, x, data.target[index].astype(np.int64), index.astype(np.int64), CLASSES)


class SklearnDigitsOptions(Strict):
    """Options of `data: {use: sklearn-digits}`."""

    model_config = ConfigDict(**Strict.model_config, serialize_by_alias=True)

    labelled: int | None = Field(
        None, ge=10, le=1078, description="how many training images keep their label; the rest only has the teacher's"
    )
    shown_as: Literal["vectors", "images"] = Field(
        "vectors", alias="as", description="vectors of 64 numbers, or images of 8 × 8 × 1, which a vision model needs"
    )

    @property
    def kind(self) -> Kind:
        """The kind of the rows."""
        return "images" if self.shown_as == "images" else "features"


class SklearnDigits(OnlineInside):
    """The digits as training signal and as test rows."""

    Options = SklearnDigitsOptions
    needs: ClassVar[frozenset[str]] = frozenset({"classify"})

    def __init__(self, options: SklearnDigitsOptions) -> None:
        self.options = options
        self.yields = options.kind

    def identity(self) -> dict[str, Any]:
        """Return the digest of the data file and of the split."""
        return {"rows": _data_digest()}

    def test_rows(self) -> Rows:
        """Return the test images: never seen by a training method."""
        return rows("test", self.options.kind)

    def signal(self, ask: SignalRequest) -> FeatureSignal:
        """Return the training images; with teachers, their mean class probabilities beside them."""
        train, held = rows("train", self.options.kind), rows("heldout", self.options.kind)
        y = few_labels(train.y, self.options.labelled, ask.seed)
        return signal_of(train, held, y, ask, [self.identity(), self.options])


@functools.cache
def _data_digest() -> str:
    """Return the hash of the library's data file and of how it is split here; scikit-learn itself is not imported."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise EnvironmentFault("scikit-learn is not installed: pip install scikit-learn")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return digest([file_digest(file), SPLIT_SEED, TEST, HELDOUT])
