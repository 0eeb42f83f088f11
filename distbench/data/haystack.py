"""Endless plain prose without numbers: what a needle is hidden in.

The sentences are made from the templates here, so nothing has to be fetched, nobody's text is copied, and no model has
read them. They hold no digit and none of the names that `distbench.data.long_context` asks about.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

SUBJECTS: Final = (
    "the baker", "the gardener", "the ferryman", "the librarian", "the carpenter", "the postman", "the innkeeper",
    "the schoolteacher", "the weaver", "the mechanic", "the violinist", "the shopkeeper", "the nurse", "the farmer",
    "the painter", "the beekeeper",
)  # fmt: skip
PLACES: Final = (
    "by the river", "on the market square", "behind the mill", "at the edge of the village", "under the old bridge",
    "next to the station", "in the orchard", "near the lighthouse", "on the long road to the coast",
    "in the room above the bakery", "beside the chapel", "at the end of the valley",
)  # fmt: skip
TIMES: Final = (
    "early in the morning", "after the first frost", "on quiet afternoons", "when the rain had stopped",
    "before the shops opened", "late in the summer", "during the harvest", "once the lamps were lit",
    "on the day of the fair", "at the beginning of spring",
)  # fmt: skip
THINGS: Final = (
    "a basket of apples", "an old map", "a bundle of letters", "a wooden chair", "a jar of honey", "a heavy coat",
    "a box of tools", "a roll of cloth", "a loaf of dark bread", "a broken clock", "a pair of boots", "a small lantern",
)  # fmt: skip
SENTENCES: Final = (
    "{When}, {who} carried {what} to the house {where}.",
    "{Who} had always liked the view {where}, above all {when}.",
    "Nobody was surprised that {who} left {what} {where}.",
    "{When}, people met {where} and talked about the weather and the price of wood.",
    "It was said that {who} had once traded {what} for a place to sleep {where}.",
    "{Who} walked slowly, because the path {where} was still wet.",
    "There was little to do {when}, so {who} mended {what}.",
    "The children waited {where} until {who} came back with {what}.",
    "{When}, the wind turned, and the smoke drifted over the roofs {where}.",
    "{Who} told a long story about {what}, and nobody believed the end of it.",
    "A stranger asked {who} for directions and was sent to the house {where}.",
    "{When}, {who} opened the windows and let the cold air in.",
    "The dog slept {where} and woke only when {who} dropped {what}.",
    "In those years {who} sold {what} {when}, and the money was enough.",
    "{Who} wrote a few lines every evening, mostly about what had been seen {where}.",
    "The fence {where} needed paint, and {who} promised to see to it.",
    "{When}, {who} found {what} that somebody had forgotten {where}.",
    "Soup was cooked for everybody who came to help {where}, and {who} brought the bread.",
    "{Who} knew the names of all the birds that nested {where}.",
    "The letter had been lying {where} for weeks before {who} noticed it.",
    "{When}, the boats came home, and {who} counted them from the window.",
    "There is a photograph that shows {who} with {what} {where}.",
    "{Who} repaired the roof without help and asked only for {what} in return.",
    "The meeting {where} ended early, since {who} had nothing to report.",
)


def sentences(rng: random.Random) -> Iterator[str]:
    """Yield sentences for ever; the same `rng` state gives the same sentences. No template comes twice in a row."""
    order: list[str] = []
    last = ""
    while True:
        if not order:
            order = rng.sample(SENTENCES, len(SENTENCES))
            if order[-1] == last:
                order.reverse()
        last = order.pop()
        yield _filled(last, rng)


def _filled(template: str, rng: random.Random) -> str:
    who, when = rng.choice(SUBJECTS), rng.choice(TIMES)
    return template.format(
        who=who,
        Who=who[0].upper() + who[1:],
        when=when,
        When=when[0].upper() + when[1:],
        where=rng.choice(PLACES),
        what=rng.choice(THINGS),
    )
