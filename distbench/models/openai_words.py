"""Prompts for a model whose tokenizer nobody here has: seeded words, each about one token long."""

from __future__ import annotations

import os
import random

_TEXT = """
about above after again air all also always and animal answer any apple area arm around ask away back ball bank bear
bed before below best better big bird black blue boat body book both box boy bread bring brother brown build bus but
call camp car cat chair child city clean clear clock close cloud coat cold color come cook corn cost cover cow cup cut
dance dark day deep desk dish dog door down draw dream dress drink drive dry ear early earth east easy eat egg eight
end evening every eye face fall family far farm fast father feel field fill find fire fish five floor flower fly food
foot for forest four free fresh friend from front fruit full game garden gate girl give glass gold good grass gray
great green ground group grow hair half hand happy hard hat have head hear heart heavy help here high hill hold home
horse hot hour house how hunt ice in iron island jump keep key king kitchen lake lamp land large last late laugh lead
leaf learn left leg letter life light line lion list little live long look lost loud love low lunch make man many map
mark market milk moon morning mother mountain mouth move music name near neck nest new night nine north nose note now
ocean often oil old one open orange other out over own page paint paper park part path pay pen people picture place
plant play point pond poor press pull push queen quick quiet rain read ready red rest rice rich ride right ring river
road rock roof room root rope round run salt same sand say school sea seat second see seed seven shape sharp sheep
ship shirt shoe shop short show side silver sing sister sit six skin sky sleep slow small snow soft soil song soon
south space spring stand star start stay step stone stop store storm story street strong summer sun sweet swim table
tail take talk tall tea ten thin think three tie time top town toy train tree true turn two under up use valley very
voice wait walk wall warm wash watch water wave way wear week west wheel when white wide wild wind window wing winter
with wood word work world yellow yes young
"""
WORDS = _TEXT.split()
FRESH = 4  # words that differ from call to call: some 10^10 beginnings


def word_prompts(batch: int, length: int, seed: int) -> list[str]:
    """Return `batch` texts of `length` words each, the same for the same seed and for every model."""
    draw = random.Random(seed)  # noqa: S311 - texts to measure with
    return [" ".join(draw.choice(WORDS) for _ in range(length)) for _ in range(batch)]


def freshened(prompt: str) -> str:
    """Return a prompt whose first words were never sent before, as many words long.

    Servers keep the key-value cache of prefixes they have seen, also of earlier processes of ours: a repeated prompt
    would measure the look-up, not the prefill.
    """
    words = prompt.split(" ")
    draw = random.Random(os.urandom(16))  # noqa: S311 - texts to measure with
    return " ".join([*(draw.choice(WORDS) for _ in words[:FRESH]), *words[FRESH:]])
