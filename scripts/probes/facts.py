"""Everyday facts: a beginning of a sentence and four endings, of which one is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from probes.draw import Row, shuffled

POOLED_FACTS: Final = {
    "capital": """The capital of {} is
        France=Paris; Japan=Tokyo; Italy=Rome; Spain=Madrid; Russia=Moscow; Germany=Berlin; Egypt=Cairo
        China=Beijing; Greece=Athens; Cuba=Havana; Canada=Ottawa; Austria=Vienna; Ireland=Dublin; Portugal=Lisbon
    """,
    "language": """The main language spoken in {} is
        Brazil=Portuguese; Mexico=Spanish; Austria=German; Egypt=Arabic; Australia=English; Japan=Japanese
        Russia=Russian; Greece=Greek; Italy=Italian; Poland=Polish; Argentina=Spanish; England=English
    """,
    "continent": """{} is a country in
        Kenya=Africa; Nigeria=Africa; Ghana=Africa; India=Asia; Vietnam=Asia; Nepal=Asia; Poland=Europe; Sweden=Europe
        Hungary=Europe; Brazil=South America; Peru=South America; Argentina=South America
    """,
    "currency": """The currency of {} is the
        Japan=yen; India=rupee; Mexico=peso; Russia=ruble; Germany=euro; Canada=dollar; Switzerland=franc; Poland=zloty
    """,
    "animal_sound": """Dogs bark, and {}
        cows=moo; cats=meow!howl; ducks=quack; lions=roar!meow; pigs=oink; owls=hoot; bees=buzz; frogs=croak!quack
        horses=neigh; wolves=howl
    """,
    "baby_animal": """A baby {} is called a
        dog=puppy!cub; cat=kitten!cub; cow=calf; horse=foal; sheep=lamb; pig=piglet; chicken=chick; bear=cub
        deer=fawn!calf; duck=duckling!chick; kangaroo=joey; frog=tadpole
    """,
    "kind": """{} is a kind of
        An eagle=bird; A salmon=fish; A mosquito=insect; An oak=tree; A rose=flower!tree,fruit; A poodle=dog
        A banana=fruit!tree,vegetable; A carrot=vegetable!fruit,flower; Iron=metal; A truck=vehicle
        A crocodile=reptile; A violin=instrument
    """,
    "color": """The color of {} is
        grass=green!yellow,brown; snow=white; coal=black!brown; blood=red; a ripe banana=yellow!green,brown,red
        chocolate=brown!white,black; an emerald=green; a clear sky=blue!black,red; a ripe strawberry=red!white,green
        milk=white!brown
    """,
    "day_after": """If today is {}, tomorrow is
        Monday=Tuesday; Tuesday=Wednesday; Wednesday=Thursday; Thursday=Friday; Friday=Saturday; Saturday=Sunday
        Sunday=Monday
    """,
    "month_after": """The month after {} is
        January=February; February=March; March=April; April=May; May=June; June=July; July=August; August=September
        September=October; October=November; November=December
    """,
    "profession": """A person who {} is called a
        flies airplanes=pilot; bakes bread=baker!chef; grows crops=farmer; fixes water pipes=plumber
        repairs teeth=dentist; cuts hair=barber; takes pictures=photographer; fights in an army=soldier!pilot
        cooks in a restaurant=chef!waiter,baker; serves food in a restaurant=waiter!chef
    """,
}

# Facts with their own wrong choices: kind -> "stem|answer|wrong|wrong|wrong" a line.
LISTED_FACTS: Final = {
    "opposite": """
        The opposite of hot is|cold|loud|empty|early
        The opposite of big is|small|late|wet|poor
        The opposite of fast is|slow|young|sweet|clean
        The opposite of up is|down|left|inside|far
        The opposite of rich is|poor|dry|loud|late
        The opposite of wet is|dry|weak|low|poor
        The opposite of old is|young|sad|heavy|loud
        The opposite of happy is|sad|short|clean|open
        The opposite of open is|closed|bright|wide|cheap
        The opposite of full is|empty|small|quiet|dark
        The opposite of strong is|weak|short|cold|late
        The opposite of clean is|dirty|tall|round|warm
        The opposite of early is|late|heavy|soft|rich
        The opposite of black is|white|green|brown|purple
        The opposite of north is|south|up|east|west
        The opposite of always is|never|today|often|soon
    """,
    "tool": """
        You cut paper with|scissors|a hammer|a spoon|a broom
        You drive a nail with a|hammer|pillow|spoon|towel
        You eat soup with a|spoon|knife|pencil|hammer
        You write on paper with a|pen|fork|broom|ladder
        You sweep the floor with a|broom|spoon|needle|pen
        You open a locked door with a|key|cup|shoe|pencil
        You measure temperature with a|thermometer|clock|ruler|microphone
        You look at distant stars with a|telescope|microscope|hammer|thermometer
        You tell the time with a|watch|fork|ruler|mirror
        You dig a hole with a|shovel|comb|needle|towel
        You dry yourself after a shower with a|towel|fork|ladder|pen
        You sew with a needle and|thread|soap|glue|water
    """,
    "body": """
        You see with your|eyes|ears|nose|feet
        You hear with your|ears|eyes|tongue|hands
        You smell with your|nose|ears|knees|eyes
        You chew food with your|teeth|lungs|fingers|ears
        You think with your|brain|lungs|stomach|knees
        The organ that pumps blood is the|heart|liver|skin|stomach
        The organs that you breathe with are the|lungs|kidneys|eyes|bones
        At the end of your leg is your|foot|elbow|neck|ear
        At the end of your arm is your|hand|knee|nose|tooth
        You taste food with your|tongue|ears|knees|hair
    """,
    "number": """
        The number of days in a week is|7|5|9|4
        The number of sides of a triangle is|3|5|6|9
        The number of sides of a square is|4|2|6|7
        The number of sides of a hexagon is|6|3|4|9
        The number of sides of an octagon is|8|4|5|6
        The number of legs of a spider is|8|4|6|2
        The number of legs of an insect is|6|4|9|2
        The number of legs of a horse is|4|2|6|8
        The number of wings of a bird is|2|4|6|3
        The number of wheels of a bicycle is|2|4|6|5
        The number of fingers on one hand is|5|3|7|9
        The sum of two and two is|4|5|3|8
    """,
    "source": """
        Wool comes from|sheep|trees|bees|oil
        Honey is made by|bees|birds|cows|spiders
        Wine is usually made from|grapes|potatoes|milk|wheat
        Cheese is made from|milk|rice|apples|fish
        Paper is usually made from|wood|glass|stone|milk
        Raisins are dried|grapes|apples|beans|onions
        Ketchup is made from|tomatoes|carrots|bananas|lemons
        Silk is made by|silkworms|cows|birds|snakes
        Apples grow on|trees|rocks|animals|fish
        Butter is made from|cream|flour|sand|corn
        French fries are made from|potatoes|tomatoes|apples|carrots
        Bread is usually made from|flour|cheese|tea|meat
    """,
    "world": """
        Water freezes and turns into|ice|steam|salt|oil
        The Earth moves around the|Sun|Moon|stars|clouds
        The largest planet in our solar system is|Jupiter|Mars|Venus|Mercury
        The planet known as the Red Planet is|Mars|Neptune|Saturn|Venus
        The largest ocean on Earth is the|Pacific|Atlantic|Arctic|Indian
        The tallest mountain in the world is Mount|Everest|Fuji|Vesuvius|Kilimanjaro
        The chemical formula of water is|H2O|CO2|NaCl|O2
        The largest animal on Earth is the blue|whale|bird|crab|butterfly
        The season after winter is|spring|autumn|July|night
        Romeo and Juliet was written by William|Shakespeare|Dickens|Newton|Darwin
        The first president of the United States was George|Washington|Lincoln|Jefferson|Einstein
        The Eiffel Tower is in|Paris|London|Rome|New York
    """,
}

YAML: Final = """\
# Written by scripts/generate_tasks.py; do not edit. The path holds from the repository root.
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: suites/tasks/{task}.jsonl
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{stem}}}}"
doc_to_target: "{{{{gold}}}}"
doc_to_choice: "{{{{choices}}}}"
target_delimiter: " "
num_fewshot: 0
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""


def parse_pooled(kind: str, listing: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (stem, answer, three wrong choices) of a kind whose wrong choices are its other answers."""
    stem, _, entries = listing.strip().partition("\n")
    facts = []
    for entry in re.split(r"[;\n]", entries):
        subject, _, rest = entry.strip().partition("=")
        answer, _, excluded = rest.partition("!")
        facts.append((subject, answer, {answer, subject, *excluded.split(",")}))
    answers = sorted({answer for _, answer, _ in facts})
    for subject, answer, unfit in facts:
        others = [other for other in answers if other not in unfit]
        yield stem.format(subject), answer, shuffled(others, f"wrong/{kind}/{subject}")[:3]


def parse_listed(listing: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (stem, answer, three wrong choices) of a kind with its own wrong choices."""
    for line in listing.strip().splitlines():
        stem, answer, *wrong = line.strip().split("|")
        yield stem, answer, wrong


def draw_facts() -> list[Row]:
    """Build the facts; the place of the right answer runs round-robin through the shuffled items."""
    facts: dict[str, tuple[str, str, list[str]]] = {}
    for kind, listing in POOLED_FACTS.items():
        facts.update({fact[0]: (kind, *fact[1:]) for fact in parse_pooled(kind, listing)})
    for kind, listing in LISTED_FACTS.items():
        facts.update({fact[0]: (kind, *fact[1:]) for fact in parse_listed(listing)})
    rows = []
    for index, stem in enumerate(shuffled(facts, "facts")):
        kind, answer, wrong = facts[stem]
        if len({answer, *wrong}) != 4:
            raise ValueError(f"need four different choices: {stem}")
        choices = shuffled(wrong, f"choices/{stem}")
        choices.insert(index % 4, answer)
        row = {"stem": stem, "choices": choices, "gold": index % 4, "phenomenon": "facts", "cluster": f"facts/{kind}"}
        rows.append(row)
    return rows
