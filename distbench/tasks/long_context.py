"""Does the model find and follow facts in a long text, and up to which length? Questions are made, not fetched."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from distbench.data.long_context import Context, Kind, Shape, contexts
from distbench.errors import RunError, UsageError
from distbench.hashing import digest, text_digest
from distbench.protocols import Metric, Outcome, Progress, Sample
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict
from distbench.schema.suite import TaskSpec
from distbench.tasks.ask import Watch
from distbench.tasks.long_context_answers import Asked, answer_tokens, asked_of, chosen, left_out, token_range, written

CODE_VERSION: Final = 1
ALL: Final = 100  # questions a length under `samples: all`: made questions have no end of their own
UNSTATED_LIMIT: Final = 2048  # tokens, of a model that states no longest input: what lm-eval cuts it to
Length = Annotated[int, Field(ge=128, le=1_048_576)]


class LongContextOptions(Strict):
    """Options of `use: long-context`."""

    kind: Kind = Field(
        "needle",
        description="needle: one fact in the text; multi-key: several facts of one form; multi-value: several numbers "
        "of each key, in order; variable-tracking: a number reached over several links",
    )
    lengths: Annotated[list[Length], Field(min_length=1, max_length=32)] = Field(
        [512, 1024, 2048], description="nominal tokens: 4 characters each, question and answer included"
    )
    answer: Literal["choice", "generate"] = Field(
        "choice", description="choice: the most likely of `choices`; generate: the greedy continuation must be right"
    )
    choices: int = Field(4, ge=2, le=16, description="answers to choose from; chance is one over it")
    questions: int | None = Field(
        None, ge=1, le=32, description="about each text, which is then their cluster; 4, and 1 for a needle"
    )
    needles: int | None = Field(
        None, ge=1, le=64, description="keys (or chains) in each text; as many as questions and choices need"
    )
    values: int = Field(3, ge=2, le=8, description="numbers of each key, for multi-value")
    hops: int = Field(2, ge=1, le=4, description="links of each chain, for variable-tracking")

    def shape(self, task: str) -> Shape:
        """Return what one text holds; raises UsageError where the options contradict each other."""
        if self.kind == "needle":
            if self.questions not in {None, 1} or self.needles not in {None, 1}:
                raise UsageError(
                    f"task {task!r}: a text with one needle answers one question; use kind: multi-key for several"
                )
            return Shape("needle", 1, 1, self.choices)
        questions = self.questions or 4
        least = max(questions, self.choices)
        if self.needles is not None and self.needles < least:
            raise UsageError(
                f"task {task!r}: {questions} questions with {self.choices} choices each need {least} needles in "
                f"a text, got {self.needles}"
            )
        return Shape(self.kind, self.needles or least, questions, self.choices, self.values, self.hops)


class LongContextTask:
    """Synthetic retrieval and tracing after RULER (Hsieh et al. 2024); see `distbench.data.long_context`.

    A length whose prompts are longer than the model takes is `not_run` for that model as a whole: never truncated,
    never a score of 0, never only its shorter prompts. The other lengths keep their value. What was asked for and not
    run counts as missing coverage, so no gate passes on it.
    """

    Options = LongContextOptions
    needs: ClassVar[frozenset[str]] = frozenset({"language"})

    def __init__(self, spec: TaskSpec) -> None:
        self.name = spec.title
        self.options = LongContextOptions.model_validate(spec.options)
        self.shape = self.options.shape(spec.title)
        self.each = ALL if spec.samples == "all" else spec.samples
        self.metric = "acc" if self.options.answer == "choice" else "exact_match"

    @classmethod
    def resolve(cls, spec: TaskSpec, directory: Path) -> TaskSpec:
        """Check that the options fit each other, and that the facts fit into the shortest length."""
        if spec.data is not None:
            raise UsageError(f"task {spec.title!r}: 'long-context' makes its own texts; leave data out")
        task = cls(spec)
        if len(set(task.options.lengths)) < len(task.options.lengths):
            raise UsageError(f"task {spec.title!r}: a length stands twice in lengths")
        next(contexts(task.shape, min(task.options.lengths), 1, 0))
        return spec

    @classmethod
    def identity(cls, spec: TaskSpec) -> dict[str, Any]:
        """Return the code version and every option with its default; the texts follow from these and the seed."""
        task = cls(spec)
        return {"code": CODE_VERSION, "options": task.options.model_dump(mode="json"), "each": task.each}

    def texts(self, seed: int) -> dict[int, list[Context]]:
        """Return the texts of each length, shortest first: as many as the questions asked for need."""
        count = -(-self.each // self.shape.questions)
        return {length: list(contexts(self.shape, length, count, seed)) for length in sorted(self.options.lengths)}

    def run(self, model: Any, settings: Settings, progress: Progress) -> Outcome:
        """Ask every question of every length that the model takes."""
        texts = self.texts(settings.seed)
        asked = {length: asked_of(found, self.each) for length, found in texts.items()}
        sizes = {length: token_range(model.tokenizer, items) for length, items in asked.items()}
        limit = longest_input(model)
        fitting = [length for length in asked if self._needed(asked[length], sizes[length][1]) <= limit]
        if not fitting:
            shortest = min(asked)
            raise RunError(
                f"task {self.name!r}: prompts of {shortest:,} nominal tokens take up to "
                f"{self._needed(asked[shortest], sizes[shortest][1]):,} tokens, and the model takes {limit:,} "
                f"(max_position_embeddings); give shorter lengths"
            )
        samples: list[Sample] = []
        for length, items in asked.items():
            needed = self._needed(items, sizes[length][1])
            if length in fitting:
                ask = chosen if self.options.answer == "choice" else written
                samples += ask(model, self.name, items, needed, self._watch(progress, fitting, length))
            else:
                reason = f"not run: prompts of up to {needed:,} tokens, and the model takes {limit:,}"
                samples += left_out(self.name, self.metric, items, reason)
        chance = 1.0 / self.options.choices if self.options.answer == "choice" else 0.0
        return Outcome(
            samples=samples,
            metrics=[Metric(self.metric, primary=True, kind="binary", baseline=chance)],
            version=str(CODE_VERSION),
            engine=f"distbench long-context {CODE_VERSION}; {_in_words(sizes, fitting)}",
            data_digest=digest([asdict(context) for found in texts.values() for context in found]),
            prompt_digest=text_digest(item.prompt for items in asked.values() for item in items),
        )

    def _needed(self, items: list[Asked], longest: int) -> int:
        """Return the tokens that the longest prompt takes, with its answer."""
        return longest if self.options.answer == "choice" else longest + answer_tokens(items)

    def _watch(self, progress: Progress, fitting: list[int], length: int) -> Watch:
        """Return what hears of the requests of one length, and tells of questions over all lengths."""
        before, total = fitting.index(length) * self.each, len(fitting) * self.each

        def watch(done: int, requests: int) -> None:
            progress(before + done * self.each // max(1, requests), total, self.name)

        return watch


def longest_input(model: Any) -> int:
    """Return how many tokens the model takes."""
    if not hasattr(model, "module"):
        return int(model.context_length)
    return int(getattr(model.module.config, "max_position_embeddings", None) or UNSTATED_LIMIT)


def _in_words(sizes: dict[int, tuple[int, int]], fitting: list[int]) -> str:
    """Say what the nominal lengths are for this model's tokenizer."""
    parts = [
        f"{length} nominal = {low}–{high}{'' if length in fitting else ' (not run)'}"
        for length, (low, high) in sizes.items()
    ]
    return f"tokens: {', '.join(parts)}"
