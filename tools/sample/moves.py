# ruff: noqa: E501  (templates are prose: one thought a line)
"""Stories that are acted out: people walk, take, hide, give, buy and eat, and at the end the telling asks where everything is.

A tiny simulation keeps the state, so whatever a story says last about a thing is true because of what happened before.
"""

import random

from tools.sample.telling import Teller
from tools.sample.world import COLOURS_OF, DAYS, MONTHS, NUMBERS, SEASON_OF, plural


def hide_and_carry(rng: random.Random, teller: Teller) -> str:
    """Two people and two things move about a house."""
    teller.person("a", "b")
    teller.thing("x", "y")
    teller.weather()
    rooms = rng.sample(teller.village.lists["ROOM"], 3)
    boxes = rng.sample(
        [c for c in teller.village.lists["CONTAINER"] if c not in (teller.bound["x"], teller.bound["y"])], 3
    )
    box_in = dict(zip(rooms, boxes, strict=False))
    where = {"x": rooms[0], "y": rooms[1]}  # a room, a person's key, or a box
    at = {"a": rooms[0], "b": rooms[1]}
    lines = [
        rng.choice(
            (
                f"[a] and [b] lived in {{a [LOOK] house|an old mill|a [COLOUR] cottage}} with a {rooms[0]}, a {rooms[1]} and a {rooms[2]}.",
                "[sky] [a] and [b] were at home {and bored|with nothing to do|and in a good mood}.",
                f"[FIRST] [a] visited [b]. The house had a {rooms[0]}, a {rooms[1]} and a {rooms[2]}.",
            )
        ),
        f"A [x.full] lay in the {rooms[0]}, and a [y.full] {{stood|was|lay}} in the {rooms[1]}.",
        f"[a] was in the {rooms[0]}, and [b] was in the {rooms[1]}.",
    ]
    for _ in range(rng.randint(4, 7)):
        who = rng.choice("ab")
        other = "b" if who == "a" else "a"
        held = [k for k in "xy" if where[k] == who]
        here = [k for k in "xy" if where[k] == at[who]]
        move = rng.random()
        if here and not held:
            thing = here[0]
            where[thing] = who
            lines.append(f"[{who}] {{picked up|took|grabbed|lifted}} the [{thing}.full] {{[ADVERB]|[MANNER]|}}.")
        elif held and move < 0.35:
            thing, box = held[0], box_in[at[who]]
            where[thing] = box
            lines.append(
                f"[{who}] {{put|hid|laid}} the [{thing}] {{in|into}} the {box} in the {at[who]}{{, where nobody would look| [ADVERB]|}}."
            )
        elif held and at[who] == at[other] and move < 0.7:
            thing = held[0]
            where[thing] = other
            lines.append(
                f"[{who}] {{gave|handed}} the [{thing}] to [{other}], and [{other}] {{thanked [{who}.him]|was [GOOD]|smiled}}."
            )
        else:
            at[who] = rng.choice([room for room in rooms if room != at[who]])
            with_it = f" with the [{held[0]}]" if held else ""
            lines.append(
                f"{{Then|After that|[TIME]|Soon}} [{who}] {{went|walked|ran|crept}} {{in|}}to the {at[who]}{with_it}."
            )
        if rng.random() < 0.25:
            lines.append("~")
    for thing in "xy":
        place = where[thing]
        if place in "ab":
            answer = rng.choice((f"[{place}] had it", f"[{place}] was holding it", f"It was in [{place}]'s hands"))
        elif place in box_in.values():
            room = next(room for room, box in box_in.items() if box == place)
            answer = f"It was in the {place} in the {room}"
        else:
            answer = f"It was still in the {place}"
        lines.append(f"{{And where|Where}} was the [{thing}.full] {{now|at the end|in the end}}? {answer}.")
    lines.append(
        f"And [a] was in the {at['a']}, and [b] {{was there too|was with [a.him]}}."
        if at["a"] == at["b"]
        else f"And [a] was in the {at['a']}, but [b] was in the {at['b']}."
    )
    return " ".join(lines)


def shopping(rng: random.Random, teller: Teller) -> str:
    """Fruit is bought, eaten, given away and counted."""
    teller.person("a", "b")
    teller.thing("x")
    teller.weather()
    fruit = rng.choice(teller.village.fruits)
    teller.bind(
        f=fruit,
        fs=plural(fruit),
        colour=COLOURS_OF[fruit],
        k=rng.choice(teller.village.lists["KIN"]),
        town=teller.village.name,
        box=rng.choice(teller.village.lists["CONTAINER"]),
    )
    left = rng.randint(5, 12)
    lines = [
        f"[FIRST] [a]'s [k] sent [a.him] to the market in [town]. [sky] ~ [a] bought {NUMBERS[left]} [colour] [fs] "
        "{from a [VIRTUE] [PEOPLE]|for [NUMBER] coins} and put them {in|into} a [COLOUR] [box]."
    ]
    for _ in range(rng.randint(2, 3)):
        part = rng.randint(1, max(1, min(5, left - 1)))
        count, them = NUMBERS[part], "[f]" if part == 1 else "[fs]"
        if rng.random() < 0.25 and left + part <= 15:
            lines.append(
                f"{{A [PEOPLE]|[b]}} gave [a.him] {count} more, and {NUMBERS[left]} plus {count} is {NUMBERS[left + part]}."
            )
            left += part
        elif left - part > 0:
            lines.append(
                rng.choice(
                    (
                        f"[a] {{was hungry and|}} ate {count} {them} {{under a [TREE]|on the [PART]|on the way}}",
                        f"Then [a] met [b] and gave [b.him] {count} {them}",
                        f"At the [PLACE] {count} {them} fell out of the [box] and {{rolled away|could not be found}}",
                    )
                )
                + f", and {NUMBERS[left]} minus {count} is {NUMBERS[left - part]}."
            )
            left -= part
        lines.append("~" if rng.random() < 0.5 else "")
    them = "[f]" if left == 1 else "[fs]"
    lines.append(
        f'Back home {{[a.his] [k]|the [k]}} {{opened|looked into|emptied}} the [box]. "How many [fs] are there?" asked the [k]. '
        f'"{NUMBERS[left].capitalize()} [colour] {them}," said [a]. {{The [k] laughed|"That is enough for a cake," said the [k]|'
        f"They cut {'it' if left == 1 else 'them'} up and made [FOOD]}}."
    )
    return " ".join(lines)


def diary(rng: random.Random, teller: Teller) -> str:
    """A week, day by day, in order, and one promise from its start that is kept at its end."""
    teller.person("a", "b")
    teller.thing("x")
    teller.weather()
    start, month = rng.randrange(7), rng.choice(MONTHS)
    teller.bind(
        month=month, season=SEASON_OF[month], k=rng.choice(teller.village.lists["KIN"]), town=teller.village.name
    )
    plans = rng.sample(
        (
            "[a] planted {a [COLOUR] [FLOWER]|[NUMBER] beans} beside the [PART]",
            "[a] {lost|found} a [LOOK] [THING] at the [PLACE]",
            "[a] helped [a.his] [k] with the [FOOD]",
            "[a] played [GAME] with [b] and {won|lost}",
            "it rained, and [a] read about [HOBBY]",
            "[a] was ill and stayed in bed with [DRINK] and [FOOD]",
            "[a] wrote a letter to a [VIRTUE] [PEOPLE]",
            "[a] and [b] walked to the [PLACE] and saw [SIGHT]",
            "[b] taught [a] a song about a [LOOK] [THING]",
            "[a] cleaned the [ROOM] and found [NUMBER] coins",
            "[a] tried [HOBBY] for the first time",
            "a [PEOPLE] came to tea and told jokes",
        ),
        5,
    )
    days = [DAYS[(start + i) % 7] for i in range(len(plans) + 1)]
    lines = [
        f"It was [month], and [season] had come to [town]. On {days[0]} [a] promised [b] {{a|the}} [x.full]. "
        f'"{{You will have it|I will finish it}} before {days[-1]} is over," said [a].'
    ]
    for day, plan in zip(days, ["[a] began to make the [x] out of [MATERIAL]"] + plans[:-1], strict=False):
        lines.append(rng.choice((f"On {day} {plan}.", f"On {day}, {{[TIME]|[TIME]}}, {plan}.")))
    lines.append(
        f'Then {days[-1]} came, the day after {days[-2]}. [a] {{carried|brought|took}} the [x.full] to [b]. "{{You kept your promise|You did not '
        f'forget}}," said [b], and {{hung|placed|put}} the [x] {{on the shelf|by the window|over the stove}}, where it stayed {{to this day|all [season]}}.'
    )
    return " ".join(lines)


MOVES = (hide_and_carry, hide_and_carry, hide_and_carry, shopping, diary)
