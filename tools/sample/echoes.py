# ruff: noqa: E501  (templates are prose: one thought a line)
"""Stories that remember: packing games, lists, messages passed on, chains of swaps. What was said once is said again, word for word.

Nothing close by tells which six things are in the trunk; only the beginning of the story does. This is where a model that looks far
back beats one that sees three words.
"""

import random

from tools.sample.telling import Teller, first_upper
from tools.sample.words import listed
from tools.sample.world import ANIMALS


def items(rng: random.Random, teller: Teller, count: int) -> list[str]:
    """`red kite`, `dusty lamp`: all different, colours and looks mixed."""
    nouns = rng.sample(teller.village.lists["THING"], count)
    looks = rng.sample(teller.village.lists["COLOUR"] + teller.village.lists["LOOK"], count)
    return [f"{look} {noun}" for look, noun in zip(looks, nouns, strict=True)]


def listing(things: list[str], article: str = "a") -> str:
    """`a red kite, a dusty lamp and a bell`."""
    named = [f"{article} {thing}".strip() for thing in things]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def packing_game(rng: random.Random, teller: Teller) -> str:
    things, trunk = items(rng, teller, rng.choice((4, 5, 5))), rng.choice(("trunk", "suitcase", "bag", "chest"))
    players = "abc"[: rng.choice((2, 3))]
    lines = [
        f"{{On the train to [town]|In the evening|[TIME]}} {listing([f'[{p}]' for p in players], '')} played {{the packing game|a game}}."
    ]
    for turn in range(len(things)):
        lines.append(
            f'"I pack my {trunk} and take {listing(things[: turn + 1])}," said [{players[turn % len(players)]}].'
        )
    loser, winner = rng.sample(players, 2)
    lost = rng.choice(things)
    lines.append(
        f'"I pack my {trunk} and take {listing(things[: things.index(lost)]) + ", and then" if things.index(lost) else "and"}," {{said|began}} [{loser}] and '
        f'{{stopped|thought|fell silent}}. "{{You forgot|You left out}} the {lost}!" {{cried|laughed|said}} [{winner}], and [{winner}] had won.'
    )
    return " ".join(lines)


def there_and_back(rng: random.Random, teller: Teller) -> str:
    things = items(rng, teller, rng.choice((4, 5, 6)))
    extra = rng.choice(things)
    return " ".join(
        (
            f"[a] {{went|travelled|set out}} from [town] to [othertown]. In [a.his] [box] [a.he] packed {listing(things)}.",
            f'~ "What is in your [box]?" asked {{a guard|a [PEOPLE]|[b]}} {{at the bridge|on the road|at the gate}}. "{first_upper(listing(things))}," said [a].',
            '"{And why|What for}?" "{You never know|For my [KIN]|For the fair}," said [a].',
            f"In [othertown] [a] {{opened|emptied}} the [box] and {{laid|put}} on the table {listing(things, 'the')}."
            if rng.random() < 0.5
            else f"In [othertown] [a] {{opened|emptied}} the [box]. There {{was|lay}} {listing([t for t in things if t != extra], 'the')}, but the {extra} was gone. "
            f"[a] went back and found the {extra} {{at the bridge|on the road|under a [TREE]}}.",
            "{Then|At the end|On [DAYNAME]} [a] {went|travelled} home from [othertown] to [town].",
        )
    )


def shopping_list(rng: random.Random, teller: Teller) -> str:
    goods = [
        f"{rng.choice(teller.village.lists['NUMBER'])} {good}"
        for good in rng.sample(
            listed(
                "eggs pears apples plums lemons onions carrots candles buttons nails loaves sausages potatoes mushrooms turnips nuts spoons ribbons"
            ),
            rng.choice((3, 4, 5)),
        )
    ]
    text = listing(goods, "")
    return " ".join(
        (
            f'"{{Please buy|Bring me|I need}} {text}," said [a]\'s [k]. {{[a] had no paper and said it to [a.himself]|On the way [a] said it again and again}}: "{first_upper(text)}, {text}."',
            f'~ "What can I do for you?" asked the [PEOPLE] at the {{shop|market}} in [town]. "{first_upper(text)}," said [a].',
            f'The [PEOPLE] put {text} into the [box]. "{{Is that all|Anything else}}?" "{{That is all|Nothing else}}," said [a].',
            f'At home the [k] looked into the [box]. "{first_upper(text)}! {{You forgot nothing|You have a good head}}, [a]."',
        )
    )


def passed_on(rng: random.Random, teller: Teller) -> str:
    thing, other = items(rng, teller, 2)
    secret = teller.fill(
        rng.choice(
            (
                f"the {thing} is {{under|behind|beside}} the {{old |}}[TREE] at the [PLACE]",
                f"bring the {thing} and the {other} to the [PLACE] {{in the morning|at noon|at sunset|at midnight}}",
                f"the [PEOPLE] with the {thing} waits at the [PLACE]",
                f"whoever finds the {thing} may keep the {other}",
                f"do not sell the {thing} before the [PEOPLE] comes from the [PLACE]",
                f"[NUMBER] steps from the [PLACE] the {thing} lies in the [CONTAINER]",
            )
        )
    )
    chain = rng.sample("abcd", 4) if rng.random() < 0.5 else rng.sample("abc", 3)
    lines = [
        f'[{chain[0]}] had {{a message|a secret|news}} for [{chain[-1]}]. "Tell [{chain[-1]}]: {secret}," {{said|whispered}} [{chain[0]}] to [{chain[1]}].'
    ]
    for giver, taker in zip(chain[1:], chain[2:], strict=False):
        lines.append(
            f'~ [{giver}] {{ran|went|hurried}} to [{taker}]. "{{[{chain[0]}] says|I bring a message|Listen}}: {secret}," said [{giver}].'
        )
    lines.append(
        f'"{{Really|What}}?" said [{chain[-1]}]. "{first_upper(secret)}?" {{And so it was|It was true|Not one word was wrong}}, and [{chain[-1]}] {{thanked|hugged}} [{chain[-2]}] and [{chain[0]}].'
    )
    return " ".join(lines)


def presents(rng: random.Random, teller: Teller) -> str:
    guests, things = rng.sample("bcde", rng.choice((3, 4))), items(rng, teller, 4)
    gifts = list(zip(guests, things, strict=False))
    lines = ["It was [a]'s birthday, and {everybody came|the table was full|there was [FOOD]}."]
    lines += [f"[{guest}] {{gave [a.him]|brought [a.him]|had for [a.him]}} a {thing}." for guest, thing in gifts]
    lines.append("~ The next day [a] {wrote letters|said thank you|sat down to write}.")
    rng.shuffle(gifts)
    lines += [f'"Dear [{guest}], thank you for the {thing}. {{Love|Yours}}, [a]."' for guest, thing in gifts]
    return " ".join(lines)


def swaps(rng: random.Random, teller: Teller) -> str:
    things, others = items(rng, teller, rng.choice((4, 5))), rng.sample("bcde", 4)
    steps = list(zip(things, things[1:], others, strict=False))
    lines = [
        f"[a] had a {things[0]} but {{wanted something else|was tired of it}}. {{So|Then}} [a.he] {{went to the market in [town]|walked through [town]}}."
    ]
    lines += [f"[{who}] gave [a.him] a {new} for the {old}." for old, new, who in steps]
    lines.append('~ "{Where is your|What became of the} ' + things[0] + "?\" asked [a]'s [k].")
    told = ", ".join(f"the {old} for the {new}" for old, new, _ in steps)
    lines.append(f'"I gave {told}," said [a]. "{{So now|And now}} you have a {things[-1]}," {{said|laughed}} the [k].')
    if rng.random() < 0.5:
        back = [f"the {new} to [{who}]" for old, new, who in steps[::-1]]
        lines.append(f"The next day [a] brought back {', '.join(back)}, and had the {things[0]} again.")
    return " ".join(lines)


def house_that(rng: random.Random, teller: Teller) -> str:
    thing = items(rng, teller, 1)[0]
    beasts = rng.sample([animal for animal in ANIMALS if animal not in ("bee", "elephant")], 3)
    verbs = rng.sample(("found", "saw", "chased", "followed", "feared", "liked", "heard", "met", "woke", "watched"), 4)
    tail = f"the {thing} that [a] made"
    lines = [f"This is the {thing} that [a] made {{out of [MATERIAL]|for [b]|in [town]}}."]
    for beast, verb in zip(beasts, verbs, strict=False):
        tail = f"the {beast} that {verb} {tail}"
        lines.append(f"This is {tail}.")
    lines.append(f"And here is [b], who {verbs[-1]} {tail}. {{So the tale is told|That is all|Now say it backwards}}.")
    return " ".join(lines)


def doors(rng: random.Random, teller: Teller) -> str:
    colours, things = rng.sample(teller.village.lists["COLOUR"], rng.choice((3, 4))), items(rng, teller, 4)
    things = [thing.split()[1] for thing in things]
    rows = list(zip(colours, things, strict=False))
    lines = [
        f"In the {{castle|tower|old house}} of [town] there were {rows_in_words(len(rows))} doors. A [PEOPLE] {{led [a] and [b] inside|showed them to [a] and [b]}}."
    ]
    lines += [f"Behind the {colour} door {{lay|was}} a {thing}." for colour, thing in rows]
    lines.append('~ "{Now tell me|Who remembers}: what is behind the doors?" {asked|said} the [PEOPLE].')
    for turn, (colour, thing) in enumerate(rng.sample(rows, len(rows))):
        lines.append(
            f'"And the {colour} door?" "Behind the {colour} door is a {thing}," said [{"ab"[turn % 2]}].'
            if turn
            else f'"Behind the {colour} door is a {thing}," said [a].'
        )
    lines.append("{So they were let out|They had forgotten nothing}.")
    return " ".join(lines)


def rows_in_words(count: int) -> str:
    return {3: "three", 4: "four"}[count]


def witnesses(rng: random.Random, teller: Teller) -> str:
    first, second, taken = items(rng, teller, 3)
    look = teller.fill(
        f"a {{tall|small|fat|thin|young|old|pale}} {{man|woman}} with a {first}, a {second} and [COLOUR] {{boots|hair|gloves|teeth|shoes}}"
    )
    lines = [
        f'A {taken} was stolen {{in [town]|at the [PLACE]}}. The policeman asked [a], [b] and [c]. "{{Whom did you see|Who was it}}?"'
    ]
    lines += [
        f'"{first_upper(look)}," said [{who}].'
        if who == "a"
        else f'{{"I saw the same: |"Yes, |"It was }}{look}," said [{who}].'
        for who in "abc"
    ]
    lines.append(
        f"~ {{At the [PLACE]|In [othertown]|On the train}} the policeman met {look}. {{In the [CONTAINER]|Under the coat}} was the {taken}, and [a] got the {taken} back."
    )
    return " ".join(lines)


def song(rng: random.Random, teller: Teller) -> str:
    one, two, three, four = items(rng, teller, 4)
    verse = teller.fill(
        rng.choice(
            (
                f"{one}, {two}, who will come with me? {three}, {four}, [NUMBER] birds in a [TREE]",
                f"give me a {one}, give me a {two}, and I will sing of the {three} for you",
                f"the {one} is yours, the {two} is mine, [NUMBER] [FLOWER]s in a line",
                f"oh {one}, oh {two}, the night is long, a {three} and a {four} are in my song",
            )
        )
    )
    return " ".join(
        (
            f'[a] {{knew|had made up|had learned from [a.his] [k]}} a song. It went: "{first_upper(verse)}."',
            f'{{[b] heard it in [town]|[b] liked it|[b] laughed at it}}, and soon [b] sang too: "{first_upper(verse)}."',
            f'~ At the [PLACE] {{everybody sang|a [PEOPLE] sang|the children sang}}: "{first_upper(verse)}."',
            f'When [a] was old, {{somebody|a child|a [PEOPLE]}} on the [PART] {{was singing|hummed}}: "{first_upper(verse)}." And [a] {{smiled|was [GOOD]|sang along}}.',
        )
    )


def stage_play(rng: random.Random, teller: Teller) -> str:
    parts = rng.sample(
        listed("king queen fox wolf baker knight witch bear thief sailor giant dragon miller soldier"), 4
    )
    cast, props = list(zip("abcd", parts, strict=False)), items(rng, teller, 4)
    lines = [
        f"The children of [town] {{put on|made}} a play. {', '.join(f'[{who}] was the {part}' for who, part in cast)}."
    ]
    lines += [f"The {part} had a {prop}." for (_, part), prop in zip(cast, props, strict=False)]
    lines.append(
        "~ {Before the play everything was mixed up|[SOUNDING] and all the things fell down|A goat ran over the stage}."
    )
    for (who, part), prop in rng.sample(list(zip(cast, props, strict=False)), 3):
        lines.append(
            f'"{{Whose is|Who needs}} the {prop}?" "{{The|It is for the}} {part}," said [{who}], {{and took|who took}} the {prop}.'
        )
    return (
        " ".join(lines)
        + f" {{Then the play began|The people clapped}}, {{most of all|above all}} for the {parts[0]}, and that was [a]."
    )


def morning_noise(rng: random.Random, teller: Teller) -> str:
    beasts = rng.sample(list(ANIMALS), 4)
    said = [ANIMALS[beast][1] for beast in beasts]
    lines = [
        f"{{Early in the morning|Before sunrise|At night}} [a] {{dropped a [LOOK] [THING]|shut the [PART]|sneezed}} and woke the {beasts[0]}. The {beasts[0]} {said[0]}."
    ]
    lines += [
        f"The {old} {sound} and woke the {new}. The {new} {noise}."
        for old, sound, new, noise in zip(beasts, said, beasts[1:], said[1:], strict=False)
    ]
    lines.append(
        f'"Who {said[-1]}?" {{called|cried}} [b]. "{{That was|It was}} the {beasts[-1]}," said [a]. "{{And who woke|Who woke}} the {beasts[-1]}?" "The {beasts[-2]}."'
    )
    lines += [f'"And the {new}?" "The {old}."' for new, old in zip(beasts[-2:0:-1], beasts[-3::-1], strict=False)]
    lines.append(f'"And the {beasts[0]}?" [a] {{said nothing|turned red|laughed}}. "{{I did|That was me}}."')
    return " ".join(lines)


def lost_property(rng: random.Random, teller: Teller) -> str:
    things = items(rng, teller, 5)
    lost = rng.choice(things[1:])
    return " ".join(
        (
            f'[a] had lost a {lost} {{on the train|at the [PLACE]|in [town]}} and went to the {{station|town hall}}. "I have lost a {lost}," said [a].',
            f'~ "{{Let me see|Wait}}," said the [PEOPLE]. "We have {listing(rng.sample(things, 5))}." "{{Then you have it|That is it}}: the {lost}!" {{cried|said}} [a].',
            f'"{{Anyone can say that.|Is it really yours?}} {{What is on it|How do I know}}?" "{{My name is in the {lost}|Ask [b], who gave it to me}}," said [a].',
            f"So [a] got the {lost}, and {listing([t for t in things if t != lost], 'the')} stayed {{on the shelf|behind}}.",
        )
    )


def rooms(rng: random.Random, teller: Teller) -> str:
    names, things = rng.sample(teller.village.lists["ROOM"], 4), items(rng, teller, 4)
    rows = list(zip(names, things, strict=False))
    lines = ["[a] {bought|got} an old house in [town] and {showed it to [b]|walked through it with [b]}."]
    lines += [f"In the {room} {{stood|was|lay}} a {thing}." for room, thing in rows]
    lines.append("~ At night [b] {could not sleep|was thirsty} and {walked through the house|counted the things}:")
    lines.append(", ".join(f"the {thing} in the {room}" for room, thing in rows) + ".")
    gone_room, gone = rng.choice(rows)
    lines.append(
        f'{{In the morning|At breakfast}} something was gone. "{{What was in|Look into}} the {gone_room}," said [a]. "A {gone}," said [b], "and the {gone} is not there!" '
        f"{{The cat|[pet]|A mouse}} had {{carried|pulled}} the {gone} into the {rng.choice([r for r in names if r != gone_room])}."
    )
    return " ".join(lines)


def recipe(rng: random.Random, teller: Teller) -> str:
    parts = [
        f"{amount} {thing}"
        for amount, thing in zip(
            rng.sample(
                (
                    "two cups of",
                    "a spoon of",
                    "a handful of",
                    "half a pound of",
                    "a pinch of",
                    "three bowls of",
                    "a jug of",
                ),
                5,
            ),
            rng.sample(
                listed("flour sugar butter milk honey salt pepper nuts rice cream cheese beans oats cocoa water"), 5
            ),
            strict=False,
        )
    ][: rng.choice((4, 5))]
    text = listing(parts, "")
    return " ".join(
        (
            f'"{{How do you make|What goes into}} your [dish]?" asked [b]. "{first_upper(text)}," said [a], {{who was the best cook in [town]|and [b] wrote it down}}.',
            f"~ At home [b] took {parts[0]}. To it [b.he] added {', then '.join(parts[1:])}.",
            f'{{It tasted good|It was burnt|It smelled strange}}. "{{Did you take|So you took}} {text}?" asked [a]. "{first_upper(text)}," said [b]. {{"Just as you said."|"Not more and not less."|}}',
        )
    )


ECHOES = (
    packing_game,
    packing_game,
    there_and_back,
    there_and_back,
    shopping_list,
    passed_on,
    passed_on,
    presents,
    presents,
    swaps,
    swaps,
    house_that,
    doors,
    witnesses,
    song,
    stage_play,
    morning_noise,
    lost_property,
    rooms,
    rooms,
    recipe,
)


def echo_story(rng: random.Random, teller: Teller, tell) -> str:
    """Casts up to five people, then `tell`s it."""
    teller.person("a", "b", "c", "d", "e")
    teller.bind(
        box=rng.choice(teller.village.lists["CONTAINER"]),
        pet=rng.choice(teller.village.pets),
        k=rng.choice(teller.village.lists["KIN"]),
        DAYNAME=rng.choice(("Monday", "Friday", "Sunday")),
        dish=rng.choice(teller.village.lists["FOOD"]),
    )
    teller.bind(town=teller.village.name, othertown=teller.village.neighbour)
    return tell(rng, teller)
