"""The one way to write a file or a folder: beside its place first, then renamed, so that nothing half-written ever looks finished.

And the one way to read JSON: whatever is wrong with a file becomes one `Unreadable` that names it.
"""

import glob
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gptmill.errors import Unreadable


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
        if beside.is_dir() and path.exists():
            _remove(path)  # a folder can't be renamed onto one that is not empty
        beside.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a write that fails, on a full disk, does not say of what
        _remove(beside)
        for parent in made:  # the innermost first; whatever else was put there meanwhile stays
            with suppress(OSError):
                parent.rmdir()
        raise


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


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file. Raises `OSError` when it can't be opened, `Unreadable` when it is no file or no text."""
    refuse_special(path)
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path} can't be read: it is not UTF-8, byte {error.start} is 0x{error.object[error.start]:02x}") from None


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
