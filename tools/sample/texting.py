"""How people type on a phone: abbreviations, lost apostrophes, odd capitals, slips of the thumb. Spam and ham type alike."""

import random
import re

from tools.sample import words
from tools.sample.telling import CHOICE, NAME

SHORT = {
    "you": "u",
    "are": "r",
    "your": "ur",
    "for": "4",
    "to": "2",
    "great": "gr8",
    "tonight": "2nite",
    "tomorrow": "2moro",
    "please": "pls",
    "text": "txt",
    "before": "b4",
    "later": "l8r",
    "and": "n",
    "thanks": "thx",
    "because": "cuz",
    "see": "c",
    "love": "luv",
    "be": "b",
    "why": "y",
    "weekend": "wkend",
    "birthday": "bday",
    "message": "msg",
    "with": "wiv",
    "okay": "k",
    "people": "ppl",
    "what": "wot",
    "just": "jus",
    "have": "hav",
    "mate": "m8",
    "sorry": "soz",
    "going to": "gonna",
    "want to": "wanna",
    "that": "dat",
    "the": "da",
    "good": "gud",
    "night": "nite",
    "about": "bout",
    "number": "no",
}
# who types how: (chance of an abbreviation per word, of all lower case, of a lost apostrophe, of a slip per word)
STYLES = {
    "teen": (0.75, 0.8, 0.95, 0.025),
    "quick": (0.35, 0.6, 0.8, 0.02),
    "plain": (0.06, 0.2, 0.4, 0.008),
    "formal": (0.0, 0.0, 0.0, 0.0),
}

SLOTS = {
    "SHOP": [
        "Dunmore",
        "Halford Street",
        "Quickbuy",
        "Greengate",
        "Penrose",
        "Tallow and Son",
        "Bluebarn",
        "Maxwell",
        "Oakleys",
        "Kinver",
    ],
    "CO": [
        "Vistel",
        "Orbacell",
        "Dialwise",
        "FoneHub",
        "Zapmobile",
        "Ringo4U",
        "Cellstar",
        "TalkMore",
        "Mobizone",
        "Starline",
    ],
    "BANK": ["Northgate Bank", "Fairway Bank", "Carlow Bank", "Union Savings", "Harbour Bank"],
    "WHO": [
        "mum",
        "dad",
        "gran",
        "Auntie Jo",
        "Nan",
        "Kev",
        "Shaz",
        "Dave",
        "Priya",
        "Ali",
        "Meg",
        "Chloe",
        "Raj",
        "Steve",
        "Bex",
        "Lou",
        "Jamie",
        "Tash",
        "Gaz",
        "Fi",
    ],
    "HEY": [
        "hey",
        "hi",
        "hiya",
        "yo",
        "hello",
        "alright",
        "oi",
        "ey up",
        "hi hun",
        "hey babe",
        "hi mate",
        "morning",
        "evening",
        "hi love",
    ],
    "BYE": [
        "x",
        "xx",
        "xxx",
        "luv u",
        "see you",
        "bye",
        "cheers",
        "ta",
        "take care",
        "speak soon",
        "laters",
        "lol",
        "haha",
        ":)",
        ";)",
    ],
    "WHEN": [
        "at 7",
        "at half six",
        "after work",
        "after lunch",
        "tonight",
        "tomorrow",
        "on friday",
        "on sat",
        "this weekend",
        "in 10 mins",
        "at 8ish",
        "monday morning",
        "later",
    ],
    "DAY": ["Mon", "Tue", "Wed", "Thu", "Fri", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
    "SPOT": [
        "the pub",
        "mine",
        "yours",
        "the station",
        "town",
        "the gym",
        "the library",
        "work",
        "uni",
        "the park",
        "the cinema",
        "nans",
        "the bus stop",
        "the chippy",
        "costa corner",
    ],
    "EAT": [
        "pizza",
        "curry",
        "chips",
        "pasta",
        "a roast",
        "noodles",
        "toast",
        "soup",
        "a kebab",
        "fajitas",
        "fish fingers",
        "beans on toast",
        "leftover pie",
    ],
    "STUFF": [
        "milk",
        "bread",
        "loo roll",
        "cat food",
        "nappies",
        "eggs",
        "washing powder",
        "my charger",
        "the keys",
        "my blue jacket",
        "the tent",
        "your notes",
        "the tickets",
        "a bottle of red",
    ],
    "TOY": [
        "phone",
        "camera",
        "tv",
        "tablet",
        "games console",
        "watch",
        "laptop",
        "bike",
        "hi-fi",
        "holiday",
        "weekend break",
        "shopping spree",
        "spa day",
    ],
}


def slot(rng: random.Random, name: str) -> str:
    digits = lambda count: "".join(rng.choice("0123456789") for _ in range(count))  # noqa: E731
    if name == "PREMIUM":
        return rng.choice(("0906", "0871", "0900", "0845", "09")) + digits(rng.choice((6, 7)))
    if name == "MOBILE":
        return "07" + digits(9)
    if name == "LANDLINE":
        return "01" + digits(3) + rng.choice((" ", "")) + digits(6)
    if name == "SHORTCODE":
        return rng.choice("678") + digits(4)
    if name == "REF":
        return rng.choice("ABCKTX") + digits(rng.choice((3, 4, 5)))
    if name == "SUM":
        return rng.choice(("50", "100", "200", "250", "400", "500", "750", "1000", "1500", "2000", "5000"))
    if name == "FEW":
        return rng.choice(("1.20", "1.45", "1.99", "2.50", "2.99", "3.49", "0.99"))
    if name == "POUNDS":
        return rng.choice(("\u00a3", "\u00a3", "GBP ", "")) + slot(rng, "SUM")
    if name == "TIME":
        return rng.choice(
            (
                f"{rng.randint(8, 11)}am",
                f"{rng.randint(1, 7)}pm",
                f"{rng.randint(8, 18)}:{rng.choice(('00', '15', '30', '45'))}",
            )
        )
    if name == "DATE":
        return f"{rng.randint(1, 28)} {rng.choice(['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'])}"
    if name == "N":
        return str(rng.randint(2, 40))
    if name == "SITE":
        return (
            rng.choice(("www.", "", ""))
            + "-".join(
                rng.sample(
                    [
                        "quick",
                        "help",
                        "pay",
                        "my",
                        "fast",
                        "go",
                        "post",
                        "mail",
                        "gift",
                        "track",
                        "direct",
                        "safe",
                        "hub",
                    ],
                    2,
                )
            )
            + rng.choice((".net", ".info", ".biz", ".co", ".org"))
        )
    if name == "NAME":
        return rng.choice(words.GIRLS + words.BOYS)
    return rng.choice(SLOTS[name] if name in SLOTS else words.LISTS[name])


def fill(rng: random.Random, template: str) -> str:
    """The `{a|b}` and `[SLOT]` of a message."""
    while "{" in template:
        template = CHOICE.sub(lambda match: rng.choice(match[1].split("|")), template)
    return " ".join(NAME.sub(lambda match: slot(rng, match[2]), template).split()).replace(" ,", ",").replace(" .", ".")


def slip(rng: random.Random, word: str) -> str:
    """Two letters swapped, one lost, or one doubled."""
    at = rng.randrange(1, len(word) - 1)
    return rng.choice(
        (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
        )
    )


def type_out(rng: random.Random, text: str, style: str) -> str:
    """`text` as somebody of that style would type it. Words with digits or dots (links, numbers) stay as they are."""
    shorten, lower, lose, slips = STYLES[style]
    typed = []
    for token in text.split(" "):
        match = re.fullmatch(r"([A-Za-z']+)([.,!?:]*)", token)
        if match:
            word, tail = match.groups()
            if word.lower() in SHORT and rng.random() < shorten * (
                0.25 if len(word) < 4 and word.lower() != "you" else 1
            ):
                word = SHORT[word.lower()]
            elif len(word) > 4 and rng.random() < slips:
                word = slip(rng, word)
            token = word + tail
        typed.append(token)
    text = " ".join(typed)
    if rng.random() < lower:
        text = text.lower()
    elif style != "formal" and rng.random() < 0.04:
        text = text.upper()
    if rng.random() < lose:
        text = text.replace("'", "")
    if style in ("teen", "quick"):
        if rng.random() < 0.3:
            text = text.rstrip(".")
        if rng.random() < 0.15:
            text = text.replace(". ", rng.choice(("... ", "  ", " .. ", "! "))).replace("  ", " ")
    return text
