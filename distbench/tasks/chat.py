"""A model's chat template, read from its files without loading anything."""

from __future__ import annotations

import json
from pathlib import Path

from distbench.errors import UsageError
from distbench.schema.cell import ModelRef


def chat_template(model: ModelRef) -> str:
    """Return the default template of a checkpoint folder.

    Raises UsageError where there is none, or no folder yet (a model that this run makes).
    """
    folder = Path(model.path) if model.path else None
    if folder is None or not folder.is_dir():
        raise UsageError(
            f"chat_template: teacher needs {model.name!r} as a folder with a tokenizer; a student made from it has the "
            "same template, so chat_template: own says the same"
        )
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    found = json.loads(config.read_text(encoding="utf-8")).get("chat_template") if config.is_file() else None
    if isinstance(found, list):  # several named ones: the default is what transformers applies
        found = next((each.get("template") for each in found if each.get("name") == "default"), None)
    if not isinstance(found, str):
        raise UsageError(f"chat_template: teacher is asked for, and {folder} has no chat template")
    return found
