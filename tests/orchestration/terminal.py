"""A terminal with a shell, in which a command runs in the foreground: what keys, signals and a closed window do to it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

SHELL = ["sh", "-mc", '"$@"; echo "[ended with $?]"', "sh"]  # as at a prompt: a job has a process group of its own


class Terminal:
    """A context manager: nothing that was started in it outlives it."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        pid, self._keys = pty.fork()
        if not pid:
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(folder)
            os.execvpe(SHELL[0], [*SHELL, *command], dict(environment))
        fcntl.ioctl(self._keys, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))  # or progress bars have no room
        self._shell, self._family, self._over = psutil.Process(pid), {}, threading.Event()
        self.printed = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        left = self.left()
        for process in [self._shell, *left]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs([self._shell], timeout=10)
        self._over.set()
        self._reader.join()
        if self._keys is not None:
            os.close(self._keys)

    def _read(self) -> None:
        while not self._over.is_set():
            try:
                if select.select([self._keys], [], [], 0.1)[0]:
                    self.printed += os.read(self._keys, 1 << 16).decode(errors="replace")
            except (OSError, TypeError, ValueError):  # the shell is no more, or the window is closed
                return

    def left(self) -> list[psutil.Process]:
        """Of all processes that were ever seen below the shell, and all that they started, those that still run."""
        for parent in [self._shell, *self._family.values()]:
            try:
                self._family |= {(child.pid, child.create_time()): child for child in parent.children(recursive=True)}
            except psutil.NoSuchProcess:
                continue
        return [process for process in self._family.values() if _runs(process)]

    def await_(self, condition: Callable[[], object], patience: float = 120) -> float:
        """Wait until it holds; the seconds that it took."""
        started = time.monotonic()
        while not condition():
            assert time.monotonic() - started < patience, f"{self.printed}\n{[shown(process) for process in self.left()]}"
            time.sleep(0.05)
        return time.monotonic() - started

    def await_process(self, *words: str) -> psutil.Process:
        """The first process with these words in its command line, the topmost."""
        found: list[psutil.Process] = []

        def there() -> bool:
            assert self.code is None, self.printed
            found[:] = [process for process in self.left() if all(word in shown(process).split() for word in words)]
            return bool(found)

        self.await_(there)
        return min(found, key=lambda process: process.create_time())

    @property
    def job(self) -> psutil.Process:
        """The command itself."""
        self.await_(self._shell.children)
        return self._shell.children()[0]

    @property
    def code(self) -> int | None:
        """The exit code, as a shell has it."""
        found = re.search(r"\[ended with (\d+)\]", self.printed)
        return int(found[1]) if found else None

    def press_ctrl_c(self) -> None:
        os.write(self._keys, b"\x03")

    def close_window(self) -> None:
        self._over.set()
        self._reader.join()
        os.close(self._keys)
        self._keys = None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def shown(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
