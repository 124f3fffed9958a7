"""What can be asked about a single word or fact of the world. How it is asked stands in `phrasings.py`."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tools.sample import world
from tools.sample.phrasings import PHRASINGS
from tools.sample.telling import articles, tidy

Slots = dict[str, str]
TAUGHT = 10  # rows of each table that are asked about: few enough to be met often, in school and in the tasks


@dataclass(frozen=True)
class Kind:
    """One kind of task: `draw` makes its slots, the templates say how to ask and to answer with them."""

    name: str
    draw: Callable[[random.Random], Slots]
    rows: tuple[Slots, ...] = ()  # all the slots there are, where these can be counted

    @property
    def spoken(self) -> list[tuple[str, str]]:
        """(question, answer) templates of the classroom."""
        return PHRASINGS[self.name]["spoken"]

    def record(self, rng: random.Random) -> dict[str, str]:
        """One instruction record of this kind."""
        slots = self.draw(rng)
        instruction, given, output = rng.choice(PHRASINGS[self.name]["written"])
        output = output.format(**slots)
        return {
            "instruction": tidy(instruction.format(**slots)),
            "input": articles(given.format(**slots)),
            "output": tidy(output) if output.endswith((".", "?")) else articles(output),  # a bare word stays small
        }


def exercise(name: str, draw: Callable[[random.Random], Slots]) -> Kind:
    return Kind(name, draw)


def facts(name: str, columns: str, rows: Iterable[tuple]) -> Kind:
    """A kind with a table behind it. `rows` holds tuples whose fields are named by `columns`."""
    table = tuple(dict(zip(columns.split(), map(str, row), strict=True)) for row in list(rows)[:TAUGHT])
    return Kind(name, lambda rng: rng.choice(table), table)


def animal_rows(column: int) -> list[tuple[str, str]]:
    return [(animal, known[column]) for animal, known in world.ANIMALS.items()]


def job_rows(column: int) -> list[tuple[str, str]]:
    return [(job, known[column]) for job, known in world.JOBS.items()]


def category_rows() -> list[tuple[str, str]]:
    """Two words of each of the first categories."""
    taught = list(world.CATEGORIES.items())[: TAUGHT // 2]
    return [(member, category) for category, members in taught for member in members[:2]]


def colour_rows() -> list[tuple[str, str, str]]:
    """(thing, thing with its article, colour)"""
    uncounted = ("snow", "coal", "grass", "milk", "chocolate", "butter", "salt", "honey")
    return [(x, x if x in uncounted else f"a {x}", colour) for x, colour in world.COLOURS_OF.items()]


def yes_no_rows() -> list[tuple[str, str]]:
    """True and false statements about the sounds of animals, half and half."""
    rows, animals = [], list(world.ANIMALS)[: TAUGHT // 2]
    for i, animal in enumerate(animals):
        sound, wrong = world.ANIMALS[animal][0], animals[(i + 3) % len(animals)]
        rows.append((f"does a {animal} {sound}", f"Yes, a {animal} can {sound}."))
        rows.append((f"does a {wrong} {sound}", f"No, a {wrong} cannot {sound}, but a {animal} can."))
    return rows


def odd_one_out(rng: random.Random) -> Slots:
    inside, outside = rng.sample(("animal", "fruit", "tool", "job"), 2)
    odd = rng.choice(world.CATEGORIES[outside][:4])
    shown = [*rng.sample(world.CATEGORIES[inside][:4], 2), odd]
    rng.shuffle(shown)
    return {"three": ", ".join(shown), "odd": odd, "inside": inside, "outside": outside}


def sum_rows() -> list[tuple[int, int, int]]:
    return [(a, b, a + b) for a in (2, 3, 4, 5) for b in (1, 2, 3, 5)]


def difference_rows() -> list[tuple[int, int, int]]:
    return [(total, b, a) for a, b, total in sum_rows()]


def size_rows() -> list[tuple[str, str, str, str]]:
    """(one, other, bigger, smaller), in both orders"""
    order = ("mouse", "dog", "cow", "elephant")
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    return [(a, b, b, a) for a, b in pairs] + [(b, a, b, a) for a, b in pairs]


def next_rows(names: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(name, the one after, the one before)"""
    return [(name, names[(i + 1) % len(names)], names[i - 1]) for i, name in enumerate(names)]


FACTS = (
    facts("opposite", "x y", world.OPPOSITES.items()),
    facts("synonym", "x y", world.SYNONYMS.items()),
    facts("plural", "x y", world.PLURALS.items()),
    facts("past", "x y", world.PASTS.items()),
    facts("comparative", "x y z", ((word, *forms) for word, forms in world.COMPARATIVES.items())),
    facts("category", "x y", category_rows()),
    facts("sound", "x y", animal_rows(0)),
    facts("home", "x y", animal_rows(2)),
    facts("food", "x y", animal_rows(3)),
    facts("young", "x y", animal_rows(4)),
    facts("tool", "x y", job_rows(0)),
    facts("workplace", "x y", job_rows(1)),
    facts("colour", "x a y", colour_rows()),
    facts("day", "x y z", next_rows(world.DAYS)),
    facts("month", "x y z", next_rows(world.MONTHS)),
    facts("season", "x y", world.SEASON_OF.items()),
    facts("sum", "x y z", sum_rows()),
    facts("difference", "x y z", difference_rows()),
    facts("even_odd", "x y", ((number, "odd" if number % 2 else "even") for number in range(1, 15))),
    facts("rhyme", "x y", world.RHYMES.items()),
    facts("abbreviation", "x y", world.ABBREVIATIONS.items()),
    facts("spelling", "x y", world.SPELLINGS.items()),
    facts("proverb", "x y", world.PROVERBS.items()),
    facts("bigger", "x y b a", size_rows()),
    facts("yes_no", "x y", yes_no_rows()),
    exercise("odd_one_out", odd_one_out),
)
