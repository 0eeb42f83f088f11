"""Documents in files: plain text, JSON Lines, parquet, and data sets that Hugging Face's `datasets` saved or serves."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distbench.errors import EnvironmentFault, RunError, UsageError
from distbench.hashing import digest, file_digest
from distbench.protocols import Prompt

Unit = Literal["file", "paragraph", "line"]
JSON_LINES = {".jsonl", ".ndjson"}
PARQUET = ".parquet"
SAVED = ("state.json", "dataset_dict.json")  # what `save_to_disk` leaves in a folder
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
MISSING: Any = object()


@dataclass(frozen=True)
class Plain:
    """A text: all of it is learned."""

    text: str

    @property
    def key(self) -> str:
        """What the document says, as a hash."""
        return digest(["text", self.text])


@dataclass(frozen=True)
class Pair:
    """A prompt and what comes after it: only that is learned."""

    prompt: Prompt
    completion: str

    @property
    def key(self) -> str:
        """What the document says, as a hash."""
        return digest(["pair", self.prompt, self.completion])


@dataclass(frozen=True)
class Talk:
    """A conversation: what the assistant says is learned."""

    messages: list[dict[str, str]]

    @property
    def key(self) -> str:
        """What the document says, as a hash."""
        return digest(["talk", self.messages])


Document = Plain | Pair | Talk


# -- files -------------------------------------------------------------------------------------------------------------


def files_of(patterns: Sequence[str]) -> list[Path]:
    """Return the files and data set folders that paths and glob patterns mean, each once, sorted within a pattern.

    Raises UsageError for one that means nothing, or a folder that is no saved data set.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        paths = sorted(Path(each) for each in glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns
        if not paths:
            raise UsageError(f"data file {pattern} does not exist")
        several = len(paths) > 1
        for path in paths:
            if path.is_dir() and not is_saved(path):
                if several:  # a pattern may well match folders between the files
                    continue
                raise UsageError(f"{path} is a folder and no saved data set; name its files, such as {path}/*.txt")
            found[path] = None
    return list(found)


def is_saved(path: Path) -> bool:
    """Return whether a folder is a data set that `datasets` saved."""
    return path.is_dir() and any((path / name).is_file() for name in SAVED)


def files_digest(patterns: Sequence[str]) -> list[str]:
    """Return the content of files, in order: where they lie and what they are called does not count."""
    digests = []
    for path in files_of(patterns):
        inside = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        digests += [file_digest(file) for file in inside]
    return digests


# -- rows --------------------------------------------------------------------------------------------------------------


def rows_of(paths: Sequence[Path], split: str, unit: Unit) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where it stands, row) of every row of files; a row of plain text is `{"text": …}`."""
    for path in paths:
        if path.is_dir():
            yield from _saved(path, split)
        elif path.suffix == PARQUET:
            yield from _parquet(path)
        elif path.suffix in JSON_LINES:
            yield from _json_lines(path)
        else:
            yield from _plain(path, unit)


def _plain(path: Path, unit: Unit) -> Iterator[tuple[str, dict[str, Any]]]:
    text = _read(path)
    if unit == "file":
        yield str(path), {"text": text}
        return
    parts = text.splitlines() if unit == "line" else _paragraphs(text)
    for number, part in enumerate(parts, start=1):
        yield f"{path}, {unit} {number}", {"text": part}


def _paragraphs(text: str) -> list[str]:
    """Return what empty lines separate."""
    found, lines = [], list[str]()
    for line in [*text.splitlines(), ""]:
        if line.strip():
            lines.append(line)
        elif lines:
            found.append("\n".join(lines))
            lines = []
    return found


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_read(path).split("\n"), start=1):  # JSON may hold what splitlines takes for an end
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise RunError(f"{path}:{number}: not JSON") from None
        if not isinstance(row, dict):
            raise RunError(f"{path}:{number}: expected an object, got {type(row).__name__}")
        yield f"{path}:{number}", row


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RunError(
            f"{path}: not UTF-8 text: byte 0x{error.object[error.start]:02x} at offset {error.start}"
        ) from None
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read ({error.strerror})") from None


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        number = 0
        for batch in ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                yield f"{path}, row {number}", row
                number += 1
    except (ArrowException, OSError) as error:
        raise RunError(f"{path}: not a readable parquet file ({str(error).splitlines()[0][:120]})") from None


def _saved(path: Path, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    from datasets import DatasetDict, load_from_disk

    data = load_from_disk(str(path))
    if isinstance(data, DatasetDict):
        if split not in data:
            raise UsageError(f"{path} has no split {split!r}; it has {', '.join(map(str, data))}")
        data = data[split]
    for number, row in enumerate(data):
        yield f"{path}, row {number}", row


# -- documents ---------------------------------------------------------------------------------------------------------


def document_of(where: str, row: Mapping[str, Any], field: str | None) -> Document:
    """Return a row's document: the column `field`, or else of `text`, `messages` and `prompt` the first that is there.

    `messages` is a conversation; `prompt` stands beside a `completion`. Raises RunError for a row that has none.
    """
    name = field or next((each for each in ("text", "messages", "prompt") if each in row), None)
    value = MISSING if name is None else row.get(name, MISSING)
    if value is MISSING:
        wanted = repr(field) if field else "'text', 'messages' or 'prompt'"
        raise RunError(f"{where}: no {wanted} (it has {', '.join(map(repr, row)) or 'nothing'})")
    if name == "prompt" and "completion" in row:
        return Pair(prompt_of(where, value), _completion(where, row["completion"]))
    if isinstance(value, list):
        talk = messages_of(where, value)
        if not any(message["role"] == "assistant" for message in talk):
            raise RunError(f"{where}: a conversation in which the assistant says nothing")
        return Talk(talk)
    return Plain(text_of(where, str(name), value))


def prompt_of(where: str, value: Any) -> Prompt:
    """Return a prompt: a text, or messages."""
    return messages_of(where, value) if isinstance(value, list) else text_of(where, "prompt", value)


def _completion(where: str, value: Any) -> str:
    if isinstance(value, list):
        messages = messages_of(where, value)
        if len(messages) != 1 or messages[0]["role"] != "assistant":
            raise RunError(f"{where}: a completion is a text, or one message of the assistant")
        return messages[0]["content"]
    return text_of(where, "completion", value)


def text_of(where: str, name: str, value: Any) -> str:
    """Return a text that UTF-8 can hold. Raises RunError for anything else."""
    if not isinstance(value, str):
        raise RunError(f"{where}: {name} should be a text, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RunError(f"{where}: {name} holds half of a surrogate pair, which is no text") from None
    return value


def messages_of(where: str, value: list[Any]) -> list[dict[str, str]]:
    """Return messages with a role and a text each. Raises RunError for anything else."""
    found = []
    for message in value:
        role, content = (message.get("role"), message.get("content")) if isinstance(message, Mapping) else (None, None)
        if role not in ROLES or not isinstance(content, str):
            raise RunError(f"{where}: a message needs a role ({', '.join(sorted(ROLES))}) and a content that is text")
        found.append({"role": str(role), "content": text_of(where, "content", content)})
    if not found:
        raise RunError(f"{where}: a conversation without messages")
    return found
