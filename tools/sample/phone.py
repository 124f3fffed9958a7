# ruff: noqa: E501  (templates are prose: one thought a line)
"""Stories with a telephone in them: messages arrive as people really type them, and somebody asks what the sender wants."""

import random

from tools.sample.messages import ham_message, spam_message
from tools.sample.telling import Teller

OPENINGS = """
[a] {lived in [town] and|from [town]} had a new phone {in a [COLOUR] case|, a present from [a.his] [KIN]|with a [broken] screen}. [sky]
[sky] [a] and [b] {sat on the [PART]|waited for the bus|were drinking [DRINK]} in [town], {and [a]'s phone lay between them|each with a phone}.
[FIRST] [a.his] [KIN] showed [a] {how to use a phone|how to read a text message|which messages to trust}. [b] {watched|sat beside them|wanted to learn it too}.
[a] {kept|always carried} a phone in [a.his] [COLOUR] [wear]. {It buzzed all day|It was never quiet}. [sky]
""".strip().splitlines()

ARRIVALS = """
{The phone buzzed|[a]'s phone buzzed|There was a beep|A message came}{| [TIME]| while [a] ate [FOOD]}: "<m>"
{Then|[TIME]|Soon} {another message came|the phone buzzed again|it buzzed once more}: "<m>"
"{Listen to this|Look|Read this}," said [b]. {The message said|On [b.his] phone stood|Somebody had written}: "<m>"
[a] {read aloud|read from the screen|opened a message}: "<m>"
""".strip().splitlines()

REAL = """
{That was|It was} a real message, {from somebody who knew [a.him]|and nobody wanted money|for it asked for nothing strange}. [a] {answered [ADVERB]|smiled|put the phone away|wrote back at once}.
"{That is real|It is not spam}," said [b]. "{It is only a friend|They want nothing from you|It is how people write}." [a] {nodded|laughed|agreed}.
It was {no spam|no trick}, and [a] {was [GOOD]|typed a reply|sent a [COLOUR] heart back}.
""".strip().splitlines()

TRICK = """
"{That is a trick|That is spam}," said [b]. "{They want your money|A stranger asks for something|Look what they want from you|Somebody wants to get rich}." [a] {deleted it|did not answer|blocked the number}.
[a] {did not know the sender|looked at the number|read it twice}. It was {spam|a trick}, and [a.he] {deleted it [ADVERB]|showed it to [b]|put the phone away}.
{That was|It was} spam, {for a stranger wanted money|for nobody gives away such things|and no friend would ask that}. [a] {deleted it|laughed|told [a.his] [KIN]}.
""".strip().splitlines()

ASK = (
    """
"{Is it real|Spam or not|Can I trust it}?" asked [a].
[b] {looked over [a.his] shoulder|held out a hand|put on [b.his] glasses}.
"{What do they want|Who wrote that}?" asked [b].
""".strip().splitlines()
    + ["", "", ""]
)

AGAIN = """
"{What does it say|Can you read it to me|What was that}?" asked [b]. [a] read {it aloud|it again|it out}: "<m>"
[b] {looked at the screen|took the phone|put on [b.his] glasses} and read: "<m>"
"{Again, please|Slowly|Once more}," said [b]. "<m>"
""".strip().splitlines()

NOTES = """
Dinner at [a]'s: [a] wrote "hi [b], c u at {6|7|8}, luv [a]", and {at that hour|in time} [b] {stood at the door with [FOOD]|came with a [LOOK] [THING]|rang the bell}.
"{Why do you write|What is} '{gr8|b4|2nite|thx|pls|u}'?" asked [a.his] [KIN]. "{It is shorter|My thumb is lazy|Everyone does}," said [a].
[b] wrote "{where r u|r u ok|u there}?" and [a] wrote back "at the [PLACE], {b there soon|c u l8r|come 2|w8 4 me}", {so [b] went to the [PLACE] too|and that was true}.
""".strip().splitlines()

ENDINGS = """
{In the evening|At night|At last} [a] {switched the phone off|charged the phone|laid the phone in a drawer} and {read a book about [HOBBY]|went to bed|slept well}.
"{Always ask|Think first}: who wants what?" said [b]. [a] {wrote that on a card|never forgot it|told it to everyone in [town]}.
{From then on|Since then} [a] {knew a trick when it came|was more careful|read every message twice}, and {so did [b]|[b] was glad}.
""".strip().splitlines()


def phone_story(rng: random.Random, teller: Teller) -> str:
    """Two to four messages, each recognized for what it is."""
    teller.person("a", "b")
    teller.weather()
    teller.bind(town=teller.village.name, broken=rng.choice(("broken", "bright", "dusty")))
    told = [teller.tell(rng.choice(OPENINGS))]
    for turn in range(rng.randint(2, 4)):
        tricky = rng.random() < 0.45
        teller.quote(m=(spam_message if tricky else ham_message)(rng).replace('"', "'"))
        arrival = ARRIVALS[0] if turn == 0 else rng.choice(ARRIVALS)
        told += [
            teller.tell(arrival),
            teller.tell(rng.choice(ASK if rng.random() < 0.3 else AGAIN)),
            teller.tell(rng.choice(TRICK if tricky else REAL)),
        ]
        if rng.random() < 0.3:
            told.append(teller.tell(rng.choice(NOTES)))
    told.append(teller.tell(rng.choice(ENDINGS)))
    return " ".join(part for part in told if part)
