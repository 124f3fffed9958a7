"""How many requests a server gets: at once, and a minute.

At once it gets as many as make it faster, which nobody knows beforehand. A server that answers one request at a time (Ollama, by default)
lets the others wait, and a request that waits long enough times out. So it begins with one request in flight, and another one is added as
long as latency holds (additive increase). Where latency grows in proportion to the requests in flight, they only wait for each other, and
the last one was one too many.
"""

import threading
import time
from collections.abc import Callable
from statistics import median

FEWEST_SAMPLES = 3  # replies at each step: the first one may have waited for the model to be loaded
HOLD = 10  # steps until more are tried again after latency has grown
OF_TIMEOUT = 0.75  # of it, the longest latency that one more request may lead to, if the server answers one at a time


class Closed(Exception):
    """No further request is to be made."""


class AdaptiveConcurrency:
    """A semaphore whose limit, from 1 to `most`, follows the latency of the replies."""

    def __init__(self, most: int, timeout: float) -> None:
        self.limit = 1
        self._most, self._timeout = most, timeout
        self._changed = threading.Condition()
        self._in_flight = self._alone = self._hold = 0
        self._closed = False
        self._samples: list[float] = []  # latencies of requests that had as many in flight as the limit allows
        self._latencies: dict[int, float] = {}  # by limit, the last median

    def open(self) -> None:
        self._closed = False

    def close(self) -> None:
        """Those that wait raise `Closed`, and so does whoever comes later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def acquire(self, alone: bool = False) -> int:
        """Waits until one more may be in flight, or until nothing is (`alone`; others then wait for its end). Returns how many are."""
        with self._changed:
            self._alone += alone
            try:
                self._changed.wait_for(lambda: self._closed or self._has_room(alone))
                if self._closed:
                    raise Closed
            except BaseException:
                self._alone -= alone
                raise
            self._in_flight += 1
            return self._in_flight

    def _has_room(self, alone: bool) -> bool:
        return self._in_flight == 0 if alone else not self._alone and self._in_flight < self.limit

    def release(self, in_flight: int, latency: float | None, alone: bool = False) -> None:
        """`in_flight`: what `acquire` returned. `latency`: seconds until the reply was there; None when there was none."""
        with self._changed:
            self._in_flight -= 1
            self._alone -= alone
            if latency is not None and in_flight == self.limit and not alone:
                self._samples.append(latency)
                if len(self._samples) >= max(self.limit, FEWEST_SAMPLES):
                    self._step(median(self._samples))
            self._changed.notify_all()

    def back_off(self, limit: int) -> None:
        """The server has been overrun: no more than so many for a while."""
        with self._changed:
            self._set(max(1, min(self.limit, limit)))
            self._hold = HOLD

    def _step(self, latency: float) -> None:
        self._latencies[self.limit] = latency
        half = self.limit // 2
        # Half-way between a latency that holds and one that grows in proportion; half as many tell it more surely than one less.
        if half and latency >= self._latencies[half] * (1 + self.limit / half) / 2:
            self._set(self.limit - 1)
            self._hold = HOLD
        elif self._hold:
            self._set(self.limit)
            self._hold -= 1
        elif self.limit < self._most and latency * (self.limit + 1) / self.limit <= OF_TIMEOUT * self._timeout:
            self._set(self.limit + 1)
        else:
            self._set(self.limit)

    def _set(self, limit: int) -> None:
        self.limit = limit
        self._samples.clear()


class RateLimiter:
    """Keeps requests apart: no more than so many a minute, evenly spaced. 0: no limit."""

    def __init__(
        self, per_minute: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.interval = 60 / per_minute if per_minute else 0.0
        self._clock, self._sleep, self._lock, self._next = clock, sleep, threading.Lock(), 0.0

    def wait(self) -> None:
        if not self.interval:
            return
        with self._lock:
            now = self._clock()
            at = max(now, self._next)
            self._next = at + self.interval
        self._sleep(at - now)
