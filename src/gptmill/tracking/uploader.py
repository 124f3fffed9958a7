"""The uploader: a thread beside a stage that sends its outbox to MLflow as it grows, and samples system metrics.

The first contact and models load much code: the stage's own thread does those. A server that hangs delays a stage at
its start or, when it was reached then, at its end, by the timeouts of `mlflow_client`, and never in between.
"""

import logging
import threading
import time

from gptmill.core import addresses
from gptmill.tracking import locations, mlflow_client
from gptmill.tracking.outbox import Outbox
from gptmill.tracking.replay import DiskFull, LogModel, Replayer, Unreachable
from gptmill.tracking.system_metrics import SystemMetrics

UPLOAD_EVERY = 2.0  # seconds
RETRY_AFTER = 30.0  # seconds after a server did not answer

log = logging.getLogger(__name__)


class Uploader:
    """Uploads an outbox from the start of a stage to its end."""

    def __init__(self, outbox: Outbox, log_model: LogModel | None = None) -> None:
        self._outbox, self._log_model, self._warned = outbox, log_model, False
        self._replayer = Replayer(outbox)
        self.reached = self._send()
        self._system_metrics = SystemMetrics(outbox)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, which is waited for as long as it makes progress."""
        self._stopped.set()
        sent = -1
        while self._thread.is_alive() and sent < (sent := self._outbox.sent["events"]):
            self._thread.join(timeout=mlflow_client.TIMEOUT)
        self._system_metrics.end()

    def deliver(self) -> None:
        """Send all the rest, with models, unless the server hangs."""
        if not self._thread.is_alive():
            self._send(self._log_model)

    def _work(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(timeout=0.5):
            self._system_metrics.sample_if_due()
            if self._outbox.unsent and time.monotonic() - last >= (UPLOAD_EVERY if self.reached else RETRY_AFTER):
                self.reached = self._send()
                last = time.monotonic()

    def _send(self, log_model: LogModel | None = None) -> bool:
        try:
            self._replayer.send(log_model)
        except Unreachable as error:
            if not self._warned:
                problem = "has no room" if isinstance(error, DiskFull) else "cannot be reached"
                message = "MLflow (%s) %s: %s. What this run logs is saved; `gptmill sync` sends it"
                log.warning(message, addresses.redact_url(locations.store()), problem, error)
            self._warned = True
            return False
        return True
