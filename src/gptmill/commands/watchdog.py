"""Watchdog: a subprocess that ends process groups when its parent is gone, killed or with its terminal.

It is this file run as a script, with the standard library alone, so that it runs before the processes that it watches.
A group gets SIGINT, as from Ctrl-C, so that a training writes a checkpoint and DVC releases its locks; SIGKILL `GRACE`
seconds later.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

GRACE = 5.0  # seconds from SIGINT to SIGKILL; a cancelled run has to end within 10
DEADLINE = 8.0  # seconds from a signal until this process exits, whatever it waits for; the watchdog ends the rest


class Watchdog:
    """Ends process groups when this process ends without leaving the context manager."""

    def __enter__(self) -> "Watchdog":
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE, stdout=null, stderr=null, text=True, start_new_session=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def add(self, group: int, grace: float | None = None) -> None:
        """Watch a group. `grace`: seconds from SIGINT to SIGKILL, default `GRACE`."""
        self._send(f"{group} {GRACE if grace is None else grace}")

    def remove(self, group: int) -> None:
        self._send(f"{group}")

    def _send(self, command: str) -> None:
        try:
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # the watchdog was killed, or has ended; this process still ends what it started


@contextmanager
def interrupt_on_signals() -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM raises `KeyboardInterrupt` and is added to the list; later ones are ignored.

    A second signal would interrupt the cleanup, which takes at most `DEADLINE` seconds: then this process exits.
    """
    received: list[int] = []

    def handle(number: int, _: object) -> None:
        if received:
            return
        received.append(number)
        timer = threading.Timer(DEADLINE, os._exit, [128 + number])
        timer.daemon = True
        timer.start()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        if not received:
            for number, handler in before.items():
                signal.signal(number, handler)


def end(groups: Iterable[int] | Mapping[int, float]) -> None:
    """SIGINT to process groups, and SIGKILL after `GRACE` seconds, or each group's own. Returns when all are gone."""
    started = time.monotonic()
    grace = groups if isinstance(groups, Mapping) else dict.fromkeys(groups, GRACE)
    left = {group for group in grace if signal_group(group, signal.SIGINT)}
    while left:
        time.sleep(0.05)
        late = {group for group in left if time.monotonic() - started >= grace[group]}
        left = {group for group in left - late if signal_group(group, 0)}
        for group in late:
            signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False when the group does not exist."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def watch(commands: Iterable[str]) -> None:
    """The subprocess: `12 5.0` adds a group with its grace, `12` removes it. End of input: the parent is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, float] = {}
    for command in commands:
        group, *grace = command.split()
        if grace:
            groups[int(group)] = float(grace[0])
        else:
            groups.pop(int(group), None)
    end(groups)


if __name__ == "__main__":
    watch(sys.stdin)
