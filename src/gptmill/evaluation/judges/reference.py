"""The judge that is there without a network: how like the reference an answer is."""

import re
from collections.abc import Iterable, Sequence

from gptmill.evaluation.judges import Record


class ReferenceJudge:
    """Likeness to the reference answer, in words and in characters. It is no LLM: a right answer in other words gets too little."""

    name = "reference (no LLM)"

    def judge(self, records: Sequence[Record]) -> Iterable[Record]:
        for record in records:
            yield {"score": self.score(str(record["output"]), str(record["response"])), "failure": None}

    def score(self, reference: str, response: str) -> int:
        """100 for the same words; else the mean of word and character likeness (normalised Indel similarity), 0 to 99."""
        from rapidfuzz import fuzz

        ours, theirs = words(response), words(reference)
        if ours == theirs:
            return 100
        if not ours:
            return 0
        likeness = (fuzz.ratio(ours, theirs) + fuzz.ratio(" ".join(ours), " ".join(theirs))) / 2
        return min(99, round(likeness))


def words(text: str) -> list[str]:
    """Lower-case words and numbers, without punctuation."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.casefold())
