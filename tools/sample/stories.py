"""The corpus: picks a way of telling, casts it, lets remarks fall in between, and strings the stories together."""

import random
import re

from gptmill.data.text_files import SEPARATOR
from tools.sample import world
from tools.sample.arcs import ARCS
from tools.sample.beats import BEATS
from tools.sample.echoes import ECHOES, echo_story
from tools.sample.moves import MOVES
from tools.sample.phone import phone_story
from tools.sample.school import School
from tools.sample.telling import Deck, Teller

RETELLINGS = (
    "{In [town] they|Around [town] people} {still tell it|remember it} like this:",
    "{In the evening|That night} [a] wrote {in a notebook|it down}:",
    "And [a.his] [KIN] {has to tell it|tells it} again and again:",
)


def cast(rng: random.Random, teller: Teller) -> None:
    """Everybody and everything that an arc may call on."""
    teller.person("a", "b")
    teller.thing("x", "y")
    teller.place("here", "there")
    teller.weather()
    kin_he = rng.choice(("he", "she"))
    teller.bind_person(
        "k",
        rng.choice(("father", "uncle", "grandfather") if kin_he == "he" else ("mother", "aunt", "grandmother")),
        kin_he,
    )
    town, other_town = teller.village.name, teller.village.neighbour
    job, other_job = rng.sample(teller.village.jobs, 2)
    fruit = rng.choice(teller.village.fruits)
    count = rng.randint(4, 12)
    teller.bind(
        town=town,
        othertown=other_town,
        job=job,
        tool=world.JOBS[job][0],
        workplace=world.JOBS[job][1],
        did=world.JOBS[job][2],
        otherjob=other_job,
        othertool=world.JOBS[other_job][0],
        f=fruit,
        fs=world.plural(fruit),
        colour=world.COLOURS_OF[fruit],
        count=world.NUMBERS[count],
        left=world.NUMBERS[count - 2],
        c=rng.choice([c for c in teller.village.lists["CONTAINER"] if c not in teller.used]),
        food=rng.choice(("soup", "porridge", "stew", "pudding")),
        room=rng.choice(teller.village.lists["ROOM"]),
        day=rng.choice(world.DAYS),
        instr=rng.choice(world.CATEGORIES["instrument"]),
        TIMELY=rng.choice(("morning", "evening", "noon")),
        wallet="purse",
        What="What",
        HIS="his",
        FOODITEM=rng.choice(("salt", "butter", "cabbage", "honey", "milk")),
        COLOURED=rng.choice(("black", "brown", "grey")),
        GOODLOOK=rng.choice(("pretty", "smooth", "strong")),
    )
    teller.bind(sky_low=teller.bound["sky"][0].lower() + teller.bound["sky"][1:])
    teller.pet("p")
    teller.bind(
        **{"p.his": "its", "otheranimal": rng.choice([a for a in world.ANIMALS if a != teller.bound["p.kind"]])}
    )


def remark(rng: random.Random, teller: Teller, head: str, company: bool, told: set[str]) -> str:
    """A passing remark that only mentions whom the story so far (`head`) has introduced, and that it hasn't made yet."""
    while True:
        beat = rng.choice(BEATS)
        if beat not in told and teller.knows(beat, head) and (company or "[b" not in beat):
            told.add(beat)
            return beat


def with_remarks(rng: random.Random, teller: Teller, template: str) -> str:
    told: set[str] = set()
    head, *rest = template.split("~")
    for part in rest:
        company, part = part.startswith("b"), part.removeprefix("b")
        for _ in range(rng.choice((0, 1, 1))):
            head += " " + remark(rng, teller, head, company, told)
        head += part
    return " ".join(head.split())


def retold(rng: random.Random, teller: Teller, text: str) -> str:
    """`text`, and how people tell some of it again: the very sentences."""
    sentences = [sentence for sentence in re.split(r"(?<=[.!]) ", text) if '"' not in sentence]
    start = rng.randrange(max(1, len(sentences) - 3))
    again = " ".join(sentences[start : start + rng.choice((3, 4))])
    return text + " " + teller.tell(rng.choice(RETELLINGS)) + f' "{again}"'


def make_corpus(seed: int, characters: int = 1_300_000) -> str:
    """Stories separated by `<|endoftext|>` lines, at least `characters` long."""
    rng = random.Random(f"corpus {seed}")
    school = School(rng)
    arcs, moves, echoes = Deck(rng, ARCS), Deck(rng, MOVES), Deck(rng, ECHOES)
    ways = Deck(rng, ["echo"] * 24 + ["homework"] * 6 + ["school"] * 3 + ["move"] * 4 + ["arc"] * 2 + ["phone"] * 2)
    stories, length = [], 0
    while length < characters:
        teller = Teller(rng)
        way = ways.deal()
        if way == "arc":
            template = arcs.deal()
            cast(rng, teller)
            text = retold(rng, teller, teller.tell(with_remarks(rng, teller, template)))
        elif way == "move":
            text = teller.tell(with_remarks(rng, teller, moves.deal()(rng, teller)))
            text = retold(rng, teller, text) if "town" in teller.bound else text
        elif way == "echo":
            text = teller.tell(with_remarks(rng, teller, echo_story(rng, teller, echoes.deal())))
        elif way == "homework":
            text = school.homework(teller)
        elif way == "school":
            text = school.story(teller)
        else:
            text = phone_story(rng, teller)
        stories.append(text)
        length += len(text) + len(SEPARATOR)
    return SEPARATOR.join(stories) + "\n"
