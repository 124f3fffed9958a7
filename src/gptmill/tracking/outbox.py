"""What a stage tells of itself, on disk before it goes anywhere: `.gptmill/journal/<key>/`.

`events.jsonl` has a line for each thing told, in order, with its time; `files/` the files that belong to them; `sent.json` how many of the
lines MLflow has. A process that is killed loses nothing that it told; a server that is down is sent the rest later, by the same process or
by `gptmill sync`. Whoever works on a journal holds its lock.
"""

import json
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gptmill.core import files
from gptmill.tracking import locations

EVENTS, SENT, LOCK, FILES = "events.jsonl", "sent.json", "lock", "files"
Event = dict[str, Any]

log = logging.getLogger(__name__)


def now() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return int(time.time() * 1000)


class Outbox:
    """One run's. `events[0]` says which: its stage, experiment, tags and, in `training`, which training it is."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder, self._lock, self._writing = folder, lock, threading.Lock()
        self.events: list[Event] = []
        whole = 0
        if (path := folder / EVENTS).exists():
            for line in path.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break  # the process was killed while it wrote this one
                self.events.append(files.parse_json(line, path))
                whole += len(line)
        self._file = path.open("ab", buffering=0)
        self._file.truncate(whole)
        self._whole, self._unwritten = whole, b""  # what is on disk, and what could not be written yet
        self.sent: dict[str, Any] = {"events": 0, "run_id": ""}
        if (folder / SENT).exists():
            self.sent = files.read_json(folder / SENT)

    # --- what there is ---

    @property
    def stage(self) -> str:
        return self.events[0]["stage"]

    @property
    def training(self) -> str:
        return self.events[0]["training"]

    @property
    def pipeline(self) -> str:
        """The pipeline run that it belongs to, by the last process that worked on it."""
        return [event["pipeline"] for event in self.events if "pipeline" in event][-1]

    @property
    def status(self) -> str:
        """How the run ended; "" while it has not."""
        return self.events[-1].get("status", "") if self.events else ""

    @property
    def behind(self) -> int:
        """How many events MLflow does not have yet."""
        return len(self.events) - self.sent["events"]

    @property
    def next(self) -> Event:
        """The first of those."""
        return self.events[self.sent["events"]]

    @property
    def may_go_on(self) -> bool:
        """Whether the same training, started again, would go on in this run."""
        return bool(self.training) and self.status != "FINISHED"

    # --- what is done to it ---

    def add(self, do: str, at: int | None = None, **what: Any) -> None:
        """One more event; it is on disk when this returns.

        Raises `OSError` when the disk is full. It is not lost then: it can be sent, and is written with the next one, when there is room.
        """
        event = {"do": do, "at": at or now(), **what}
        with self._writing:
            self._unwritten += json.dumps(event, ensure_ascii=False).encode(errors="replace") + b"\n"
            self.events.append(event)
            self._write()

    def _write(self) -> None:
        left = memoryview(self._unwritten)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(self._whole)  # no half line, which the next one would be appended to
            raise
        self._whole += len(self._unwritten)
        self._unwritten = b""

    def keep(self, path: Path, *, link: bool) -> str:
        """Keep a file or folder as it is now; returns its name within the journal. A link takes no room, and needs that nobody writes into
        the file itself: what is written by `files.atomic` is a new file."""
        place = Path(FILES, uuid.uuid4().hex[:8], path.name)
        (self.folder / place).parent.mkdir(parents=True)
        copy = _link if link else shutil.copyfile
        try:
            (
                shutil.copytree(path, self.folder / place, copy_function=copy)
                if path.is_dir()
                else copy(path, self.folder / place)
            )
        except BaseException:
            shutil.rmtree((self.folder / place).parent, ignore_errors=True)  # half a copy takes room, and is of no use
            raise
        return str(place)

    def mark(self, **sent: Any) -> None:
        """Remember what MLflow has."""
        if self._file.closed:  # a thread that nobody waited for any more: the journal may be another process's now
            return
        self.sent |= sent
        files.write_json(self.folder / SENT, self.sent)

    def end_as_killed(self) -> None:
        """Its process has ended without a word: at the time of its last one."""
        if not self.status:
            self.add("end", at=self.events[-1]["at"], status="KILLED")

    def close(self) -> None:
        with suppress(OSError), self._writing:
            self._write()
        self._file.close()
        self._lock.release()

    def remove(self) -> None:
        self._file.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


def _turn() -> FileLock:
    """Held while a journal's lock is taken: else somebody may find a new one before its maker has locked it, and remove it as left."""
    locations.journals().mkdir(parents=True, exist_ok=True)
    return FileLock(locations.journals() / ".lock")


def new() -> Outbox:
    folder = locations.journals() / f"{now()}-{uuid.uuid4().hex[:8]}"  # in the order of time
    lock = FileLock(folder / LOCK, thread_local=False)
    with _turn():
        folder.mkdir()
        lock.acquire()
    return Outbox(folder, lock)


def left() -> Iterator[Outbox]:
    """Those that no process works on, the oldest first. Whoever takes one closes or removes it."""
    for folder in sorted(locations.journals().glob("*-*")):
        lock = FileLock(folder / LOCK, thread_local=False)
        try:
            with _turn():
                lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        try:
            found = Outbox(folder, lock)
        except (OSError, ValueError, TypeError) as error:
            log.warning("the journal %s can't be read, and is left out: %s", folder, error)
            lock.release()
            continue
        if found.events:
            yield found
        else:
            found.remove()  # killed before its first word


def at_work() -> int:
    """How many journals some process works on now."""
    taken = 0
    for folder in locations.journals().glob("*-*"):
        try:
            with FileLock(folder / LOCK, timeout=0, thread_local=False):
                pass
        except Timeout:
            taken += 1
    return taken


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
