"""MLflow's store: a client of it, and its experiments."""

import hashlib
import logging
import os
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from typing import TYPE_CHECKING

from filelock import FileLock

from gptmill.core import files
from gptmill.tracking import locations

if TYPE_CHECKING:
    from mlflow import MlflowClient

PATIENCE = 10.0  # seconds for the first answer of a store; one in the project is always there, and may take long to make its tables
SLOW = 5.0  # seconds after which a request that fails counts as one that was not answered
ASK_AGAIN = 60.0  # seconds in which a store that did not answer is not asked again, by whichever process
# A server that does not answer is not waited for: what it does not take now is kept. A user's own settings win.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class NotAnswering(ConnectionError):
    """The store did not answer in time, now or a moment ago."""


def connect(store: str) -> "MlflowClient":
    """A client of that store, with its tables built. Raises `NotAnswering`, and whatever MLflow does."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    # What a database can't do, on a full disk for one, is raised as well, and told without MLflow's tracebacks.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if locations.is_local():
        mlflow.set_tracking_uri(store)
        return _connect(store)
    if 0 <= (passed := time.time() - _silent_since(store)) < ASK_AGAIN:
        raise NotAnswering(f"no answer {passed:.0f} seconds ago")
    if not store.startswith("http"):
        # MLflow tries a database that it can't open ten times, for 100 seconds.
        import mlflow.store.db.utils

        mlflow.store.db.utils.MAX_RETRY_COUNT = 1
    mlflow.set_tracking_uri(store)
    # Of a database's driver, some wait for ever. A thread that does can't be ended, but is not waited for.
    answer: Future[MlflowClient] = Future()
    threading.Thread(target=_answer, args=[answer, store], name="first contact", daemon=True).start()
    started = time.monotonic()
    try:
        return answer.result(timeout=PATIENCE)
    except NotInTime:
        note_silence(store)
        raise NotAnswering(f"no answer within {PATIENCE:g} seconds") from None
    except Exception:
        if time.monotonic() - started > SLOW:
            note_silence(store)
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


def note_silence(store: str) -> None:
    """Remember, for the stages to come as well, that this store did not answer now."""
    with suppress(OSError):
        files.write_json(locations.silence(), {"store": _key(store), "since": time.time()})


def forget_silence() -> None:
    """Ask again at once: somebody wants it."""
    locations.silence().unlink(missing_ok=True)


def _silent_since(store: str) -> float:
    try:
        noted = files.read_json(locations.silence())
        return float(noted["since"]) if noted["store"] == _key(store) else 0.0
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _key(store: str) -> str:
    return hashlib.sha256(store.encode()).hexdigest()  # an address may have a password in it


def experiment(client: "MlflowClient", name: str) -> str:
    """The id of the experiment of that name, which is made when there is none."""
    with FileLock(locations.lock()):
        found = client.get_experiment_by_name(name)
        return found.experiment_id if found else client.create_experiment(name, locations.artifacts())
