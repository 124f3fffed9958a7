"""The corpus, document by document and piece by piece: a corpus of any size is never whole in memory, nor is one of its documents.

`<|endoftext|>` ends a document wherever it stands: on a line of its own, in the middle of one, in a text of a table. A document comes as
pieces whose ids, one after the other, are the ids of the whole.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from gptmill.config.sources import CorpusParams
from gptmill.data import formats, text_files
from gptmill.data.text_files import END_OF_TEXT, SEPARATOR

PIECE_CHARACTERS = 1 << 18
QUARANTINED_CHARACTERS = 20_000  # what of a document is kept in quarantine
QUARANTINED_AT_ONCE = 500

# With a marker goes the white space around it on its line, and the line ends on both sides of that; after it a byte order mark too, of a
# file that was joined with others. The bound lets a reader decide without holding all of a line.
LONGEST_SPACE = 1000
_AFTER_MARKER = re.compile(rf"[^\S\n]{{0,{LONGEST_SPACE}}}\n?\ufeff?")

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

    What is nothing but white space, between two markers or a marker and an end of the file, is no document. Raises `GptmillError` when the
    file can't be read as text. `says`: what a progress bar says; "" shows none. `cleaned`: it is what the validate stage wrote, whose first
    document may be a page of HTML.
    """
    return _in_pieces(_divided(text_files.chunks(path, says, may_be_page=cleaned)))


def read_raw(path: Path, params: CorpusParams, says: str = "") -> Iterator[Piece]:
    """The raw corpus, whatever its format, in pieces; a table has a document in each of its rows."""
    layout = formats.layout("data.corpus", params)
    return read(path, says) if layout.extension == "txt" else from_rows(formats.texts(path, layout))


def from_rows(rows: Iterable[tuple[int, str | None]]) -> Iterator[Piece]:
    """The documents of a table in pieces: one a row, or more where a text has markers. A text is as it would be in a file: `\\n` for
    `\\r\\n`, no half characters.
    """
    for row, text in rows:
        if text is None:
            yield Piece(row, None, True)
        else:
            text = text_files.LONE_SURROGATES.sub("\ufffd", text).replace("\r\n", "\n")
            parts = _divided([text]) if END_OF_TEXT in text else [(row, text, True)]
            yield from _in_pieces((row, part, ends) for _, part, ends in parts)


def documents(pieces: Iterable[Piece]) -> Iterator[tuple[int, str | None]]:
    """Row and text of each document, for corpora that are known to be small."""
    parts = []
    for piece in pieces:
        parts.append(piece.text)
        if piece.last:
            yield piece.row, None if piece.text is None else "".join(parts)
            parts = []


def write(pieces: Iterable[Piece], reasons: Mapping[int, str], clean: Path, quarantine: Path) -> None:
    """The documents whose number, from 0, has no reason as one text, which `read` divides again, and the others as a table.

    In quarantine stands the start of a document, with the number of characters of the whole.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [("row", pa.int64()), ("text", pa.string()), ("characters", pa.int64()), ("reasons", pa.string())]
    )
    kept, bad, started, number = 0, [], False, -1  # bad: [row, text, characters, reasons]
    with clean.open("w", encoding="utf-8", newline="\n") as text, pq.ParquetWriter(quarantine, schema) as table:

        def put_away() -> None:
            table.write_table(pa.table(list(map(list, zip(*bad, strict=True))) or [[]] * len(schema), schema=schema))
            bad.clear()

        for row, part, last in pieces:
            number += not started
            if number not in reasons:
                if not started and kept:
                    text.write(SEPARATOR)
                text.write(part)
                kept += last
            else:
                if not started:
                    if len(bad) == QUARANTINED_AT_ONCE:
                        put_away()
                    bad.append([row, None if part is None else "", 0, reasons[number]])
                if part is not None:
                    bad[-1][1] += part[: QUARANTINED_CHARACTERS - len(bad[-1][1])]
                    bad[-1][2] += len(part)
            started = not last
        put_away()


def _divided(chunks: Iterable[str]) -> Iterator[tuple[int, str, bool]]:
    """Row, text, and whether the document ends with it; a document has one such part, or one for each chunk that it is in."""
    row = line = 1  # where the document starts; where `text`, which was not handed out, starts
    text, documents = "", 0
    whole, after_marker = (
        True,
        False,
    )  # whether nothing of the document was handed out; whether a marker stands right before `text`
    for chunk in chain(chunks, [None]):
        *ended, text = (text + (chunk or "")).split(END_OF_TEXT)
        for part in ended:
            space = _AFTER_MARKER.match(part).end() if after_marker else 0
            row += part.count("\n", 0, space)
            document = part[space : max(space, _space_before(part, len(part)))]
            if not whole or document.strip():
                yield row, document, True
                documents += 1
            line += part.count("\n")
            row, whole, after_marker = line, True, True
        if after_marker:
            space = _AFTER_MARKER.match(text).end()
            if space == len(text) and chunk is not None:
                continue  # there may be more of it
            line += text.count("\n", 0, space)
            row, text, after_marker = line, text[space:], False
        if chunk is not None:
            kept = _undecided(text)
            # White space alone is no document when a marker or the end comes next. A megabyte of it is one all the same.
            if kept and not (whole and kept < text_files.CHUNK and not text[:kept].strip()):
                yield row, text[:kept], False
                line += text.count("\n", 0, kept)
                text, whole = text[kept:], False
        elif not whole or text.strip():
            yield row, text, True
        elif not documents:
            yield 1, "", True


def _undecided(text: str) -> int:
    """From where on `text` may turn out to belong to a marker once there is more of it."""
    begun = next((n for n in range(len(END_OF_TEXT) - 1, 0, -1) if text.endswith(END_OF_TEXT[:n])), 0)
    return _space_before(text, len(text) - begun)


def _space_before(text: str, end: int) -> int:
    """Where the white space starts that goes with a marker at `end`."""
    before = text[max(0, end - LONGEST_SPACE - 1) : end]
    space = before[len(before.rstrip()) :]
    line_end = space.rfind("\n")
    return end - (min(len(space), LONGEST_SPACE) if line_end < 0 else len(space) - line_end)


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
