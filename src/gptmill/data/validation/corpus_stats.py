"""What the documents of a corpus are like, in numbers: one pass over its pieces, with no text left in memory.

A document takes 100 bytes, whatever its length. What is expected of a corpus is checked on these numbers.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

import pandas as pd

from gptmill.data import text_files
from gptmill.data.corpus import Piece
from gptmill.text import scripts

SHORTEST_LINE = 20  # characters: shorter lines, such as names and headings, may come back as often as they like
LINES_REMEMBERED = 1 << 18

_BYTES_OF_TEXT = bytes(byte for byte in range(256) if byte > 127 or not text_files.CONTROL_CHARACTERS.match(chr(byte)))


def measure(pieces: Iterable[Piece], markers: Counter[str] | None = None) -> pd.DataFrame:
    """One row a document, the whole of a missing one null: its `document` number, from 0, `row`, and

    - `text_characters`, `text_visible_characters` (without outer white space), `text_bytes` (in UTF-8), `words`;
    - `text_control_characters`, U+FFFD included;
    - `text_unbroken_characters`: the longest run without white space, or characters of scripts that put none between words;
    - `text_hash`: the same for texts that `rawtext.normalise` makes the same (but for two in 10^19);
    - `repeated_line_share`: lines that stood before, in this document or another one, as a share of all lines of the corpus, so that the
      column's sum is the corpus' share. Lines that are blank or short don't count. With more than LINES_REMEMBERED different lines it is an
      estimate: lines are remembered when their hash is a multiple of a number that grows, and each then stands for that many.

    Special tokens' names are counted in `markers`.
    """
    markers = Counter() if markers is None else markers
    columns = {name: array("q") for name in ("row", *_Document.COLUMNS)}
    lines, new_lines = array("q"), array("q")
    seen, document = _Lines(), None
    for piece in pieces:
        document = document or _Document(piece.row, seen)
        if piece.text is not None:
            document.add(piece.text)
            text_files.count_markers([piece.text], markers)
        if piece.last:
            for column, value in zip(columns.values(), document.numbers(missing=piece.text is None), strict=True):
                column.append(value)
            lines.append(document.lines)
            new_lines.append(document.new_lines)
            document = None
    return _frame(columns, lines, new_lines)


def _frame(columns: dict[str, array], lines: array, new_lines: array) -> pd.DataFrame:
    import numpy as np

    frame = pd.DataFrame({name: np.frombuffer(values, dtype=np.int64) for name, values in columns.items()}, copy=False)
    frame.insert(0, "document", np.arange(len(frame)))
    missing = frame["text_characters"] < 0
    if missing.any():
        frame["text_characters"] = frame["text_characters"].astype("float64").mask(missing)
        frame["text_visible_characters"] = frame["text_visible_characters"].astype("float64").mask(missing)
    total = sum(lines)
    repeated = np.frombuffer(lines, dtype=np.int64) - np.frombuffer(new_lines, dtype=np.int64)
    # An estimate may come out a little below nothing.
    share = repeated / total if total and repeated.sum() > 0 else np.zeros(len(frame))
    return frame.assign(repeated_line_share=share)


def describe(frame: pd.DataFrame) -> dict[str, int]:
    """What validation.json says of a corpus. Duplicates are documents whose text has stood before, whatever its case and spacing."""
    return {
        "characters": int(frame["text_characters"].sum()),
        "words": int(frame["words"].sum()),
        "documents": len(frame),
        "duplicates": int(frame.loc[frame["text_characters"].notna(), "text_hash"].duplicated().sum()),
    }


class _Lines:
    """The lines that were seen, or an even part of them: enough to tell how many different ones there are."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._every = 1  # those whose hash is a multiple of this are remembered

    def weigh(self, digest: bytes) -> int:
        """0 for a line that stood before or is not looked at, else the number of new lines that this one stands for."""
        if int.from_bytes(digest, "little") % self._every or digest in self._seen:
            return 0
        self._seen.add(digest)
        weight = self._every
        if len(self._seen) > LINES_REMEMBERED:
            self._every *= 2
            self._seen = {seen for seen in self._seen if int.from_bytes(seen, "little") % self._every == 0}
        return weight


class _Document:
    COLUMNS = (
        "text_characters",
        "text_visible_characters",
        "text_bytes",
        "text_control_characters",
        "text_unbroken_characters",
        "text_hash",
        "words",
    )

    def __init__(self, row: int, seen: _Lines) -> None:
        self.row, self._seen = row, seen
        self.characters = self.bytes = self.control = self.unbroken = self.words = 0
        self.lines = self.new_lines = 0
        self._first = self._end = 0  # where the first visible character is, and where the last one ends
        self._in_word = False  # whether the last piece ended in one
        self._run = 0  # characters without white space that it ended with
        self._hash = blake2b(digest_size=8)
        self._line = blake2b(digest_size=8)  # the line that the last piece ended in
        self._line_length, self._line_is_blank = 0, True

    def add(self, text: str) -> None:
        if not text:
            return
        words = text.split()
        encoded = text.encode()
        goes_on = self._in_word and not text[0].isspace()  # a word was cut by force
        self._in_word = not text[-1].isspace()
        if words:
            self._add_words(text, words, goes_on)
        else:
            self._run = 0
        self.bytes += len(encoded)
        self.control += len(encoded.translate(None, _BYTES_OF_TEXT)) + (0 if text.isascii() else text.count("\ufffd"))
        self._add_lines(text)
        self.characters += len(text)

    def _add_words(self, text: str, words: list[str], goes_on: bool) -> None:
        if not self._end:
            self._first = self.characters + len(text) - len(text.lstrip())
        self._end = self.characters + len(text.rstrip())
        normalised = " ".join(words).lower() if text.isascii() else text_files.normalise(text)
        self._hash.update((normalised if goes_on or not self.words else " " + normalised).encode())
        self.words += len(words) - goes_on
        self._measure_runs(text, words)

    def _measure_runs(self, text: str, words: list[str]) -> None:
        if not text.isascii() and scripts.UNSPACED.search(text):
            text = scripts.UNSPACED.sub(" ", text)
            words = text.split() or [""]
        before = 0 if text[0].isspace() else self._run
        self.unbroken = max(self.unbroken, before + len(words[0]), max(map(len, words)))
        ends_within = not text[-1].isspace()
        self._run = len(words[-1]) + (before if len(words) == 1 else 0) if ends_within else 0

    def _add_lines(self, text: str) -> None:
        first, *rest = text.split("\n")
        self._line.update(first.encode())
        self._line_length += len(first)
        self._line_is_blank &= not first.strip()
        for line in rest:
            self._end_line()
            self._line = blake2b(line.encode(), digest_size=8)
            self._line_length, self._line_is_blank = len(line), not line.strip()

    def _end_line(self) -> None:
        if self._line_length >= SHORTEST_LINE and not self._line_is_blank:
            self.lines += 1
            self.new_lines += self._seen.weigh(self._line.digest())

    def numbers(self, missing: bool) -> tuple[int, ...]:
        self._end_line()
        digest = int.from_bytes(self._hash.digest(), "little", signed=True)
        characters, visible = (-1, -1) if missing else (self.characters, self._end - self._first)
        return self.row, characters, visible, self.bytes, self.control, self.unbroken, digest, self.words
