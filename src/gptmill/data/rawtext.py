"""Raw files as text: the checks that every reader shares, and what makes two texts the same."""

import codecs
import re
import unicodedata
from pathlib import Path

from gptmill.errors import GptmillError

# C0 except tab, line feed and carriage return, DEL, and the mark that decoders leave where they could not read. C1 is left alone: in
# real files it is Windows-1252's quotes and dashes, decoded as Latin-1; 35 of the UCI messages have them.
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
LONE_SURROGATES = re.compile("[\ud800-\udfff]")
NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
PAGE_STARTS = ("<!doctype html", "<html", "<?xml")
CHUNK = 1 << 20
LONGEST_LINE = 1 << 25  # bytes or characters: what is longer is no text, but a file that is broken or of another kind
END_OF_TEXT = "<|endoftext|>"  # a line of its own between two documents
FETCH_AGAIN = "Fetch it again, or put the right file in its place."


def read(path: Path) -> str:
    """The file's text, decoded from UTF-8, without a byte order mark, with `\\n` for `\\r\\n`.

    Raises `GptmillError` when the file is missing, empty, not UTF-8, or a page of HTML or XML where data should be.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise GptmillError(f"{path} is not here. The whole pipeline brings it: dvc repro") from None
    except IsADirectoryError:
        raise GptmillError(f"{path} is a folder where a file should be. Remove it, then: dvc repro") from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise GptmillError(f"{path} is UTF-16, not UTF-8. Save it as UTF-8: iconv -f UTF-16 -t UTF-8")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        # The offset counts from the end of the byte order mark, if there is one.
        offset = error.start + len(content) - len(error.object)
        line = content.count(b"\n", 0, offset) + 1
        raise GptmillError(
            f"{path} is not UTF-8: line {line}, byte {offset} is 0x{content[offset]:02x}. "
            "If it is Latin-1 or Windows-1252, convert it: iconv -f WINDOWS-1252 -t UTF-8"
        ) from None
    if not text.strip():
        raise GptmillError(f"{path} is empty. {FETCH_AGAIN}")
    if text[:200].lstrip().casefold().startswith(PAGE_STARTS):
        raise GptmillError(f"{path} is an HTML or XML page, not data: a server sent its error page. {FETCH_AGAIN}")
    return text


def check(path: Path) -> None:
    """The checks of `read`, for a file that is not held in memory afterwards. Raises `GptmillError` as it does."""
    if is_page(path):
        raise GptmillError(f"{path} is an HTML or XML page, not data: a server sent its error page. {FETCH_AGAIN}")
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            raise GptmillError(f"{path} is Parquet, not text: let its name end in .parquet (the key file in params.yaml).")
    if not check_encoding(path, str(path)):
        raise GptmillError(f"{path} is empty. {FETCH_AGAIN}")


def check_lines(path: Path, name: str) -> None:
    """Raises `GptmillError`, in which the file is called `name`, when a line of it has more than `LONGEST_LINE` bytes."""
    line, length = 1, 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            first = chunk.find(b"\n")
            length += len(chunk) if first < 0 else first
            if length > LONGEST_LINE:
                raise GptmillError(f"{name}: line {line} has more than {LONGEST_LINE:,} bytes: that is no text. {FETCH_AGAIN}")
            if first >= 0:
                line, length = line + chunk.count(b"\n"), len(chunk) - chunk.rfind(b"\n") - 1


def is_page(path: Path) -> bool:
    """Whether the file begins as a page of HTML or XML does."""
    with path.open("rb") as file:
        head = file.read(1000).removeprefix(b"\xef\xbb\xbf")
    return head.decode("latin-1").lstrip().casefold().startswith(PAGE_STARTS)


def check_encoding(path: Path, name: str) -> bool:
    """Reads the file once, without holding it; returns whether there is anything but white space in it.

    Raises `GptmillError`, in which it is called `name`, when it is not UTF-8, with the place.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, offset, visible = 1, 0, False
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            if not offset and (chunk.startswith((b"\xff\xfe", b"\xfe\xff")) or chunk[:1000].count(0) > len(chunk[:1000]) / 3):
                raise GptmillError(f"{name} is UTF-16, not UTF-8. Save it as UTF-8: iconv -f UTF-16 -t UTF-8")
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk)
            except UnicodeDecodeError as error:
                raise _not_utf8(name, error, offset - pending, lines) from None
            visible = visible or bool(text.strip().strip("\ufeff"))
            lines += chunk.count(b"\n")
            offset += len(chunk)
    if decoder.getstate()[0]:
        raise GptmillError(f"{name} is not UTF-8: it ends in the middle of a character, at line {lines}. It may be cut: fetch it again.")
    return visible


def _not_utf8(name: str, error: UnicodeDecodeError, start: int, lines: int) -> GptmillError:
    """`start` is where in the file the bytes that `error` tells of begin; `lines` the line of the chunk's first byte."""
    offset = start + error.start
    line = lines + error.object.count(b"\n", 0, error.start)
    return GptmillError(
        f"{name} is not UTF-8: line {line}, byte {offset} is 0x{error.object[error.start]:02x}. "
        "If it is Latin-1 or Windows-1252, convert it: iconv -f WINDOWS-1252 -t UTF-8"
    )


def normalise(text: str) -> str:
    """Texts with the same result are exact duplicates: NFKC, case folded, white space collapsed."""
    return " ".join(_fold(text).split())


def grouping_key(text: str) -> str:
    """Texts with the same result must not be in different splits: as `normalise`, with letters and digits alone."""
    return NOT_ALPHANUMERIC.sub("", _fold(text))


def _fold(text: str) -> str:
    # Folding can undo the composition, so NFKC comes on both sides (Unicode 16, section 3.13.5).
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
