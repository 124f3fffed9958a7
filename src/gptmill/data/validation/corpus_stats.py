"""Statistics of a corpus' documents, for its expectations, in one pass over its pieces: 100 bytes per document."""

from array import array
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

import pandas as pd

from gptmill.data import text_files
from gptmill.data.corpus import Piece
from gptmill.text import writing_systems

SHORTEST_LINE = 20  # characters: shorter lines, such as names and headings, may repeat
LINES_REMEMBERED = 1 << 18

_BYTES_OF_TEXT = bytes(byte for byte in range(256) if byte > 127 or not text_files.CONTROL_CHARACTERS.match(chr(byte)))


def measure(pieces: Iterable[Piece], markers: Counter[str] | None = None) -> pd.DataFrame:
    """One row per document: its `document` number from 0, `row`, and (null for a missing document)

    - `text_characters`, `text_visible_characters` (without outer white space), `text_bytes` (in UTF-8), `words`;
    - `text_control_characters`, U+FFFD included;
    - `text_unbroken_characters`: longest run without white space or characters of scripts without spaces between words;
    - `text_hash`: equal for texts with the same `text_files.normalise` (false matches: 1 pair in 10^19);
    - `repeated_line_share`: lines repeated from here or another document, as a share of the corpus' lines (the column
      sums to the corpus' share). Blank and short lines don't count. Beyond LINES_REMEMBERED different lines an
      estimate: lines whose hash is a multiple of a growing number are remembered, and each stands for that many.

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
        for name in ("text_characters", "text_visible_characters"):
            frame[name] = frame[name].astype("float64").mask(missing)
    total = sum(lines)
    repeated = np.frombuffer(lines, dtype=np.int64) - np.frombuffer(new_lines, dtype=np.int64)
    # An estimate may be slightly below 0.
    share = repeated / total if total and repeated.sum() > 0 else np.zeros(len(frame))
    return frame.assign(repeated_line_share=share)


def describe(frame: pd.DataFrame) -> dict[str, int]:
    """A corpus' entry of validation.json. Duplicates repeat an earlier document but for case and spacing."""
    return {
        "characters": int(frame["text_characters"].sum()),
        "words": int(frame["words"].sum()),
        "documents": len(frame),
        "duplicates": int(frame.loc[frame["text_characters"].notna(), "text_hash"].duplicated().sum()),
    }


class _Lines:
    """Estimates the number of different lines from a sample by hash."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._every = 1  # those whose hash is a multiple of this are remembered

    def weigh(self, digest: bytes) -> int:
        """0 for a repeated or unsampled line, else the number of new lines that this one stands for."""
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
        "text_characters", "text_visible_characters", "text_bytes", "text_control_characters",
        "text_unbroken_characters", "text_hash", "words",
    )  # fmt: skip

    def __init__(self, row: int, seen: _Lines) -> None:
        self.row, self._seen = row, seen
        self.characters = self.bytes = self.control = self.unbroken = self.words = 0
        self.lines = self.new_lines = 0
        self._first = self._end = 0  # of visible characters
        self._in_word = False  # whether the last piece ended in a word
        self._run = 0  # characters without white space at its end
        self._hash = blake2b(digest_size=8)
        self._line = blake2b(digest_size=8)  # the unfinished line
        self._line_length, self._line_is_blank = 0, True

    def add(self, text: str) -> None:
        if not text:
            return
        words = text.split()
        encoded = text.encode()
        continues = self._in_word and not text[0].isspace()  # a forced cut within a word
        self._in_word = not text[-1].isspace()
        if words:
            self._add_words(text, words, continues)
        else:
            self._run = 0
        self.bytes += len(encoded)
        self.control += len(encoded.translate(None, _BYTES_OF_TEXT)) + (0 if text.isascii() else text.count("\ufffd"))
        self._add_lines(text)
        self.characters += len(text)

    def _add_words(self, text: str, words: list[str], continues: bool) -> None:
        if not self._end:
            self._first = self.characters + len(text) - len(text.lstrip())
        self._end = self.characters + len(text.rstrip())
        normalised = " ".join(words).lower() if text.isascii() else text_files.normalise(text)
        self._hash.update((normalised if continues or not self.words else " " + normalised).encode())
        self.words += len(words) - continues
        self._measure_runs(text, words)

    def _measure_runs(self, text: str, words: list[str]) -> None:
        if not text.isascii() and writing_systems.UNSPACED.search(text):
            text = writing_systems.UNSPACED.sub(" ", text)
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
