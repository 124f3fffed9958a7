"""Exercises on whole words and sentences: rewriting, sorting, counting, reading. Their material is made, not looked up."""

import random

from tools.sample import words, world
from tools.sample.lessons import Slots, exercise
from tools.sample.words import listed
from tools.sample.world import table

# A few people who do a few things: enough to see whether a rule was understood, and few enough to be known well.
PUPILS = {"he": words.BOYS[:4], "she": words.GIRLS[:4]}
NAMES = PUPILS["he"] + PUPILS["she"]
DEEDS = world.ACTIONS[:12]
WHENS = listed("every day|after school|at home")
PLACES = listed("on the table|in the drawer|under the bed|behind the door|in the basket")
OBJECTS = listed("ball kite hat key lamp drum book map")
NOUNS = listed("apple boat cat dog garden horse lamp river table window")
COUNTED = listed("dog cat boat lamp book tree door flower")
SHORT_LONG = table("""
    bee, lamp, elephant
    cup, horse, umbrella
    hat, river, lighthouse
    sun, bread, telescope
    key, apple, strawberry
    box, table, chocolate
    dog, kite, firefighter
    owl, spoon, playground
    pig, boat, butterfly
    map, chair, carpenter
""")


def person(rng: random.Random) -> tuple[str, str]:
    he = rng.choice(("he", "she"))
    return rng.choice(PUPILS[he]), he


def action(rng: random.Random) -> Slots:
    """One sentence in all the forms that a task can ask for."""
    base, third, past, thing = rng.choice(DEEDS)
    (name, he), when = person(rng), rng.choice(WHENS)
    other = "she" if he == "he" else "he"
    end = f"{thing} {when}"
    return {
        "name": name,
        "now": f"{name} {third} {end}.",
        "then": f"{name} {past} {end}.",
        "future": f"{name} will {base} {end}.",
        "negative": f"{name} does not {base} {end}.",
        "question": f"Does {name} {base} {end}?",
        "pronoun": f"{he.capitalize()} {third} {end}.",
        "swapped": f"{other.capitalize()} {third} {end}.",
        "we": f"We {base} {end}.",
        "i": f"I {base} {end}.",
        "bare": f"{name[0].lower()}{name[1:]} {third} {end}",
        "who": f"Who {third} {thing}?",
        "what": f"{name} {third} {thing}.",
        "verb": third,
    }


def many(rng: random.Random) -> Slots:
    """`The dog is hungry.` and `The dogs are hungry.`"""
    noun, look = rng.choice(COUNTED), rng.choice(("big", "small", "old", "new", "white", "red"))
    return {"one": f"The {noun} is {look}.", "more": f"The {noun}s are {look}."}


def holders(rng: random.Random) -> Slots:
    """Two people, two things: who has which, and the two exchanged."""
    first, second = rng.sample(NAMES, 2)
    x, y = rng.sample(OBJECTS, 2)
    flip = rng.random() < 0.5
    return {
        "text": f"{first} has the {x}. {second} has the {y}.",
        "asked": y if flip else x,
        "who": second if flip else first,
        "first": first,
        "x": x,
        "second": second,
        "y": y,
    }


def places(rng: random.Random) -> Slots:
    x, y = rng.sample(OBJECTS, 2)
    here, there = rng.sample(PLACES, 2)
    asked, where = rng.choice(((x, here), (y, there)))
    return {"text": f"The {x} is {here}. The {y} is {there}.", "asked": asked, "where": where}


def journey(rng: random.Random) -> Slots:
    name, he = person(rng)
    first, second = rng.sample(("park", "market", "school", "harbour", "library", "forest", "farm", "mill"), 2)
    return {
        "text": f"{name} went to the {first}. Then {he} went to the {second}.",
        "name": name,
        "place": second,
        "before": first,
    }


def sentence_words(rng: random.Random) -> Slots:
    slots = action(rng)
    text = rng.choice((slots["now"], slots["what"], slots["now"][:-1] + " with joy.", slots["what"][:-1] + " again."))
    parts = text.rstrip(".").split()
    return {"text": text, "count": str(len(parts)), "first": parts[0], "last": parts[-1]}


def letters(rng: random.Random) -> Slots:
    word = rng.choice(NOUNS)
    return {"word": word, "first": word[0], "last": word[-1]}


def sorting(rng: random.Random) -> Slots:
    while (three := rng.sample(NOUNS, 3)) == sorted(three):
        pass
    return {"three": ", ".join(three), "sorted": ", ".join(sorted(three)), "top": sorted(three)[0]}


def sizes(rng: random.Random) -> Slots:
    ranks = sorted(rng.sample(range(len(world.ANIMALS_BY_SIZE)), 3))
    ordered = [world.ANIMALS_BY_SIZE[rank] for rank in ranks]
    while (shown := rng.sample(ordered, 3)) == ordered:
        pass
    return {"three": ", ".join(shown), "ordered": ", ".join(ordered)}


def lengths(rng: random.Random) -> Slots:
    three = rng.choice(SHORT_LONG)
    shown = rng.sample(three, 3)
    return {"three": ", ".join(shown), "longest": three[-1], "shortest": three[0]}


def pair(rng: random.Random) -> Slots:
    x, y = rng.sample(OBJECTS, 2)
    return {"x": x, "y": y}


def feeling(rng: random.Random) -> Slots:
    mood = rng.choice(("happy", "sad"))
    name, _ = person(rng)
    sentence = rng.choice(world.HAPPY if mood == "happy" else world.SAD).format(who=name)
    return {"text": sentence + ".", "mood": mood, "name": name}


def writing(rng: random.Random) -> Slots:
    """A line that is either from a phone or from a book."""
    if rng.random() < 0.5:
        name = rng.choice(NAMES).lower()
        line = rng.choice(
            (
                f"hi {name}, c u 2nite, luv mum",
                f"r u ok {name}? pls txt me",
                f"gr8 news {name}, call me asap",
                f"soz {name} running late lol",
                f"thx 4 the bday card {name}",
                f"{name} pls get milk b4 u come home",
            )
        )
        return {"text": line, "kind": "text message"}
    slots = action(rng)
    opener = rng.choice(("Once upon a time", "Long ago", "One morning", "In a small village"))
    return {"text": f"{opener} {slots['then']}", "kind": "story"}


EXERCISES = (
    exercise("question", action),
    exercise("negative", action),
    exercise("into_past", action),
    exercise("pronoun", action),
    exercise("singular_plural", many),
    exercise("who_has", holders),
    exercise("where_is", places),
    exercise("journey", journey),
    exercise("reverse", pair),
    exercise("count_words", sentence_words),
    exercise("letter", letters),
    exercise("alphabetical", sorting),
    exercise("by_size", sizes),
    exercise("longest_word", lengths),
    exercise("sentiment", feeling),
    exercise("text_or_story", writing),
)
