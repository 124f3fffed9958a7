"""Trap for SIGINT and SIGTERM: a training stops at its next step instead of at once."""

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalTrap:
    """Inside, the first signal only sets `received`. A later SIGINT (Ctrl-C) has its usual effect. A later SIGTERM does
    nothing: torchrun sends one when another process ends, and it must not cost the checkpoint.

    Works only in the main thread; in other threads it receives nothing.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "SignalTrap":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._before:
            self._restore(number)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)
        self._restore(signal.SIGINT)

    def _restore(self, number: signal.Signals) -> None:
        signal.signal(number, self._before[number] or signal.SIG_DFL)  # None: a handler that was not set from Python
