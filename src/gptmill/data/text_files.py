"""Reads raw text files with the checks that all readers share, and normalises texts for comparison."""

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from gptmill.core import files
from gptmill.core.errors import GptmillError

# C0 except white space, DEL, and U+FFFD. Form feeds divide pages (pdftotext), vertical tabs are word processors' line
# breaks within a paragraph. C1 is allowed: in real files it is Windows-1252 quotes and dashes decoded as Latin-1 (35 of
# the UCI messages have them), or NEL, a line end.
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffd]")
LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
PAGE_STARTS = ("<!doctype html", "<html", "<?xml")
CHUNK = 1 << 20  # bytes per read
END_OF_TEXT = "<|endoftext|>"
SEPARATOR = f"\n{END_OF_TEXT}\n"  # between two documents
# Special tokens of other tokenizers, chat templates (BERT, SentencePiece, Llama, Gemma, T5, DeepSeek, ChatML) and ours.
MARKER = re.compile(
    r"[<\[](?:\|[A-Za-z]\w{0,38}\|>|｜[^\s<>|｜]{1,40}｜>|/?s>"
    r"|(?:pad|unk|mask|bos|eos|sep|cls|start_of_turn|end_of_turn|extra_id_\d{1,3})>|/?INST\]|</?SYS>>|(?:CLS|SEP|PAD|MASK|UNK|BOS|EOS)\])"
)
MARKERS_COUNTED = 1000  # different ones
FETCH_AGAIN = "Fetch it again, or put the right file in its place."


def read(path: Path) -> str:
    """The text of a UTF-8 file without its byte order mark, and with `\\n` for `\\r\\n`.

    Raises `GptmillError` when the file is missing, empty, not UTF-8, or an HTML or XML page.
    """
    return "".join(chunks(path))


def chunks(path: Path, progress: str = "", *, may_be_page: bool = False) -> Iterator[str]:
    """The text of `read`, about a megabyte at a time, so that a file is never whole in memory.

    Raises as `read` does, when it comes to the place. `progress`: label of a progress bar; "" shows none.
    `may_be_page`: the text may look like HTML, as the first document of a corpus that was checked already.
    """
    blank = True
    for number, text in enumerate(_decoded(path, str(path), progress)):
        if number == 0 and not may_be_page and _starts_a_page(text):
            raise GptmillError(f"{path} is an HTML or XML page, not data: a server sent its error page. {FETCH_AGAIN}")
        blank = blank and not text.strip()
        yield text
    if blank:
        raise GptmillError(f"{path} is empty. {FETCH_AGAIN}")


def _decoded(path: Path, name: str, progress: str = "") -> Iterator[str]:
    """The text in chunks. A character or a `\\r\\n` that a chunk's end divides goes into the next one."""
    decoder, held = codecs.getincrementaldecoder("utf-8")(), ""
    before, line = 0, 1  # bytes before this chunk, and the line of the next byte
    for content in _bytes(path, progress):
        if before == 0 and _is_utf16(content[:1000]):
            raise GptmillError(f"{name} is UTF-16, not UTF-8. Save it as UTF-8: iconv -f UTF-16 -t UTF-8")
        bom = codecs.BOM_UTF8 if before == 0 and content.startswith(codecs.BOM_UTF8) else b""
        partial = len(decoder.getstate()[0])  # bytes of a character at the last chunk's end
        try:
            text = held + decoder.decode(content.removeprefix(bom), final=not content)
        except UnicodeDecodeError as error:
            if not content:
                problem = f"{name} is not UTF-8: it ends in the middle of a character, at line {line}"
                raise GptmillError(f"{problem}. It may be truncated: fetch it again.") from None
            line += error.object.count(b"\n", 0, error.start)
            offset = before + len(bom) - partial + error.start
            raise GptmillError(
                f"{name} is not UTF-8: line {line}, byte {offset} is 0x{error.object[error.start]:02x}. "
                "If it is Latin-1 or Windows-1252, convert it: iconv -f WINDOWS-1252 -t UTF-8"
            ) from None
        before, line = before + len(content), line + content.count(b"\n")
        held = "\r" if text.endswith("\r") and content else ""
        yield text.removesuffix(held).replace("\r\n", "\n")


def require_file(path: Path) -> None:
    """Raises `GptmillError` unless the file, which a stage writes, is there and regular."""
    if not path.exists():
        raise GptmillError(f"{path} not found. Run the stages that write it: dvc repro")
    if path.is_dir():
        raise GptmillError(f"{path} is a folder where a file should be. Remove it, then: dvc repro")
    files.refuse_special(path)


def _bytes(path: Path, progress: str) -> Iterator[bytes]:
    """The file in chunks, an empty one at its end."""
    from tqdm import tqdm

    require_file(path)
    options = {"unit": "B", "unit_scale": True, "leave": False, "disable": None if progress else True}
    with path.open("rb") as file, tqdm(total=path.stat().st_size, desc=progress, **options) as bar:
        while content := file.read(CHUNK):
            yield content
            bar.update(len(content))
    yield b""


def _is_utf16(start: bytes) -> bool:
    """By its byte order mark, or because every other byte of most scripts is zero."""
    return start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or start.count(0) > len(start) / 3


def check_text(path: Path) -> None:
    """The checks of `read`, without holding the file in memory. Raises as `read` does."""
    require_file(path)
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            raise GptmillError(f"{path} is Parquet, not text: call it .parquet (the key file in params.yaml).")
    for _ in chunks(path):
        pass


def check_encoding(path: Path, name: str) -> None:
    """Raises `GptmillError`, which calls the file `name`, when it is not UTF-8."""
    for _ in _decoded(path, name):
        pass


def is_html_or_xml(path: Path) -> bool:
    """Whether the file begins like an HTML or XML page."""
    with path.open("rb") as file:
        head = file.read(1000).removeprefix(codecs.BOM_UTF8)
    return _starts_a_page(head.decode("latin-1"))


def _starts_a_page(text: str) -> bool:
    return text[:200].lstrip().casefold().startswith(PAGE_STARTS)


def count_markers(texts: Iterable[str], counts: Counter[str]) -> None:
    """Adds the occurrences of special tokens' names in the texts to `counts`."""
    for text in texts:
        if "<" in text or "[" in text:
            for marker in MARKER.findall(text):
                if marker in counts or len(counts) < MARKERS_COUNTED:
                    counts[marker] += 1


def normalise(text: str) -> str:
    """NFKC, case folded, white space collapsed: texts with the same result are exact duplicates."""
    return " ".join(_fold(text).split())


def grouping_key(text: str) -> str:
    """`normalise`, with letters, marks and digits alone: texts with the same result must be in one split.

    In many scripts, vowels are marks. Variation selectors, which choose a letter's or an emoji's look, are removed.
    """
    folded = _fold(text)
    return (_NOT_ALPHANUMERIC if folded.isascii() else _not_alphanumeric()).sub("", folded)


@cache
def _not_alphanumeric():
    import regex  # `re` has no Unicode classes

    return regex.compile(r"(?V1)[[^\p{L}\p{N}\p{M}]||\p{Variation_Selector}]+")


def _fold(text: str) -> str:
    # Folding can undo the composition, so NFKC is applied on both sides (Unicode 16, section 3.13.5).
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
