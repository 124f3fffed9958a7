"""MLflow's client: connecting with a timeout, remembering outages, making experiments."""

import hashlib
import logging
import os
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import TYPE_CHECKING

from filelock import FileLock

from gptmill.core import files
from gptmill.tracking import locations

if TYPE_CHECKING:
    from mlflow import MlflowClient

TIMEOUT = 10.0  # seconds for the first answer of a store; not of a local one, which may take long to make its tables
SLOW = 5.0  # seconds after which a request that fails counts as an outage
RETRY_AFTER = 60.0  # seconds in which no process asks a store that did not answer
# A server that does not answer is not waited for: the outbox has the data. A user's own settings win.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class NotAnswering(ConnectionError):
    """The store did not answer in time, now or a moment ago."""


def connect(store: str) -> "MlflowClient":
    """A client of that store, with its tables built. Raises `NotAnswering`, and whatever MLflow raises."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    # MLflow also raises a database's errors, such as a full disk: its log of them, with tracebacks, is switched off.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if locations.is_local():
        mlflow.set_tracking_uri(store)
        return _connect(store)
    if 0 <= (passed := time.time() - _outage_of(store)) < RETRY_AFTER:
        raise NotAnswering(f"no answer {passed:.0f} seconds ago")
    if not store.startswith("http"):
        # MLflow tries ten times, for 100 seconds, to open a database.
        import mlflow.store.db.utils

        mlflow.store.db.utils.MAX_RETRY_COUNT = 1
    mlflow.set_tracking_uri(store)
    # Some database drivers have no timeout. Such a thread can't be ended; it is abandoned.
    answer: Future[MlflowClient] = Future()
    threading.Thread(target=_answer, args=[answer, store], name="first contact", daemon=True).start()
    started = time.monotonic()
    try:
        return answer.result(timeout=TIMEOUT)
    except FutureTimeout:
        record_outage(store)
        raise NotAnswering(f"no answer within {TIMEOUT:g} seconds") from None
    except Exception:
        if time.monotonic() - started > SLOW:
            record_outage(store)
        raise


def _answer(answer: "Future[MlflowClient]", store: str) -> None:
    try:
        answer.set_result(_connect(store))
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        answer.set_exception(error)


def _connect(store: str) -> "MlflowClient":
    import mlflow

    with FileLock(locations.lock()):
        client = mlflow.MlflowClient(store)
        client.search_experiments(max_results=1)
    return client


def record_outage(store: str) -> None:
    """Remember, for later stages too, that this store did not answer now."""
    with suppress(OSError):
        files.write_json(locations.outage(), {"store": _key(store), "since": time.time()})


def clear_outage() -> None:
    """Ask again at once, since a person wants it."""
    locations.outage().unlink(missing_ok=True)


def _outage_of(store: str) -> float:
    try:
        record = files.read_json(locations.outage())
        return float(record["since"]) if record["store"] == _key(store) else 0.0
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _key(store: str) -> str:
    return hashlib.sha256(store.encode()).hexdigest()  # an address may have a password in it


def experiment(client: "MlflowClient", name: str) -> str:
    """The id of the experiment of that name, which is made when it does not exist."""
    with FileLock(locations.lock()):
        existing = client.get_experiment_by_name(name)
        return existing.experiment_id if existing else client.create_experiment(name, locations.artifacts())
