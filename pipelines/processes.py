"""Stages as processes that do not outlive the flow: ended when they take too long, when the run is cancelled, when the flow is killed.

Each is the leader of a group of processes: DVC, its shell, the stage and what that starts.
"""

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gptmill.commands.watchdog import Watchdog, end


@dataclass(frozen=True)
class ProcessResult:
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
    ) -> ProcessResult:
        """Run a command to its end, or to its time limit; `say` gets each line that it prints, as it comes.

        What the command has started and not waited for is ended with it.
        """
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
        return ProcessResult(process.returncode, too_long.is_set(), bool(self.stopped))

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
