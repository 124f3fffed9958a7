"""What goes on beside a stage: a thread sends the stage's journal to MLflow as it grows, and notes how busy the machine is.

What loads much code, the first contact and models, is done by the stage's own thread. So a server that hangs delays a stage at its start
or, when it was reached there, at its end, by the seconds that `stores` gives it, and never in between.
"""

import logging
import threading
import time

from gptmill.core import addresses
from gptmill.tracking import locations, mlflow_client
from gptmill.tracking.outbox import Outbox
from gptmill.tracking.replay import NoRoom, Replayer, Unreachable
from gptmill.tracking.system_metrics import SystemMetrics

SEND_EVERY = 2.0  # seconds
ASK_AGAIN = 30.0  # seconds after which a server that did not answer is asked again

log = logging.getLogger(__name__)


class Uploader:
    """Between a journal and MLflow, from the start of a stage to its end."""

    def __init__(self, journal: Outbox) -> None:
        self._journal, self._sender, self._told = journal, Replayer(journal), False
        self.reached = self._send()
        self._machine = SystemMetrics(journal)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The stage is over: nothing is noted any more."""
        self._over.set()
        sent = -1
        while self._thread.is_alive() and sent < (
            sent := self._journal.sent["events"]
        ):  # as long as something gets through
            self._thread.join(timeout=mlflow_client.PATIENCE)
        self._machine.end()

    def deliver(self) -> None:
        """Send all the rest, unless the server hangs."""
        if not self._thread.is_alive():
            self._send(models=True)

    def _work(self) -> None:
        asked_at = time.monotonic()
        while not self._over.wait(timeout=0.5):
            self._machine.sample_if_due()
            if self._journal.behind and time.monotonic() - asked_at >= (SEND_EVERY if self.reached else ASK_AGAIN):
                self.reached = self._send()
                asked_at = time.monotonic()

    def _send(self, *, models: bool = False) -> bool:
        try:
            self._sender.send(models=models)
        except Unreachable as error:
            if not self._told:
                where = addresses.redact_url(locations.store())
                problem = "has no room" if isinstance(error, NoRoom) else "cannot be reached"
                log.warning(
                    "MLflow (%s) %s: %s. What this run logs is kept; `gptmill sync` sends it", where, problem, error
                )
            self._told = True
            return False
        return True
