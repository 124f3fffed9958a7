"""The outbox: what a stage logs, on disk before it is uploaded, in `.gptmill/journal/<key>/`.

`events.jsonl` has an event with its time per line, `files/` the attached files, `sent.json` the number of events that
MLflow has. A killed process loses nothing that it logged; it or `gptmill sync` uploads the rest later. Only the process
that holds its lock uses an outbox.
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
    """Milliseconds since 1970, as in MLflow."""
    return int(time.time() * 1000)


class Outbox:
    """The events of one run. `events[0]` has its stage, experiment, tags and training."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder, self._lock, self._writing = folder, lock, threading.Lock()
        self.events: list[Event] = []
        self._written, self._unwritten = 0, b""  # bytes on disk, and what could not be written yet
        if (path := folder / EVENTS).exists():
            for line in path.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break  # the process was killed while it wrote this line
                self.events.append(files.parse_json(line, path))
                self._written += len(line)
        self._file = path.open("ab", buffering=0)
        self._file.truncate(self._written)
        self.sent: dict[str, Any] = {"events": 0, "run_id": ""}
        if (folder / SENT).exists():
            self.sent = files.read_json(folder / SENT)

    # --- state ---

    @property
    def stage(self) -> str:
        return self.events[0]["stage"]

    @property
    def training(self) -> str:
        return self.events[0]["training"]

    @property
    def pipeline(self) -> str:
        """The key of the pipeline run of the last process that used it."""
        return [event["pipeline"] for event in self.events if "pipeline" in event][-1]

    @property
    def status(self) -> str:
        """How the run ended; "" while it has not."""
        return self.events[-1].get("status", "") if self.events else ""

    @property
    def unsent(self) -> int:
        """The number of events that MLflow does not have yet."""
        return len(self.events) - self.sent["events"]

    @property
    def next_event(self) -> Event:
        """The first unsent event."""
        return self.events[self.sent["events"]]

    @property
    def resumable(self) -> bool:
        """Whether the same training, started again, resumes in this run."""
        return bool(self.training) and self.status != "FINISHED"

    def points(self) -> list[list[Any]]:
        """All metrics so far, as [name, value, step]."""
        return [point for event in self.events if event["do"] == "metrics" for point in event["points"]]

    # --- changes ---

    def add(self, do: str, at: int | None = None, **fields: Any) -> None:
        """Append an event; it is on disk when this returns.

        Raises `OSError` when the disk is full. The event can still be sent, and is written with the next that fits.
        """
        event = {"do": do, "at": at or now(), **fields}
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
            self._file.truncate(self._written)  # no half line: the next event would be appended to it
            raise
        self._written += len(self._unwritten)
        self._unwritten = b""

    def attach(self, path: Path, *, link: bool) -> str:
        """Copy a file or folder into the outbox, and return its name there.

        A hard link takes no room, but the file must not be written in place later; `files.atomic` writes a new one.
        """
        name = Path(FILES, uuid.uuid4().hex[:8], path.name)
        (target := self.folder / name).parent.mkdir(parents=True)
        copy = _link if link else shutil.copyfile
        try:
            shutil.copytree(path, target, copy_function=copy) if path.is_dir() else copy(path, target)
        except BaseException:
            shutil.rmtree(target.parent, ignore_errors=True)  # half a copy takes room and is of no use
            raise
        return str(name)

    def mark_sent(self, **sent: Any) -> None:
        """Remember what MLflow has."""
        if self._file.closed:  # in a thread that was abandoned: another process may hold the outbox now
            return
        self.sent |= sent
        files.write_json(self.folder / SENT, self.sent)

    def mark_killed(self) -> None:
        """End the run at its last event, unless it has ended: its process was killed."""
        if not self.status:
            self.add("end", at=self.events[-1]["at"], status="KILLED")

    def release(self, *, is_past: bool = False) -> None:
        """Remove it when MLflow has all of it and, unless it `is_past`, no training may resume in it. Else close it."""
        if self.unsent or (self.resumable and not is_past):
            self.close()
        else:
            self.remove()

    def close(self) -> None:
        with suppress(OSError), self._writing:
            self._write()
        self._file.close()
        self._lock.release()

    def remove(self) -> None:
        self._file.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


def _locking() -> FileLock:
    """Held to lock an outbox: else a new one could be taken for abandoned before its maker has locked it."""
    locations.outboxes().mkdir(parents=True, exist_ok=True)
    return FileLock(locations.outboxes() / ".lock")


def create() -> Outbox:
    folder = locations.outboxes() / f"{now()}-{uuid.uuid4().hex[:8]}"  # sorted by time
    lock = FileLock(folder / LOCK, thread_local=False)
    with _locking():
        folder.mkdir()
        lock.acquire()
    return Outbox(folder, lock)


def abandoned() -> Iterator[Outbox]:
    """Outboxes that no process uses, locked, the oldest first. The caller closes or removes each."""
    for folder in sorted(locations.outboxes().glob("*-*")):
        lock = FileLock(folder / LOCK, thread_local=False)
        try:
            with _locking():
                lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        try:
            box = Outbox(folder, lock)
        except (OSError, ValueError, TypeError) as error:
            log.warning("the outbox %s can't be read, and is left out: %s", folder, error)
            lock.release()
            continue
        if box.events:
            yield box
        else:
            box.remove()  # killed before its first event


def in_use() -> int:
    """The number of outboxes that a process uses now."""
    count = 0
    for folder in locations.outboxes().glob("*-*"):
        try:
            with FileLock(folder / LOCK, timeout=0, thread_local=False):
                pass
        except Timeout:
            count += 1
    return count


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
