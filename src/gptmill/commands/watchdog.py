"""A process of its own that ends groups of processes when the process that started it is gone: killed, or with its terminal.

It is this file run as a script, with the standard library alone: it has to run before the first process that it watches.
A group is ended as Ctrl-C ends it, so that a training writes a checkpoint and DVC lets go of its locks; what is left
after `GRACE` seconds is killed.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

GRACE = 5.0  # seconds; a person who cancels may expect an end within 10
DEADLINE = 8.0  # seconds from a signal to the end of the process, whatever it waits for; the watchdog ends the rest


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
