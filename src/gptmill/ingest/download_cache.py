"""The folder that downloads are cached in: `GPTMILL_CACHE`, by default `~/.cache/gptmill`. All clones and processes of a user share it.

One process at a time works on an entry, and a scratch folder belongs to one process. Both are locks of the operating system, which frees
those of a killed process, in another container too.
"""

import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gptmill.core import files
from gptmill.core.errors import GptmillError

log = logging.getLogger(__name__)

PATIENCE = 3  # seconds of waiting before a person is told why
POLL = 0.1  # seconds


def folder() -> Path:
    return Path(os.environ.get("GPTMILL_CACHE") or "~/.cache/gptmill").expanduser()


def find(sha256: str) -> Path | None:
    """The cached file of that hash, if there is one and it is undamaged. It is replaced by its like at most: read it without a lock."""
    path = folder() / sha256
    with suppress(OSError):
        if files.digest(path) == sha256:
            return path
    return None


@contextmanager
def entry(name: str, what: str) -> Iterator[Path]:
    """The path of a cache entry, locked: no other process writes it, or what belongs to it, before the block ends.

    `what` names the entry to a person who has to wait. Raises `GptmillError` when the folder can't be written to or can't lock.
    """
    path = folder() / name
    with cache_errors():
        lock = _lock(path)
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            log.warning("%s: another process is downloading it; waiting for it to finish", what)
            lock.acquire(timeout=-1)
    try:
        yield path
    finally:
        lock.release()


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what is needed while something is made; it is gone when the block ends. Those of killed processes are removed."""
    base = folder() / "scratch"
    path = base / uuid.uuid4().hex
    with cache_errors():
        for left in base.glob("*.lock"):
            _remove(left.with_suffix(""))
        lock = _lock(path)
        lock.acquire()
        path.mkdir()
    try:
        yield path
    finally:
        lock.release()
        _remove(path)


@contextmanager
def cache_errors() -> Iterator[None]:
    """What goes wrong with the folder inside is one message."""
    try:
        yield
    except OSError as error:
        raise GptmillError(
            f"the download cache {folder()} can't be used ({error.strerror or error}): "
            "set GPTMILL_CACHE to a folder on a local disk that can be written to and has room"
        ) from None


def _lock(path: Path) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f"{path.name}.lock"), poll_interval=POLL)


def _remove(path: Path) -> None:
    """Remove a scratch folder that no process works in. The lock goes last: a folder without one would stay forever."""
    lock = _lock(path)
    try:
        with lock.acquire(timeout=0):
            shutil.rmtree(path, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)
    except OSError:  # `Timeout` among them: another process works in it, or it is another user's
        pass
