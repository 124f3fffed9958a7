"""The process of a stage: one at a time per stage and folder, ended with the `dvc` that started it.

A killed `dvc` leaves its stage running, and the next `dvc repro` would start it a second time on the same files.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
from filelock import FileLock, Timeout

from gptmill.core.terminal import say
from gptmill.runtime import torchrun

LOCKS = Path(".gptmill/locks")
POLL = 0.5  # seconds
GRACE = 7.0  # seconds from SIGTERM to SIGKILL, to write a checkpoint in
DVC = "DVC_STAGE"  # an environment variable that DVC sets for its children


@contextmanager
def exclusive(name: str, item: str | None = None) -> Iterator[None]:
    """Wait for the stage's lock in this folder and hold it. Meanwhile this process ends when its parent `dvc` does.

    A stage started by hand survives its shell under `nohup`. The processes of a torchrun leave both to their parent.
    """
    if torchrun.is_torchrun():
        yield
        return
    _end_on_hangup()
    if DVC in os.environ:
        parents = _parents_up_to_dvc()
        if not parents or _is_reaper(parents[-1]):
            _end()
        end_with(parents)
    LOCKS.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCKS / quote("@".join(filter(None, [name, item])), safe="@"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{name}: waits for another process that runs this stage in this folder", err=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def end_with(processes: Sequence[psutil.Process]) -> None:
    """End this process as soon as one of these has ended."""

    def watch() -> None:
        while not any(_has_ended(process) for process in processes):
            time.sleep(POLL)
        _end()

    threading.Thread(target=watch, daemon=True).start()


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def _is_reaper(process: psutil.Process) -> bool:
    """Whether it has adopted this process after `dvc` ended; `dvc` itself shares its session with its children."""
    try:
        return os.getsid(process.pid) != os.getsid(0) and "dvc" not in " ".join(process.cmdline())
    except (psutil.Error, OSError):
        return True


def _end(*_: object) -> None:
    """SIGTERM to this process, for which a training writes a checkpoint, and SIGKILL after `GRACE`."""
    timer = threading.Timer(GRACE, os.kill, [os.getpid(), signal.SIGKILL])
    timer.daemon = True
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)


def _parents_up_to_dvc() -> list[psutil.Process]:
    """The ancestors up to `dvc`, the first one without the variable that DVC sets for its children."""
    parents = []
    for process in psutil.Process().parents():
        parents.append(process)
        try:
            if DVC not in process.environ():
                break
        except psutil.Error:  # another user's: not a shell of ours
            break
    return parents


def _end_on_hangup() -> None:
    """End on SIGHUP as on SIGTERM, except under `nohup`. Output to the closed terminal is discarded."""
    terminals = [fd for fd in (1, 2) if os.isatty(fd)]

    def hang_up(*_: object) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        for fd in terminals:
            os.dup2(null, fd)
        _end()

    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hang_up)
