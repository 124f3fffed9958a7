"""Instruction records in the schema of the public sets: {"instruction", "input", "output"}, over forty kinds of task."""

import json
import random

from tools.sample.exercises import EXERCISES
from tools.sample.lessons import FACTS

KINDS = FACTS + EXERCISES
TURNS = FACTS + KINDS  # what can be known comes up twice as often as what has to be worked out
REPEATED = 0.008  # public sets repeat a few records as well


def draw_records(seed: int, rows: int) -> list[tuple[str, dict[str, str]]]:
    """`rows` pairs (kind, record), every kind in turn, no record twice apart from the few repeats."""
    rng = random.Random(f"instructions {seed}")
    repeats = int(rows * REPEATED)
    drawn, seen, given_up, turn = [], set(), set(), 0
    while len(drawn) < rows - repeats:
        kind = TURNS[turn % len(TURNS)]
        turn += 1
        if kind.name in given_up:
            continue
        for _ in range(20):
            record = kind.record(rng)
            key = (record["instruction"], record["input"])
            if key not in seen and record["output"] not in (record["input"], record["instruction"]):
                seen.add(key)
                drawn.append((kind.name, record))
                break
        else:  # small tables run dry
            given_up.add(kind.name)
    drawn += rng.choices(drawn, k=repeats)
    rng.shuffle(drawn)
    return drawn


def make_instructions(seed: int, rows: int = 1100) -> str:
    """A JSON list of `rows` records, one key per line as in the public files, ending with a newline."""
    return json.dumps([record for _, record in draw_records(seed, rows)], indent=4) + "\n"
