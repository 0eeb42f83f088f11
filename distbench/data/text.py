"""Text that exists already: files, JSON Lines, parquet, data sets. The whole of it is learned, or only completions."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from distbench.data.corpus_signal import Facts, Shape, made_once, sides_of, taught_by, tokenizer_of, untaught
from distbench.data.corpus_split import split
from distbench.data.text_documents import Document, Unit, document_of, files_digest, files_of, rows_of
from distbench.data.text_hub import commit_of, hub_rows
from distbench.data.text_prompts import separator_of, tokenizer_digest
from distbench.data.text_tokens import Tokeniser, is_empty
from distbench.data.token_signal import TokenSignal
from distbench.errors import RunError
from distbench.protocols import SignalRequest
from distbench.schema.strict import Strict

CODE_VERSION = 1  # part of the cache key: raise it when the same files would give other rows
HeldOutShare = Annotated[int, Field(ge=1, le=10_000_000)] | Annotated[float, Field(gt=0, lt=1)]


class RowOptions(Strict):
    """Options that text and answers share: how documents become rows."""

    length: int = Field(256, ge=2, le=1_048_576, description="predictions a row; a longer document is split")
    packing: bool = Field(
        True, description="several documents share a row, and none sees another; false: one document a row"
    )
    heldout: HeldOutShare = Field(
        0.02, description="a share, or a number, of the distinct documents that no training step sees"
    )
    samples: int | None = Field(None, ge=1, le=1_000_000_000, description="documents to learn from; all if left out")
    split_seed: int = Field(0, ge=0, description="of the held-out draw and the order; the run's seed changes neither")


class TextOptions(RowOptions):
    """Options of `data: {use: text}`: exactly one of `files` and `hub`."""

    files: str | Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="paths or patterns: .txt and the like, .jsonl, .parquet, folders that datasets saved"
    )
    hub: str | None = Field(None, min_length=1, max_length=200, description="a data set on the hub: id[@commit]")
    name: str | None = Field(None, description="the hub data set's configuration")
    split: str = Field("train", description="of a data set that has several")
    field: str | None = Field(
        None, min_length=1, description="the column; text, messages, or prompt with completion where left out"
    )
    unit: Unit = Field("file", description="what a document is in a plain text file")
    ends: bool = Field(True, description="the end of a document is learned too")

    @model_validator(mode="after")
    def _one_of(self) -> TextOptions:
        if (self.files is None) == (self.hub is None):
            raise ValueError("give exactly one of 'files' and 'hub'")
        return self

    @property
    def patterns(self) -> list[str]:
        """The files, as a list."""
        return [self.files] if isinstance(self.files, str) else list(self.files or [])


class Text:
    """A corpus; with teachers, what they think of every token of it."""

    Options = TextOptions
    yields: ClassVar[str] = "tokens"
    online: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()
    paths: ClassVar[frozenset[str]] = frozenset({"files"})

    def __init__(self, options: TextOptions) -> None:
        self.options = options

    def needs_for(self, asks: frozenset[str]) -> frozenset[str]:
        """Return what a teacher must offer: a torch module where anything is asked of it."""
        return frozenset({"causal-lm"}) if asks else frozenset()

    def identity(self) -> dict[str, Any]:
        """Return the content of the files, or the hub's commit, and the version of this code."""
        o = self.options
        content = {"hub": commit_of(o.hub)} if o.hub is not None else {"files": files_digest(o.patterns)}
        return {"code": CODE_VERSION, **content}

    def signal(self, ask: SignalRequest) -> TokenSignal:
        """Return the rows. Raises RunError where there are none."""
        tokenizer = tokenizer_of(ask)
        kept = self.options.model_dump(mode="json", exclude={"files"})
        signal = made_once(["text", kept, self.identity(), tokenizer_digest(tokenizer)], lambda: self._make(tokenizer))
        return taught_by(signal, ask, tokenizer)

    def _make(self, tokenizer: Any) -> tuple[TokenSignal, Facts]:
        o = self.options
        documents = self.documents()
        full = [document for document in documents if not is_empty(document)]
        chosen = split([document.key for document in full], o.heldout, o.split_seed, o.samples)
        tokens = list(Tokeniser(tokenizer, ends=o.ends)(full))
        sides = sides_of(tokens, chosen, Shape(o.length, o.packing, separator_of(tokenizer)))
        return untaught(sides), {**sides.facts, "documents_empty": len(documents) - len(full)}

    def documents(self) -> list[Document]:
        """Return every document, in the order of the files. Raises RunError for a row that holds none."""
        o = self.options
        here = rows_of(files_of(o.patterns), o.split, o.unit) if o.hub is None else hub_rows(o.hub, o.name, o.split)
        found = [document_of(where, row, o.field) for where, row in here]
        if not found:
            raise RunError(f"0 examples: {o.hub or ', '.join(o.patterns)} holds no document")
        return found
