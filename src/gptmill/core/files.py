"""The one way to write a file or a folder: beside its place first, then renamed, so that nothing half-written ever looks finished.

A folder that may be replaced while it is read is read through `read_snapshot`. And the one way to read JSON: whatever is wrong with a file
becomes one `Unreadable` that names it.
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
            _replace(beside, path)
        else:
            beside.replace(path)
    except BaseException as error:
        if (
            isinstance(error, OSError) and error.errno is not None
        ):  # a write that fails, on a full disk, does not say of what; or names the temporary path
            error.filename = (
                str(path) if error.filename is None else str(error.filename).replace(str(beside), str(path))
            )
        _remove(beside)
        for parent in made:  # the innermost first; whatever else was put there meanwhile stays
            with suppress(OSError):
                parent.rmdir()
        raise


def _replace(new: Path, path: Path) -> None:
    """Let a folder take the place of another, whose readers may end before it is removed."""
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
    _wait_for_readers(old)
    _remove(old)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step, so that neither is ever absent; False where the system or the file system can't."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    return (
        bool(renameat2) and renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0
    )


def _wait_for_readers(folder: Path) -> None:
    """Until nobody reads a folder through `read_snapshot`, or for so long that a reader has to begin anew."""
    until = time.monotonic() + _PATIENCE
    with _opened(folder) as descriptor:
        while descriptor is not None and not _locked(descriptor, exclusive=True) and time.monotonic() < until:
            time.sleep(0.01)


def read_snapshot(folder: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of one version of a folder, which other processes may replace meanwhile.

    `read` is given another path of the folder, that stays this version's. Where the system has no such paths, or when the folder is changed
    in place, it is read again. Raises what `read` raises of a folder that stays the same.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        with _opened(folder) as descriptor:
            if descriptor is None and not folder.exists():
                time.sleep(0.02)  # where folders can't be exchanged, there is none for a moment
                if not folder.exists():
                    return read(folder)
            held = Path(f"/proc/self/fd/{descriptor}")
            place = held if held.exists() else folder
            current = descriptor is None or (_locked(descriptor, exclusive=False) and _is_at(descriptor, folder))
            before, error = _state(place), None
            try:
                if current:
                    result = read(place)
            except Exception as caught:  # noqa: BLE001 - half of one version and half of another may raise anything
                error = _renamed(caught, place, folder)
            if current and _state(place) == before:
                if error:
                    raise error
                return result
        if time.monotonic() > until:
            raise error or GptmillError(
                f"{folder} was replaced again and again while it was read: stop what writes it and try again"
            )


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """A descriptor of a folder, whose inode no other folder gets meanwhile; None when it is no folder, or can't be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int, *, exclusive: bool) -> bool:
    """Take a lock that readers share and who removes a folder does not; True also where there are no locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True
    return True


def _is_at(descriptor: int, folder: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    return False


def _state(folder: Path) -> tuple | None:
    """What changes when a folder is replaced, or a file in it; None where there is no folder."""
    with suppress(OSError):
        status = folder.stat()
        with os.scandir(folder) as entries:
            of_files = [(e.name, (s := e.stat()).st_ino, s.st_size, s.st_mtime_ns) for e in entries]
        return status.st_dev, status.st_ino, sorted(of_files)
    return None


def _renamed(error: Exception, place: Path, folder: Path) -> Exception:
    """The error, about the folder as it was named."""
    error.args = tuple(arg.replace(str(place), str(folder)) if isinstance(arg, str) else arg for arg in error.args)
    if isinstance(error, OSError) and isinstance(error.filename, str):
        error.filename = error.filename.replace(str(place), str(folder))
    return error


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


def list_files(place: Path) -> list[Path]:
    """The files in a folder, at any depth, in order of their names; of a file, itself."""
    return sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file. Raises `OSError` when it can't be opened, `Unreadable` when it is no file or no text."""
    refuse_special(path)
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"{path} can't be read: it is not UTF-8, byte {error.start} is 0x{error.object[error.start]:02x}"
        ) from None


def refuse_special(path: Path) -> None:
    """Raises `Unreadable` for a pipe, a socket or a device: reading one waits for a writer, or never ends."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise Unreadable(f"{path} is a pipe, a socket or a device: a regular file is expected")


def parse_json(text: str | bytes, what: object) -> Any:
    """Raises `Unreadable`, in which the text is called `what`."""
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable(f"{what} is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"{what} is not JSON: {error}") from None
    except ValueError as error:  # Python converts no number of more than 4,300 digits; bytes may be no UTF-8
        raise Unreadable(f"{what} can't be read: {error}") from None


def read_json(path: Path) -> Any:
    """Raises `OSError` when it can't be opened, `Unreadable` when it is not JSON, nested too deeply, too long, or not a regular file."""
    if (size := path.stat().st_size) > _MOST_JSON:
        raise Unreadable(f"{path} has {size:,} bytes, more than the {_MOST_JSON:,} of any JSON file that gptmill reads")
    return parse_json(read_text(path), path)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    refuse_special(path)
    with path.open(encoding="utf-8") as file:
        try:
            return [parse_json(line, f"{path}, line {number}") for number, line in enumerate(file, start=1)]
        except UnicodeDecodeError:
            raise Unreadable(f"{path} can't be read: it is not UTF-8") from None


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's bytes. md5 is what DVC names a file by; nothing here relies on it for security."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def remove_folder(folder: Path, above: int) -> None:
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
