"""Concatenates text files: documents of a txt are separated by end-of-text lines, a jsonl has one per line."""

import codecs
from collections.abc import Sequence
from pathlib import Path

from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.ingest.archives import UnpackedFile


def concat_files(parts: Sequence[UnpackedFile], extension: str, to: Path, limit: int) -> None:
    """Writes the parts in order, which is that of their names.

    Raises `GptmillError` for an unsupported extension, a part that is not UTF-8, or more than `limit` bytes.
    """
    separators = {"txt": f"{text_files.END_OF_TEXT}\n".encode(), "jsonl": b""}
    if extension not in separators:
        raise GptmillError(
            f"{len(parts)} files can't become one .{extension}: many files are for txt and jsonl. "
            "Name one of them, or join them yourself."
        )
    with to.open("wb") as file:
        for number, part in enumerate(parts):
            text_files.check_encoding(part.path, part.name)
            if number:
                file.write(separators[extension])
            last = _copy(part.path, file)
            if last not in (b"\n", b""):
                file.write(b"\n")
    if to.stat().st_size > limit:
        raise GptmillError(
            f"all files together are more than {limit:,} bytes: raise data.corpus.max_megabytes if that is right."
        )


def _copy(path: Path, to) -> bytes:
    """Copies without the byte order mark, which would end up in the middle; returns the last byte."""
    last = b""
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        while chunk := file.read(text_files.CHUNK):
            to.write(chunk)
            last = chunk[-1:]
    return last
