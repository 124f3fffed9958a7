"""Streams the corpus as pieces of documents, so that neither the corpus nor one of its documents is whole in memory.

`<|endoftext|>` ends a document anywhere: on a line of its own, within one, in a text of a table. The token ids of a
document's pieces, concatenated, are the ids of the document.
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
QUARANTINED_CHARACTERS = 20_000  # of a document in quarantine
QUARANTINED_AT_ONCE = 500

# A marker includes the white space around it on its line, the line ends on both sides of that, and a byte order mark
# after it, of a concatenated file. The bound lets a reader decide without holding a whole line.
LONGEST_SPACE = 1000
_AFTER_MARKER = re.compile(rf"[^\S\n]{{0,{LONGEST_SPACE}}}\n?\ufeff?")

# A text may be cut before white space that follows another character: token ids can't change. BPE merges pairs only
# within matches of PATTERN in tokenizer.py, and each match and look-ahead stays on its side of such a cut:
# - no match crosses it: white space is only at a match's start (a space before letters, numbers or marks), or all
#   of it;
# - no match before it changes: letters, numbers and marks end at white space as at the text's end, and white space that
#   is followed by more of the part sees the same in `$` and `(?!\S)`;
# - no match after it changes: there is no look-behind.
# The class is white space in tiktoken's regular expressions. Python's `\S` excludes these and U+001C to U+001F.
_CUT = re.compile(r"(?s:.*)\S(?=[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])")


class Piece(NamedTuple):
    """Part of a document."""

    row: int  # of the document's start: line of a text, row of a table
    text: str | None  # None: the document is missing
    last: bool  # whether the document ends with it


def read(path: Path, progress: str = "", *, cleaned: bool = False) -> Iterator[Piece]:
    """The documents of a plain text in pieces. White space alone, between markers or at an end, is not a document.

    Raises `GptmillError` when the file can't be read as text. `progress`: label of a progress bar; "" shows none.
    `cleaned`: the file was written by the validate stage, and its first document may be HTML.
    """
    return _in_pieces(_split_documents(text_files.chunks(path, progress, may_be_page=cleaned)))


def read_raw(path: Path, params: CorpusParams, progress: str = "") -> Iterator[Piece]:
    """The raw corpus of any format in pieces; each row of a table is a document."""
    layout = formats.layout("data.corpus", params)
    return read(path, progress) if layout.extension == "txt" else from_rows(formats.texts(path, layout))


def from_rows(rows: Iterable[tuple[int, str | None]]) -> Iterator[Piece]:
    """The documents of a table in pieces: one per row, or more where a text has markers. As in text files, `\\n` stands
    for `\\r\\n`, and U+FFFD for lone surrogates.
    """
    for row, text in rows:
        if text is None:
            yield Piece(row, None, True)
        else:
            text = text_files.LONE_SURROGATES.sub("\ufffd", text).replace("\r\n", "\n")
            parts = _split_documents([text]) if END_OF_TEXT in text else [(row, text, True)]
            yield from _in_pieces((row, part, ends) for _, part, ends in parts)


def documents(pieces: Iterable[Piece]) -> Iterator[tuple[int, str | None]]:
    """Row and text of each document, for small corpora."""
    parts = []
    for piece in pieces:
        parts.append(piece.text)
        if piece.last:
            yield piece.row, None if piece.text is None else "".join(parts)
            parts = []


def write(pieces: Iterable[Piece], reasons: Mapping[int, str], clean: Path, quarantine: Path) -> None:
    """Writes valid documents as one text, which `read` splits again, and those in `reasons` (document number from 0 ->
    reason) to a quarantine table, with their start and their length.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"row": pa.int64(), "text": pa.string(), "characters": pa.int64(), "reasons": pa.string()}
    schema = pa.schema(columns)
    written, bad, started, number = 0, [], False, -1  # bad: rows of `columns`
    with clean.open("w", encoding="utf-8", newline="\n") as text, pq.ParquetWriter(quarantine, schema) as table:

        def flush() -> None:
            table.write_table(pa.table(list(map(list, zip(*bad, strict=True))) or [[]] * len(schema), schema=schema))
            bad.clear()

        for row, part, last in pieces:
            number += not started
            if number not in reasons:
                if not started and written:
                    text.write(SEPARATOR)
                text.write(part)
                written += last
            else:
                if not started:
                    if len(bad) == QUARANTINED_AT_ONCE:
                        flush()
                    bad.append([row, None if part is None else "", 0, reasons[number]])
                if part is not None:
                    bad[-1][1] += part[: QUARANTINED_CHARACTERS - len(bad[-1][1])]
                    bad[-1][2] += len(part)
            started = not last
        flush()


def _split_documents(chunks: Iterable[str]) -> Iterator[tuple[int, str, bool]]:
    """Row, text, and whether the document ends with it; one such part per document, or one per chunk that it is in."""
    row = line = 1  # of the document's start; of the start of `text`, which is not yielded yet
    text, documents = "", 0
    whole, after_marker = True, False  # nothing of the document is yielded yet; a marker precedes `text`
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
                continue  # more may follow
            line += text.count("\n", 0, space)
            row, text, after_marker = line, text[space:], False
        if chunk is not None:
            end = _marker_start(text)
            # White space alone is not a document before a marker or the end, unless it is a megabyte.
            if end and not (whole and end < text_files.CHUNK and not text[:end].strip()):
                yield row, text[:end], False
                line += text.count("\n", 0, end)
                text, whole = text[end:], False
        elif not whole or text.strip():
            yield row, text, True
        elif not documents:
            yield 1, "", True


def _marker_start(text: str) -> int:
    """Where the start of a marker, which the next chunk may complete, begins in `text`."""
    partial = next((n for n in range(len(END_OF_TEXT) - 1, 0, -1) if text.endswith(END_OF_TEXT[:n])), 0)
    return _space_before(text, len(text) - partial)


def _space_before(text: str, end: int) -> int:
    """Where the white space of a marker at `end` starts."""
    before = text[max(0, end - LONGEST_SPACE - 1) : end]
    space = before[len(before.rstrip()) :]
    line_end = space.rfind("\n")
    return end - (min(len(space), LONGEST_SPACE) if line_end < 0 else len(space) - line_end)


def _in_pieces(parts: Iterable[tuple[int, str, bool]]) -> Iterator[Piece]:
    """The documents in pieces of at most PIECE_CHARACTERS. The cuts depend on the document alone."""
    text = ""
    for row, part, ends in parts:
        text += part
        start = 0
        while len(text) - start > PIECE_CHARACTERS:
            limit = start + PIECE_CHARACTERS
            place = _CUT.match(text, start, limit)
            end = place.end() if place else limit  # a forced cut, without white space: ids may differ there
            yield Piece(row, text[start:end], False)
            start = end
        text = text[start:]
        if ends:
            yield Piece(row, text, True)
            text = ""
