"""An inbox like the SMS Spam Collection: mostly chat, 13.4% spam, repeats, and neither class to be had by watching for a word."""

import random

from tools.sample import ham, spam
from tools.sample.crossed import crossed
from tools.sample.texting import fill, type_out

SPAM_SHARE = 747 / 5574
REPEATED = 0.07
FIRMS, FRIENDS, ANYONE = (
    ("formal", "formal", "plain", "quick"),
    ("teen", "quick", "quick", "plain"),
    ("formal", "plain", "quick", "teen"),
)
TAIL = ("ok", "lol", "xx", "x", "call me", "see you", "haha", "cheers", "miss you", "love you", "thanks", "bye")


def ham_message(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.04:
        return rng.choice(ham.SHORTEST)
    if draw < 0.12:
        return type_out(rng, fill(rng, rng.choice(ham.SERVICES)), rng.choice(FIRMS))
    if draw < 0.20:
        return type_out(rng, fill(rng, crossed(rng, honest=True)), rng.choice(ANYONE))
    if draw < 0.45:
        return type_out(rng, fill(rng, rng.choice(ham.LOOKALIKES)), rng.choice(FRIENDS))
    text = fill(rng, rng.choice(ham.EVERYDAY))
    if rng.random() < 0.2:
        text += rng.choice((". ", ", ", " ")) + fill(rng, rng.choice(ham.EVERYDAY))
    return type_out(rng, text, rng.choice(FRIENDS))


def spam_message(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.35:
        return type_out(rng, fill(rng, crossed(rng, honest=False)), rng.choice(ANYONE))
    return type_out(rng, fill(rng, rng.choice(spam.LOUD if draw < 0.75 else spam.QUIET)), rng.choice(FIRMS))


def near_repeat(rng: random.Random, text: str) -> str:
    """The same message as a person would send it again: with a word more, or in another case."""
    return rng.choice((text + " " + rng.choice(TAIL), text.lower(), text.replace(".", ""), text + "!"))


def make_messages(seed: int, rows: int = 5574) -> str:
    """Lines `label<TAB>text` in random order; `rows` of them, 13.4% spam, about 7% exact repeats."""
    rng = random.Random(f"messages {seed}")
    spam_rows = round(rows * SPAM_SHARE)
    lines = []
    for label, count, write in (("spam", spam_rows, spam_message), ("ham", rows - spam_rows, ham_message)):
        repeats, near = round(count * REPEATED * 0.75), round(count * 0.01)  # chance makes some more among the shortest
        texts = [write(rng) for _ in range(count - repeats - near)]
        texts += [near_repeat(rng, text) for text in rng.sample(texts, near)]
        texts += rng.choices(texts, k=repeats)
        lines += [f"{label}\t{text}" for text in texts]
    rng.shuffle(lines)
    return "\n".join(lines) + "\n"
