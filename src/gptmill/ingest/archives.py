"""Files out of what they are packed in: gzip, Zstandard, zip and tar, told by their first bytes and unpacked as a stream, up to a limit.

Whatever an archive says of a member is taken for a claim: its name is never used as a path, its size is counted while it is read, and an
archive with a member that points outside, a link or a device is refused as a whole.
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

CHUNK = 1 << 20
ZSTD_CHUNK = 1 << 10  # packed bytes at once: Zstandard makes up to 32 kB of each
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
    """An unpacked file: the name that it has inside (or where it came from), and where it lies."""

    name: str
    path: Path


class SizeLimiter:
    """What is written through it, to several files maybe, is `limit` bytes at most."""

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
    """gz, zst, zip, tar, or "" for a file that is not packed. Raises `GptmillError` for what is packed in a way that is not read here."""
    with path.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
    for start, what in FOREIGN.items():
        if head.startswith(start):
            raise GptmillError(f"it is {what}, which is not read here: unpack or export it first")
    return next((name for start, name in KINDS.items() if head.startswith(start)), "tar" if _is_tar(head) else "")


def unpack(path: Path, name: str, member: str, several: bool, limit: int, scratch: Path) -> list[UnpackedFile]:
    """The plain file or, when `several` may come of an archive, files; what had to be unpacked is in the folder `scratch`.

    `member` names the file of an archive, or is a glob. Raises `GptmillError`, which leaves naming the file to the caller, when something
    is cut, damaged, encrypted, larger than `limit` bytes in all, or not to be trusted.
    """
    found = _unpack(
        UnpackedFile(name, path), member, several, [SizeLimiter(limit) for _ in range(MOST_LAYERS)], scratch
    )
    if member and found == [UnpackedFile(name, path)]:
        raise GptmillError(f"it is no archive, so there is no member {member} in it; set member to an empty text")
    return found


def _unpack(
    file: UnpackedFile, member: str, several: bool, bounds: list[SizeLimiter], scratch: Path, layer: int = 0
) -> list[UnpackedFile]:
    packed = detect_format(file.path)
    if not packed:
        return [file]
    if layer == MOST_LAYERS:
        raise GptmillError(f"it is packed more than {MOST_LAYERS} times")
    if packed in ("gz", "zst"):
        to = _place(scratch)
        with _readable(packed):
            bounds[layer].copy(_gunzipped(file.path) if packed == "gz" else _unzstd(file.path), to)
        inner = [UnpackedFile(re.sub(r"\.(gz|zst|zstd)$", "", re.sub(r"\.tgz$", ".tar", file.name)), to)]
    else:
        read = _zip_members if packed == "zip" else _tar_members
        with _readable(packed), read(file.path) as members:
            inner = [UnpackedFile(chosen, _place(scratch)) for chosen in _choose(list(members), member, several)]
            for plain in inner:
                with members[plain.name]() as stream:
                    bounds[layer].copy(iter(lambda stream=stream: stream.read(CHUNK), b""), plain.path)
        member = ""
    done = [plain for one in inner for plain in _unpack(one, member, several, bounds, scratch, layer + 1)]
    for path in {plain.path for plain in inner} - {plain.path for plain in done}:
        path.unlink()
    return done


def _place(scratch: Path) -> Path:
    """A new file; its name is made here, not in the archive."""
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
        raise GptmillError("it is an Excel or Word file, which is not read here: save it as CSV (UTF-8)")
    if not names:
        raise GptmillError("it is an archive without a file in it")
    if not chosen:
        raise GptmillError(f"it has no member {member}; it has {shown}")
    if len(chosen) > 1 and not several:
        raise GptmillError(
            f"it has {len(chosen)} files{' of that name' if member else ''}: set member to one of {shown}"
        )
    if len(chosen) > 1 and not member:
        raise GptmillError(
            f"it has {len(chosen)} files: set member to one of them, or to a glob for several ('*' for all): {shown}"
        )
    return sorted(chosen)


# --- each way of packing ---


@contextmanager
def _readable(packed: str) -> Iterator[None]:
    what = {"gz": "gzip", "zst": "Zstandard", "zip": "zip", "tar": "tar"}[packed]
    try:
        yield
    except EOFError:
        raise GptmillError(f"it is {what}, and it is cut off: fetch it again") from None
    except (gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, tarfile.TarError, UnicodeDecodeError) as error:
        raise GptmillError(
            f"it is {what}, and it is damaged or cut off ({str(error).rstrip('.')}): fetch it again"
        ) from None
    except NotImplementedError as error:
        raise GptmillError(
            f"it is {what}, packed in a way that is not read here ({error}): pack it again with deflate"
        ) from None


def _gunzipped(path: Path) -> Iterator[bytes]:
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
                raise GptmillError(
                    f"its member {_printable(info.orig_filename)} is a link or a device, not a file: do not trust it"
                )
        wanted = [info for info in infos if not info.is_dir() and not _is_clutter(info.filename)]
        _refuse_twice([info.filename for info in wanted])
        if any(info.flag_bits & 1 for info in wanted):
            raise GptmillError("it is an encrypted zip: unpack it yourself, and name the file that comes out")
        yield {info.filename: lambda info=info: archive.open(info) for info in wanted}


@contextmanager
def _tar_members(path: Path) -> Iterator[dict[str, Opener]]:
    with tarfile.open(path, "r:") as archive:
        infos = archive.getmembers()
        for info in infos:
            _refuse_outside(info.name)
            if not (info.isreg() or info.isdir()):
                raise GptmillError(
                    f"its member {_printable(info.name)} is a link or a device, not a file: do not trust it"
                )
        if path.stat().st_size < archive.offset or not _ends_with_zeros(path):
            raise EOFError
        wanted = [info for info in infos if info.isreg() and not _is_clutter(info.name)]
        _refuse_twice([info.name for info in wanted])
        yield {info.name: lambda info=info: archive.extractfile(info) for info in wanted}


def _ends_with_zeros(path: Path) -> bool:
    """A tar ends with blocks of zeros; one without them has lost its end."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, tarfile.BLOCKSIZE), 2)
        return not file.read().strip(b"\x00")


def _is_tar(head: bytes) -> bool:
    """Whether these 512 bytes are a tar's header: its checksum is right."""
    if len(head) < tarfile.BLOCKSIZE or not head.strip(b"\x00"):
        return False
    try:
        return tarfile.nti(head[148:156]) in tarfile.calc_chksums(head)
    except tarfile.HeaderError:
        return False


def _refuse_outside(name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name) or "\x00" in name:
        raise GptmillError(f"its member {_printable(name)} points outside of it: do not trust this archive")


def _refuse_twice(names: list[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None:
        raise GptmillError(f"it has two members of the name {_printable(twice)}")


def _is_clutter(name: str) -> bool:
    """What macOS and Windows put into archives beside the files."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] in (".DS_Store", "Thumbs.db", "desktop.ini")


def _printable(name: str) -> str:
    return name.encode("unicode_escape").decode()[:200]
