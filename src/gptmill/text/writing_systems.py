"""Scripts without spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese and others.

Only a dictionary tells where a word ends there, so characters or n-grams of them stand in for words. An ideograph or
kana says about as much as a short word; a letter of the other scripts no more than a Latin one. Combining marks belong
to their character.
"""

from collections.abc import Iterable, Iterator

import regex  # the standard library's has no classes of Unicode characters

# The sound mark of kana has no script. The letters are those that UAX #14 (line breaking) leaves to dictionaries.
IDEOGRAPHS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\p{Tangut}\p{Nushu}\u30fc"
LETTERS = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}"
LETTERS += r"\p{Javanese}\p{Balinese}"
UNSPACED = regex.compile(rf"[{IDEOGRAPHS}{LETTERS}]")
MANY = 0.1  # share of the letters above which words no longer tell texts apart

_CHARACTER = regex.compile(r"\P{M}\p{M}*|\p{M}+")
_IDEOGRAPH = regex.compile(rf"[{IDEOGRAPHS}]")
_LETTER = regex.compile(r"\p{L}")
_WORD = regex.compile(rf"[{IDEOGRAPHS}{LETTERS}]\p{{M}}*|[^\s{IDEOGRAPHS}{LETTERS}]+")


def are_unspaced(texts: Iterable[str]) -> bool:
    """Whether a good part of the texts' letters, all together, are of scripts without spaces."""
    letters = unspaced = 0
    for text in texts:
        letters += len(text) if text.isascii() else len(_LETTER.findall(text))
        unspaced += 0 if text.isascii() else len(UNSPACED.findall(text))
    return unspaced > MANY * letters


def is_dense(text: str) -> bool:
    """Whether most of a text is ideographs or kana."""
    return not text.isascii() and 2 * len(_IDEOGRAPH.findall(text)) > len(text)


def split(text: str) -> list[str]:
    """Words as white space divides them, and each character of a script without spaces as one."""
    return text.split() if text.isascii() or not UNSPACED.search(text) else _WORD.findall(text)


def ngrams(text: str, n: int) -> Iterator[str]:
    """Each n characters in a row, white space left out; the whole of a shorter text."""
    characters = _CHARACTER.findall("".join(text.split()))
    for start in range(max(1, len(characters) - n + 1)):
        yield "".join(characters[start : start + n])
