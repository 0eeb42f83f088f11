"""Long texts with a few facts in them and questions about the facts, made from a seed.

The four kinds follow RULER (Hsieh et al. 2024, "What's the Real Context Size of Your Long-Context Language Models?",
section 3: retrieval and multi-hop tracing); texts and generator are our own. Lengths are nominal, and a token is
`CHARACTERS_PER_TOKEN` characters of ASCII, so that models with different tokenizers are asked identical prompts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from distbench.data.haystack import sentences
from distbench.errors import UsageError

Kind = Literal["needle", "multi-key", "multi-value", "variable-tracking"]
CHARACTERS_PER_TOKEN: Final = 4
DIGITS: Final = (10_000, 99_999)
PREFACE: Final = "Here is a long text. Somewhere in it stand notes about counters. A question about them follows.\n\n"
ADJECTIVES: Final = (
    "amber", "azure", "black", "bronze", "copper", "coral", "crimson", "emerald", "golden", "green", "grey", "indigo",
    "ivory", "lilac", "marble", "orange", "pearl", "purple", "red", "ruby", "sapphire", "silver", "violet", "white",
)  # fmt: skip
ANIMALS: Final = (
    "badger", "camel", "crane", "dolphin", "eagle", "falcon", "ferret", "fox", "gazelle", "heron", "jaguar", "lizard",
    "llama", "moose", "octopus", "otter", "panda", "parrot", "raven", "salmon", "tiger", "turtle", "walrus", "zebra",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What one context holds: `facts` keys (or chains), `questions` asked, wrong answers, values a key, links."""

    kind: Kind = "needle"
    facts: int = 1
    questions: int = 1
    choices: int = 4
    values: int = 3
    hops: int = 2


@dataclass(frozen=True)
class Question:
    """One question about a context. `depth` is where the first sentence with the answer stands: 0 start, 1 end.

    `stem` follows the context; each choice follows the stem after a space. `choices[gold]` is right.
    """

    stem: str
    choices: tuple[str, ...]
    gold: int
    depth: float


@dataclass(frozen=True)
class Context:
    """A text of at most `length` nominal tokens, with any of its questions and choices, and what is asked about it."""

    text: str
    length: int
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class _Fact:
    """The sentences that state one fact, in their order, and the question that they answer."""

    notes: tuple[str, ...]
    stem: str
    numbers: tuple[int, ...]


def contexts(shape: Shape, length: int, count: int, seed: int) -> Iterator[Context]:
    """Yield `count` contexts. Depths are spread evenly: over the contexts where each has one question, else within.

    Raises UsageError where the facts and the question alone are longer than `length` nominal tokens.
    """
    for index in range(count):
        rng = random.Random(f"{seed}:{shape}:{length}:{index}")  # noqa: S311 - a str seed is the same in every process
        yield _context(shape, length, rng, (index, count))


def listed(numbers: tuple[int, ...]) -> str:
    """Return "1", "1 and 2" or "1, 2 and 3"."""
    words = [str(number) for number in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _context(shape: Shape, length: int, rng: random.Random, place: tuple[int, int]) -> Context:
    keys = _Keys(rng)
    facts = [_fact(shape, keys) for _ in range(shape.facts)]
    asked = _asked(shape, place[0])
    answers = [_choices(shape, facts, which, keys, place[0] + i) for i, which in enumerate(asked)]
    tails = (
        len(facts[which].stem) + 1 + max(map(len, answer[0])) for which, answer in zip(asked, answers, strict=True)
    )
    room = length * CHARACTERS_PER_TOKEN - len(PREFACE) - max(tails)
    text, depths = _hidden([fact.notes for fact in facts], room, rng, place)
    if text is None:
        raise UsageError(
            f"long-context: {length} nominal tokens are {length * CHARACTERS_PER_TOKEN} characters, too few for "
            f"{shape.facts} facts of kind {shape.kind!r} and a question; give longer lengths or fewer needles"
        )
    questions = tuple(
        Question(facts[which].stem, choices, gold, depths[which])
        for which, (choices, gold) in zip(asked, answers, strict=True)
    )
    return Context(PREFACE + text, length, questions)


class _Keys:
    """Draws names and numbers, none of them twice in one context."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._names = [f"{adjective} {animal}" for adjective in ADJECTIVES for animal in ANIMALS]
        rng.shuffle(self._names)
        self._used: set[int] = set()

    def name(self) -> str:
        return self._names.pop()

    def number(self) -> int:
        while (number := self.rng.randint(*DIGITS)) in self._used:
            pass
        self._used.add(number)
        return number


def _fact(shape: Shape, keys: _Keys) -> _Fact:
    name = keys.name()
    if shape.kind == "multi-value":
        numbers = tuple(keys.number() for _ in range(shape.values))
        stem = (
            f"\n\nQuestion: Which numbers did the {name} counter show, in the order of the text?"
            f"\nAnswer: The {name} counter showed"
        )
        return _Fact(tuple(f"The {name} counter once showed {number}." for number in numbers), stem, numbers)
    number = keys.number()
    notes = [f"The {name} counter shows {number}."]
    for _ in range(shape.hops if shape.kind == "variable-tracking" else 0):
        name, before = keys.name(), name
        notes.append(f"The {name} counter copies the {before} counter.")
    stem = f"\n\nQuestion: Which number does the {name} counter show?\nAnswer: The {name} counter shows"
    return _Fact(tuple(notes), stem, (number,))


def _asked(shape: Shape, index: int) -> list[int]:
    """Return which facts are asked about: spread over the text, and shifted from context to context."""
    return sorted({(i * shape.facts // shape.questions + index) % shape.facts for i in range(shape.questions)})


def _choices(shape: Shape, facts: list[_Fact], which: int, keys: _Keys, turn: int) -> tuple[tuple[str, ...], int]:
    """Return the answers to choose from, and the place of the right one, which goes round.

    A wrong answer holds numbers of the same context wherever there are any, so that having seen a number is no hint.
    """
    right = facts[which].numbers
    others = [fact.numbers for i, fact in enumerate(facts) if i != which]
    keys.rng.shuffle(others)
    wrong: list[tuple[int, ...]] = []
    for i in range(shape.choices - 1):
        if shape.kind == "needle":
            wrong.append((keys.number(),))
        elif shape.kind == "multi-value":
            at = (turn + i) % len(right)
            wrong.append((*right[:at], others[i][at], *right[at + 1 :]))
        else:
            wrong.append(others[i])
    gold = turn % shape.choices
    return tuple(listed(numbers) for numbers in (*wrong[:gold], right, *wrong[gold:])), gold


def _hidden(
    groups: list[tuple[str, ...]], room: int, rng: random.Random, place: tuple[int, int]
) -> tuple[str | None, list[float]]:
    """Return prose of at most `room` characters with the notes in it, and how deep each group's first note stands.

    Notes stand at even distances; which group comes where is shuffled, the notes of one group keep their order.
    """
    notes = sum(len(note) + 1 for group in groups for note in group)
    if notes > room:
        return None, []
    order = [which for which, group in enumerate(groups) for _ in group]
    rng.shuffle(order)
    filler: list[str] = []
    left = room - notes
    for sentence in sentences(rng):
        if len(sentence) + 1 > left:
            break
        filler.append(sentence)
        left -= len(sentence) + 1
    single = len(order) == 1
    targets = [(place[0] + 0.5) / place[1]] if single else [(i + 0.5) / len(order) for i in range(len(order))]
    return _woven(groups, order, filler, targets)


def _woven(
    groups: list[tuple[str, ...]], order: list[int], filler: list[str], targets: list[float]
) -> tuple[str, list[float]]:
    """Put the notes, in `order`, between the sentences of the filler, at `targets` (shares of the filler)."""
    waiting = [iter(group) for group in groups]
    parts: list[str] = []
    starts: dict[int, int] = {}
    done = 0
    for which, target in zip(order, targets, strict=True):
        until = round(target * len(filler))
        parts += filler[done:until]
        done = until
        starts.setdefault(which, sum(len(part) + 1 for part in parts))
        parts.append(next(waiting[which]))
    text = " ".join(parts + filler[done:])
    return text, [starts[which] / max(1, len(text)) for which in range(len(groups))]
