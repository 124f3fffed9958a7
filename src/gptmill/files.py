"""The one way to write a file or a folder: beside its place first, then renamed, so that nothing half-written ever looks finished.

A folder that may be replaced while it is read is read through `one_version`.
"""

import ctypes
import glob
import hashlib
import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from gptmill.errors import GptmillError

T = TypeVar("T")

_MOST_JSON = 256 << 20  # bytes of a JSON file that are read
_PATIENCE = 30.0  # seconds in which a reader tries again, while others replace the folder that it reads
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100  # of Linux' renameat2


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file or a folder to; it takes `path`'s place when the block ends well, and is removed when not.

    Processes may write the same file at once, and the last one's stays. Threads of one process must take turns at a path.
    """
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        yield beside
        if beside.is_dir() and path.exists():  # a folder can't be renamed onto one that is not empty
            if _exchange(beside, path):
                _remove(beside)  # the old version
                return
            _remove(path)
        beside.replace(path)
    except BaseException:
        _remove(beside)
        for parent in made:  # the innermost first; whatever else was put there meanwhile stays
            with suppress(OSError):
                parent.rmdir()
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step, so that neither is ever absent; False where the system or the file system can't."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    return bool(renameat2) and renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


def one_version(folder: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of one version of a folder, which other processes may replace meanwhile: then it is read again.

    Raises what `read` raises, once the folder stayed the same while it was read.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        with _held(folder):
            before, error = _version(folder), None
            try:
                result = read(folder)
            except Exception as caught:  # noqa: BLE001 - half of one version and half of another may raise anything
                error = caught
                if before is None:  # where folders can't be exchanged, there is none for a moment
                    time.sleep(0.05)
            if _version(folder) == before:
                if error:
                    raise error
                return result
        if time.monotonic() > until:
            raise error or GptmillError(f"{folder} was replaced again and again while it was read: stop what writes it and try again")


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """An open folder's inode is not given to another one, so that a new version can't pass for this one."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:  # not there, or not to be opened: `read` says so
        yield
        return
    try:
        yield
    finally:
        os.close(descriptor)


def _version(folder: Path) -> tuple | None:
    """What changes when a folder is replaced, or a file in it; None where there is no folder."""
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            return status.st_dev, status.st_ino, sorted(_state(entry) for entry in entries)
    except OSError:
        return None


def _state(entry: os.DirEntry) -> tuple[str, int, int, int]:
    status = entry.stat()
    return entry.name, status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what is needed while something is made; it is gone when the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    beside.mkdir()
    try:
        yield beside
    finally:
        _remove(beside)


def _beside(path: Path) -> Path:
    """A name beside `path` that is this process's own. What killed processes left under such names is removed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        owner = left.name.removeprefix(f".{path.name}.").removesuffix(".part")
        if owner.isdecimal() and (int(owner) == os.getpid() or not _is_running(int(owner))):
            _remove(left)
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def write_text(path: Path, text: str) -> None:
    with atomic(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with atomic(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def within(place: Path) -> list[Path]:
    """The files in a folder, at any depth, in order of their names; of a file, itself."""
    return sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]


def read_json(path: Path) -> Any:
    """Raises `OSError`, or `ValueError` for what is not JSON, nested too deeply, too long, or not a regular file."""
    demand_regular(path)
    if (size := path.stat().st_size) > _MOST_JSON:
        raise ValueError(f"it has {size:,} bytes, more than the {_MOST_JSON:,} of any JSON file that gptmill reads")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def demand_regular(path: Path) -> None:
    """Raises `ValueError` for a folder, pipe, socket or device: to read one may wait forever. A missing path is not refused."""
    with suppress(OSError):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a named pipe", stat.S_ISSOCK: "a socket"}
            raise ValueError(f"{path.name} is {next((kind for of, kind in kinds.items() if of(mode)), 'a device')}, not a file")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's bytes. md5 is what DVC names a file by; nothing here relies on it for security."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def clear(folder: Path, above: int) -> None:
    """Remove a folder with all that is in it, and up to so many of the folders above it while nothing else is in them."""
    shutil.rmtree(folder, ignore_errors=True)
    for parent in list(folder.parents)[:above]:
        with suppress(OSError):
            parent.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
