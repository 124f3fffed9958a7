"""Unpacks gzip, Zstandard, zip and tar, detected by their first bytes, as a stream up to a size limit.

Archives are untrusted: a member's name is never used as a path, its size is counted while it is read, and an archive
with a member that points outside, a link or a device is refused as a whole.
"""

import fnmatch
import gzip
import os
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gptmill.core.errors import GptmillError

CHUNK = 1 << 20  # bytes per read
ZSTD_CHUNK = 1 << 10  # packed bytes per read: Zstandard expands each to up to 32 kB
MOST_LAYERS = 4  # a csv in a gz in a zip has two
NAMES_SHOWN = 10

KINDS = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
FOREIGN = {
    b"BZh": "bzip2-compressed",
    b"\xfd7zXZ\x00": "xz-compressed",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\xd0\xcf\x11\xe0": "an Excel or Word file",
    b"%PDF": "a PDF",
    b"SQLite format 3\x00": "an SQLite database",
}


@dataclass(frozen=True)
class UnpackedFile:
    """An unpacked file: its name in the archive (or at its source), and its path."""

    name: str
    path: Path


class SizeLimiter:
    """Writes files of at most `limit` bytes in all."""

    def __init__(self, limit: int) -> None:
        self.limit, self.left = limit, limit

    def copy(self, chunks: Iterator[bytes], to: Path) -> None:
        with to.open("wb") as file:
            for chunk in chunks:
                self.left -= len(chunk)
                if self.left < 0:
                    raise GptmillError(
                        f"it is more than {self.limit:,} bytes when it is unpacked. "
                        "Raise max_megabytes in params.yaml if that is right; if not, it is an archive bomb"
                    )
                file.write(chunk)


def detect_format(path: Path) -> str:
    """gz, zst, zip, tar, or "" for a file that is not packed. Raises `GptmillError` for unsupported formats."""
    with path.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
    for start, what in FOREIGN.items():
        if head.startswith(start):
            raise GptmillError(f"it is {what}, which is not supported: unpack or export it first")
    return next((name for start, name in KINDS.items() if head.startswith(start)), "tar" if _is_tar(head) else "")


def unpack(path: Path, name: str, member: str, several: bool, limit: int, scratch: Path) -> list[UnpackedFile]:
    """The plain file, or with `several` all files of an archive, unpacked to the folder `scratch`.

    `member` names a file of an archive, or is a glob. Raises `GptmillError`, whose message does not name the
    file, when something is truncated, damaged, encrypted, larger than `limit` bytes in all, or unsafe.
    """
    packed = UnpackedFile(name, path)
    unpacked = _unpack(packed, member, several, [SizeLimiter(limit) for _ in range(MOST_LAYERS)], scratch)
    if member and unpacked == [packed]:
        raise GptmillError(f"it is not an archive, so it has no member {member}; set member to an empty text")
    return unpacked


def _unpack(
    file: UnpackedFile, member: str, several: bool, limiters: list[SizeLimiter], scratch: Path, layer: int = 0
) -> list[UnpackedFile]:
    packed = detect_format(file.path)
    if not packed:
        return [file]
    if layer == MOST_LAYERS:
        raise GptmillError(f"it is packed more than {MOST_LAYERS} times")
    if packed in ("gz", "zst"):
        to = _new_file(scratch)
        with _readable(packed):
            limiters[layer].copy(_gunzip(file.path) if packed == "gz" else _unzstd(file.path), to)
        inner = [UnpackedFile(re.sub(r"\.(gz|zst|zstd)$", "", re.sub(r"\.tgz$", ".tar", file.name)), to)]
    else:
        read = _zip_members if packed == "zip" else _tar_members
        with _readable(packed), read(file.path) as members:
            inner = [UnpackedFile(name, _new_file(scratch)) for name in _choose(list(members), member, several)]
            for one in inner:
                with members[one.name]() as stream:
                    limiters[layer].copy(iter(lambda stream=stream: stream.read(CHUNK), b""), one.path)
        member = ""
    plain = [file for one in inner for file in _unpack(one, member, several, limiters, scratch, layer + 1)]
    for path in {one.path for one in inner} - {file.path for file in plain}:
        path.unlink()
    return plain


def _new_file(scratch: Path) -> Path:
    """A new file, whose name does not come from the archive."""
    handle, name = tempfile.mkstemp(dir=scratch)
    os.close(handle)
    return Path(name)


def _choose(names: list[str], member: str, several: bool) -> list[str]:
    if member in names:
        return [member]
    chosen = [name for name in names if fnmatch.fnmatchcase(name, member)] if member else names
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    shown = ", ".join(map(_printable, sorted(names)[:NAMES_SHOWN])) + more
    if any(name == "[Content_Types].xml" for name in names) and not member:
        raise GptmillError("it is an Excel or Word file, which is not supported: save it as CSV (UTF-8)")
    if not names:
        raise GptmillError("it is an empty archive")
    if not chosen:
        raise GptmillError(f"it has no member {member}; it has {shown}")
    if len(chosen) > 1 and not several:
        matching = " of that name" if member else ""
        raise GptmillError(f"it has {len(chosen)} files{matching}: set member to one of {shown}")
    if len(chosen) > 1 and not member:
        raise GptmillError(
            f"it has {len(chosen)} files: set member to one of them, or to a glob for several ('*' for all): {shown}"
        )
    return sorted(chosen)


# --- formats ---


@contextmanager
def _readable(packed: str) -> Iterator[None]:
    what = {"gz": "gzip", "zst": "Zstandard", "zip": "zip", "tar": "tar"}[packed]
    try:
        yield
    except EOFError:
        raise GptmillError(f"it is {what}, and it is truncated: fetch it again") from None
    except (gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, tarfile.TarError, UnicodeDecodeError) as error:
        reason = str(error).rstrip(".")
        raise GptmillError(f"it is {what}, and it is damaged or truncated ({reason}): fetch it again") from None
    except NotImplementedError as error:
        raise GptmillError(f"it is {what} with an unsupported method ({error}): pack it again with deflate") from None


def _gunzip(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _unzstd(path: Path) -> Iterator[bytes]:
    import zstandard

    with path.open("rb") as file:
        frame = None
        while chunk := file.read(ZSTD_CHUNK):
            while chunk:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                try:
                    yield frame.decompress(chunk)
                except zstandard.ZstdError as error:
                    raise zlib.error(str(error)) from None
                chunk = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
        if frame is not None:
            raise EOFError


Opener = Callable[[], BinaryIO]


@contextmanager
def _zip_members(path: Path) -> Iterator[dict[str, Opener]]:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        for info in infos:
            _refuse_outside(info.orig_filename)
            mode = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
            if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _special(info.orig_filename)
        members = [info for info in infos if not info.is_dir() and not _is_clutter(info.filename)]
        _refuse_duplicates([info.filename for info in members])
        if any(info.flag_bits & 1 for info in members):
            raise GptmillError("it is an encrypted zip: unpack it yourself, and name the file that comes out")
        yield {info.filename: lambda info=info: archive.open(info) for info in members}


@contextmanager
def _tar_members(path: Path) -> Iterator[dict[str, Opener]]:
    with tarfile.open(path, "r:") as archive:
        infos = archive.getmembers()
        for info in infos:
            _refuse_outside(info.name)
            if not (info.isreg() or info.isdir()):
                raise _special(info.name)
        if path.stat().st_size < archive.offset or not _ends_with_zeros(path):
            raise EOFError
        members = [info for info in infos if info.isreg() and not _is_clutter(info.name)]
        _refuse_duplicates([info.name for info in members])
        yield {info.name: lambda info=info: archive.extractfile(info) for info in members}


def _ends_with_zeros(path: Path) -> bool:
    """A tar ends with blocks of zeros; one without them is truncated."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, tarfile.BLOCKSIZE), 2)
        return not file.read().strip(b"\x00")


def _is_tar(head: bytes) -> bool:
    """Whether these 512 bytes are a tar header with a valid checksum."""
    if len(head) < tarfile.BLOCKSIZE or not head.strip(b"\x00"):
        return False
    try:
        return tarfile.nti(head[148:156]) in tarfile.calc_chksums(head)
    except tarfile.HeaderError:
        return False


def _special(name: str) -> GptmillError:
    return GptmillError(f"its member {_printable(name)} is a link or a device, not a file: do not trust it")


def _refuse_outside(name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name) or "\x00" in name:
        raise GptmillError(f"its member {_printable(name)} points outside of it: do not trust this archive")


def _refuse_duplicates(names: list[str]) -> None:
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise GptmillError(f"it has two members of the name {_printable(name)}")


def _is_clutter(name: str) -> bool:
    """Files that macOS and Windows add to archives."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] in (".DS_Store", "Thumbs.db", "desktop.ini")


def _printable(name: str) -> str:
    return name.encode("unicode_escape").decode()[:200]
