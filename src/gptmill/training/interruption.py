"""Being asked to stop: Ctrl-C and SIGTERM are remembered until a training is at a place where it can stop."""

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While this is entered, the first of those signals only sets `came`; a second one does what it always does: it ends the process.

    Only a process's main thread can listen to signals; anywhere else this hears nothing.
    """

    def __init__(self) -> None:
        self.came: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listen_no_more()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = signal.Signals(number)
        self._listen_no_more()

    def _listen_no_more(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # none: set by something that is not Python
        self._before = {}
