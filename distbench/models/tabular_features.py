"""From what a data source gives to vectors: images are flattened, texts become tf-idf; kept with the model as JSON."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distbench.data.feature_signal import FeatureSignal, Kind
from distbench.errors import RefusedError, RunError, UsageError
from distbench.schema.strict import Strict

FILE = "features.json"


class TfIdf(Strict):
    """How texts become vectors: the weights of words, n-grams included (Spärck Jones 1972), each row of length 1."""

    use: Literal["tf-idf"] = "tf-idf"
    ngrams: int = Field(1, ge=1, le=5, description="words in a row that count as one feature, at most")
    max_features: int = Field(2000, ge=1, le=1_000_000, description="the most frequent ones are kept")
    lowercase: bool = True


@dataclass(frozen=True)
class Vectors:
    """The map from inputs to vectors [n, size] float32. `terms` and `idf` are those of the training texts."""

    kind: Kind
    size: int
    options: TfIdf | None = None
    terms: list[str] = field(default_factory=list)
    idf: list[float] = field(default_factory=list)

    @classmethod
    def fitted(cls, signal: FeatureSignal, options: TfIdf | None) -> Vectors:
        """Return the map of a signal: the words of all its training texts count, labelled or not.

        Raises UsageError where `features` is given for data that are no texts.
        """
        if signal.kind != "texts":
            if options is not None:
                raise UsageError(f"features: {options.use} reads texts; these data are {signal.kind} already")
            return cls(signal.kind, int(np.prod(signal.x.shape[1:])))
        options = options or TfIdf()
        try:
            vectoriser = _vectoriser(options, None).fit(signal.x)
        except ValueError as error:
            raise RunError(f"tf-idf finds no word in the training texts ({error})") from None
        terms = [str(term) for term in vectoriser.get_feature_names_out()]
        return cls("texts", len(terms), options, terms, [float(each) for each in vectoriser.idf_])

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return vectors. Raises RunError for inputs of another kind or size."""
        if (self.kind == "texts") != (x.dtype == object):
            raise RunError(f"this model was trained on {self.kind}, and is asked about something else")
        if self.kind == "texts":
            return np.asarray(self._transformer.transform(x).toarray(), dtype=np.float32)
        flat = np.ascontiguousarray(x, dtype=np.float32).reshape(len(x), -1)
        if flat.shape[1] != self.size:
            raise RunError(f"this model reads vectors of {self.size} numbers, not of {flat.shape[1]}")
        return flat

    @functools.cached_property
    def _transformer(self) -> Any:
        assert self.options is not None
        vectoriser = _vectoriser(self.options, {term: place for place, term in enumerate(self.terms)})
        vectoriser.idf_ = np.asarray(self.idf)
        return vectoriser

    def facts(self) -> dict[str, Any]:
        """Return what a reader of a record must know; nothing for data that are vectors already."""
        return {} if self.options is None else {"features": self.options.model_dump() | {"found": self.size}}

    def write(self, folder: Path) -> None:
        """Write the map to `folder`."""
        options = self.options and self.options.model_dump()
        given = {"kind": self.kind, "size": self.size, "options": options, "terms": self.terms, "idf": self.idf}
        (folder / FILE).write_text(json.dumps(given, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Vectors:
        """Read what `write` wrote. Raises RefusedError for a damaged file."""
        try:
            given = json.loads((folder / FILE).read_text(encoding="utf-8"))
            options = None if given["options"] is None else TfIdf(**given["options"])
            terms, idf = [str(term) for term in given["terms"]], [float(each) for each in given["idf"]]
            if given["kind"] not in ("features", "texts", "images") or len(terms) != len(idf):
                raise ValueError("its lists do not fit together")
            return cls(given["kind"], int(given["size"]), options, terms, idf)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RefusedError(f"{folder / FILE} is damaged ({str(error)[:120]})") from None


def _vectoriser(options: TfIdf, vocabulary: dict[str, int] | None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, options.ngrams),
        max_features=options.max_features if vocabulary is None else None,
        lowercase=options.lowercase,
        vocabulary=vocabulary,
        dtype=np.float32,
    )
