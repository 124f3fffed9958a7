"""The corpus, document by document and piece by piece: a corpus of any size is never whole in memory, nor is one of its documents.

A plain text has its documents separated by lines that hold `<|endoftext|>` alone. A document comes as pieces whose ids, one after the
other, are the ids of the whole.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from gptmill.data import formats, rawtext
from gptmill.data.rawtext import END_OF_TEXT, SEPARATOR
from gptmill.params import CorpusParams

PIECE_CHARACTERS = 1 << 18
QUARANTINED_CHARACTERS = 20_000  # what of a document is kept in quarantine
QUARANTINED_AT_ONCE = 500

# What may follow the separator on its line. The bound lets a reader decide without holding all of a line.
LONGEST_SEPARATOR = len(END_OF_TEXT) + 1000
_REST = re.compile(r"[^\S\n]{0,1000}\n")
_REST_AT_THE_END = re.compile(r"[^\S\n]{0,1000}(?:\n|\Z)")

# A text may be cut right before a white-space character that follows one that is none: tokenization can't differ then. It looks for
# pairs only within what PATTERN in tokenizer.py matches, and each match and each look-ahead stays on its side of such a place:
# - no match goes across, because white space stands in a match only at its start, with a space before letters, numbers or marks, or the
#   match is of nothing else; one with both characters would have white space after something else;
# - no match before the place changes: those of letters, numbers and marks end at white space as they end at the text's end, and white
#   space that is followed by more of the part sees just that in `$` and `(?!\S)`;
# - no match after the place changes: nothing looks back.
# The class is what tiktoken's regular expressions call white space. Python's `\S` leaves out these and U+001C to U+001F.
_CUT = re.compile(r"(?s:.*)\S(?=[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])")


class Piece(NamedTuple):
    """Part of a document."""

    row: int  # where the document starts: the line of a text, the row of a table
    text: str | None  # None: the document is missing
    last: bool  # whether the document ends with it


def read(path: Path, says: str = "", *, cleaned: bool = False) -> Iterator[Piece]:
    """The documents of a plain text in pieces; `row` is the line where a document starts.

    A separator before the first document or after the last one separates nothing; two in a row have an empty document between them.
    Raises `GptmillError` when the file can't be read as text. `says`: what a progress bar says; "" shows none. `cleaned`: it is what the
    validate stage wrote, whose first document may be a page of HTML.
    """
    return _in_pieces(_divided(rawtext.chunks(path, says, may_be_page=cleaned)))


def read_raw(path: Path, params: CorpusParams, says: str = "") -> Iterator[Piece]:
    """The raw corpus, whatever its format, in pieces; a table has a document in each of its rows."""
    layout = formats.layout("data.corpus", params)
    return read(path, says) if layout.ending == "txt" else from_rows(formats.texts(path, layout))


def from_rows(rows: Iterable[tuple[int, str | None]]) -> Iterator[Piece]:
    """The documents of a table, one a row, in pieces. A text is as it would be in a file: `\\n` for `\\r\\n`, no half characters."""
    for row, text in rows:
        if text is None:
            yield Piece(row, None, True)
        else:
            yield from _in_pieces([(row, rawtext.LONE_SURROGATES.sub("\ufffd", text).replace("\r\n", "\n"), True)])


def whole(pieces: Iterable[Piece]) -> Iterator[tuple[int, str | None]]:
    """Row and text of each document, for corpora that are known to be small."""
    parts = []
    for piece in pieces:
        parts.append(piece.text)
        if piece.last:
            yield piece.row, None if piece.text is None else "".join(parts)
            parts = []


def write(pieces: Iterable[Piece], reasons: Mapping[int, str], clean: Path, quarantine: Path) -> None:
    """The documents whose row has no reason as one text, which `read` divides again, and the others as a table.

    In quarantine stands the start of a document, with the number of characters of the whole.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("row", pa.int64()), ("text", pa.string()), ("characters", pa.int64()), ("reasons", pa.string())])
    kept, bad, started = 0, [], False  # bad: [row, text, characters, reasons]
    with clean.open("w", encoding="utf-8", newline="\n") as text, pq.ParquetWriter(quarantine, schema) as table:

        def put_away() -> None:
            table.write_table(pa.table(list(map(list, zip(*bad, strict=True))) or [[]] * len(schema), schema=schema))
            bad.clear()

        for row, part, last in pieces:
            if row not in reasons:
                if not started and kept:
                    text.write(SEPARATOR)
                text.write(part)
                kept += last
            else:
                if not started:
                    if len(bad) == QUARANTINED_AT_ONCE:
                        put_away()
                    bad.append([row, None if part is None else "", 0, reasons[row]])
                if part is not None:
                    bad[-1][1] += part[: QUARANTINED_CHARACTERS - len(bad[-1][1])]
                    bad[-1][2] += len(part)
            started = not last
        put_away()


def _divided(chunks: Iterable[str]) -> Iterator[tuple[int, str, bool]]:
    """Row, text, and whether the document ends with it; a document has one such part, or one for each chunk that it is in."""
    row = line = 1  # where the document starts; where what is in `text` and was not handed out starts
    text, start = "", 0  # what was not handed out is text[start:]
    at_line_start = whole = True  # whether that is at the start of a line; whether nothing of the document was handed out
    documents, first = 0, True
    for chunk in chain(chunks, [None]):
        text, start, place = text[start:] + (chunk or ""), 0, 0
        rest = _REST_AT_THE_END if chunk is None else _REST
        while (place := text.find(END_OF_TEXT, place)) >= 0:
            starts_a_line = text[place - 1] == "\n" if place > start else at_line_start
            separator = rest.match(text, place + len(END_OF_TEXT)) if starts_a_line else None
            if not separator:
                place += 1
                continue
            if not (first and whole and place == start):
                yield row, text[start : max(start, place - 1)], True
                documents += 1
            line += text.count("\n", start, separator.end())
            row, start, place = line, separator.end(), separator.end()
            at_line_start, whole, first = True, True, False
        if chunk is not None:
            kept = _undecided(text, start, at_line_start)
            # A document of nothing but white space is none when it is the last one. A megabyte of it is one all the same.
            if kept > start and not (whole and kept - start < rawtext.CHUNK and not text[start:kept].strip()):
                yield row, text[start:kept], False
                line += text.count("\n", start, kept)
                start, whole, at_line_start = kept, False, False
        elif not whole or text[start:].strip():
            yield row, text[start:], True
        elif not documents:
            yield 1, "", True


def _undecided(text: str, start: int, at_line_start: bool) -> int:
    """From where on `text` may turn out to be a separator, with the line's end before it, once there is more of it."""
    end = text.rfind("\n", max(start, len(text) - LONGEST_SEPARATOR - 1))
    if end < 0 and not (at_line_start and len(text) - start <= LONGEST_SEPARATOR):
        return len(text)
    line = text[end + 1 :] if end >= 0 else text[start:]
    may_be = END_OF_TEXT.startswith(line) or (line.startswith(END_OF_TEXT) and not line[len(END_OF_TEXT) :].strip())
    return max(end, start) if may_be else len(text)


def _in_pieces(parts: Iterable[tuple[int, str, bool]]) -> Iterator[Piece]:
    """The same documents in pieces of at most PIECE_CHARACTERS. Where they are cut depends on the document alone."""
    text = ""
    for row, part, ends in parts:
        text += part
        start = 0
        while len(text) - start > PIECE_CHARACTERS:
            limit = start + PIECE_CHARACTERS
            place = _CUT.match(text, start, limit)
            end = place.end() if place else limit  # by force: ids may differ there, and the document is an odd one
            yield Piece(row, text[start:end], False)
            start = end
        text = text[start:]
        if ends:
            yield Piece(row, text, True)
            text = ""
