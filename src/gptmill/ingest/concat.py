"""Many files of text as one: documents of a txt are separated by end-of-text lines, those of a jsonl stand one after another."""

from collections.abc import Sequence
from pathlib import Path

from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.ingest.archives import CHUNK, UnpackedFile

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def concat_files(parts: Sequence[UnpackedFile], ending: str, to: Path, limit: int) -> None:
    """Writes the parts in the order that they have, which is that of their names.

    Raises `GptmillError` when such files can't be joined, when one of them is no UTF-8, or when all are more than `limit` bytes.
    """
    separators = {"txt": f"{text_files.END_OF_TEXT}\n".encode(), "jsonl": b""}
    if ending not in separators:
        raise GptmillError(
            f"{len(parts)} files can't become one .{ending}: many files are for txt and jsonl. Name one of them, or join them yourself."
        )
    with to.open("wb") as file:
        for number, part in enumerate(parts):
            text_files.check_encoding(part.path, part.name)
            if number:
                file.write(separators[ending])
            last = _copy(part.path, file)
            if last not in (b"\n", b""):
                file.write(b"\n")
    if to.stat().st_size > limit:
        raise GptmillError(
            f"all files together are more than {limit:,} bytes: raise data.corpus.max_megabytes if that is right."
        )


def _copy(path: Path, to) -> bytes:
    """Returns the last byte; a byte order mark stays behind, as it would stand in the middle."""
    last = b""
    with path.open("rb") as file:
        if file.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
            file.seek(0)
        while chunk := file.read(CHUNK):
            to.write(chunk)
            last = chunk[-1:]
    return last
