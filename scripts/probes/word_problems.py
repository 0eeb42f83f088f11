"""Word problems with whole numbers after the idea of GSM8K (Cobbe et al. 2021): the answer is written, not chosen.

A template is a text with free numbers {a}, {b}, {c} and its steps; the numbers are drawn, the solution is computed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from probes.draw import Row, mixed, number

ITEMS_PER_TEMPLATE: Final = 10

# name | ranges of a, b, c | text | steps: "left op right : what it counts"; r1 is the result of the first step
LISTING: Final = """
apples | 12-40, 3-11 | Maria has {a} apples and gives {b} of them to her neighbour. How many apples does Maria have left? | a - b : apples are left
bus | 11-30, 2-9 | There are {a} people on a bus, and {b} more get on. How many people are on the bus now? | a + b : people are on the bus
boxes | 3-9, 4-12 | A shop has {a} boxes with {b} candles in each. How many candles does the shop have? | a * b : candles are in the boxes
stamps | 15-60, 12-40 | Tom has {a} stamps from Spain and {b} stamps from Japan. How many stamps does he have in all? | a + b : stamps in all
rope | 20-50, 4-15 | A rope is {a} meters long, and {b} meters are cut off. How many meters long is the rope now? | a - b : meters are left
chairs | 4-9, 5-12 | A hall has {a} rows of {b} chairs. How many chairs are in the hall? | a * b : chairs are in the hall
pages | 60-120, 15-30, 11-25 | A book has {a} pages. Anna reads {b} pages on Monday and {c} pages on Tuesday. How many pages are left? | b + c : pages are read; a - r1 : pages are left
bread | 3-8, 2-6, 4-19 | Loaves of bread cost {a} dollars each. Peter buys {b} loaves and a cake for {c} dollars. How many dollars does he pay? | a * b : dollars for the bread; r1 + c : dollars in all
hens | 4-9, 3-6, 5-11 | A farm has {a} hens, and each lays {b} eggs. The farmer eats {c} of the eggs. How many eggs are left? | a * b : eggs are laid; r1 - c : eggs are left
team | 12-25, 5-11, 2-4 | A club had {a} members. Then {b} members left and {c} new ones came. How many members does the club have now? | a - b : members stay; r1 + c : members now
wages | 8-15, 3-7, 10-20 | Lena earns {a} dollars an hour and works {b} hours. She spends {c} dollars of it. How many dollars does she keep? | a * b : dollars earned; r1 - c : dollars kept
garden | 3-7, 4-9, 2-9 | A garden has {a} beds with {b} roses in each, and {c} roses stand by the gate. How many roses are there? | a * b : roses in the beds; r1 + c : roses in all
ship | 40-80, 12-20, 13-19 | A ship carries {a} boxes. In the first port {b} boxes are unloaded, and {c} are loaded. How many boxes does it carry now? | a - b : boxes stay; r1 + c : boxes now
library | 25-60, 6-14, 5-13 | A shelf holds {a} books. On Friday {b} books are lent and on Saturday {c} more. How many books are still on the shelf? | a - b : books after Friday; r1 - c : books are left
cards | 4-8, 6-12, 2-3 | Sam has {a} packs of {b} cards. He gives {c} whole packs away. How many cards does he keep? | a - c : packs are kept; r1 * b : cards are kept
tickets | 3-9, 2-5, 2-9 | Tickets cost {a} dollars for an adult and {b} dollars for a child. How many dollars do 2 adults and {c} children pay? | 2 * a : dollars for the adults; b * c : dollars for the children; r1 + r2 : dollars in all
bakery | 4-9, 6-12, 10-20 | A baker fills {a} trays with {b} rolls each and sells {c} rolls. Then he bakes 8 more. How many rolls does he have? | a * b : rolls are baked; r1 - c : rolls are left; r2 + 8 : rolls in the end
walk | 3-6, 2-5, 4-9 | Nora walks {a} miles on each of 3 days, {b} miles on each of 2 days, and {c} miles on Sunday. How many miles does she walk in all? | 3 * a : miles on the first days; 2 * b : miles on the next days; r1 + r2 : miles before Sunday; r3 + c : miles in all
savings | 5-12, 4-8, 11-20 | Ben saves {a} dollars a week for {b} weeks. His aunt gives him {c} dollars, and he buys a ball for 9 dollars. How many dollars does he have? | a * b : dollars saved; r1 + c : dollars with the gift; r2 - 9 : dollars in the end
orchard | 3-6, 12-20, 4-9 | There are {a} trees with {b} pears on each. The wind blows down {c} pears of each tree. How many pears stay on the trees? | b - c : pears stay on each tree; r1 * a : pears stay in all
"""  # noqa: E501 - a table
EXAMPLES: Final = """
coins | 10-30, 2-9 | Julia has {a} coins and finds {b} more. How many coins does she have? | a + b : coins
cups | 3-9, 3-9 | There are {a} tables with {b} cups on each. How many cups are there? | a * b : cups
eggs | 20-40, 3-9, 4-9 | A cook has {a} eggs. He uses {b} eggs for a cake and {c} for a soup. How many eggs are left? | b + c : eggs are used; a - r1 : eggs are left
pens | 2-6, 3-8, 2-9 | Pens cost {a} dollars each. Tim buys {b} pens and a bag for {c} dollars. How many dollars does he pay? | a * b : dollars for the pens; r1 + c : dollars in all
"""  # noqa: E501 - a table

YAML: Final = """\
# Written by scripts/generate_probes.py; do not edit. The paths hold from the repository root.
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    train: suites/tasks/word_problems/{task}_examples.jsonl
    test: suites/tasks/word_problems/{task}.jsonl
output_type: generate_until
training_split: train
fewshot_split: train
test_split: test
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{answer}}}}"
target_delimiter: " "
num_fewshot: 4
fewshot_config:
  sampler: first_n
generation_kwargs:
  until: ["\\n", "Question:"]
  do_sample: false
  max_gen_toks: 96
filter_list:
  - name: strict-match
    filter:
      - function: regex
        regex_pattern: "The answer is (-?[0-9][0-9,]*)"
      - function: take_first
  - name: flexible-extract
    filter:
      - function: regex
        group_select: -1
        regex_pattern: "(-?[0-9][0-9,]*)"
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    regexes_to_ignore: [",", "(?s).*The answer is ", "\\\\.$"]
metadata:
  version: 1.0
"""


@dataclass(frozen=True)
class Template:
    """A text with free numbers, and the steps that solve it: (expression, what it counts)."""

    name: str
    ranges: tuple[tuple[int, int], ...]
    text: str
    steps: tuple[tuple[str, str], ...]

    def fill(self, turn: int) -> Row:
        """Return one filling with its worked answer."""
        values = {
            letter: number(f"{self.name}/{turn}/{letter}", *limits)
            for letter, limits in zip("abc", self.ranges, strict=False)
        }
        known = {**values}
        worked = []
        for index, (expression, what) in enumerate(self.steps, start=1):
            left, sign, right = expression.split()
            one, two = (known[part] if part in known else int(part) for part in (left, right))
            result = {"+": one + two, "-": one - two, "*": one * two}[sign]
            known[f"r{index}"] = result
            worked.append(f"{one} {sign} {two} = {result} {what}.")
        answer = f"{' '.join(worked)} The answer is {known[f'r{len(self.steps)}']}."
        return {
            "question": self.text.format(**values),
            "answer": answer,
            "steps": str(len(self.steps)),
            "cluster": f"word_problems/{self.name}",
        }


def parsed(listing: str) -> list[Template]:
    """Return the templates of a listing."""
    found = []
    for line in listing.strip().splitlines():
        name, ranges, text, steps = (part.strip() for part in line.split(" | "))
        limits = tuple((int(low), int(high)) for low, high in re.findall(r"(\d+)-(\d+)", ranges))
        pairs = [step.partition(" : ") for step in steps.split("; ")]
        found.append(Template(name, limits, text, tuple((left.strip(), what.strip()) for left, _, what in pairs)))
    return found


def build() -> list[Row]:
    """Build the problems; fillings that came before are drawn again."""
    rows: dict[str, Row] = {}
    for template in parsed(LISTING):
        turn, wanted = 0, len(rows) + ITEMS_PER_TEMPLATE
        while len(rows) < wanted:
            row = template.fill(turn)
            rows.setdefault(row["question"], row)
            turn += 1
    return mixed(rows.values(), "word problems")


def examples() -> list[Row]:
    """Build the worked examples that stand before every problem; none of their templates is asked."""
    return [template.fill(0) for template in parsed(EXAMPLES)]
