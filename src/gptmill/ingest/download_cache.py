"""The download cache: `GPTMILL_CACHE`, by default `~/.cache/gptmill`, shared by all clones and processes of a user.

One process at a time works on an entry, and a scratch folder belongs to one process. Both are locks of the operating
system, which releases those of killed processes, in other containers too.
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

PATIENCE = 3  # seconds of waiting before a warning says why
POLL = 0.1  # seconds


def folder() -> Path:
    return Path(os.environ.get("GPTMILL_CACHE") or "~/.cache/gptmill").expanduser()


def find(sha256: str) -> Path | None:
    """The undamaged cached file of that hash, if any. Its bytes never change: read it without a lock."""
    path = folder() / sha256
    with suppress(OSError):
        if files.digest(path) == sha256:
            return path
    return None


@contextmanager
def entry(name: str, what: str) -> Iterator[Path]:
    """The path of a cache entry, locked against other processes until the block ends.

    `what` names the entry in a warning. Raises `GptmillError` when the folder can't be written to or locked.
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
    """A temporary folder, removed when the block ends. Those of killed processes are removed too."""
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
    """Errors of the cache folder inside the block become one message."""
    try:
        yield
    except OSError as error:
        raise GptmillError(
            f"the download cache {folder()} can't be used ({error.strerror or error}): "
            "set GPTMILL_CACHE to a writable folder on a local disk with free space"
        ) from None


def _lock(path: Path) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f"{path.name}.lock"), poll_interval=POLL)


def _remove(path: Path) -> None:
    """Remove a scratch folder that no process uses. The lock goes last: a folder without one would stay forever."""
    lock = _lock(path)
    try:
        with lock.acquire(timeout=0):
            shutil.rmtree(path, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)
    except OSError:  # `Timeout` too: another process uses it, or it belongs to another user
        pass
