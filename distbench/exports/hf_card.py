"""The model-index of a Hugging Face card, put into a README.md of which every other line stays as it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench.errors import RefusedError

CARD = "README.md"
KEY = "model-index"
_BLOCK = re.compile(r"\A(\ufeff?\s*---[ \t]*\r?\n)(.*?)((?:^|\r?\n)---[ \t]*(?:\r?\n|\Z))", re.DOTALL | re.MULTILINE)
_TOP_LEVEL = re.compile(r"[^\s#-]")
_OURS = re.compile(rf"['\"]?{KEY}['\"]?\s*:")
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Card:
    """A README.md: its text ("" where there is no file), its metadata, and the model of its model-index."""

    path: Path
    text: str
    metadata: dict[str, Any]
    model: dict[str, Any]

    @property
    def pipeline(self) -> str | None:
        """The task type that the card states."""
        found = self.metadata.get("pipeline_tag")
        return found if isinstance(found, str) else None

    @property
    def model_name(self) -> str | None:
        """The name that the model-index gives the model."""
        found = self.model.get("name")
        return found if isinstance(found, str) else None


def read_card(path: Path) -> Card:
    """Read a card. Raises RefusedError for one whose metadata we could not keep as it is; nothing is written then."""
    text = _text_of(path)
    metadata = _metadata(path, text)
    index = metadata.get(KEY) or [{}]
    if not isinstance(index, list) or len(index) > 1 or not isinstance(index[0], dict):
        raise RefusedError(f"{path}: its {KEY} is about several models, or none; distbench adds to the index of one")
    if index[0]:
        _check(path, index)
    return Card(path, text, metadata, index[0])


def _check(path: Path, index: list[Any]) -> None:
    """Raise RefusedError where the Hub's own reader does not take a model-index."""
    from huggingface_hub.repocard_data import model_index_to_eval_results

    try:
        model_index_to_eval_results(index)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RefusedError(f"{path}: its {KEY} is not in the Hub's format ({type(error).__name__}: {error})") from error


def updated_card(card: Card, model_name: str, ours: list[Any], body: str) -> str:
    """Return the card with our results in its model-index: results of others stay, earlier ones of ours are replaced.

    `ours`: of the Hub's class EvalResult. `body`: the text below the metadata where there is no card yet.
    """
    from huggingface_hub.repocard_data import eval_results_to_model_index

    new = eval_results_to_model_index(model_name, ours)[0]["results"]
    metrics = {_slot(each): {metric["type"] for metric in each["metrics"]} for each in new}
    kept = [_without(each, metrics.get(_slot(each), set())) for each in card.model.get("results", [])]
    index = [{**card.model, "name": model_name, "results": [*(each for each in kept if each["metrics"]), *new]}]
    if KEY in card.metadata and _start(card) is None:
        raise RefusedError(
            f"{card.path}: its {KEY} is written in a way that distbench cannot replace; write it as a key"
        )
    written = _spliced(card, index) if card.text else f"---\n{_block(index)}---\n{body}"
    after = _metadata(card.path, written)
    if {**card.metadata, KEY: None} != {**after, KEY: None} or after.get(KEY) != index:
        raise RefusedError(
            f"{card.path}: its metadata cannot be added to without changing the rest; it stays as it was"
        )
    _check(card.path, after[KEY])
    return written


def _slot(result: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a result is about: a later one about the same takes its place."""
    data = result["dataset"]
    return (result["task"]["type"], *(data.get(key) for key in ("type", "name", "config", "split")))


def _without(result: dict[str, Any], metrics: set[str]) -> dict[str, Any]:
    return {**result, "metrics": [each for each in result["metrics"] if each["type"] not in metrics]}


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RefusedError(f"{path} has more than {_MOST_BYTES:,} bytes: that is no model card")
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{path} cannot be read as UTF-8 text: {error}") from error


def _metadata(path: Path, text: str) -> dict[str, Any]:
    """Return the YAML block on top of a card, {} where there is none."""
    import yaml

    found = _BLOCK.match(text)
    if found is None:
        return {}
    try:
        data = yaml.safe_load(found[2])
    except (yaml.YAMLError, RecursionError) as error:
        raise RefusedError(f"{path}: the YAML on top cannot be read: {' '.join(str(error).split())[:200]}") from error
    if data is not None and not isinstance(data, dict):
        raise RefusedError(f"{path}: the YAML on top is no mapping")
    return data or {}


def yaml_text(data: Any) -> str:
    """Return YAML with keys in their order, and texts as they are where they can be read."""
    import yaml

    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=10**6))


def _block(index: list[Any]) -> str:
    return yaml_text({KEY: index})


def _start(card: Card) -> int | None:
    """Return the line of the metadata at which the model-index begins."""
    found = _BLOCK.match(card.text)
    lines = found[2].splitlines() if found else []
    return next((number for number, line in enumerate(lines) if _OURS.match(line)), None)


def _spliced(card: Card, index: list[Any]) -> str:
    """Return the text with only the lines of the model-index changed; comments and order of the rest are kept."""
    found = _BLOCK.match(card.text)
    end = "\r\n" if "\r\n" in card.text else "\n"
    block = _block(index).replace("\n", end)
    if found is None:
        return f"---{end}{block}---{end}{card.text}"
    lines, start = found[2].splitlines(keepends=True), _start(card)
    if start is None:
        head = found[2] if not found[2] or found[2].endswith("\n") else found[2] + end
        inside = head + block
    else:
        after = start + 1
        while after < len(lines) and not _TOP_LEVEL.match(lines[after]):
            after += 1
        while lines[after - 1].startswith("#") or not lines[after - 1].strip():  # a comment on what follows
            after -= 1
        inside = "".join(lines[:start]) + block + "".join(lines[after:])
    close = found[3].removeprefix("\r\n").removeprefix("\n") if inside.endswith("\n") else found[3]
    return card.text[: found.start(2)] + inside + close + card.text[found.end(3) :]
