"""The same checkpoint in transformers, opened another way: another attention kernel, or compiled."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

from distbench.models.hf_causal import HFCausalOptions
from distbench.schema.cell import Settings


class TransformersDeployment:
    """`deploy: {use: transformers, attention: …, compile: …}`: what `options:` says, as a row with its agreement."""

    Options = HFCausalOptions
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm", "language", "save"})
    makes: ClassVar[str] = "hf-causal"
    quantised: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: HFCausalOptions) -> None:
        self.options = options

    def exact(self, settings: Settings) -> bool:
        """Return whether it computes in float32; its weights are the source's."""
        return settings.dtype == "float32"

    def opens(self) -> dict[str, Any]:
        """Return the options: they are the whole deployment."""
        return self.options.model_dump(mode="json", exclude_defaults=True)

    def export(self, model: Any, folder: Path) -> None:
        """Copy the checkpoint: opened in float32 and saved again it could have another size."""
        if model.folder is None:
            model.save(folder)
            return
        for file in model.folder.iterdir():
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
