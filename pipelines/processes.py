"""Stages as processes that do not outlive the flow: ended when they take too long, when the run is cancelled, when the flow is killed.

Each is the leader of a group of processes: DVC, its shell, the stage and what that starts. A group is ended as Ctrl-C ends it, so that a
training writes a checkpoint and DVC lets go of its locks; what is still there after `GRACE` seconds is killed.

A watchman, a process of its own, knows the groups and waits for the flow to end. It is this file run as a script, with the standard library
alone: it has to be there before the first stage.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE = 5.0  # seconds; somebody who cancels may expect an end within 10


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, and whether it was ended because of its time limit or because all were stopped."""

    code: int
    too_long: bool = False
    stopped: bool = False


class Stopped(Exception):
    """All was stopped while something waited for its turn."""


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
        command = [sys.executable, "-I", "-S", __file__]
        self._watchman = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("the flow has ended")
        self._watchman.stdin.close()
        self._watchman.wait()

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
            self._tell(f"+{process.pid}")
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
                self._tell(f"-{process.pid}")
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

    def _tell(self, word: str) -> None:
        try:
            self._watchman.stdin.write(f"{word}\n")
            self._watchman.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # somebody killed the watchman, or there is no more to watch; the flow still ends what it started


def end(groups: Iterable[int]) -> None:
    """End these groups of processes: SIGINT, as from the keyboard, and `GRACE` seconds later SIGKILL."""
    left = {group for group in groups if _signal(group, signal.SIGINT)}
    deadline = time.monotonic() + GRACE
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if _signal(group, 0)}
    for group in left:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Whether there was such a group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def watch(words: Iterable[str]) -> None:
    """The watchman's work: `+12` and `-12` say which groups there are; when no more words come, the flow is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for word in words:
        (groups.add if word[0] == "+" else groups.discard)(int(word[1:]))
    end(groups)


if __name__ == "__main__":
    watch(sys.stdin)
