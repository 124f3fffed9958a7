"""The corpus: plain text, its documents separated by lines that hold `<|endoftext|>` alone."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from gptmill.data import formats, rawtext, tables
from gptmill.data.rawtext import END_OF_TEXT
from gptmill.params import CorpusParams


def read_raw(path: Path, params: CorpusParams) -> pd.DataFrame:
    """The raw corpus, whatever its format: one row a document, `row` and `text`, which is null where there is no text."""
    layout = formats.layout("data.corpus", params)
    return read(path) if layout.ending == "txt" else formats.read(path, layout)


def read(path: Path) -> pd.DataFrame:
    """One row a document: `row` (the line where it starts), `text`.

    A separator before the first document or after the last one separates nothing; two in a row have an empty document between them.
    Raises `GptmillError` when the file can't be read as text.
    """
    starts, texts = [1], [[]]
    for number, line in enumerate(rawtext.read(path).split("\n"), start=1):
        if line.rstrip() == END_OF_TEXT:
            starts.append(number + 1)
            texts.append([])
        else:
            texts[-1].append(line)
    rows = [(start, "\n".join(lines)) for start, lines in zip(starts, texts, strict=True)]
    if len(rows) > 1 and not rows[-1][1].strip():
        rows.pop()
    if len(rows) > 1 and not texts[0]:
        rows.pop(0)
    return pd.DataFrame({"row": [row for row, _ in rows], "text": tables.strings([text for _, text in rows])})


def join(texts: Iterable[str]) -> str:
    """The documents as one text, which `read` divides again; one document comes out as it went in."""
    return f"\n{END_OF_TEXT}\n".join(texts)


def describe(frame: pd.DataFrame) -> dict[str, int]:
    texts = frame["text"].dropna()
    return {
        "characters": sum(len(text) for text in texts),
        "words": sum(len(text.split()) for text in texts),
        "documents": len(frame),
        "duplicates": int(texts.map(rawtext.normalise).duplicated().sum()),
    }
