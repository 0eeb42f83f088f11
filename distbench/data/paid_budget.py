"""What answers may cost: a ceiling, so an answer is not asked for when it could go beyond."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import Field, model_validator

from distbench.errors import RunError
from distbench.protocols import Asked, Prompt, Written
from distbench.schema.strict import Strict

MILLION = 1e6
TEMPLATE_BYTES = 32  # that a message's template may add, in tokens


class BudgetSpentError(RunError):
    """The next answer could cost more than is left."""


class Prices(Strict):
    """What a million tokens cost, in the currency of `cost`."""

    input: float = Field(ge=0, le=1e6)
    output: float = Field(ge=0, le=1e6)


class PaidBudget(Strict):
    """Ceilings on all answers of a data set, those of earlier runs included."""

    requests: int | None = Field(None, ge=1, description="answers asked for")
    tokens: int | None = Field(None, ge=1, description="of prompts and answers together, as the server counts")
    cost: float | None = Field(None, gt=0, description="in the currency of price_per_million")
    price_per_million: Prices | None = None

    @model_validator(mode="after")
    def _priced(self) -> PaidBudget:
        if self.cost is not None and self.price_per_million is None:
            raise ValueError("a budget of 'cost' needs 'price_per_million', with 'input' and 'output'")
        return self


@dataclass(frozen=True)
class Spent:
    """Requests, and tokens that went in and came out."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests, self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out
        )

    def __sub__(self, other: Spent) -> Spent:
        return Spent(
            self.requests - other.requests, self.tokens_in - other.tokens_in, self.tokens_out - other.tokens_out
        )

    def cost(self, prices: Prices) -> float:
        """Return what these tokens cost."""
        return (self.tokens_in * prices.input + self.tokens_out * prices.output) / MILLION


def at_most(prompt: Prompt, most: int) -> Spent:
    """Return what one answer can take: a token is a byte at least, and a template adds a little."""
    texts = [prompt] if isinstance(prompt, str) else [message["content"] for message in prompt]
    return Spent(1, sum(len(text.encode()) + TEMPLATE_BYTES for text in texts), most)


def spent_on(asked: Asked, answer: Written, most: int) -> Spent:
    """Return what an answer took, as its writer counted; where that is not told, what it can have taken."""
    limit = at_most(asked.prompt, most)
    return Spent(
        1,
        limit.tokens_in if answer.prompt_tokens is None else answer.prompt_tokens,
        limit.tokens_out if answer.tokens is None else answer.tokens,
    )


@dataclass
class Purse:
    """What is spent and what is promised to answers under way. Safe to use from many threads."""

    budget: PaidBudget
    spent: Spent
    _promised: Spent = field(default_factory=Spent)
    _settled: threading.Condition = field(default_factory=threading.Condition)

    def promise(self, limits: Iterable[Spent]) -> Spent:
        """Set aside what answers can take, and return it.

        Waits for answers under way, which mostly take less than was set aside. Raises BudgetSpentError where it is more
        than is left when none is.
        """
        wanted = sum(limits, Spent())
        with self._settled:
            while why := self._beyond(self.spent + self._promised + wanted):
                if self._promised == Spent():
                    raise BudgetSpentError(why)
                self._settled.wait()
            self._promised += wanted
        return wanted

    def settle(self, promised: Spent, spent: Spent) -> None:
        """Replace a promise by what was spent."""
        with self._settled:
            self._promised -= promised
            self.spent += spent
            self._settled.notify_all()

    def _beyond(self, total: Spent) -> str | None:
        """Return which ceiling a total would break, in words."""
        b, spent = self.budget, self.spent
        if b.requests is not None and total.requests > b.requests:
            return f"budget of {b.requests} requests: {spent.requests} are spent"
        tokens = total.tokens_in + total.tokens_out
        if b.tokens is not None and tokens > b.tokens:
            used = spent.tokens_in + spent.tokens_out
            return f"budget of {b.tokens} tokens: {used} are spent, and the next answer may take more than the rest"
        if b.cost is not None and b.price_per_million is not None and total.cost(b.price_per_million) > b.cost:
            return (
                f"budget of {b.cost:g}: {spent.cost(b.price_per_million):.4g} is spent, and the next answer may take "
                "more than the rest"
            )
        return None
