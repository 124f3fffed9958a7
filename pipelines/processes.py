"""Stages as processes that do not outlive the flow: ended when they take too long, when the run is cancelled, when the flow is killed.

Each is the leader of a group of processes: DVC, its shell, the stage and what that starts. A group is ended as Ctrl-C ends it, so that a
training writes a checkpoint and DVC lets go of its locks; what is still there after `GRACE` seconds is killed.

A watchdog, a process of its own, knows the groups and waits for the flow to end. It is this file run as a script, with the standard library
alone: it has to run before the first stage.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GRACE = 5.0  # seconds; somebody who cancels may expect an end within 10
DEADLINE = (
    8.0  # seconds after a signal; then the process ends, whatever it still waits for, and the watchdog ends the rest
)


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, and whether it was ended because of its time limit or because all were stopped."""

    code: int
    too_long: bool = False
    stopped: bool = False


class Stopped(Exception):
    """All was stopped while something waited for its turn."""


class Watchdog:
    """Ends groups of processes when this process has ended without it: killed, or with a terminal that was closed."""

    def __enter__(self) -> "Watchdog":
        command = [sys.executable, "-I", "-S", __file__]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=null, stderr=null, text=True, start_new_session=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def add(self, group: int, grace: float | None = None) -> None:
        """Watch over a group that is killed `grace` seconds (default: `GRACE`) after it was asked to end."""
        self._tell(f"{group} {GRACE if grace is None else grace}")

    def remove(self, group: int) -> None:
        self._tell(f"{group}")

    def _tell(self, word: str) -> None:
        try:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # the watchdog was killed, or its work is done; this process still ends what it started


@contextmanager
def ended_by_signals() -> Iterator[list[int]]:
    """While this is entered, the first Ctrl-C or SIGTERM raises `KeyboardInterrupt`, and its number is in the list; later ones do nothing.

    For the end is on its way then, and is not to be torn open: it takes less than `DEADLINE` seconds, or is cut short.
    """
    came: list[int] = []

    def note(number: int, _: object) -> None:
        if came:
            return
        came.append(number)
        timer = threading.Timer(DEADLINE, os._exit, [128 + number])
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        if not came:
            for number, handler in before.items():
                signal.signal(number, handler)


class Processes:
    """Those of one flow run; a context manager, at whose end none of them is left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._over = threading.Event()
        self.stopped = ""  # why all were stopped

    def __enter__(self) -> "Processes":
        # What a shell starts in the background ignores Ctrl-C, and so would all that it starts.
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._watchdog = Watchdog().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("the flow has ended")
        self._watchdog.__exit__()

    def run(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        seconds: float | None = None,
    ) -> Ended:
        """Run a command to its end, or to its time limit; `say` gets each line that it prints, as it comes.

        What the command has started and not waited for is ended with it.
        """
        with self._lock:
            if self.stopped:
                return Ended(-signal.SIGINT, stopped=True)
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._groups.add(process.pid)
            self._watchdog.add(process.pid)
        too_long = threading.Event()

        def limit() -> None:
            too_long.set()
            end([process.pid])

        timer = threading.Timer(seconds, limit) if seconds else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            with process:
                for line in process.stdout or ():
                    if line := line.strip():
                        say(line)
        finally:
            if timer:
                timer.cancel()
            end([process.pid])
            with self._lock:
                self._groups.discard(process.pid)
                self._watchdog.remove(process.pid)
        return Ended(process.returncode, too_long.is_set(), bool(self.stopped))

    def stop(self, why: str) -> None:
        """End all of them, and let no other start. Returns when they are gone."""
        with self._lock:
            self.stopped = self.stopped or why
            self._over.set()
            groups = set(self._groups)
        end(groups)

    def pause(self, seconds: float) -> None:
        """Wait as long, or until all are stopped."""
        self._over.wait(seconds)

    def check(self) -> None:
        """Raises `Stopped` when all were stopped."""
        if self.stopped:
            raise Stopped(self.stopped)


def end(groups: Iterable[int] | Mapping[int, float]) -> None:
    """End these groups of processes: SIGINT, as from the keyboard, and SIGKILL after `GRACE` seconds, or as many as each was given."""
    started = time.monotonic()
    grace = groups if isinstance(groups, Mapping) else dict.fromkeys(groups, GRACE)
    left = {group for group in grace if _signal(group, signal.SIGINT)}
    while left:
        time.sleep(0.05)
        late = {group for group in left if time.monotonic() - started >= grace[group]}
        left = {group for group in left - late if _signal(group, 0)}
        for group in late:
            _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Whether there was such a group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def watch(words: Iterable[str]) -> None:
    """The watchdog's work: `12 5.0` adds a group and its grace, `12` removes it; when no more words come, the flow is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, float] = {}
    for word in words:
        group, *grace = word.split()
        if grace:
            groups[int(group)] = float(grace[0])
        else:
            groups.pop(int(group), None)
    end(groups)


if __name__ == "__main__":
    watch(sys.stdin)
