"""A small template language for prose, and the teller who speaks it.

    {went|walked} to the [place]      one of the alternatives (they nest; an empty one leaves the words out)
    [a], [a.he], [a.his], [^x]        what the story has bound to a name; ^ makes the first letter a capital
    [ADVERB]                          any word of that list in `words.py`
    <msg>                             text that goes in untouched: a phone message, a misspelt word
    ~                                 room for a passing remark (`beats.py`); ~b if b is there to take part in it

Articles and the capitals at sentence starts are put right at the end, so templates needn't know what they'll be filled with.
"""

import random
import re

from tools.sample import words
from tools.sample.villages import VILLAGES
from tools.sample.world import ANIMALS

CHOICE = re.compile(r"\{([^{}]*)\}")
NAME = re.compile(r"\[(\^?)([A-Za-z_.]+)\]")
VERBATIM = re.compile(r"<(\w+)>")
ARTICLE = re.compile(r"\b([Aa]) (?=[\"']?(?:[aeioAEIO]|u(?!n[io]|s)|honest|hour))(?!one\b|once\b)")
SENTENCE_START = re.compile(r"(^|[.!?]\s+|\.[\"']\s+|\n)([a-z])")

PRONOUNS = {
    "she": {
        "he": "she",
        "him": "her",
        "his": "her",
        "himself": "herself",
        "kid": "girl",
        "child": "daughter",
        "sib": "sister",
    },
    "he": {
        "he": "he",
        "him": "him",
        "his": "his",
        "himself": "himself",
        "kid": "boy",
        "child": "son",
        "sib": "brother",
    },
}


def articles(text: str) -> str:
    """`a owl` as `an owl`."""
    return ARTICLE.sub(r"\1n ", text)


def tidy(text: str) -> str:
    """Single spaces, `an` before vowels, capitals where sentences start."""
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    text = re.sub(r" ([.,!?;])", r"\1", text).strip()
    text = articles(text)
    return SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)


def first_upper(text: str) -> str:
    """`str.capitalize` would make the rest small."""
    return text[:1].upper() + text[1:]


class Deck:
    """Deals the rows of a table in random order, all of them before any comes twice, so that no fact goes unmentioned."""

    def __init__(self, rng: random.Random, rows):
        self.rng, self.rows, self.pile = rng, list(rows), []

    def deal(self):
        if not self.pile:
            self.pile = self.rng.sample(self.rows, len(self.rows))
        return self.pile.pop()


class Teller:
    """One story's memory: who and what has been introduced under which name."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.village = rng.choice(VILLAGES)
        self.bound: dict[str, str] = {}
        self.verbatim: dict[str, str] = {}
        self.used: set[str] = set()

    def fresh(self, rows):
        """A pick that this story hasn't used yet, so that two people never share a name."""
        while (pick := self.rng.choice(rows)) in self.used:
            pass
        self.used.add(pick)
        return pick

    def person(self, *keys: str, pronoun: str | None = None) -> None:
        for key in keys:
            he = pronoun or self.rng.choice(("he", "she"))
            if self.used.issuperset(self.village.boys if he == "he" else self.village.girls):
                he = "she" if he == "he" else "he"
            self.bind_person(key, self.fresh(self.village.boys if he == "he" else self.village.girls), he)

    def bind_person(self, key: str, name: str, he: str) -> None:
        self.bound[key] = name
        for form, word in PRONOUNS[he].items():
            self.bound[f"{key}.{form}"] = word
            self.bound[f"{key}.{form.capitalize()}"] = word.capitalize()

    def teacher(self, key: str = "t") -> None:
        self.bind_person(key, *self.village.teacher)

    def pet(self, key: str) -> None:
        kind = self.rng.choice(self.village.animals)
        sound, sounded, home, food, young = ANIMALS[kind]
        self.bind(
            **{
                key: self.fresh(self.village.pets),
                key + ".kind": kind,
                key + ".sound": sound,
                key + ".sounded": sounded,
                key + ".home": home,
                key + ".food": food,
                key + ".young": young,
            }
        )

    def thing(self, *keys: str) -> None:
        """`x` is the noun, `x.full` carries the colour or look that it keeps for the whole story."""
        for key in keys:
            noun = self.fresh(self.village.lists["THING"])
            look = self.rng.choice(self.village.lists[self.rng.choice(("COLOUR", "COLOUR", "LOOK"))])
            self.bound.update({key: noun, key + ".look": look, key + ".full": f"{look} {noun}"})

    def place(self, *keys: str, rows: str = "PLACE") -> None:
        for key in keys:
            self.bound[key] = self.fresh(self.village.lists[rows])

    def weather(self) -> None:
        kind = self.rng.choice(self.village.weathers)
        skies, wear, feel = words.WEATHER[kind]
        self.bind(weather=kind, sky=self.rng.choice(skies), wear=wear, feel=feel)
        if kind not in words.WARM_WEATHER:
            self.bind(wrap=wear)  # what one is glad to have on

    def bind(self, **values) -> None:
        self.bound.update({key.replace("__", "."): str(value) for key, value in values.items()})

    def quote(self, **texts: str) -> None:
        self.verbatim.update(texts)

    def knows(self, template: str, told: str) -> bool:
        """Has the story so far (`told`, a template too) introduced everyone and everything that `template` mentions?"""
        names = {name for _, name in NAME.findall(template)} - words.LISTS.keys()
        heard = {name.split(".")[0] for _, name in NAME.findall(told)}
        if "sky" in heard:
            heard |= {"weather", "feel", "wrap"}
        return all(name in self.bound and name.split(".")[0] in heard for name in names)

    def fill(self, template: str) -> str:
        """Choices, then names; not yet tidy."""
        rng = self.rng
        while "{" in template:
            template = CHOICE.sub(lambda match: rng.choice(match[1].split("|")), template)

        picked: set[str] = set()

        def name(match):
            if not (word := self.bound.get(match[2])):
                rows = self.village.lists[match[2]]
                word = rng.choice(
                    [row for row in rows if row not in picked] or rows
                )  # `mint and mint` is no pair of smells
                picked.add(word)
            return first_upper(word) if match[1] else word

        return NAME.sub(name, template)

    def tell(self, template: str) -> str:
        text = tidy(self.fill(template))
        return VERBATIM.sub(lambda match: self.verbatim[match[1]], text)
