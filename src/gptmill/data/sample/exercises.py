"""Exercises on whole words and sentences: rewriting, sorting, counting, reading. Their material is made, not looked up."""

import random

from gptmill.data.sample import words, world
from gptmill.data.sample.lessons import Slots, exercise
from gptmill.data.sample.words import listed
from gptmill.data.sample.world import table

WHENS = listed("every day|every morning|in the garden|after school|on Sunday|at home")
PLACES = listed("""
    on the table|in the drawer|under the bed|behind the door|in the basket|on the shelf|near the window|in the garden|beside the stove
""")
OBJECTS = listed("ball kite hat key lamp drum book map cup ring coin bell doll boat rope box")
NOUNS = listed("cat dog boat lamp apple river garden window bread horse letter kitchen queen table nest ship violet zebra uncle ice jar")
COUNTED = listed("dog cat boat lamp book girl boy house tree horse cow door flower cup")
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
    return rng.choice(words.BOYS if he == "he" else words.GIRLS), he


def action(rng: random.Random) -> Slots:
    """One sentence in all the forms that a task can ask for."""
    base, third, past, thing = rng.choice(world.ACTIONS)
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
    noun, look = rng.choice(COUNTED), rng.choice(("big", "small", "old", "new", "white", "red", "lovely", "clean", "ready", "here"))
    return {"one": f"The {noun} is {look}.", "more": f"The {noun}s are {look}."}


def holders(rng: random.Random) -> Slots:
    """Two people, two things: who has which, and the two exchanged."""
    first, second = rng.sample(words.GIRLS + words.BOYS, 2)
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
    return {"text": f"{name} went to the {first}. Then {he} went to the {second}.", "name": name, "place": second, "before": first}


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
    x, y = rng.sample(OBJECTS + world.FRUITS, 2)
    return {"x": x, "y": y}


def feeling(rng: random.Random) -> Slots:
    mood = rng.choice(("happy", "sad"))
    name, _ = person(rng)
    sentence = rng.choice(world.HAPPY if mood == "happy" else world.SAD).format(who=name)
    return {"text": sentence + ".", "mood": mood, "name": name}


def writing(rng: random.Random) -> Slots:
    """A line that is either from a phone or from a book."""
    if rng.random() < 0.5:
        name = rng.choice(words.GIRLS + words.BOYS).lower()
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
    exercise(
        "question",
        action,
        """
    Make a question from the sentence. | {now} => {question}
    Turn the statement into a question. | {now} => {question}
    Rewrite the sentence as a question: {now} => {question}
    ? Make a question out of this: '{now}' => {question}
""",
    ),
    exercise(
        "negative",
        action,
        """
    Make the sentence negative. | {now} => {negative}
    Rewrite the sentence so that it is negative. | {now} => {negative}
    Add 'not' to the sentence: {now} => {negative}
    ? Say that it is not so: '{now}' => {negative}
""",
    ),
    exercise(
        "into_past",
        action,
        """
    Rewrite the sentence in the past tense. | {now} => {then}
    Put the sentence into the past tense. | {now} => {then}
    Change the sentence to the past: {now} => {then}
    ? Yesterday, not today: '{now}' => {then}
""",
    ),
    exercise(
        "into_future",
        action,
        """
    Rewrite the sentence in the future tense. | {now} => {future}
    Put the sentence into the future: {now} => {future}
    ? Tomorrow, not today: '{now}' => {future}
""",
    ),
    exercise(
        "pronoun",
        action,
        """
    Replace the name with a pronoun. | {now} => {pronoun}
    Change he to she, or she to he. | {pronoun} => {swapped}
    Use 'he' or 'she' in place of the name: {now} => {pronoun}
    ? Say it with a pronoun: '{now}' => {pronoun}
    ? Change he to she or she to he: '{pronoun}' => {swapped}
""",
    ),
    exercise(
        "singular_plural",
        many,
        """
    Change the sentence from singular to plural. | {one} => {more}
    Change the sentence from plural to singular. | {more} => {one}
    Rewrite the sentence in the plural: {one} => {more}
    ? Now there are two of them: '{one}' => {more}
    ? Now there is only one: '{more}' => {one}
""",
    ),
    exercise(
        "punctuation",
        action,
        """
    Add the missing capital letter and full stop. | {bare} => {now}
    Write the sentence with correct punctuation. | {bare} => {now}
    ? There is no capital and no full stop: '{bare}' => {now}
""",
    ),
    exercise(
        "who_has",
        holders,
        """
    Who has the {asked}? | {text} => {who} has the {asked}.
    Read the text and say who has the {asked}. | {text} => {who} has the {asked}.
    Answer in one word: who has the {asked}? | {text} => {who}
    ? Listen: {text} Who has the {asked}? => {who} has the {asked}
""",
    ),
    exercise(
        "where_is",
        places,
        """
    Where is the {asked}? | {text} => The {asked} is {where}.
    Read the text and find the {asked}. | {text} => The {asked} is {where}.
    ? Listen: {text} Where is the {asked}? => The {asked} is {where}
""",
    ),
    exercise(
        "journey",
        journey,
        """
    Where is {name} now? | {text} => {name} is in the {place}.
    Where was {name} first? | {text} => {name} was in the {before} first.
    ? {text} Where is {name} now? => {name} is in the {place}
    ? {text} Where was {name} first? => {name} was in the {before} first
""",
    ),
    exercise(
        "exchange",
        holders,
        """
    Exchange the two things. | {text} => {first} has the {y}. {second} has the {x}.
    The two people swap their things. Write who has what. | {text} => {first} has the {y}. {second} has the {x}.
    ? {text} Now they swap => Now {first} has the {y}, and {second} has the {x}
""",
    ),
    exercise(
        "reverse",
        pair,
        """
    Reverse the order of the two things. | the {x} and the {y} => the {y} and the {x}
    Write the two words in reverse order. | {x}, {y} => {y}, {x}
    ? Say it the other way round: '{x}, {y}' => {y}, {x}
    ? Turn it around: 'the {x} and the {y}' => the {y} and the {x}
""",
    ),
    exercise(
        "count_words",
        sentence_words,
        """
    Count the words in the sentence. | {text} => The sentence has {count} words.
    How many words are in the sentence? | {text} => The sentence has {count} words.
    ? How many words do you count in '{text}' => The sentence has {count} words
""",
    ),
    exercise(
        "first_last_word",
        sentence_words,
        """
    What is the first word of the sentence? | {text} => The first word is '{first}'.
    What is the last word of the sentence? | {text} => The last word is '{last}'.
    Write the last word of the sentence. | {text} => {last}
    ? Read '{text}' Which word is the first? => The first word is '{first}'
    ? Read '{text}' Which word is the last? => The last word is '{last}'
""",
    ),
    exercise(
        "letter",
        letters,
        """
    What is the first letter of '{word}'? => The first letter of '{word}' is '{first}'.
    What is the last letter of '{word}'? => The last letter of '{word}' is '{last}'.
    Name the first letter of the word. | {word} => {first}
    ? Spell the word '{word}'. How does it begin? => The first letter of '{word}' is '{first}'
    ? How does '{word}' end? => The last letter of '{word}' is '{last}'
""",
    ),
    exercise(
        "alphabetical",
        sorting,
        """
    Sort the words in alphabetical order. | {three} => {sorted}
    Put the three words in alphabetical order. | {three} => {sorted}
    ? In alphabetical order, please: {three} => {sorted}
""",
    ),
    exercise(
        "by_size",
        sizes,
        """
    Sort the animals from the smallest to the biggest. | {three} => {ordered}
    Order the animals by size, the smallest first: {three}. => {ordered}
    ? From the smallest to the biggest: {three} => {ordered}
""",
    ),
    exercise(
        "longest_word",
        lengths,
        """
    Which word is the longest? | {three} => The longest word is '{longest}'.
    Which word is the shortest? | {three} => The shortest word is '{shortest}'.
    Find the longest word. | {three} => {longest}
    ? Which is the longest: {three}? => The longest word is '{longest}'
    ? Which is the shortest: {three}? => The shortest word is '{shortest}'
""",
    ),
    exercise(
        "sentiment",
        feeling,
        """
    Is the sentence happy or sad? | {text} => The sentence is {mood}.
    Name the feeling of the sentence. | {text} => {mood}
    How does {name} feel? | {text} => {name} feels {mood}.
    ? '{text}' Is that happy or sad? => The sentence is {mood}
    ? '{text}' How does {name} feel? => {name} feels {mood}
""",
    ),
    exercise(
        "text_or_story",
        writing,
        """
    Is this a text message or a story? | {text} => This is a {kind}.
    Decide whether the input is a text message or a story. | {text} => {kind}
    ? Somebody wrote '{text}' Is it a text message or a story? => This is a {kind}
""",
    ),
)
