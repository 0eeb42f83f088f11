"""Short passages of our own, for bits per byte: how surprised is the model by ordinary text of ten kinds?

Written for this file and published nowhere else before, so that no model can have learnt them by heart.
"""

from __future__ import annotations

from typing import Final

from probes.draw import Row, mixed

PASSAGES: Final = {
    "story": """
The old man closed the shop an hour early and walked down to the harbour. Nobody was waiting for him there, but
he stood at the railing until the last ferry had left.

When the lights went out, the children did not cry. They sat on the stairs and counted the seconds between the
flashes and the thunder.

My sister kept a drawer full of keys that fitted nothing. She said that one day a door would turn up, and then
we would all be sorry for laughing.

He had packed for two weeks and came back after a night. The suitcase stayed in the hall until Christmas, and we
learned to walk around it.

The cat from number nine had three names and was fed in four kitchens. It belonged to no one, and everybody was
proud of it.

On the first day of the holidays it rained so hard that the tent floated. We spent the night in the car and ate
cold beans from the tin.

She read the letter twice, folded it, and put it under the clock. Then she went out to feed the hens as if
nothing had happened.

The piano had not been tuned since the war. Still, my aunt played it every Sunday, and the neighbours opened
their windows to listen.

There was a hole in the fence, just large enough for a boy with thin arms. By the end of the summer I no longer
fitted through it.

The train stopped in the middle of a field. A passenger opened the door, looked at the sunflowers, and climbed
down with his bag in his hand.
""",
    "news": """
The city council voted on Tuesday to close the swimming pool for repairs. Work is expected to last until spring,
and season tickets will be refunded.

A fire in a warehouse near the airport was put out early this morning. No one was hurt, but two roads remain
closed while the police look for the cause.

The price of bread has risen for the third month in a row. Bakers blame the poor harvest and the cost of
electricity.

Volunteers planted more than four thousand trees along the motorway at the weekend. The mayor said that the work
would be repeated every autumn.

The home team lost by a single point after leading for most of the game. Its coach praised the defence and asked
for patience.

A bridge that was closed after the flood will open again on Friday. Heavy lorries must still take the longer way
through the valley.

The museum has returned two bronze figures to the village from which they were taken a century ago. A ceremony
was held in the rain.

Teachers in the region have been offered a new contract. Their union will ask its members to vote on it before
the end of the month.

The storm left thousands of homes without power on Sunday night. Repair crews hope to reach the last farms by
Wednesday.

Scientists have counted the seals on the northern coast again. There are fewer than last year, though more than
had been feared.
""",
    "recipe": """
Peel the potatoes and cut them into thin slices. Layer them in a buttered dish with salt, pepper and cream, and
bake for an hour.

Whisk the eggs with the sugar until the mixture is pale. Fold in the flour by hand and pour the batter into the
tin at once.

Heat the oil in a heavy pan and fry the onions until they are soft. Add the garlic, the tomatoes and a pinch of
sugar.

Soak the beans overnight and throw the water away. Simmer them with a bay leaf, but do not add salt before they
are tender.

Let the dough rise in a warm place until it has doubled. Knock it back, shape two loaves, and let them rest for
half an hour.

Toast the nuts in a dry pan, and stir all the time. They burn quickly, and burnt nuts make the whole sauce
bitter.

Wash the rice until the water runs clear. Cook it with the lid on, take it off the heat, and leave it alone for
ten minutes.

Rub the fish with lemon and salt and put it under a hot grill. It is done when the flesh comes away from the
bone.

Melt the butter slowly and skim off the foam. What remains keeps for months in a jar and does not burn as
easily.

Grate the cheese while the pasta cooks. Save a cup of the water, for it makes the sauce smooth.
""",
    "manual": """
Switch the device off before you remove the cover. Hold the cable by its plug and never pull at the cord.

To set the clock, press and hold the left button until the hours blink. Press the right button to change them,
and wait five seconds.

Check the oil when the engine is cold and the car stands on level ground. The level must lie between the two
marks on the stick.

If the red lamp stays on, empty the water tank and start again. If it still does not go out, call our service.

Tighten the screws by hand first and only then with the key. Begin in the middle and work towards the corners.

The filter should be washed once a month in lukewarm water. Let it dry completely before you put it back.

Do not place the heater under a shelf or close to a curtain. Keep children and animals away while it is in use.

Insert the battery with the plus sign facing up. Close the lid and turn it clockwise until it clicks.

After the update the screen may stay dark for several minutes. Do not unplug the machine during this time.

Store the tent only when it is dry. Damp fabric turns black within a few days and cannot be cleaned.
""",
    "dialogue": """
"Have you seen my glasses?" he asked. "They are on your head," she said, "where they have been since breakfast."

"Two tickets to the coast, please." "Single or return?" "Single," said the woman, and looked at her daughter.
"We are moving."

"It will rain," said Ruth. "It never rains on my birthday," said Paul. They took the umbrella and left it on the
bus.

"How long have you been waiting?" "Not long." But there were five empty cups on the table in front of him.

"Can it be repaired?" The watchmaker held it to his ear. "Everything can be repaired," he said. "The question is
what for."

"Who taught you to cook like this?" "Nobody. I was hungry, and there was a book." He asked for a second plate.

"Turn left after the church." "Which church?" "There is only one." "Then we passed it twenty minutes ago."

"Are you afraid of the dark?" the boy asked. "No," said his grandfather, "but I like to know where the chair
stands."

"You could have called." "I did call. A man answered and said that you had gone dancing." "I have never danced
in my life."

"Is this seat taken?" "It depends," said the girl without looking up. "Do you talk during the film?"
""",
    "letter": """
Dear Mrs Cole, thank you for the photographs. My father is in three of them, and in one he is laughing, which we
had never seen before.

I am writing because the parcel that you sent in March has not arrived. Could you please ask at your post office
whether it was lost?

Please find enclosed the signed contract and a copy of my passport. I can begin on the first of the month, as we
agreed on the phone.

We would be glad if you could come to our wedding in June. The house is small, but there is a good inn across
the street.

Dear neighbours, we will be taking down the old chestnut on Saturday. It will be noisy until noon, and for this
we apologise.

I am sorry that I left without saying goodbye. The taxi came early, and you were all sleeping so soundly.

With regard to your letter of the second, we cannot refund the ticket. We can, however, offer you a place on the
evening flight.

The children ask every day when you are coming. They have painted a sign for the door and argue about who will
hold it.

Thank you for applying for the post. We received far more letters than we expected, and we ask for your
patience.

Yesterday the new stove was delivered, and I have already burnt a cake in it. You would have laughed at my face.
""",
    "science": """
Water is densest at about four degrees above its freezing point. For this reason lakes freeze from the top, and
fish survive the winter below the ice.

A leaf is green because it absorbs red and blue light and reflects most of the green. In autumn the pigment
breaks down, and other colours appear.

Sound travels faster in steel than in air. Someone who puts an ear to the rail hears the train long before it
can be seen.

The moon turns once on its axis in the time that it takes to circle the earth. That is why we always see the
same side.

Yeast feeds on sugar and gives off gas. The bubbles are trapped in the dough, and so the bread rises.

A lens that is thicker in the middle bends light towards a point. Where the rays meet, a small picture of the
window appears upside down.

Bats find their way by listening to the echo of their own calls. The calls are so high that most people cannot
hear them.

Iron rusts when both water and oxygen can reach it. A coat of paint keeps them out as long as it has no cracks.

The pressure of the air falls as one climbs. On a high mountain, water boils before it is hot enough to cook an
egg well.

Bees that have found food dance on the comb. The angle of the dance tells the others in which direction to fly.
""",
    "history": """
The town grew up around a ford in the river. When the bridge was built, merchants settled on the western bank
and paid their tolls in salt.

For two centuries the mill belonged to the monastery. After the monks had left, it ground flour for whoever
could pay.

The war ended in the autumn, but the soldiers did not come home until spring. Many of them walked the whole way.

The first railway in the province carried coal and, on Sundays, passengers. They sat on benches in open wagons.

The queen never saw the palace that was built for her. She died in the year in which the roof was finished.

Plague reached the port on a ship from the south. Within a month the market was closed and the gates were
guarded.

The library burned twice. After the second fire its books were kept in three different houses.

Paper was so dear that letters were written in both directions across the page. Readers turned the sheet and
began again.

The treaty was signed in a tent between the two camps. Each side kept a copy, and the two did not quite agree.

When the mine was exhausted, the miners turned to making clocks. Their grandsons sold them all over the world.
""",
    "opinion": """
A good map leaves most things out. Whoever tries to show every tree ends up with a forest and no path.

I do not believe that children read less than they used to. They read other things, and nobody has asked them
about it.

The new square is beautiful, and there is nowhere to sit. One might think that it was designed to be looked at
from a helicopter.

It is easy to praise patience when one is not waiting. Ask the people at the bus stop what they think of it.

Most meetings could be a letter, and most letters could be a sentence. The sentence, however, would have to be
true.

We spend years teaching people to speak in public and not an hour teaching them to listen. The result can be
heard everywhere.

Nobody needs a kitchen with nine machines. A sharp knife, a large pot and some time will do.

The critics disliked the play because it was funny. The audience liked it for the same reason, and the audience
paid.

Museums should be free on at least one evening a week. Those who work during the day have paid for them too.

A rule that everybody breaks is not a rule but a trap. It should be changed or forgotten.
""",
    "code": """
The function reads a list of numbers and returns the largest of them. If the list is empty, it raises an error
instead of returning zero.

Each line of the file holds a name and a date, separated by a comma. Lines that begin with a hash sign are
comments and are skipped.

for name in sorted(names): print(name.strip().title()). The loop prints every name on a line of its own, in
alphabetical order.

The variable is set before the loop starts and changed inside it. Forgetting to reset it was the cause of the
bug.

def area(width, height): return width * height. The test calls the function with two positive numbers and with a
zero.

A cache is useful only if reading from it is faster than computing the value again. Measure both before you add
one.

The server answers every request with a status code and a body. A code of 404 means that the page was not found.

if total > limit: raise ValueError("the limit was exceeded"). The caller decides whether to try again or to give
up.

Passwords must never be written to the log. Replace them by a row of stars before the message is stored.

The two branches had changed the same line. The conflict was resolved by hand, and the tests were run once more.
""",
}

YAML: Final = """\
# Written by scripts/generate_probes.py; do not edit. The path holds from the repository root.
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: suites/tasks/prose/{task}.jsonl
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
num_fewshot: 0
metric_list:
  - metric: bits_per_byte
    aggregation: bits_per_byte
    higher_is_better: false
metadata:
  version: 1.0
"""


def build() -> list[Row]:
    """Build the passages in a shuffled order."""
    rows = [
        {"text": " ".join(text.split()), "kind": kind}
        for kind, texts in PASSAGES.items()
        for text in texts.strip().split("\n\n")
    ]
    return mixed(rows, "prose")
