"""Ten villages that share the world: each has its own people, animals, trades, sights and things, the same in every story.

So a story's place shows in all its words. A reader who has met Pippa knows that the lighthouse can't be far; three words are not enough
to know it, but a look at the whole story is.
"""

from dataclasses import dataclass

from tools.sample import words, world

SHARED = ("NUMBER", "TONE", "MANNER", "EXCLAIM", "KIN", "BODY", "TIME", "FIRST")  # said alike everywhere


@dataclass(frozen=True)
class Village:
    name: str
    neighbour: str  # where its people travel to
    girls: tuple[str, ...]
    boys: tuple[str, ...]
    teacher: tuple[str, str]  # name, pronoun
    pets: tuple[str, ...]
    animals: tuple[str, ...]
    jobs: tuple[str, ...]
    fruits: tuple[str, ...]
    weathers: tuple[str, ...]
    lists: dict[str, tuple[str, ...]]  # `words.LISTS`, but only what there is in this village


def share(rows, index: int, least: int) -> tuple[str, ...]:
    """The rows of village `index`: a tenth, or a few more that it shares with its neighbours."""
    rows = tuple(rows)
    step = len(rows) / len(words.TOWNS)
    start = round(index * step)
    return tuple(rows[(start + i) % len(rows)] for i in range(max(least, round(step))))


def found(index: int, name: str) -> Village:
    lists = {
        key: rows if key in SHARED else share(rows, index, 6 if key in ("THING", "COLOUR", "LOOK") else 4)
        for key, rows in words.LISTS.items()
    }
    return Village(
        name=name,
        neighbour=words.TOWNS[(index + 1) % len(words.TOWNS)],
        girls=share(words.GIRLS, index, 3),
        boys=share(words.BOYS, index, 3),
        teacher=words.TEACHERS[index % len(words.TEACHERS)],
        pets=share(words.PET_NAMES, index, 2),
        lists=lists,
        animals=share(
            (a for a in world.ANIMALS if a not in ("bee", "snake", "lion", "elephant", "wolf", "bear")), index, 3
        ),
        jobs=share(
            (job for job in world.JOBS if job not in ("teacher", "barber")), index, 3
        ),  # nobody carries `a chalk` or `a scissors`
        fruits=share(world.FRUITS, index, 2),
        weathers=share(words.WEATHER, index, 2),
    )


VILLAGES = tuple(found(index, name) for index, name in enumerate(words.TOWNS))
