"""How a tokenizer shows a prompt to a model: what it puts before a text, and its template of a conversation."""

from __future__ import annotations

from typing import Any

from distbench.errors import RunError, UsageError
from distbench.protocols import Prompt

SEPARATOR = "<|endoftext|>"


def separator_of(tokenizer: Any) -> int:
    """Return the token between documents: <|endoftext|> where the vocabulary has it, else EOS, else BOS."""
    named = tokenizer.get_vocab().get(SEPARATOR)
    for candidate in (named, tokenizer.eos_token_id, tokenizer.bos_token_id):
        if candidate is not None:
            return int(candidate)
    raise UsageError("the tokenizer names no token that separates documents: neither EOS nor BOS")


def end_of(tokenizer: Any) -> int:
    """Return the token that ends an answer: EOS where there is one."""
    return separator_of(tokenizer) if tokenizer.eos_token_id is None else int(tokenizer.eos_token_id)


def opening_of(tokenizer: Any) -> list[int]:
    """Return the tokens that the tokenizer itself puts before a text, such as BOS; often none."""
    whole, bare = (list(tokenizer("a", add_special_tokens=add)["input_ids"]) for add in (True, False))
    starts = (at for at in range(len(whole)) if whole[at : at + len(bare)] == bare)
    return whole[: next(starts, 0)]


def rendered(tokenizer: Any, messages: list[dict[str, str]], *, ask: bool) -> str:
    """Return a conversation in the tokenizer's template; `ask`: up to where the assistant begins to speak."""
    if not tokenizer.chat_template:
        raise UsageError("messages need a tokenizer with a chat template, and this one has none; give prompts as text")
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
    except Exception as error:  # a template may refuse a conversation, and raises whatever Jinja does
        line = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise RunError(
            f"the chat template refuses a conversation that begins {str(messages[0])[:80]!r}: {line}"
        ) from error


def prompt_ids(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the tokens that a model is given so that it answers; at least one."""
    text, before = (prompt, opening_of(tokenizer)) if isinstance(prompt, str) else (None, [])
    if text is None:
        text = rendered(tokenizer, list(prompt), ask=True)  # type: ignore[arg-type]
    ids = [*before, *(int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"])]
    return ids or [separator_of(tokenizer)]


def tokenizer_digest(tokenizer: Any) -> list[Any]:
    """Return what decides how texts become tokens."""
    from distbench.hashing import digest

    backend = getattr(tokenizer, "backend_tokenizer", None)
    how = backend.to_str() if backend is not None else sorted(tokenizer.get_vocab().items())
    special = [tokenizer.bos_token_id, tokenizer.eos_token_id]
    return [digest(how), digest(tokenizer.chat_template or ""), special]
