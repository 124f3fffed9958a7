"""The one way to write a file or a folder: beside its place first, then renamed, so that nothing half-written ever looks finished."""

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


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
    except BaseException:
        _remove(beside)
        for parent in made:  # the innermost first; whatever else was put there meanwhile stays
            with suppress(OSError):
                parent.rmdir()
        raise


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
    return json.loads(path.read_text(encoding="utf-8"))


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
