"""Atomic writes: a file or folder is written under a temporary name next to it, then renamed. Nothing half-written
looks done.

`read_snapshot` reads a folder that other processes may replace. The JSON readers raise `Unreadable`, which names the
file.
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

from gptmill.core.errors import GptmillError, Unreadable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

T = TypeVar("T")

_MAX_JSON_BYTES = 256 << 20
_PATIENCE = 30.0  # seconds that a reader retries while other processes replace its folder
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100  # of Linux' renameat2


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path to write a file or folder to. It replaces `path` when the block succeeds, else it is removed.

    Processes may write the same path at once: the last one wins. Threads of one process must take turns.
    """
    new_parents = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = _temporary(path)
    try:
        yield tmp
        if tmp.is_dir() and path.exists():  # a folder can't be renamed onto one that is not empty
            _replace_folder(tmp, path)
        else:
            tmp.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno is not None:  # a full disk names no file, or the temporary one
            error.filename = str(path) if error.filename is None else str(error.filename).replace(str(tmp), str(path))
        _remove(tmp)
        for parent in new_parents:  # innermost first; a folder that is no longer empty stays
            with suppress(OSError):
                parent.rmdir()
        raise


def _replace_folder(new: Path, path: Path) -> None:
    """Put a folder in the place of another, which is removed once its readers have finished."""
    if _exchange(new, path):
        old = new
    else:
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        path.rename(old)
        try:
            new.rename(path)
        except BaseException:
            old.rename(path)
            raise
    deadline = time.monotonic() + _PATIENCE  # later, a reader has to start again
    with _opened(old) as descriptor:
        while descriptor is not None and not _lock(descriptor, exclusive=True) and time.monotonic() < deadline:
            time.sleep(0.01)
    _remove(old)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step, so that neither is ever absent; False where the system or the file system can't."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    places = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    return bool(renameat2) and renameat2(*places, _RENAME_EXCHANGE) == 0


def read_snapshot(folder: Path, read: Callable[[Path], T]) -> T:
    """The result of `read` on one version of a folder that other processes may replace meanwhile.

    `read` gets a path that stays with this version. Where the system has none, or when the folder is changed in place,
    it is called again.     Raises what `read` raises on a folder that does not change.
    """
    deadline, error = time.monotonic() + _PATIENCE, None
    while True:
        with _opened(folder) as descriptor:
            if place := _snapshot_path(descriptor, folder):
                before, error = _state(place), None
                try:
                    result = read(place)
                except Exception as caught:  # noqa: BLE001 - half of one version and half of another may raise anything
                    error = _renamed(caught, place, folder)
                if _state(place) == before:
                    if error:
                        raise error
                    return result
        if time.monotonic() > deadline:
            raise error or GptmillError(
                f"{folder} was replaced again and again while it was read: stop its writer and try again"
            )


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """A descriptor of a folder, which keeps its inode from reuse; None when it can't be opened as a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _snapshot_path(descriptor: int | None, folder: Path) -> Path | None:
    """A path of the version that `descriptor` holds, locked against removal; None when it was replaced."""
    if descriptor is None:
        if not folder.exists():
            time.sleep(0.02)  # where folders can't be exchanged, there is none for a moment
        return folder
    with suppress(OSError):
        if _lock(descriptor, exclusive=False) and os.path.samestat(os.fstat(descriptor), os.stat(folder)):
            held = Path(f"/proc/self/fd/{descriptor}")
            return held if held.exists() else folder
    return None


def _lock(descriptor: int, *, exclusive: bool) -> bool:
    """Whether the lock was free: readers share it, who removes the folder does not. True where there are no locks."""
    if fcntl:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True


def _state(folder: Path) -> tuple | None:
    """What changes when a folder or a file in it is replaced; None without a folder."""
    with suppress(OSError):
        status = folder.stat()
        with os.scandir(folder) as entries:
            of_files = [(e.name, (s := e.stat()).st_ino, s.st_size, s.st_mtime_ns) for e in entries]
        return status.st_dev, status.st_ino, sorted(of_files)
    return None


def _renamed(error: Exception, place: Path, folder: Path) -> Exception:
    """The error, with the folder's own path in it."""
    error.args = tuple(arg.replace(str(place), str(folder)) if isinstance(arg, str) else arg for arg in error.args)
    if isinstance(error, OSError) and isinstance(error.filename, str):
        error.filename = error.filename.replace(str(place), str(folder))
    return error


def _temporary(path: Path) -> Path:
    """A name next to `path` that belongs to this process. Such files of killed processes are removed."""
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
    except PermissionError:  # another user's process
        return True
    return True


def write_text(path: Path, text: str) -> None:
    with atomic(path) as tmp:
        tmp.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with atomic(path) as tmp, tmp.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def list_files(path: Path) -> list[Path]:
    """All files below a folder, sorted; of a file, itself."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Raises `OSError` when it can't be opened, `Unreadable` when it is not a regular file or not text."""
    refuse_special(path)
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is 0x{error.object[error.start]:02x}"
        raise Unreadable(f"{path} can't be read: it is not UTF-8, {byte}") from None


def refuse_special(path: Path) -> None:
    """Raises `Unreadable` for a pipe, a socket or a device: reading one waits for a writer, or never ends."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise Unreadable(f"{path} is a pipe, a socket or a device: a regular file is expected")


def parse_json(text: str | bytes, what: object) -> Any:
    """Raises `Unreadable`, which calls the text `what`."""
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable(f"{what} is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"{what} is not JSON: {error}") from None
    except ValueError as error:  # Python converts numbers of up to 4,300 digits; bytes may not be UTF-8
        raise Unreadable(f"{what} can't be read: {error}") from None


def read_json(path: Path) -> Any:
    """Raises `OSError` when it can't be opened, `Unreadable` when it is too long, too deep, or not regular or JSON."""
    if (size := path.stat().st_size) > _MAX_JSON_BYTES:
        raise Unreadable(f"{path} has {size:,} bytes; gptmill reads JSON files of at most {_MAX_JSON_BYTES:,}")
    return parse_json(read_text(path), path)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    refuse_special(path)
    with path.open(encoding="utf-8") as file:
        try:
            return [parse_json(line, f"{path}, line {number}") for number, line in enumerate(file, start=1)]
        except UnicodeDecodeError:
            raise Unreadable(f"{path} can't be read: it is not UTF-8") from None


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's bytes. DVC names files by their md5; nothing here relies on that for security."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def remove_folder(folder: Path, above: int) -> None:
    """Remove a folder and all in it, then up to `above` folders above it while they are empty."""
    shutil.rmtree(folder, ignore_errors=True)
    for parent in list(folder.parents)[:above]:
        with suppress(OSError):
            parent.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
