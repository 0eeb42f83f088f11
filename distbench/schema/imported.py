"""Provenance of a result that another tool computed."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from distbench.schema.strict import Strict


class SourceFile(Strict):
    """A file that was read: its name (not its folder, which means nothing elsewhere) and what it held."""

    name: str
    sha256: str


class Imported(Strict):
    """What the other tool said about its evaluation. `None` = it did not say."""

    tool: str
    tool_version: str | None
    git_hash: str | None = Field(description="the tool's own repository, where it ran from one")
    results: SourceFile
    samples: SourceFile
    evaluated_at: str | None = Field(description="UTC, when the evaluation began")
    model_source: str | None = Field(description="the tool's kind of model, such as hf or vllm")
    model_name: str
    model_args: dict[str, Any] = Field(description="keys that may hold a secret are blanked")
    model_sha: str | None
    model_dtype: str | None
    num_fewshot: int | None
    fewshot_as_multiturn: bool | None
    chat_template: str | None = Field(description="hash of the applied template; None = none applied")
    system_instruction: str | None = Field(description="hash of the system message; None = none given")
    limit: float | None = Field(description="documents of a task at the most (a share, below 1); None = all")
    gen_kwargs: dict[str, Any]
    response_cache: str | None = Field(description="a cache of answers that the tool was told to use")
