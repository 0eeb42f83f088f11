"""The result document as JSON: what every other output is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from distbench.exports.rows import utf8
from distbench.protocols.export import Exported, Source, Writes
from distbench.schema.result import Result
from distbench.schema.strict import Strict


def json_text(result: Result) -> str:
    """Return the result as JSON: keys in the order of its schema, no NaN, unknown null; any JSON parser reads it."""
    return json.dumps(_storable(result.model_dump()), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _storable(value: Any) -> Any:
    """Spell out lone surrogates, which JSON parsers other than Python's refuse."""
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, dict):
        return {utf8(str(key)): _storable(each) for key, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, (list, tuple)) else value


class JSONDocument:
    """`--format json`: the result document; `distbench schema result` prints its schema."""

    class Options(Strict):
        """No options."""

    summary: ClassVar[str] = "the result document; `distbench schema result` prints its JSON Schema"
    writes: ClassVar[Writes] = "text"
    suffix: ClassVar[str] = ".json"

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Return the document."""
        return Exported(text=json_text(source.result))
