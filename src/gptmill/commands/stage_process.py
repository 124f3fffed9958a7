"""A stage as a process: one at a time in a project, and none that outlives the `dvc` that started it.

A `dvc` that is killed takes nothing with it: its stage would work on, and the next `dvc repro` would start it a second time, on the same
files.
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
PATIENCE = 7.0  # seconds to write a checkpoint in; then the process is killed
DVC = "DVC_STAGE"  # a variable that DVC sets for what it starts, and has not itself


@contextmanager
def entered(name: str, item: str | None = None) -> Iterator[None]:
    """While this is entered, no other process works on this stage in this folder, and this one ends when the `dvc` above it does.

    It waits for its turn. A stage that a person starts outlives its shell under `nohup`, as any program does. The processes of a torchrun
    leave all this to the one that started them.
    """
    if torchrun.is_torchrun():
        yield
        return
    _end_with_the_terminal()
    if DVC in os.environ:
        above = _up_to_dvc()
        if not above or _adopted_by(above[-1]):
            _end()
        end_with(above)
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
    """From now on, end this process when one of these has ended."""
    threading.Thread(target=_watch, args=[processes], daemon=True).start()


def _watch(processes: Sequence[psutil.Process]) -> None:
    while not any(_over(process) for process in processes):
        time.sleep(POLL)
    _end()


def _over(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def _adopted_by(process: psutil.Process) -> bool:
    """Whether it is the one that takes orphans in, as `dvc` had ended already; `dvc` itself shares its session with what it starts."""
    try:
        return os.getsid(process.pid) != os.getsid(0) and "dvc" not in " ".join(process.cmdline())
    except (psutil.Error, OSError):
        return True


def _end(*_: object) -> None:
    """End this process as SIGTERM does, so that a training writes a checkpoint; by SIGKILL when that takes long."""
    timer = threading.Timer(PATIENCE, os.kill, [os.getpid(), signal.SIGKILL])
    timer.daemon = True
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)


def _up_to_dvc() -> list[psutil.Process]:
    """The processes above this one, up to its `dvc`: that is the first one that has not what DVC gives to those that it starts."""
    found = []
    for process in psutil.Process().parents():
        found.append(process)
        try:
            if DVC not in process.environ():
                break
        except psutil.Error:  # of another user: not a shell between the two
            break
    return found


def _end_with_the_terminal() -> None:
    """End in good order when the terminal is closed (SIGHUP), unless `nohup` said otherwise. Nothing can be printed there any more."""
    terminals = [fd for fd in (1, 2) if os.isatty(fd)]

    def hung_up(*_: object) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for fd in terminals:
            os.dup2(nowhere, fd)
        _end()

    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hung_up)
