"""The input of all contenders: model sizes, and texts as token ids, in one file that each contender's process reads.

Real texts come from the mirror (`GPTMILL_MIRROR`, see docs); without one, as many of the sample's texts, with a tokenizer
trained on the sample's corpus. Weights are random: speed does not depend on them.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gptmill.text.tokenizer import Tokenizer

GPT2 = {"vocab_size": 50257, "context_length": 1024, "n_layers": 12, "n_heads": 12, "d_model": 768}  # 124M
MINIATURE = {"vocab_size": 50257, "context_length": 128, "n_layers": 2, "n_heads": 2, "d_model": 16}
SHAKESPEARE = "tinyshakespeare.txt"
MESSAGES = (1045, 149, 300)  # training, validation, test: 747 of each class, split 70 : 10 : 20 as the book does
INSTRUCTIONS = 935
LENGTH = 120  # of a padded message

# Tokenizer, [label, message] pairs, instruction records.
Texts = tuple["Tokenizer", list[list[str]], list[dict[str, str]]]


@dataclass(frozen=True)
class Work:
    model: dict[str, int]
    rows: int  # of a pretraining batch, and their tokens
    tokens: int
    steps: int  # measured, after the first two
    messages: list[list[list[int]]]  # token ids of the three splits
    labels: list[list[int]]
    epochs: int
    instructions: list[tuple[list[int], list[int]]]  # prompt and answer
    prompts: list[list[int]]  # for generation,
    new: int  # and new tokens of each
    real: bool  # whether messages and instructions are the public ones
    shakespeare: str  # path; "" if there is none

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def prepare(*, small: bool = False) -> Work:
    """The input of a run. `small`: a miniature for tests, whose speed is meaningless."""
    from gptmill.text import prompts

    mirror = Path(os.environ["GPTMILL_MIRROR"]) if os.environ.get("GPTMILL_MIRROR") else None
    tokenizer, messages, records = _public(mirror) if mirror and not small else _sample()
    random = np.random.default_rng(1)
    classes = [[text for label, text in messages if label == name] for name in ("ham", "spam")]
    fewest = min(map(len, classes))
    balanced = [
        (tokenizer.encode(text)[:LENGTH], label)
        for label, texts in enumerate(classes)
        for text in random.permutation(texts)[:fewest].tolist()
    ]
    balanced = [balanced[i] for i in random.permutation(len(balanced))]
    sizes = (12, 6, 6) if small else MESSAGES
    ends = np.cumsum(sizes)
    splits = [balanced[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    shuffled = random.permutation(np.array(records, dtype=object))  # as in a training
    records = shuffled[: 60 if small else INSTRUCTIONS]
    alpaca = prompts.TEMPLATES["alpaca"]
    instructions = [
        (tokenizer.encode(alpaca.prompt(r["instruction"], r["input"])), [*tokenizer.encode(r["output"]), 50256])
        for r in records
    ]
    shakespeare = str(mirror / SHAKESPEARE) if mirror and (mirror / SHAKESPEARE).is_file() else ""
    return Work(
        model=MINIATURE if small else GPT2,
        rows=2 if small else 4,
        tokens=16 if small else 256,
        steps=2 if small else 5,
        messages=[[tokens for tokens, _ in split] for split in splits],
        labels=[[label for _, label in split] for split in splits],
        epochs=2 if small else 5,
        instructions=[(prompt[:64], answer[:64]) for prompt, answer in instructions] if small else instructions,
        prompts=random.integers(0, GPT2["vocab_size"], (3, 8) if small else (16, 60)).tolist(),
        new=4 if small else 40,
        real=mirror is not None and not small,
        shakespeare="" if small else shakespeare,
    )


def _public(mirror: Path) -> Texts:
    from gptmill.text.tokenizer import Tokenizer

    lines = (mirror / "SMSSpamCollection").read_text(encoding="utf-8").splitlines()
    records = json.loads((mirror / "instruction-data.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_gpt2_files(mirror / "gpt2" / "encoder.json")
    return tokenizer, [line.split("\t", 1) for line in lines if line], records


def _sample() -> Texts:
    from gptmill.ingest import sample
    from gptmill.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.train([sample.corpus(200_000)], 4096)
    lines = sample.messages(5574).splitlines()
    return tokenizer, [line.split("\t", 1) for line in lines if line], json.loads(sample.instructions(1100))
