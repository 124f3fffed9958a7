# ruff: noqa: E501  (templates are prose: one thought a line)
"""School stories: a teacher asks about the world, pupils answer, now and then one is wrong and gets put right."""

import random
import re

from tools.sample.exercises import COUNTED, EXERCISES, NOUNS, OBJECTS, SHORT_LONG
from tools.sample.lessons import FACTS, Kind
from tools.sample.phrasings import TEXT
from tools.sample.telling import Deck, Teller, first_upper
from tools.sample.world import (
    ACTIONS,
    CATEGORIES,
    COLOURS_OF,
    HAPPY,
    JOBS,
    OPPOSITES,
    PASTS,
    PLURALS,
    RHYMES,
    SAD,
    SYNONYMS,
)

OPENINGS = """
[FIRST] {the bell rang|the bell rang late} in the school of [town], and the children {sat down|took their seats|ran in}. Their teacher was [t], who {was [VIRTUE] and [VIRTUE]|liked [HOBBY]|wore a [COLOUR] coat}.
[a] and [b] went to school in [town]. [FIRST] [t], their teacher, {wrote a word on the board|put a [LOOK] [THING] on the table|said that they would play a game}.
[sky] In the school of [town] it was warm, and [t] {had lit the stove|had brought some [FOOD]|was in a {good|merry|cheerful} mood}. [a] sat {next to|behind|in front of} [b].
[FIRST] [a] was late for school. {[a.He] had missed the bus|[a.His] bicycle was broken|[a.He] had lost a shoe}, and [t] {was cross|only smiled|shook [t.his] head}. [b] {kept a seat free|moved over} for [a.him].
[t] was the new teacher in [town]. [sky] "{Good morning|Hello|Welcome}," {said [t]|[t.he] said}. "{I ask, and you answer|Today I want to hear what you know|Let us see who is awake}."
""".strip().splitlines()

CARDS = """
[t] gave everyone a card with a task. Below the picture stood an instruction. "An instruction describes a task," said [t]. "Read it, then write a response." [a] {finished first|needed [NUMBER] minutes}.
"This is a request," said [t]. "A good response appropriately completes the request. {Do not write too much|One sentence is enough|Think first}." [a] and [b] began to write.
On the board stood an instruction that describes a task, and below it an input. "The input gives you the words," [t] {explained|said}. "Your response completes the request." [b] {nodded|sighed|looked for a pencil}.
"Write a response to each instruction below," said [t], "and use the input where there is one." [a] {read the task twice|asked what an input was|began at once}.
"What is a request?" asked [b]. "Something that one asks for," said [t]. "Each instruction describes a task, and your response appropriately completes it."
""".strip().splitlines()

TASK_TALK = """
"Decide which words are missing," said [t]. "Explain the full meaning, compare the form with its pair, and name the category."
"Here is a proverb to complete. Then give me a verb, then a pronoun, then a statement," said [t]. "After that we turn the statement into a question with correct punctuation."
"Rewrite it in full, and correctly," said [t]. "Find the mistake, correct it, and fix the spelling." [a] {used a rubber|took a new page}.
"Put the words in order," said [t]. "Sort them, reverse them, exchange them. That is how one learns what a word can do."
"A comparative tells us more, a superlative tells us most," said [t]. "And every noun has a singular and a plural."
"Add what is missing, replace what is wrong, and answer in one word where you can," said [t].
"The past tense is for yesterday, the future tense is for tomorrow," said [t]. [b] {nodded|wrote that down|yawned}.
"How would you answer a request like that?" said [t]. "Should it be spelled out? What do you call the young of an animal, and whose favourite food is it?"
"We meet a baker in the bakery, and a rhyme in a poem," said [t]. "A person is in a place, a feeling is in a sentence, and a letter is in a word. Order them by size!"
"Not every abbreviation on your phones is in the dictionary," said [t]. "People write them in a text message, where the meaning must be short."
"A negative sentence says no," said [t]. "Make it negative, so that we can do the same with the next."
"Find the sum! Two people swap, two numbers are taken away, an old saying is finished," said [t]. "Whether it is true or not, read it first."
"In the wood live many animals. Read their names in alphabetical order, and say how many you find," said [t]. "A small word may be the smallest, the shortest or the longest."
""".strip().splitlines()

EXCHANGES = """
"{Q}" {asked [t]|said [t]|the teacher asked}. "{A}," {said [s]|answered [s]|[s] answered [ADVERB]}.
{Then|Next|After that|Now} it was [s]'s turn. "{Q}" asked [t]. "{A}," {said [s]|[s] said [TONE]}.
"{Q}" [s] {thought for a moment|put up a hand|did not have to think|looked at [o]|scratched [s.his] head}. "{A}," [s.he] {said|answered|whispered}.
[t] {turned to|looked at|pointed to|smiled at} [s]. "{Q}" "{A}," {said [s]|[s] answered|[s.he] said [ADVERB]}.
[o] wanted to ask too. "{Q}" asked [o]. "{A}," said [s], and [t] {nodded|was pleased|said that it was correct}.
"{Q}" asked [t]. "I do not know," said [o] {[ADVERB]|with a red face|and looked down}. "{A}," {said [s]|[s] helped [o.him]|whispered [s]}.
[t] {wrote on the board|said to the class|read from a card}: "{Q}" [s] {wrote below it|wrote|answered}: "{A}."
""".strip().splitlines()

PRAISE = (
    """
"{Right|Correct|Very good|Well done|That is right|Good}," said [t].
{[o] clapped|[t] smiled|[o] was impressed|Everyone nodded|[t] wrote it on the board}.
[s] {was proud|felt [GOOD]|sat down again|smiled at [o]}.
"Who told you that?" asked [t]. "My [KIN]," said [s].
""".strip().splitlines()
    + [""] * 7
)

ENDINGS = """
When the bell rang, [a] and [b] {ran out|went home together|played [GAME] in the yard}. {What a day it had been|School was over}. [sky]
"That is enough for today," said [t] [TONE]. [a] went home to [a.his] [KIN] and {asked the same questions again|told the whole story|ate [FOOD]}.
At the end [a] had {answered most|made only one mistake|learned something new}, and [b] {had too|was proud of [a.him]|wanted to be a teacher}.
[b] {packed|closed} [b.his] satchel. "Tomorrow I will know even more," [b.he] said to [a], and they {walked back through [town]|raced to the bridge}.
After school [t] {fed the school parrot|cleaned the board|wiped the tables} and {thought that [a] and [b] were clever|whistled a song|locked the door}.
""".strip().splitlines()

HOMEWORK = """
For homework [a] had to learn some sentences by heart. {In the evening|After supper} [a.he] read them to [a.his] [k]:
[a] {sat|stood} in the kitchen with a [LOOK] notebook. {"What did you learn today?" asked [a.his] [k].|"Read to me," said [a.his] [k].} [a] read:
[sky] [a] stayed at home and learned for school. Again and again [a.he] said to [a.his] [k]:
""".strip().splitlines()


def spelling_bees() -> list[str]:
    """Every word of the instruction tasks gets spelled at some time, however seldom its own lesson comes up."""
    asked = re.sub(
        r"{\w+}",
        "",
        f"{TEXT.lower()} {' '.join(HAPPY + SAD)} mum dad soz bday asap luv thx card milk home news call running late upon once ago village again joy",
    )
    tables = [
        word
        for pairs in (OPPOSITES, SYNONYMS, PLURALS, PASTS, RHYMES, COLOURS_OF)
        for pair in pairs.items()
        for word in pair
    ]
    forms = [word for action in ACTIONS for part in action for word in part.split()] + [
        noun + end for noun in COUNTED for end in ("", "s")
    ]
    members = [word for group in (*CATEGORIES.values(), *SHORT_LONG) for word in group]
    spelled = [
        word
        for word in dict.fromkeys(
            [*re.findall(r"[a-z]{2,}", asked), *tables, *forms, *members, *NOUNS, *OBJECTS, *JOBS]
        )
    ]
    rows = [", ".join(spelled[i : i + 10]) for i in range(0, len(spelled), 10)]
    return [
        f'"{{Now spell|Spell these|Please spell}}: {row}," said [t]. {{[a]|[b]}} made {{no mistake|one mistake|two mistakes}}.'
        for row in rows
    ]


class School:
    """Keeps a deck per kind over the whole corpus: every fact of the world comes up, and about equally often."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.kinds = Deck(rng, [*FACTS, *FACTS, *EXERCISES])
        self.decks = {kind.name: Deck(rng, kind.rows) for kind in FACTS if kind.rows}
        self.homework_kinds = Deck(rng, [kind for kind in FACTS if kind.name not in ("yes_no", "odd_one_out")])
        self.asides = Deck(rng, [*CARDS, *TASK_TALK, *spelling_bees()])

    def slots(self, kind: Kind) -> dict[str, str]:
        return self.decks[kind.name].deal() if kind.name in self.decks else kind.draw(self.rng)

    def ask(self, teller: Teller, kind: Kind, spoken: tuple[str, str]) -> str:
        """One question and its answer, between the teacher and two pupils."""
        slots, (question, answer) = self.slots(kind), spoken
        question, answer = question.format(**slots), answer.format(**slots).rstrip(".")
        answer = answer if answer.endswith("?") else answer[0].upper() + answer[1:]
        pupils = self.rng.sample("ab", 2)
        for key, source in zip("so", pupils, strict=False):
            teller.bind_person(key, teller.bound[source], teller.bound[source + ".he"])
        exchange = self.rng.choice(EXCHANGES)
        if not question.endswith("?"):  # a request: said with a comma, or on its own with a full stop
            exchange = (
                exchange.replace('{Q}" {asked', '{Q}," {said')
                .replace('{Q}" asked', '{Q}," said')
                .replace('{Q}"', '{Q}."')
                .replace("the teacher asked", "the teacher said")
            )
        exchange = exchange.replace("{Q}", question[0].upper() + question[1:]).replace("{A}", answer)
        for double, single in (('?,"', '?"'), ('?."', '?"'), (".',", ".'"), (".'.", ".'")):
            exchange = exchange.replace(double, single)
        return exchange

    def homework(self, teller: Teller) -> str:
        """Facts of one kind learned by heart in the evening and asked for, in another order, the next day."""
        rng = self.rng
        teller.person("a", "b")
        teller.teacher()
        teller.weather()
        teller.bind(town=teller.village.name, k=rng.choice(teller.village.lists["KIN"]))
        kind = self.homework_kinds.deal()
        question, answer = rng.choice(kind.spoken)
        learnt = [self.slots(kind) for _ in range(rng.choice((4, 5, 6)))]
        sentences = [first_upper(answer.format(**slots).rstrip(".")) for slots in learnt]
        read = ". ".join(sentences) + "."
        parts = [
            teller.fill(rng.choice(HOMEWORK)),
            f'"{read}" {{"Once more," said the [k]. "{read}"|"Once more," said the [k]. "{read}"|The [k] nodded.}}',
            teller.fill(
                "{The next day|In the morning|At school} [t] {asked [a]|called [a] to the board|wanted to hear it}."
            ),
        ]
        order = rng.sample(range(len(learnt)), len(learnt))
        for turn, at in enumerate(order):
            asked = first_upper(question.format(**learnt[at]))
            asked += "" if asked.endswith(("?", ".", ".'")) else "."
            parts.append(
                f'"{asked}" "{sentences[at]},"'
                + (" said [a]." if turn == 0 else " {said [a]|[a] said|[a.he] said|answered [a]}.")
            )
        parts.append('{"You have done your homework," said [t]|[t] was pleased|[t] gave [a.him] a [COLOUR] star}.')
        if rng.random() < 0.5:
            parts.append(teller.fill(self.asides.deal()))
        return teller.tell(" ".join(parts).replace('.,"', '."'))

    def story(self, teller: Teller) -> str:
        """A lesson of three to eight questions of a kind or two, so that one answer helps with the next."""
        rng = self.rng
        teller.person("a", "b")
        teller.teacher()
        teller.weather()
        teller.bind(town=teller.village.name)
        parts = [rng.choice(OPENINGS)]
        if rng.random() < 0.7:
            parts.append(self.asides.deal())
        for _ in range(rng.choice((1, 1, 2))):
            kind = self.kinds.deal()
            spoken = rng.choice(kind.spoken)  # a teacher who asks one way keeps asking that way
            for _ in range(rng.choice((3, 4))):
                # Filled in here, because the pupils change places from one question to the next.
                parts.append(teller.fill(self.ask(teller, kind, spoken)))
                parts.append(teller.fill(rng.choice(PRAISE)))
        parts.append(rng.choice(ENDINGS))
        return teller.tell(" ".join(parts))
