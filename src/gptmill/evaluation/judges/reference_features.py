"""Features of the reference judge: similarity of an answer to the reference answer, as shares from 0 to 1.

Words of the question weigh little, since repeating them shows no knowledge; numbers that it does not give weigh double.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import pairwise

import regex
from rapidfuzz.distance import LCSseq

from gptmill.text import writing_systems

LONGEST = 20_000  # characters of an answer that are read; more could only lower its score
FILLER, IN_INSTRUCTION, IN_INPUT, NUMBER = 0.2, 0.1, 0.4, 2.0  # factors of a word's weight

_FILLERS = frozenset((
    "a", "an", "the", "of", "in", "on", "at", "to", "for", "as", "by", "and", "or", "is", "are", "was", "were", "be",
    "can", "that", "this", "these", "those", "it", "its", "there", "so", "called", "given", "following", "about",
    "around", "roughly", "approximately", "typically",
))  # fmt: skip
_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_DIGITS = {name: str(value) for value, name in enumerate(_NUMBER_WORDS)}
_ONE_FORM = str.maketrans("‘’`“”「」『』−–×", '\'\'\'""""""--x')
# A run in a script without spaces is one match, white space included; no word or number continues into it.
_UNSPACED = f"{writing_systems.IDEOGRAPHS}{writing_systems.LETTERS}"
_IN_WORD = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]"
_BESIDE = rf"[[\p{{L}}\p{{M}}\p{{N}}_]--[{_UNSPACED}]]"
_TOKEN = regex.compile(
    rf"(?V1)(?P<number>(?:(?<!{_BESIDE}|\))-)?(?<!{_BESIDE})(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?(?!{_BESIDE}))"
    rf"|(?P<ideographs>[{writing_systems.IDEOGRAPHS}](?:\s*[{writing_systems.IDEOGRAPHS}\p{{M}}])*)"
    rf"|(?P<letters>[{writing_systems.LETTERS}](?:\s*[{writing_systems.LETTERS}\p{{M}}])*)|{_IN_WORD}+(?:'{_IN_WORD}+)*"
)
_SECTION = re.compile(r"^[ \t]*#{2,}[ \t]*(?:Instruction|Input|Response)\b:?", re.MULTILINE | re.IGNORECASE)
_NUMBERING = re.compile(r"^[ \t]*\(?\d{1,2}[.)][ \t]+(?=[^\W\d])", re.MULTILINE)
_QUOTED = re.compile(r"(?<!\w)'(\S(?:.{0,300}?\S)??)'(?!\w)|\"(.{1,300}?)\"")
_AFTER_COLON = regex.compile(rf":(?:[ \t]+|(?=[{writing_systems.IDEOGRAPHS}{writing_systems.LETTERS}]))(\S.*)")
_ABOUT_ORDER = re.compile(
    r"\b(?:sort|order|arrange|rank|sequence|steps?|reverse)|排序|顺序|順|排列|步骤|並べ|手順|เรียง|ลำดับ|ขั้นตอน",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Normalised characters and quotes, no control characters, only the first of an answer's `###` sections."""
    text = unicodedata.normalize("NFKC", text[:LONGEST]).translate(_ONE_FORM)
    text = "".join(
        character if character in "\n\t" or unicodedata.category(character)[0] != "C" else " " for character in text
    )
    return next((part for part in map(str.strip, _SECTION.split(text)) if part), "")


def words(text: str) -> list[str]:
    """Lower-case words, and numbers in one form (`2.0` and `two` are `2`), without punctuation and list numbering.

    In scripts without spaces, characters (ideographs, kana) or pairs of them. Of punctuation alone, its characters.
    """
    text = _NUMBERING.sub("", plain(text)).casefold()
    every = [word for match in _TOKEN.finditer(text) for word in _words_of(match)]
    return every or [character for character in text if not character.isspace()]


def _words_of(match: "regex.Match[str]") -> Iterable[str]:
    if match["ideographs"]:
        return writing_systems.ngrams(match[0], 1)
    if match["letters"]:
        return writing_systems.ngrams(match[0], 2)
    return [_number(match[0]) if match["number"] else _DIGITS.get(match[0], match[0])]


def _number(text: str) -> str:
    return format(Decimal(text.replace(",", "")).normalize(), "f") if len(text) < 25 else text


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


class Question:
    """A question with its reference answer."""

    def __init__(self, instruction: str, context: str, reference: str) -> None:
        """`context`: the record's input. An empty reference matches only an empty answer."""
        self.instruction, self.context = frozenset(words(instruction)), frozenset(words(context))
        # Where the reference is the input in other letters or punctuation, these alone tell right from wrong.
        self.to_the_letter = bool(context.strip()) and words(reference) == words(context)
        self.tokens: Callable[[str], list[str]] = (
            (lambda text: writing_systems.split(plain(text))) if self.to_the_letter else words
        )
        self.any_order = not _ABOUT_ORDER.search(instruction) and len(plain(reference).splitlines()) > 1
        question = plain(f"{instruction} {context}").casefold()
        new_quotes = [quote for quote in _quotes(plain(reference)) if quote.casefold() not in question]
        # "The corrected sentence is 'It's late.'": the sentence alone is as good an answer.
        self.references = [reference, *(new_quotes if len(new_quotes) == 1 else [])]
        task = plain(instruction)
        parts = (context, task, f"{instruction}\n{context}", *_quotes(task), *_AFTER_COLON.findall(task))
        self.sources = [text for text in parts if text.strip()]

    def same(self, answer: str) -> bool:
        """Word for word the reference; letter for letter where only the letters tell."""
        if self.to_the_letter:
            return plain(answer) == plain(self.references[0])
        return words(answer) == words(self.references[0])

    def features(self, answer: str) -> dict[str, float]:
        """`order`, `numbers`, `pairs` and `own` of the answer, all 1 for the reference itself."""
        return max(
            (self._against(reference, answer) for reference in self.references), key=lambda shares: shares["order"]
        )

    def _against(self, reference: str, answer: str) -> dict[str, float]:
        ours, theirs = self.tokens(answer), self.tokens(reference)
        order = self._likeness(ours, theirs)
        if self.any_order:
            order = max(order, self._likeness(*(self._sorted_lines(text) for text in (answer, reference))))
        copied = max((self._likeness(ours, self.tokens(source)) for source in self.sources), default=0.0)
        apart = (1 - copied) + (1 - order)
        return {
            # F1 of ROUGE-L (Lin 2004: longest common subsequence), words weighted.
            "order": order,
            # F1 of the numbers that are not in the instruction.
            "numbers": self._numbers_alike(ours, theirs),
            # Bigrams of the common words: near 0 for the right words in a heap.
            "pairs": _pairs_alike(ours, theirs),
            # Distance from the question, relative to that from the reference: 0 for a copy of the question.
            "own": (1 - copied) / apart if order < 1 else 1.0,
        }

    def _weight(self, word: str) -> float:
        weight = FILLER if word in _FILLERS else 1.0
        if word in self.instruction:
            return weight * IN_INSTRUCTION
        if word in self.context:
            return weight * IN_INPUT
        return weight * (NUMBER if _has_digit(word) else 1.0)

    def _mass(self, tokens: Iterable[str]) -> float:
        return sum(map(self._weight, tokens))

    def _likeness(self, ours: Sequence[str], theirs: Sequence[str]) -> float:
        if ours == theirs:
            return 1.0
        equal = (code for code in LCSseq.opcodes(ours, theirs) if code.tag == "equal")
        common = sum(self._mass(ours[code.src_start : code.src_end]) for code in equal)
        return _f1(common, self._mass(ours), self._mass(theirs))

    def _sorted_lines(self, text: str) -> list[str]:
        return [word for line in sorted(map(self.tokens, plain(text).splitlines())) for word in line]

    def _numbers_alike(self, ours: Sequence[str], theirs: Sequence[str]) -> float:
        mine, right = (
            Counter(word for word in tokens if _has_digit(word) and word not in self.instruction)
            for tokens in (ours, theirs)
        )
        return _f1((mine & right).total(), mine.total(), right.total()) if mine or right else 1.0


def _quotes(text: str) -> list[str]:
    return [one or other for one, other in _QUOTED.findall(text)]


def _pairs_alike(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Share of the n - 1 bigrams that n common words could form; doubled, plus one, as one changed word breaks two."""
    common = (Counter(ours) & Counter(theirs)).total()
    pairs = (Counter(pairwise(ours)) & Counter(pairwise(theirs))).total()
    return min(1.0, (2 * pairs + 1) / (common - 1)) if common > 1 else 1.0


def _f1(common: float, mine: float, theirs: float) -> float:
    return 2 * common / (mine + theirs) if common else 0.0
