"""`deploy: {use: llama-cpp}`: a Llama-style model as a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from distbench.errors import RefusedError
from distbench.models.exported import write_facts
from distbench.models.llama_cpp import FILE
from distbench.models.quantised import is_quantised
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict


class LlamaCppDeploymentOptions(Strict):
    """Options of `deploy: {use: llama-cpp}`."""

    precision: Literal["float32", "float16", "q8_0"] = Field(
        "float32", description="of matrices; q8_0: blocks of 32 int8 numbers with one float16 scale"
    )


class LlamaCppDeployment:
    """Write the loaded module as GGUF; the cache is float32 beside float32 weights, else llama.cpp's own float16."""

    Options = LlamaCppDeploymentOptions
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm", "language"})
    makes: ClassVar[str] = "llama-cpp"
    quantised: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ("gguf",)

    def __init__(self, options: LlamaCppDeploymentOptions) -> None:
        self.options = options

    def exact(self, settings: Settings) -> bool:
        """Return whether weights and cache are float32; they are so whatever the suite's dtype."""
        return self.options.precision == "float32"

    def opens(self) -> dict[str, Any]:
        """Return the type of the cache."""
        return {"cache": "float32"} if self.options.precision == "float32" else {}

    def export(self, model: Any, folder: Path) -> None:
        """Write model.gguf, the facts and the tokenizer."""
        from distbench.models.llama_cpp_gguf import write_gguf

        if is_quantised(model.module):
            raise RefusedError("a quantised model cannot be exported; export the float one with precision: q8_0")
        note = write_gguf(model.module, model.tokenizer, folder / FILE, self.options.precision)
        details = {"note": note} if note else {}
        write_facts(folder, model, "llama-cpp", self.options.precision, **details)
