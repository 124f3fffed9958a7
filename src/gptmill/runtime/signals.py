"""Being asked to stop: Ctrl-C and SIGTERM are remembered until a training is at a place where it can stop."""

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalTrap:
    """While this is entered, the first of those signals only sets `came`. A Ctrl-C after it ends the process, as a Ctrl-C always does; a
    SIGTERM after it does nothing: it may come from a process that saw the first one end another, and must not cost the checkpoint.

    Only a process's main thread can listen to signals; anywhere else this hears nothing.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "SignalTrap":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._before:
            self._restore(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)
        self._restore(signal.SIGINT)

    def _restore(self, number: signal.Signals) -> None:
        signal.signal(number, self._before[number] or signal.SIG_DFL)  # none: set by something that is not Python
