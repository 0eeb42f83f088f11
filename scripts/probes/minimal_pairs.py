"""Minimal pairs: two sentences of which one is grammatical, drawn from templates.

Template notation:

* ``(a|b|c)``  a free slot: any of the alternatives;
* ``<x/y>``    a slot that takes x on side 0 and y on side 1 of the template;
* ``[x/y]``    the critical slot: side 0 has x in the good sentence and y in the bad one, side 1 the reverse;
* ``[x>y]``    a critical swap: "x y" in the good sentence, "y x" in the bad one (templates with a single side).

Every two-sided template gives as many items with x right as with y right, so a preference for one of the two words
alone scores exactly one half.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

from probes.draw import Row, shuffled

ITEMS_PER_TEMPLATE: Final = 4
LONG: Final = 7  # words
SIZES: Final = ("up to 6 words", "7 words or more")
NUMBERED: Final = ("subject_verb", "determiner_noun")  # side 0 of every template is the singular

SUBJECT_VERB: Final = {
    "dog": "The <dog/dogs> next door [barks/bark] (every night|all day|very loudly|at strangers).",
    "brother": "My <brother/brothers> [works/work] (in a bank|at the hospital|on a farm|from home).",
    "bird": "The <bird/birds> [sings/sing] (every morning|in the garden|before sunrise|all day).",
    "friend": "Her <friend/friends> [lives/live] (in Spain|near the school|in the city|far away).",
    "student": "The <student/students> [needs/need] (more time|a new book|some help|a longer break).",
    "bus": "The <bus/buses> [stops/stop] (here|at the station|near the bridge|in front of the school).",
    "teacher": "The <teacher/teachers> [knows/know] (the answer|every student|what to do|all our names).",
    "train": "The <train/trains> always [leaves/leave] (on time|at noon|early|before dark).",
    "neighbor": "Our <neighbor/neighbors> often [plays/play] (chess|the piano|loud music|tennis).",
    "soup_eggs": "The <soup/eggs> [is/are] (cold|ready|still hot|on the table).",
    "window": "The <window/windows> [was/were] (open|broken|dirty|closed all night).",
    "child": "The <child/children> [has/have] (no shoes|too many toys|nothing to do|a new teacher).",
    "foot": "My <foot/feet> [is/are] (cold|wet|sore|very dirty).",
    "man": "The <man/men> [does/do] not (know us|like fish|speak English|want to leave).",
    "key_to": "The <key/keys> to the <cabinets/cabinet> [is/are] (missing|very old|on the table|in my bag).",
    "label_on": "The <label/labels> on the <bottles/bottle> [is/are] (red|hard to read|wrong|in French).",
    "road_to": "The <road/roads> to the <villages/village> [is/are] (closed|very narrow|dangerous|long).",
    "boy_with": "The <boy/boys> with the <dogs/dog> [is/are] (waiting outside|very happy|from Canada|late again).",
    "doctor_with": "The <doctor/doctors> with the <patients/patient> [was/were] (very kind|tired|busy|new here).",
    "house_behind": "The <house/houses> behind the <trees/tree> [is/are] (for sale|very old|empty|painted white).",
    "book_about": "The <book/books> about the <kings/king> [was/were] (boring|hard to find|very long|sold out).",
    "box_under": "The <box/boxes> under the <chairs/chair> [is/are] (empty|full of toys|quite heavy|made of wood).",
    "letter_from": "The <letter/letters> from her <sons/son> [was/were] (short|very funny|lost|in the drawer).",
    "report_on": "The <report/reports> on the <schools/school> [has/have] (many mistakes|shocked people|not helped).",
    "woman_in": "The <woman/women> in the <photos/photo> [looks/look] (happy|tired|familiar|very young).",
}

DETERMINER_NOUN: Final = {
    "window": "We cleaned <that/those> dirty [window/windows] (today|again|together).",
    "house": "They sold <every/several> [house/houses] (last year|on our street|in the village).",
    "doctor": "I met <another/many> [doctor/doctors] (there|at the hospital|last night).",
    "drawer": "There was nothing in <that/those> [drawer/drawers] (yesterday|except paper|at first).",
    "goose": "She fed <this/these> hungry [goose/geese] (twice|again|at the lake).",
    "mouse": "The cat caught <that/those> little gray [mouse/mice] (today|in the barn|at last).",
    "knife": "He cleaned <this/these> sharp kitchen [knife/knives] (twice|yesterday|by hand).",
    "wolf": "We saw <one/two> big gray [wolf/wolves] (in the forest|last night|at dawn).",
    "tooth": "The dentist pulled <that/those> bad [tooth/teeth] (yesterday|quickly|at last).",
    "thief": "The police caught <another/several> [thief/thieves] (today|in the park|last night).",
    "crisis": "The country survived <every/many> [crisis/crises] (under this king|last century|before the war).",
    "leaf": "She picked up <a/three> yellow [leaf/leaves] (from the ground|for me|in the yard).",
    "picture": "I really love [this/these] <picture/pictures> (of you|of Rome|so much).",
    "box": "Please open [this/these] <box/boxes> (carefully|for me|first).",
    "tree": "They planted [this/these] tall <tree/trees> (long ago|last spring|near the gate).",
    "man": "[That/Those] <man/men> over there (looked angry|waved at us|ran away|laughed loudly).",
    "dress": "[This/These] red <dress/dresses> cost (ten dollars|too much|nothing).",
    "coin": "I found [a/two] <coin/coins> (in the street|under the bed|in my pocket).",
    "museum": "She visited [every/many] <museum/museums> (in London|during the trip|that week).",
    "child": "He took [each/both] <child/children> (to school|by the hand|home).",
    "shelf": "He built [this/these] strong wooden <shelf/shelves> (himself|last year|for us).",
    "woman": "I know [that/those] very kind old <woman/women> (well|from church|from work).",
    "loaf": "He baked [this/these] small brown <loaf/loaves> (this morning|for us|at home).",
    "policeman": "We asked [each/both] tired young <policeman/policemen> (for help|about it|the way).",
    "lady": "[That/Those] very elegant young <lady/ladies> (smiled at us|left early|sang for us).",
}

ANAPHOR: Final = {
    "boy_girl_hurt": "The <boy/girl> hurt [himself/herself] (badly|at school|again|with a knife).",
    "parents_made": "My <father/mother> made [himself/herself] (a cup of tea|some lunch|a sandwich).",
    "king_saw": "The <king/queen> saw [himself/herself] (in the mirror|in the painting|on a coin).",
    "uncle_taught": "My <uncle/aunt> taught [himself/herself] (French|to cook|to swim|the piano).",
    "prince_hid": "The <prince/princess> hid [himself/herself] (in the castle|behind a tree|from the enemy).",
    "brother_cut": "My <brother/sister> cut [himself/herself] (while cooking|on the glass|with the scissors).",
    "gentleman_introduced": "The <gentleman/lady> introduced [himself/herself] (to us|politely|to the guests).",
    "boys_washed": "The <boys/boy> washed [themselves/himself] (in the river|before dinner|with soap).",
    "parents_enjoyed": "My <parents/mother> enjoyed [themselves/herself] (at the party|in Italy|last night).",
    "women_dressed": "The <women/woman> dressed [themselves/herself] (quickly|in black|for the wedding).",
    "company_describes": "The <company/man> describes [itself/himself] as (modern|honest|a leader).",
    "i_cut": "<I/He> cut [myself/himself] (this morning|while shaving|with a knife).",
    "i_asked": "<I/She> asked [myself/herself] (why|the same question|what went wrong).",
    "you_proud": "<You/He> should be proud of [yourself/himself] (today|for trying|right now).",
    "i_promised": "<I/They> promised [myself/themselves] (a holiday|a long rest|to stay calm).",
    "we_helped": "<We/He> helped [ourselves/himself] to (more cake|some coffee|the bread).",
    "boys_mother": "The <boy's mother/girl's father> hurt [herself/himself] (badly|at work|again).",
    "kings_sister": "The <king's sister/queen's brother> saw [herself/himself] (in the mirror|in the painting).",
    "sons_of": "The <sons/son> of my <neighbor/neighbors> blamed [themselves/himself] (for the fire|for everything).",
    "his_aunt": "<His aunt/Her uncle> talked about [herself/himself] (all night|for an hour|again).",
    "mans_wife": "The <man's wife/woman's husband> taught [herself/himself] (French|to swim|the piano).",
    "men_with": "The <men/man> with the <dog/dogs> defended [themselves/himself] (bravely|in court).",
    "girls_near": "The <girls/girl> near the <teacher/teachers> introduced [themselves/herself] (politely|to us).",
    "women_in": "The <women/woman> in the <garden/gardens> photographed [themselves/herself] (with a phone|again).",
    "boy_who_met": "The <boy/girl> who met the <queen/king> enjoyed [himself/herself] (very much|at the party|there).",
}

VERB_FORM: Final = {
    "eat": "<He has already/Last night he> [eaten/ate] (the cake|all the bread|my lunch).",
    "draw": "<The child has/Last week the child> [drawn/drew] (a horse|two houses|on the wall).",
    "grow": "<The boy has/Last year the boy> [grown/grew] (a lot|very fast|ten inches).",
    "freeze": "<The lake has/Last night the lake> [frozen/froze] (over|again|completely).",
    "wear": "<She has never/Last night she> [worn/wore] (that dress|red shoes|a hat).",
    "tear": "<Someone has/This morning someone> [torn/tore] (the flag|my coat|out a page).",
    "shake": "<The news has/Last week the news> [shaken/shook] (the country|us all|his faith).",
    "rise": "<Prices have/Last year prices> [risen/rose] (sharply|again|by half).",
    "ride": "<He has often/As a child he> [ridden/rode] (horses|the bus|an elephant).",
    "forgive": "<She has/In the end she> [forgiven/forgave] (him|her brother|us all).",
    "undergo": "<The patient has/Last year the patient> [undergone/underwent] (surgery|treatment|several tests).",
    "fly": "<The bird has/This morning the bird> [flown/flew] (away|south|into the house).",
    "choose": "<The school has/Last year the school> [chosen/chose] (a new name|two winners|a leader).",
    "steal": "<A thief has/Last night a thief> [stolen/stole] (the painting|her purse|two horses).",
    "take_question": "<Has anyone in the class/Yesterday someone in the class> [taken/took] (my bag|our bikes)<?/.>",
    "see_question": "<Have your parents ever/Last week your parents> [seen/saw] (the ocean|a whale|this film)<?/.>",
    "write_far": "<The man had probably never/The man, they say, once> [written/wrote] (a letter|a poem|to her).",
    "give_question": "<Should your brother/Last week your brother> [give/gave] (up his job|them the key)<?/.>",
    "buy_question": "<Did your mother really/Last week your mother> [buy/bought] (a car|new shoes|the house)<?/.>",
    "find_question": "<Could the doctor ever/Last week the doctor> [find/found] (the cause|a cure|the key)<?/.>",
    "leave_question": "<Why did the guest/At noon the guest> [leave/left] (the party|the hotel|without us)<?/.>",
    "lose": "<We must not/Last night she> [lose/lost] (the game|the keys|the map).",
    "teach": "<She will/For years she> [teach/taught] (us music|at our school|French).",
    "wait_progressive": "<Why are those men/Those men should> [waiting/wait] (outside|here|at the door)<?/.>",
    "work_progressive": "<Was the girl/The girl will> [working/work] (in the garden|late|with him)<?/.>",
}

WORD_ORDER: Final = {
    "adjective_noun": "He lives in a [(small|big|quiet)>(house|village)] near the sea.",
    "modal_not": "They [will>not] (help us|come back|stay here|win the game).",
    "very_adjective": "She speaks [very>good] (English|French|German|Spanish).",
    "question_do": "Where [do>you] (live|work|study|sleep)?",
    "question_did": "What [did>she] (say|buy|eat|see)?",
    "embedded_question": "Nobody knows where [(he|she)>(lives|works|went)].",
    "verb_object": "My (mother|father|sister|aunt) [drinks>coffee] every morning.",
    "modal_verb": "You [can>see] the (mountains|lake|city|bridge) from here.",
    "too_many": "There are [too>many] (cars|people|flies|rules) here.",
    "adjective_enough": "He is [old>enough] to (drive|vote|work|travel).",
    "since": "She has been [sick>since] (Monday|last week|yesterday|March).",
    "progressive": "It [was>raining] when we (left|arrived|woke up|met).",
    "particle_noun": "She [turned>off] the (light|radio|television|oven).",
    "how_old": "How [old>are] (you|they|your parents|the twins)?",
    "passive": "He [was>born] in (Spain|Texas|May|a small town).",
    "particle_pronoun": "Please (pick|hang|lift|look) [it>up] (now|again).",
    "adverb_verb": "She [(often|always|rarely|usually)>drinks] tea (at night|at home).",
    "object_adverb": "He speaks [(English|French|German|Spanish)>well].",
    "negative_inversion": "Never [have>I] seen such a (storm|mess|crowd|sunset).",
    "else": "Ask [someone>else] (about it|to help|for money|next time).",
    "all_the": "We (ate|sold|bought) [all>the] (bread|cake).",
    "both_her": "I know [both>her] (brothers|parents|sons|sisters).",
    "such_a": "It was [such>a] (nice day|good idea|long trip|big house).",
    "ago": "We met [two years>ago] in (Paris|London|Texas|a bar).",
    "what_a": "What [a>beautiful] (day|house|song|garden)!",
}

ARGUMENT_STRUCTURE: Final = {
    "arrive_reach": "We [arrived/reached] <at the station/the station> (on time|at noon|too late).",
    "listen_hear": "She [listened/heard] <to the song/the song> (twice|again|last night).",
    "look_watch": "They [looked/watched] <at the picture/the game> (for an hour|together|again).",
    "wait_expect": "I am [waiting/expecting] <for a letter/a letter> (from him|from the bank|from home).",
    "enjoy_want": "He [enjoys/wants] <swimming/to swim> (in the lake|every day|at night).",
    "avoid_refuse": "She [avoided/refused] <answering/to answer> (the question|my letter|his calls).",
    "finish_decide": "They [finished/decided] <painting/to paint> the (house|wall|kitchen).",
    "keep_hope": "He [keeps/hopes] <asking/to ask> (for help|about you|the boss).",
    "succeed_manage": "He [succeeded/managed] <in opening/to open> the (door|box|window).",
    "capable_able": "He is [capable/able] <of winning/to win> (the race|the game|again).",
    "busy_ready": "She is [busy/ready] <cooking/to cook> (dinner|for us|the fish).",
    "tell_say": "He [told/said] <us that he was/that he was> (tired|hungry|late).",
    "hope_want": "We [hope/want] <that you win/you to win> (the race|the game|it all).",
    "make_force": "They [made/forced] him <leave/to leave> (early|the house|at once).",
    "let_allow": "She [let/allowed] us <go/to go> (home|outside|there).",
    "see_ask": "I [saw/asked] him <open/to open> the (door|window|box).",
    "should_ought": "You [should/ought] <wait/to wait> (here|outside|for us).",
    "seem_consider": "They [seem/consider] <very happy/him very lucky> (now|today|these days).",
    "discuss_talk": "We [discussed/talked] <the plan/about the plan> (today|at dinner|for hours).",
    "insist_demand": "She [insisted/demanded] <on an answer/an answer> (today|at once|again).",
    "apologize_regret": "He [apologized/regretted] <for the mistake/the mistake> (later|at once|again).",
    "object_oppose": "They [object/oppose] <to the plan/the plan> (again|today|for good reasons).",
    "raise_rise": "The <soldier/balloon> [raised/rose] <the flag/into the air> (slowly|quickly|again).",
    "rob_steal": "They [robbed/stole] <him of his money/his money> (last night|again|at noon).",
    "borrow_lend": "She [borrowed/lent] a book <from/to> (me|my sister|him).",
}

PAIRS: Final = {
    "subject_verb": SUBJECT_VERB,
    "determiner_noun": DETERMINER_NOUN,
    "anaphor": ANAPHOR,
    "verb_form": VERB_FORM,
    "word_order": WORD_ORDER,
    "argument_structure": ARGUMENT_STRUCTURE,
}

# Facts whose wrong choices are drawn from the other answers of the same kind. After a line with the stem come
# "subject=answer" or, where some of the other answers would be arguable, "subject=answer!excluded,excluded".

YAML: Final = """\
# Written by scripts/generate_tasks.py; do not edit. The path holds from the repository root.
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: suites/tasks/{task}.jsonl
output_type: multiple_choice
test_split: test
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{{{[sentence_good, sentence_bad]}}}}"
num_fewshot: 0
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""


def expand(template: str) -> Iterator[str]:
    """Yield every filling of the free slots ``(a|b|c)``."""
    pieces = re.split(r"\(([^()]*)\)", template)
    slots = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    for filling in itertools.product(*slots):
        yield "".join(filling)


def take_side(template: str, side: int) -> str:
    """Resolve the two-sided slots ``<x/y>`` of a template."""
    return re.sub(r"<([^<>/]*)/([^<>/]*)>", lambda match: match.group(side + 1), template)


def contrast(sentence: str, side: int) -> tuple[str, str]:
    """Resolve the one critical slot into the good and the bad sentence."""
    match = re.fullmatch(r"([^\[\]]*)\[([^\[\]/>]+)([/>])([^\[\]/>]+)\]([^\[\]]*)", sentence)
    if match is None:
        raise ValueError(f"need exactly one critical slot: {sentence}")
    before, first, kind, second, after = match.groups()
    if kind == ">":
        return f"{before}{first} {second}{after}", f"{before}{second} {first}{after}"
    good, bad = (first, second) if side == 0 else (second, first)
    return f"{before}{good}{after}", f"{before}{bad}{after}"


def draw_pairs(phenomenon: str, name: str, template: str) -> list[Row]:
    """Draw one template's items, half from each side where it has two."""
    sides = (0, 1) if "<" in template else (0,)
    wanted = ITEMS_PER_TEMPLATE // len(sides)
    rows = []
    for side in sides:
        drawn = shuffled(expand(take_side(template, side)), f"{phenomenon}/{name}/{side}")[:wanted]
        if len(drawn) < wanted:
            raise ValueError(f"template {phenomenon}/{name} has too few fillings")
        for sentence in drawn:
            good, bad = contrast(sentence, side)
            row = {"sentence_good": good, "sentence_bad": bad, "phenomenon": phenomenon}
            row["cluster"] = f"{phenomenon}/{name}"
            if phenomenon in NUMBERED:
                row["number"] = ("singular", "plural")[side]
            row["size"] = SIZES[len(good.split()) >= LONG]
            rows.append(row)
    return rows


def build_pairs(phenomenon: str, templates: dict[str, str]) -> list[Row]:
    """Build one phenomenon's minimal pairs in a shuffled order, so that any first n items mix the templates."""
    rows = [row for name, template in templates.items() for row in draw_pairs(phenomenon, name, template)]
    by_text = {row["sentence_good"]: row for row in rows}
    if len(by_text) != len(rows) or set(by_text) & {row["sentence_bad"] for row in rows}:
        raise ValueError(f"sentences of {phenomenon} repeat or contradict each other")
    return [by_text[text] for text in shuffled(by_text, f"order/{phenomenon}")]
