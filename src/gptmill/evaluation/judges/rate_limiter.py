"""Limits of a judge's server: adaptive concurrency, and a rate limit.

A server that handles one request at a time (Ollama's default) queues the others until they time out. So concurrency
starts at 1 and grows by 1 while latency holds (additive increase); latency in proportion to it means a queue.
"""

import threading
import time
from collections.abc import Callable
from statistics import median

FEWEST_SAMPLES = 3  # replies per step: the first may include the loading of the model
HOLD = 10  # steps without an increase after latency has grown
OF_TIMEOUT = 0.75  # share of the time-out that one more request may take in a queue


class Closed(Exception):
    """No further requests."""


class AdaptiveConcurrency:
    """A semaphore whose limit, from 1 to `most`, follows the latency of the replies."""

    def __init__(self, most: int, timeout: float) -> None:
        self.limit = 1
        self._most, self._timeout = most, timeout
        self._changed = threading.Condition()
        self._in_flight = self._alone = self._hold = 0
        self._closed = False
        self._samples: list[float] = []  # latencies at the limit
        self._latencies: dict[int, float] = {}  # last median by limit

    def open(self) -> None:
        self._closed = False

    def close(self) -> None:
        """`acquire` raises `Closed` from now on, in waiting threads too."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def acquire(self, alone: bool = False) -> int:
        """Waits for a free place, or with `alone` until nothing is in flight. Returns the number in flight."""
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
        """`in_flight`: from `acquire`. `latency`: seconds to the reply; None without a reply."""
        with self._changed:
            self._in_flight -= 1
            self._alone -= alone
            if latency is not None and in_flight == self.limit and not alone:
                self._samples.append(latency)
                if len(self._samples) >= max(self.limit, FEWEST_SAMPLES):
                    self._step(median(self._samples))
            self._changed.notify_all()

    def back_off(self, limit: int) -> None:
        """After an overload: at most `limit` for a while."""
        with self._changed:
            self._set(max(1, min(self.limit, limit)))
            self._hold = HOLD

    def _step(self, latency: float) -> None:
        self._latencies[self.limit] = latency
        half = self.limit // 2
        # Half-way between constant and proportional latency, against half the limit: the clearer signal.
        if half and latency >= self._latencies[half] * (1 + self.limit / half) / 2:
            change, self._hold = -1, HOLD
        elif self._hold:
            change, self._hold = 0, self._hold - 1
        else:
            next_latency = latency * (self.limit + 1) / self.limit
            change = int(self.limit < self._most and next_latency <= OF_TIMEOUT * self._timeout)
        self._set(self.limit + change)

    def _set(self, limit: int) -> None:
        self.limit = limit
        self._samples.clear()


class RateLimiter:
    """At most `per_minute` requests, evenly spaced. 0: no limit."""

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
