"""Causal language models with random weights: the parent's configuration, with some of its numbers changed.

Changed in nothing, it is the student of born-again distillation (Furlanello et al. 2018,
https://arxiv.org/abs/1805.04770): the teacher's own architecture, from scratch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from distbench.data.trust import code_named
from distbench.errors import UsageError, did_you_mean
from distbench.models.hf_blocks import COUNT, LISTS, block_fields
from distbench.models.hf_opening import fresh_like
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict

Number = bool | int | float
Size = Annotated[int, Field(ge=1, le=1_000_000)] | None
TEXT_DEPENDENT = frozenset({"bos_token_id", "eos_token_id", "pad_token_id"})  # they belong to the tokenizer


class ConfigOptions(Strict):
    """Options of `init: {use: config}`: any numbers of the parent's configuration, in its family's own words."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number] = Field(init=False)

    num_hidden_layers: Size = Field(None, description="blocks; fewer than the parent's are built as its first ones")
    hidden_size: Size = Field(None, description="channels of the residual stream")
    intermediate_size: Size = Field(None, description="neurons of each MLP")
    num_attention_heads: Size = Field(None, description="query heads of each block")
    num_key_value_heads: Size = Field(None, description="key/value heads of each block")
    embeddings: Literal["random", "copy"] = Field(
        "random", description="copy: the parent's token embeddings, where the width is the same"
    )

    @property
    def changes(self) -> dict[str, Number]:
        """The numbers that differ from the parent's."""
        named = self.model_dump(exclude={"embeddings"}, exclude_none=True)
        return {key: value for key, value in named.items() if isinstance(value, Number)}


class FromConfig:
    """An untrained model of the parent's family, with its tokenizer; weights are drawn by the cell's seed."""

    Options = ConfigOptions
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm", "remake", "save"})
    makes: ClassVar[str | None] = None
    untrained: ClassVar[bool] = True

    def __init__(self, options: ConfigOptions) -> None:
        self.options = options
        self.notes: dict[str, Any] = {}

    def fits(self, folder: Path) -> None:
        """Raise UsageError where the parent's configuration cannot be changed so."""
        from transformers import AutoConfig

        if (folder / "config.json").is_file() and not code_named(folder):  # such code runs in a cell, if at all
            parent = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            self._check_embeddings(parent, changed(parent, self.options.changes))

    def make(self, parent: Any, settings: Settings) -> Any:
        """Return the untrained model; the parent gives its tokenizer and, if asked to, its embeddings."""
        import torch

        config = changed(parent.module.config, self.options.changes)
        self._check_embeddings(parent.module.config, config)
        smallest = max(parent.tokenizer.get_vocab().values()) + 1
        if config.vocab_size < smallest:
            raise UsageError(f"config: vocab_size {config.vocab_size} is less than the tokenizer's {smallest} tokens")
        torch.manual_seed(settings.seed)
        module = fresh_like(parent.module, config)
        if self.options.embeddings == "copy":
            _copy_embeddings(parent.module, module)
        self.notes = {"changed": self.options.changes, "embeddings": self.options.embeddings}
        return parent.remade(module)

    def _check_embeddings(self, parent: Any, config: Any) -> None:
        if self.options.embeddings == "copy":
            for name in ("hidden_size", "vocab_size"):
                mine, theirs = getattr(config, name), getattr(parent, name)
                if mine != theirs:
                    raise UsageError(f"config: embeddings: copy needs the parent's {name} {theirs}; here it is {mine}")


class LikeTeacherOptions(Strict):
    """`init: {use: like-teacher}` has no options."""


class LikeTeacher(FromConfig):
    """The parent's own architecture with random weights: `config` with nothing changed."""

    Options = LikeTeacherOptions  # type: ignore[assignment]

    def __init__(self, options: LikeTeacherOptions) -> None:
        super().__init__(ConfigOptions())


def changed(parent: Any, changes: dict[str, Number]) -> Any:
    """Return a configuration with some numbers changed, and what hangs on them.

    Raises UsageError for a key that the family has not, and for numbers that do not fit together.
    """
    fields = parent.to_dict()
    _check_keys(parent, fields, changes)
    following = _following(fields, changes)
    try:
        return type(parent).from_dict(fields | changes | following)
    except Exception as error:  # the library's own words: each family has its own rules
        raise UsageError(f"config: {type(parent).__name__} refuses these numbers ({_line(error)})") from error


def _check_keys(parent: Any, fields: dict[str, Any], changes: dict[str, Number]) -> None:
    from transformers import PreTrainedConfig

    general = PreTrainedConfig().to_dict().keys() - {"tie_word_embeddings"}
    numbers = {
        name
        for name, value in fields.items()
        if name not in general | TEXT_DEPENDENT and not name.startswith("_") and isinstance(value, Number | None)
    }
    for key in changes:
        if key not in numbers:
            what = "is no number of" if key in fields.keys() - general else "is not a key of"
            raise UsageError(f"config: {key!r} {what} a {parent.model_type} configuration{did_you_mean(key, numbers)}")


def _following(fields: dict[str, Any], changes: dict[str, Number]) -> dict[str, Any]:
    """Return what changes along: heads of the size that the parent derives, one key a query, entries a block."""
    found = _blocks(fields, changes)
    new = fields | changes
    heads, groups, hidden = (new.get(name) for name in ("num_attention_heads", "num_key_value_heads", "hidden_size"))
    if heads is None or hidden is None:  # a family with other words has its own rules
        return found
    derived = fields.get("head_dim") in {None, fields["hidden_size"] // fields["num_attention_heads"]}
    if derived and "head_dim" not in changes:
        if hidden % heads:
            raise UsageError(f"config: hidden_size {hidden} is not a multiple of num_attention_heads {heads}")
        if "head_dim" in fields:
            found["head_dim"] = hidden // heads
    if groups is not None and "num_key_value_heads" not in changes and groups == fields["num_attention_heads"]:
        groups = found["num_key_value_heads"] = heads
    if groups is not None and heads % groups:
        raise UsageError(f"config: num_attention_heads {heads} is not a multiple of num_key_value_heads {groups}")
    return found


def _blocks(fields: dict[str, Any], changes: dict[str, Number]) -> dict[str, Any]:
    """Return what a configuration says block by block, for another number of blocks: the parent's first ones."""
    total, count = fields.get(COUNT), changes.get(COUNT)
    if not isinstance(count, int) or not isinstance(total, int):
        return {}
    if count <= total:
        return block_fields(fields, list(range(count)))
    found: dict[str, Any] = {}
    for name in LISTS:
        if values := fields.get(name):
            if len(set(values)) > 1:
                raise UsageError(
                    f"config: the parent's blocks differ ({name}), so it is not known what more than {total} would be"
                )
            found[name] = [values[0]] * count
    return found


def _copy_embeddings(parent: Any, module: Any) -> None:
    import torch

    with torch.no_grad():
        for mine, theirs in (
            (module.get_input_embeddings(), parent.get_input_embeddings()),
            (module.get_output_embeddings(), parent.get_output_embeddings()),
        ):
            mine.weight.copy_(theirs.weight)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
