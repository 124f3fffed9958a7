"""What can be asked about a single word or fact of the world, and how the answer sounds.

Each `Kind` is asked in two ways: `written`, as an instruction record (instruction, input, output), and `spoken`, by a teacher in a
story (question, answer). Pupils and records answer in the same words, so that what was read in school helps with the task;
but no record is written down in any story.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gptmill.data.sample import world
from gptmill.data.sample.telling import tidy

Slots = dict[str, str]


@dataclass(frozen=True)
class Kind:
    """One kind of task: `draw` makes its slots, the templates say how to ask and to answer with them."""

    name: str
    draw: Callable[[random.Random], Slots]
    written: tuple[tuple[str, str, str], ...]
    spoken: tuple[tuple[str, str], ...]
    rows: tuple[Slots, ...] = ()  # all the slots there are, where these can be counted

    def record(self, rng: random.Random) -> dict[str, str]:
        slots = self.draw(rng)
        instruction, given, output = rng.choice(self.written)
        output = output.format(**slots)
        return {
            "instruction": tidy(instruction.format(**slots)),
            "input": given.format(**slots),
            "output": tidy(output) if output.endswith((".", "?")) else output,  # a bare word stays as it is
        }


def phrasings(text: str) -> dict[str, tuple]:
    """Lines `instruction | input => output` are written tasks, lines `? question => answer` are spoken in class."""
    written, spoken = [], []
    for line in text.strip().splitlines():
        question, answer = line.strip().split(" => ")
        if question.startswith("? "):
            spoken.append((question[2:], answer))
        else:
            instruction, _, given = question.partition(" | ")
            written.append((instruction, given, answer))
    return {"written": tuple(written), "spoken": tuple(spoken)}


def exercise(name: str, draw: Callable[[random.Random], Slots], text: str) -> Kind:
    return Kind(name, draw, **phrasings(text))


def facts(name: str, columns: str, rows: Iterable[tuple], text: str) -> Kind:
    """A kind with a table behind it. `rows` holds tuples whose fields are named by `columns`."""
    table = tuple(dict(zip(columns.split(), map(str, row), strict=True)) for row in rows)
    return Kind(name, lambda rng: rng.choice(table), rows=table, **phrasings(text))


def both_ways(pairs: dict[str, str]) -> list[tuple[str, str]]:
    """(a, b) and (b, a), except where b is the partner of two words."""
    values = list(pairs.values())
    back = [(b, a) for a, b in pairs.items() if values.count(b) == 1 and b not in pairs]
    return list(pairs.items()) + back


def animal_rows(column: int) -> list[tuple[str, str]]:
    return [(animal, known[column]) for animal, known in world.ANIMALS.items()]


def job_rows(column: int) -> list[tuple[str, str]]:
    return [(job, known[column]) for job, known in world.JOBS.items()]


def category_rows():
    return [(word, category) for category, members in world.CATEGORIES.items() for word in members]


def colour_rows():
    uncounted = ("snow", "coal", "grass", "milk", "chocolate", "butter", "salt", "honey")
    return [(x, x if x in uncounted else f"a {x}", colour) for x, colour in world.COLOURS_OF.items()]


def yes_no_rows():
    """True and false statements about animals, colours and categories, half and half."""
    rows = []
    animals = list(world.ANIMALS)
    for i, (animal, (sound, _, home, food, _)) in enumerate(world.ANIMALS.items()):
        wrong = animals[(i + 5) % len(animals)]
        rows.append((f"does a {animal} {sound}", f"Yes, a {animal} can {sound}."))
        rows.append((f"does a {wrong} {sound}", f"No, a {wrong} cannot {sound}, but a {animal} can."))
    for word, category in category_rows()[::2]:
        if category in ("colour", "drink"):  # nobody says `a white` or `a milk`
            continue
        wrong = "fruit" if category != "fruit" else "tool"
        rows.append((f"is a {word} a {category}", f"Yes, a {word} is a {category}."))
        rows.append((f"is a {word} a {wrong}", f"No, a {word} is a {category}."))
    return [(tidy(question)[0].lower() + tidy(question)[1:], answer) for question, answer in rows]


def odd_one_out(rng: random.Random) -> Slots:
    inside, outside = rng.sample([c for c in world.CATEGORIES], 2)
    if {inside, outside} == {"animal", "bird"}:  # a duck is an animal too
        outside = "tool"
    three = rng.sample(world.CATEGORIES[inside], 2)
    odd = rng.choice(world.CATEGORIES[outside])
    shown = three + [odd]
    rng.shuffle(shown)
    return {"three": ", ".join(shown), "odd": odd, "inside": inside, "outside": outside}


def sum_rows():
    return [(a, b, a + b) for a in range(1, 10) for b in range(1, 10)]


def difference_rows():
    return [(a + b, b, a) for a in range(1, 10) for b in range(1, 8)]


def size_rows():
    order = world.ANIMALS_BY_SIZE
    return [
        (*(pair if flip else pair[::-1]), b, a)
        for i, a in enumerate(order)
        for b in order[i + 1 :]
        for pair in ((a, b),)
        for flip in (True, False)
    ]


def next_rows(names):
    return [(name, names[(i + 1) % len(names)], names[i - 1]) for i, name in enumerate(names)]


FACTS = (
    facts(
        "opposite",
        "x y",
        both_ways(world.OPPOSITES),
        """
    What is the opposite of '{x}'? => The opposite of '{x}' is '{y}'.
    Give the opposite of the word '{x}'. => The opposite of '{x}' is '{y}'.
    Write the opposite of the word. | {x} => {y}
    Find a word that means the opposite. | {x} => The opposite of '{x}' is '{y}'.
    ? Tell me the opposite of '{x}' => The opposite of '{x}' is '{y}'
    ? Who knows the opposite of '{x}'? => The opposite of '{x}' is '{y}'
""",
    ),
    facts(
        "synonym",
        "x y",
        world.SYNONYMS.items(),
        """
    Give a synonym for '{x}'. => A synonym for '{x}' is '{y}'.
    What is a synonym for the word '{x}'? => A synonym for '{x}' is '{y}'.
    Find a word with the same meaning. | {x} => {y}
    Name a word that means the same as the input. | {x} => A synonym for '{x}' is '{y}'.
    ? Which word means the same as '{x}'? => A synonym for '{x}' is '{y}'
    ? Now a synonym for '{x}', please => A synonym for '{x}' is '{y}'
""",
    ),
    facts(
        "plural",
        "x y",
        world.PLURALS.items(),
        """
    What is the plural of '{x}'? => The plural of '{x}' is '{y}'.
    Write the plural of the word. | {x} => {y}
    Give the plural form of '{x}'. => The plural of '{x}' is '{y}'.
    ? One {x}, two what? => The plural of '{x}' is '{y}'
    ? Who can tell me the plural of '{x}'? => The plural of '{x}' is '{y}'
""",
    ),
    facts(
        "past",
        "x y",
        world.PASTS.items(),
        """
    What is the past tense of '{x}'? => The past tense of '{x}' is '{y}'.
    Give the past tense of the verb. | {x} => {y}
    Write the past tense of the verb '{x}'. => The past tense of '{x}' is '{y}'.
    ? Today I {x}. And yesterday? => The past tense of '{x}' is '{y}'
    ? Who knows the past tense of '{x}'? => The past tense of '{x}' is '{y}'
""",
    ),
    facts(
        "comparative",
        "x y z",
        ((word, *forms) for word, forms in world.COMPARATIVES.items()),
        """
    What is the comparative of '{x}'? => The comparative of '{x}' is '{y}'.
    What is the superlative of '{x}'? => The superlative of '{x}' is '{z}'.
    Give the comparative form of the word. | {x} => {y}
    Give the superlative form of the word. | {x} => {z}
    ? What comes after '{x}'? => The comparative of '{x}' is '{y}', and the superlative of '{x}' is '{z}'
    ? Compare with the word '{x}' => The comparative of '{x}' is '{y}', and the superlative of '{x}' is '{z}'
""",
    ),
    facts(
        "category",
        "x y",
        category_rows(),
        """
    Which category does '{x}' belong to? => '{x}' belongs to the category '{y}'.
    Name the category of the word. | {x} => {y}
    Sort the word into a category. | {x} => '{x}' belongs to the category '{y}'.
    ? Where does '{x}' belong? => '{x}' belongs to the category '{y}'
    ? What kind of word is '{x}'? => '{x}' belongs to the category '{y}'
""",
    ),
    facts(
        "sound",
        "x y",
        animal_rows(0),
        """
    Which animal can {y}? => A {x} can {y}.
    What sound does a {x} make? => A {x} makes the sound '{y}'.
    Name the animal that makes this sound. | {y} => {x}
    Name the sound of the animal. | {x} => {y}
    ? Who makes the sound '{y}'? => A {x} makes the sound '{y}'
    ? What does a {x} say? => A {x} makes the sound '{y}'
""",
    ),
    facts(
        "home",
        "x y",
        animal_rows(2),
        """
    Where does a {x} live? => A {x} lives in a {y}.
    Name the home of the animal. | {x} => {y}
    In which place can you find a {x}? => A {x} lives in a {y}.
    ? Where is the home of the {x}? => A {x} lives in a {y}
    ? And where does the {x} sleep? => A {x} lives in a {y}
""",
    ),
    facts(
        "food",
        "x y",
        animal_rows(3),
        """
    What does a {x} eat? => A {x} eats {y}.
    Name the favourite food of the animal. | {x} => {y}
    What food should you bring to a {x}? => A {x} eats {y}.
    ? What do we feed a {x}? => A {x} eats {y}
    ? What does the {x} like? => A {x} eats {y}
""",
    ),
    facts(
        "young",
        "x y",
        animal_rows(4),
        """
    What is a young {x} called? => A young {x} is called a {y}.
    Name the young of the animal. | {x} => {y}
    What do we call the baby of a {x}? => A young {x} is called a {y}.
    ? What is the child of a {x}? => A young {x} is called a {y}
    ? Tell us about the baby {x} => A young {x} is called a {y}
""",
    ),
    facts(
        "tool",
        "x y",
        job_rows(0),
        """
    Which tool does a {x} use? => A {x} uses the {y}.
    Name the tool of the job. | {x} => {y}
    Who works with the {y}? => A {x} works with the {y}.
    ? What does a {x} need for work? => A {x} uses the {y}
    ? Who uses the {y}? => A {x} works with the {y}
""",
    ),
    facts(
        "workplace",
        "x y",
        job_rows(1),
        """
    Where does a {x} work? => The workplace of a {x} is the {y}.
    Name the place where this person works. | {x} => {y}
    In which place would you meet a {x}? => The workplace of a {x} is the {y}.
    ? Where do we find the {x}? => The workplace of a {x} is the {y}
    ? Tell me where a {x} spends the day => The workplace of a {x} is the {y}
""",
    ),
    facts(
        "colour",
        "x a y",
        colour_rows(),
        """
    What is the colour of {a}? => The colour of {a} is {y}.
    Name the colour of the thing. | {x} => {y}
    Which colour does {a} have? => The colour of {a} is {y}.
    ? Which colour do you need to paint {a}? => The colour of {a} is {y}
    ? Close your eyes. What colour is {a}? => The colour of {a} is {y}
""",
    ),
    facts(
        "day",
        "x y z",
        next_rows(world.DAYS),
        """
    Which day comes after {x}? => {y} comes after {x}.
    Which day comes before {x}? => {z} comes before {x}.
    Name the next day. | {x} => {y}
    Today is {x}. What day will it be tomorrow? => Tomorrow it will be {y}.
    Today is {x}. What day was it yesterday? => Yesterday it was {z}.
    ? What follows {x}? => {y} comes after {x}, and {z} comes before {x}
    ? Today is {x} => Tomorrow it will be {y}, and yesterday it was {z}
""",
    ),
    facts(
        "month",
        "x y z",
        next_rows(world.MONTHS),
        """
    Which month comes after {x}? => {y} comes after {x}.
    Which month comes before {x}? => {z} comes before {x}.
    Name the next month. | {x} => {y}
    ? What comes around {x}? => {y} comes after {x}, and {z} comes before {x}
    ? Who knows the months around {x}? => {y} comes after {x}, and {z} comes before {x}
""",
    ),
    facts(
        "season",
        "x y",
        world.SEASON_OF.items(),
        """
    In which season is {x}? => {x} is in {y}.
    Name the season of the month. | {x} => {y}
    Which season does {x} belong to? => {x} is in {y}.
    ? And the season of {x}? => {x} is in {y}
    ? Which part of the year is {x}? => {x} is in {y}
""",
    ),
    facts(
        "sum",
        "x y z",
        sum_rows(),
        """
    What is {x} plus {y}? => {x} plus {y} is {z}.
    Add the two numbers. | {x} and {y} => {z}
    Add {x} and {y}. => {x} plus {y} is {z}.
    ? How much is {x} plus {y}? => {x} plus {y} is {z}
    ? {x} plus {y}, please => {x} plus {y} is {z}
""",
    ),
    facts(
        "difference",
        "x y z",
        difference_rows(),
        """
    What is {x} minus {y}? => {x} minus {y} is {z}.
    Take {y} away from {x}. => {x} minus {y} is {z}.
    ? How much is {x} minus {y}? => {x} minus {y} is {z}
    ? {x} minus {y}, please => {x} minus {y} is {z}
""",
    ),
    facts(
        "even_odd",
        "x y",
        ((number, "odd" if number % 2 else "even") for number in range(1, 31)),
        """
    Is {x} even or odd? => {x} is {y}.
    Is the number even or odd? | {x} => {x} is {y}.
    Decide whether the number is even or odd. | {x} => {x} is {y}.
    ? Even or odd: {x}? => {x} is {y}
    ? What about {x}, even or odd? => {x} is {y}
""",
    ),
    facts(
        "rhyme",
        "x y",
        world.RHYMES.items(),
        """
    Which word rhymes with '{x}'? => '{x}' rhymes with '{y}'.
    Find a rhyme for the word. | {x} => {y}
    Give a word that rhymes with '{x}'. => '{x}' rhymes with '{y}'.
    ? We need a rhyme for '{x}' => '{x}' rhymes with '{y}'
    ? Make me a rhyme with '{x}' => '{x}' rhymes with '{y}'
""",
    ),
    facts(
        "abbreviation",
        "x y",
        world.ABBREVIATIONS.items(),
        """
    What does '{x}' stand for in a text message? => '{x}' stands for '{y}'.
    Write the abbreviation in full. | {x} => {y}
    Explain the abbreviation '{x}'. => '{x}' stands for '{y}'.
    ? My phone says '{x}'. What is that? => '{x}' stands for '{y}'
    ? What do people mean by '{x}'? => '{x}' stands for '{y}'
""",
    ),
    facts(
        "spelling",
        "x y",
        world.SPELLINGS.items(),
        """
    Correct the spelling of the word. | {x} => {y}
    How do you spell '{x}' correctly? => The right spelling of '{x}' is '{y}'.
    Fix the spelling mistake. | {x} => The right spelling of '{x}' is '{y}'.
    ? Somebody wrote '{x}'. What is wrong? => The right spelling of '{x}' is '{y}'
    ? Look at the board: '{x}' => The right spelling of '{x}' is '{y}'
""",
    ),
    facts(
        "proverb",
        "x y",
        world.PROVERBS.items(),
        """
    Complete the proverb. | {x} => {x} {y}.
    How does the proverb '{x}' end? => {x} {y}.
    Finish the old saying. | {x} ... => {x} {y}.
    ? How does the saying go on: '{x}'? => {x} {y}
    ? Who can finish this: '{x}'? => {x} {y}
""",
    ),
    facts(
        "bigger",
        "x y b a",
        size_rows(),
        """
    Which is bigger, a {x} or a {y}? => A {b} is bigger than a {a}.
    Compare the size of the two animals. | {x} and {y} => A {b} is bigger than a {a}.
    Name the smaller animal. | {x} or {y} => {a}
    ? A {x} and a {y} stand on the scales. Who is bigger? => A {b} is bigger than a {a}
    ? Compare a {x} with a {y} => A {b} is bigger than a {a}
""",
    ),
    facts(
        "yes_no",
        "x y",
        yes_no_rows(),
        """
    Answer yes or no: {x}? => {y}
    Answer the question with yes or no. | {x}? => {y}
    ? Yes or no: {x}? => {y}
    ? True or false? Tell me, {x}? => {y}
""",
    ),
    exercise(
        "odd_one_out",
        odd_one_out,
        """
    Which word does not belong? | {three} => '{odd}' does not belong, because it is not a {inside}.
    Find the odd one out. | {three} => {odd}
    Name the odd one out: {three}. => '{odd}' does not belong, because it is not a {inside}.
    ? Three words: {three}. Which one is odd? => '{odd}' does not belong, because it is not a {inside}
    ? Listen: {three}. Who is the stranger here? => '{odd}' does not belong, because it is not a {inside}
""",
    ),
)
