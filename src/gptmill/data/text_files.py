"""Raw files as text: the checks that every reader shares, and what makes two texts the same."""

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from gptmill.core import files
from gptmill.core.errors import GptmillError

# C0 except its white space, DEL, and the mark that decoders leave where they could not read. Form feeds divide the pages of sources and of
# what pdftotext writes, vertical tabs are word processors' line breaks within a paragraph. C1 is left alone: in real files it is
# Windows-1252's quotes and dashes, decoded as Latin-1 (35 of the UCI messages have them), or NEL, a line's end.
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffd]")
LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
PAGE_STARTS = ("<!doctype html", "<html", "<?xml")
CHUNK = 1 << 20  # bytes that are read at once
END_OF_TEXT = "<|endoftext|>"
SEPARATOR = f"\n{END_OF_TEXT}\n"  # a line of its own between two documents
# Special tokens of other tokenizers and chat templates (BERT, SentencePiece, Llama, Gemma, T5, DeepSeek, ChatML and its kin), and of ours.
MARKER = re.compile(
    r"[<\[](?:\|[A-Za-z]\w{0,38}\|>|｜[^\s<>|｜]{1,40}｜>|/?s>|(?:pad|unk|mask|bos|eos|sep|cls|start_of_turn|end_of_turn|extra_id_\d{1,3})>"
    r"|/?INST\]|</?SYS>>|(?:CLS|SEP|PAD|MASK|UNK|BOS|EOS)\])"
)
MARKERS_COUNTED = 1000  # different ones
FETCH_AGAIN = "Fetch it again, or put the right file in its place."


def read(path: Path) -> str:
    """The file's text, decoded from UTF-8, without a byte order mark, with `\\n` for `\\r\\n`.

    Raises `GptmillError` when the file is missing, empty, not UTF-8, or a page of HTML or XML where data should be.
    """
    return "".join(chunks(path))


def chunks(path: Path, says: str = "", *, may_be_page: bool = False) -> Iterator[str]:
    """What `read` returns, about a megabyte at a time, so that a file of any size is never whole in memory.

    Raises as `read` does, once it comes to the place: that a file is empty is known at its end. `says`: what a progress bar says; "" shows
    none. `may_be_page`: the text may start as HTML does, because it is the first document of a corpus that was checked already.
    """
    blank = True
    for number, text in enumerate(_decoded(path, str(path), says)):
        if number == 0 and not may_be_page and _starts_a_page(text):
            raise GptmillError(f"{path} is an HTML or XML page, not data: a server sent its error page. {FETCH_AGAIN}")
        blank = blank and not text.strip()
        yield text
    if blank:
        raise GptmillError(f"{path} is empty. {FETCH_AGAIN}")


def _decoded(path: Path, name: str, says: str = "") -> Iterator[str]:
    """The text in chunks. A character or a `\\r\\n` that a chunk's end divides is kept for the next one."""
    decoder, held = codecs.getincrementaldecoder("utf-8")(), ""
    before, line = 0, 1  # bytes, and the line that the next byte is in
    for content in _bytes(path, says):
        if before == 0 and _is_utf16(content[:1000]):
            raise GptmillError(f"{name} is UTF-16, not UTF-8. Save it as UTF-8: iconv -f UTF-16 -t UTF-8")
        bom = codecs.BOM_UTF8 if before == 0 and content.startswith(codecs.BOM_UTF8) else b""
        half = len(decoder.getstate()[0])  # bytes of a character that the last chunk ended in
        try:
            text = held + decoder.decode(content.removeprefix(bom), final=not content)
        except UnicodeDecodeError as error:
            if not content:
                raise GptmillError(
                    f"{name} is not UTF-8: it ends in the middle of a character, at line {line}. It may be cut: fetch it again."
                ) from None
            line += error.object.count(b"\n", 0, error.start)
            offset = before + len(bom) - half + error.start
            raise GptmillError(
                f"{name} is not UTF-8: line {line}, byte {offset} is 0x{error.object[error.start]:02x}. "
                "If it is Latin-1 or Windows-1252, convert it: iconv -f WINDOWS-1252 -t UTF-8"
            ) from None
        before, line = before + len(content), line + content.count(b"\n")
        held = "\r" if text.endswith("\r") and content else ""
        yield text.removesuffix(held).replace("\r\n", "\n")


def _bytes(path: Path, says: str) -> Iterator[bytes]:
    """The file in chunks, an empty one at its end."""
    from tqdm import tqdm

    try:
        files.refuse_special(path)
        file = path.open("rb")
    except FileNotFoundError:
        raise GptmillError(f"{path} is not here. The whole pipeline brings it: dvc repro") from None
    except IsADirectoryError:
        raise GptmillError(f"{path} is a folder where a file should be. Remove it, then: dvc repro") from None
    bar = tqdm(
        total=path.stat().st_size, desc=says, unit="B", unit_scale=True, leave=False, disable=None if says else True
    )
    with file, bar:
        while content := file.read(CHUNK):
            yield content
            bar.update(len(content))
    yield b""


def _is_utf16(start: bytes) -> bool:
    """By its mark, or by the zeros that every other byte of most scripts' letters is."""
    return start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or start.count(0) > len(start) / 3


def check_text(path: Path) -> None:
    """The checks of `read`, for a file that is not held in memory afterwards. Raises `GptmillError` as it does."""
    files.refuse_special(path)
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            raise GptmillError(
                f"{path} is Parquet, not text: let its name end in .parquet (the key file in params.yaml)."
            )
    for _ in chunks(path):
        pass


def check_encoding(path: Path, name: str) -> None:
    """Raises `GptmillError`, in which the file is called `name`, when it is not UTF-8."""
    for _ in _decoded(path, name):
        pass


def is_html_or_xml(path: Path) -> bool:
    """Whether the file begins as a page of HTML or XML does."""
    with path.open("rb") as file:
        head = file.read(1000).removeprefix(codecs.BOM_UTF8)
    return _starts_a_page(head.decode("latin-1"))


def _starts_a_page(text: str) -> bool:
    return text[:200].lstrip().casefold().startswith(PAGE_STARTS)


def count_markers(texts: Iterable[str], counts: Counter[str]) -> None:
    """Adds to `counts` how often each special token's name stands in the texts."""
    for text in texts:
        if "<" in text or "[" in text:
            for marker in MARKER.findall(text):
                if marker in counts or len(counts) < MARKERS_COUNTED:
                    counts[marker] += 1


def normalise(text: str) -> str:
    """Texts with the same result are exact duplicates: NFKC, case folded, white space collapsed."""
    return " ".join(_fold(text).split())


def grouping_key(text: str) -> str:
    """Texts with the same result must not be in different splits: as `normalise`, with letters, their marks and digits alone.

    In many scripts, vowels are marks. Those that only choose a letter's or an emoji's look are none.
    """
    folded = _fold(text)
    return (_NOT_ALPHANUMERIC if folded.isascii() else _not_alphanumeric()).sub("", folded)


@cache
def _not_alphanumeric():
    import regex  # the standard library's has no classes of Unicode characters

    return regex.compile(r"(?V1)[[^\p{L}\p{N}\p{M}]||\p{Variation_Selector}]+")


def _fold(text: str) -> str:
    # Folding can undo the composition, so NFKC comes on both sides (Unicode 16, section 3.13.5).
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
