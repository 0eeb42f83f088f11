"""Sequence-level distillation: the teacher answers prompts, and its answers are what is learned (Kim & Rush 2016).

Any teacher that can write will do: a model that runs here, another runtime, a server that is paid by the token. Answers
are kept by what was asked of whom, so none is asked for twice, whatever run or student wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from distbench.data.answers_guesses import Pieces, recorded
from distbench.data.answers_prompts import prompts_in
from distbench.data.corpus_rows import Tokens
from distbench.data.corpus_signal import Facts, Shape, made_once, sides_of, taught_by, tokenizer_of, untaught
from distbench.data.corpus_split import Split, split
from distbench.data.paid_asking import Effort, Inquiry, Wanted
from distbench.data.paid_budget import PaidBudget, Purse, Spent, spent_on
from distbench.data.paid_store import AnswerStore
from distbench.data.text import RowOptions
from distbench.data.text_documents import Pair, files_digest
from distbench.data.text_prompts import end_of, prompt_ids, separator_of, tokenizer_digest
from distbench.data.text_tokens import Tokeniser, answered
from distbench.data.token_signal import HeldOut, TokenSignal
from distbench.data.tokenizers import difference
from distbench.errors import UsageError
from distbench.hashing import digest
from distbench.host import cache_dir
from distbench.protocols import Asked, Prompt, Sampling, SignalRequest, TeacherHandle, Written

CODE_VERSION = 1  # part of the cache key: raise it when the same answers would give other rows


class AnswersOptions(RowOptions):
    """Options of `data: {use: answers}`. `heldout` and `samples` count prompts."""

    prompts: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="files of prompts: a line each, or JSON Lines or parquet with 'prompt' (or 'messages')"
    )
    field: str | None = Field(None, min_length=1, description="the column of the prompts, where it has another name")
    chat: bool = Field(False, description="a prompt that is text is shown as a user's message in a conversation")
    length: int = Field(512, ge=2, le=1_048_576, description="predictions a row; a longer prompt and answer are split")
    answers: int = Field(1, ge=1, le=1000, description="for each prompt")
    temperature: float = Field(0.0, ge=0, le=10, description="0: the likeliest token each time")
    max_new_tokens: int = Field(256, ge=1, le=1_048_576, description="of an answer")
    answer_seed: int = Field(0, ge=0, description="of drawn answers, where the teacher runs here")
    batch: int = Field(16, ge=1, le=4096, description="answers that a teacher here writes at once")
    concurrency: int = Field(4, ge=1, le=256, description="requests under way at a server")
    budget: PaidBudget = Field(PaidBudget(), description="what the answers may cost")
    top_logprobs: int | None = Field(
        None,
        ge=1,
        le=100,
        description="likeliest tokens that a server tells at each step, to be learned from",
    )

    @model_validator(mode="after")
    def _differ(self) -> AnswersOptions:
        if self.answers > 1 and self.temperature == 0.0:
            raise ValueError("several answers need a temperature above 0: at 0 they would all be the same")
        return self

    @property
    def patterns(self) -> list[str]:
        """The files, as a list."""
        return [self.prompts] if isinstance(self.prompts, str) else list(self.prompts)

    @property
    def sampling(self) -> Sampling:
        """How answers are written."""
        return Sampling(self.max_new_tokens, self.temperature, self.top_logprobs or 0)


@dataclass(frozen=True)
class Entry:
    """What a teacher wrote after the prompt with this number, and both as the student's tokens."""

    prompt: int
    written: Written
    tokens: Tokens


class Answers:
    """The teacher's answers to prompts; the prompts are not learned."""

    Options = AnswersOptions
    yields: ClassVar[str] = "tokens"
    online: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"write"})
    paths: ClassVar[frozenset[str]] = frozenset({"prompts"})

    def __init__(self, options: AnswersOptions) -> None:
        self.options = options

    def needs_for(self, asks: frozenset[str]) -> frozenset[str]:
        """Return what a teacher must offer for distributions: a torch module, or to be served where it tells some."""
        if self.options.top_logprobs is not None:
            return frozenset({"served"}) if asks <= {"distribution"} else frozenset({"causal-lm"})
        return frozenset({"causal-lm"}) if asks else frozenset()

    def identity(self) -> dict[str, Any]:
        """Return the content of the prompts, and the version of this code."""
        return {"code": CODE_VERSION, "prompts": files_digest(self.options.patterns)}

    def signal(self, ask: SignalRequest) -> TokenSignal:
        """Return the answers as rows; what is missing is asked for.

        Raises BudgetSpentError, and RunError where more than 1 % of the answers could not be had.
        """
        o = self.options
        if not ask.teachers:
            raise UsageError("data 'answers' needs a teacher that answers")
        if len(set(ask.weights)) > 1:
            raise UsageError("data 'answers': answers of several teachers count the same; leave out teacher_weights")
        if o.top_logprobs is not None and ask.asks and ask.temperature != 1.0:
            raise UsageError("a server tells log-probabilities at temperature 1: the method must use 1.0 too")
        if o.top_logprobs is not None and ask.asks and not ask.record:
            raise UsageError("a served teacher cannot be asked while a student trains: no on_policy, no outputs online")
        tokenizer = tokenizer_of(ask)
        told = o.model_dump(mode="json", exclude={"prompts", "batch", "concurrency", "budget"})
        writers = [teacher.writer for teacher in ask.teachers]
        what = ["answers", told, self.identity(), writers, tokenizer_digest(tokenizer)]
        signal = made_once(what, lambda: self._make(ask, tokenizer))
        return signal if o.top_logprobs is not None else taught_by(signal, ask, tokenizer)

    def _make(self, ask: SignalRequest, tokenizer: Any) -> tuple[TokenSignal, Facts]:
        o = self.options
        prompts = prompts_in(o.patterns, o.field, chat=o.chat)
        chosen = split([digest(prompt) for prompt in prompts], o.heldout, o.split_seed, o.samples)
        order = [*chosen.heldout, *chosen.train]
        entries, facts = list[Entry](), list[Facts]()
        for teacher in ask.teachers:
            said, about = self._answers(teacher, [prompts[number] for number in order], ask)
            entries += self._entries(said, prompts, order, teacher, tokenizer)
            facts.append(about)
        held = set(chosen.heldout)
        sides = Split(
            [i for i, entry in enumerate(entries) if entry.prompt not in held],
            [i for i, entry in enumerate(entries) if entry.prompt in held],
        )
        return self._signal(entries, sides, tokenizer, _sum(facts))

    # -- asking -----------------------------------------------------------------------------------------------------

    def _answers(
        self, teacher: TeacherHandle, prompts: list[Prompt], ask: SignalRequest
    ) -> tuple[list[tuple[int, Written]], Facts]:
        """Return (place in `prompts`, answer) of all answers that could be had, and how it went."""
        o, sampling = self.options, self.options.sampling
        keys = [(place, number) for place in range(len(prompts)) for number in range(o.answers)]
        wanted = [self._wanted(prompts[place], number) for place, number in keys]
        told = sampling.most, sampling.temperature, sampling.top_logprobs
        path = cache_dir() / "answers" / f"{digest([teacher.writer, CODE_VERSION, *told])}.jsonl"
        with AnswerStore(path).held() as store:
            kept = [(one, answer) for one in wanted if (answer := store.get(one.key)) is not None]
            purse = Purse(o.budget, sum((spent_on(one.asked, answer, sampling.most) for one, answer in kept), Spent()))
            errors = 0
            if len(kept) < len(wanted):
                effort = Effort(o.concurrency, 1) if "served" in teacher.offers else Effort(1, o.batch)
                inquiry = Inquiry(teacher.open(), sampling, store, purse, effort, ask.progress)
                inquiry.run(wanted)
                errors = inquiry.errors
            pairs = [(place, store.get(one.key)) for (place, _), one in zip(keys, wanted, strict=True)]
        said = [(place, answer) for place, answer in pairs if answer is not None]
        cut = sum(not answer.ended for _, answer in said)
        spent = purse.spent
        facts: Facts = {
            "answers": len(said),
            "answers_new": len(said) - len(kept),
            "answers_failed": errors,
            "answers_cut_at_max_new_tokens": cut,
            "answer_tokens_in": spent.tokens_in,
            "answer_tokens_out": spent.tokens_out,
        }
        return said, facts

    def _wanted(self, prompt: Prompt, number: int) -> Wanted:
        """Return an answer's key, and what it is drawn from: its own number, whatever else is asked for."""
        key = digest([prompt, number, self.options.answer_seed])
        return Wanted(key, Asked(prompt, int(key[:12], 16)))

    # -- rows -------------------------------------------------------------------------------------------------------

    def _entries(
        self,
        said: list[tuple[int, Written]],
        prompts: list[Prompt],
        order: list[int],
        teacher: TeacherHandle,
        tokenizer: Any,
    ) -> list[Entry]:
        """Return answers as the student's tokens: as they were written, where the tokenizers are the same."""
        theirs = teacher.tokenizer()
        if (
            theirs is not None
            and difference(theirs.get_vocab(), tokenizer.get_vocab()) is None
            and all(w.ids for _, w in said)
        ):
            read = [answered(prompt_ids(tokenizer, prompts[order[at]]), w.ids or ()) for at, w in said]
        else:
            whole = Tokeniser(tokenizer)([Pair(prompts[order[at]], w.text) for at, w in said])
            end = end_of(tokenizer)
            read = [t if w.ended else _unended(t, end) for t, (_, w) in zip(whole, said, strict=True)]
        return [Entry(order[at], written, tokens) for (at, written), tokens in zip(said, read, strict=True)]

    def _signal(self, entries: list[Entry], chosen: Split, tokenizer: Any, facts: Facts) -> tuple[TokenSignal, Facts]:
        o = self.options
        shape = Shape(o.length, o.packing, separator_of(tokenizer))
        sides = sides_of([entry.tokens for entry in entries], chosen, shape)
        facts = {**sides.facts, **facts}
        if o.top_logprobs is None:
            return untaught(sides), facts
        pieces, k = Pieces(tokenizer), o.top_logprobs
        told = [pieces.told(entries[i].tokens, entries[i].written.guesses or (), k) for i in chosen.train]
        rows, record = recorded(sides.train, told, k)
        facts["tokens_learned"] = rows.positions
        return TokenSignal(rows, HeldOut(sides.heldout.rows), record, ""), facts


def _unended(tokens: Tokens, end: int) -> Tokens:
    """Return a document whose last learned token is no end: the answer was cut off, and went on."""
    last = int(tokens.taught.nonzero()[0][-1])
    if tokens.ids[last] != end:
        return tokens
    taught = tokens.taught.copy()
    taught[last] = False
    return Tokens(tokens.ids[: last + 1], taught[: last + 1])


def _sum(facts: list[Facts]) -> Facts:
    """Return facts of several teachers, added up."""
    return {name: sum(int(each[name]) for each in facts) for name in facts[0]}
