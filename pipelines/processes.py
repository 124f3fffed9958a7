"""Subprocesses of a flow run, each with a process group: DVC, its shell, the stage and its children. A group is ended
on its time limit, when the run is cancelled, and when the flow is killed.
"""

import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gptmill.commands.watchdog import Watchdog, end
from gptmill.core.terminal import escape_controls

OUTPUT_LINES = 200  # the last ones, that a result has


@dataclass(frozen=True)
class ProcessResult:
    code: int  # exit code
    output: deque[str] = field(default_factory=deque)  # the last lines
    timed_out: bool = False
    stopped: bool = False  # with all others


class Stopped(Exception):
    """The run was stopped while it waited."""


class Processes:
    """The subprocesses of one flow run. A context manager that ends all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._over = threading.Event()
        self.stopped = ""  # the reason

    def __enter__(self) -> "Processes":
        # A process that a shell starts in the background ignores SIGINT, and so would its children.
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
        log: Callable[[str], None],
        seconds: float | None = None,
    ) -> ProcessResult:
        """Run a command, at most for `seconds`; `log` gets each line of output. Ends its background children."""
        with self._lock:
            if self.stopped:
                return ProcessResult(-signal.SIGINT, stopped=True)
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
        timed_out, output = threading.Event(), deque[str](maxlen=OUTPUT_LINES)

        def limit() -> None:
            timed_out.set()
            end([process.pid])

        timer = threading.Timer(seconds, limit) if seconds else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            with process:
                for line in process.stdout or ():
                    if line := escape_controls(line.strip()):  # DVC quotes file names
                        output.append(line)
                        log(line)
        finally:
            if timer:
                timer.cancel()
            end([process.pid])
            with self._lock:
                self._groups.discard(process.pid)
                self._watchdog.remove(process.pid)
        return ProcessResult(process.returncode, output, timed_out.is_set(), bool(self.stopped))

    def stop(self, why: str) -> None:
        """End all of them, and start no other. Returns when they have ended."""
        with self._lock:
            self.stopped = self.stopped or why
            self._over.set()
            groups = set(self._groups)
        end(groups)

    def sleep(self, seconds: float) -> None:
        """Sleep, until `stop` at most."""
        self._over.wait(seconds)

    def raise_if_stopped(self) -> None:
        if self.stopped:
            raise Stopped(self.stopped)
