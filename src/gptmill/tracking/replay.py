"""Replay of an outbox to MLflow: each event once and in order. The run looks the same whenever it is sent.

A process may be killed after MLflow took an event and before that is recorded; the event is then sent again. That
changes nothing: params, tags, inputs and files are the same, MLflow's database stores a metric's point once (its key is
name, value, step and the event's time), and runs and models are looked for before they are made.
"""

import errno
import logging
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gptmill.core import addresses
from gptmill.tracking import locations, mlflow_client, parent_runs
from gptmill.tracking.outbox import Event, Outbox

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "gptmill.journal"  # the tag by which a run is found again
LARGEST_BATCH = 1000  # points that MLflow takes in one call
SMALL_BATCH = 100  # params, likewise
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# log_model(client, run id, folder, task, metrics, labels): logs a model to a run, once however often it is called.
LogModel = Callable[..., None]

log = logging.getLogger(__name__)


class Unreachable(Exception):
    """MLflow did not take an event, and may take it another time. The message is MLflow's, on one line."""


class DiskFull(Unreachable):
    """The disk of the store, or the one of temporary files, is full."""


class Replayer:
    """Sends one outbox. Threads may share it."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox, self._sending = outbox, threading.Lock()
        self._began = 0.0  # the last request
        self._client: MlflowClient | None = None
        self._log_model: LogModel | None = None

    def send(self, log_model: LogModel | None = None) -> None:
        """Send what MLflow does not have yet; without `log_model`, up to the first model.

        Raises `Unreachable` with the rest unsent.
        """
        with self._sending:
            self._log_model = log_model
            try:
                if self._client is None:
                    self._client = self._connected()
                while self.outbox.unsent and (log_model or not self._at_model):
                    self._send_next()
            except Exception as error:
                slow = time.monotonic() - self._began > mlflow_client.SLOW
                if self._client and not self._at_model and slow:
                    mlflow_client.record_outage(locations.store())
                self._client = None  # the next try begins with a first contact, which has a timeout
                is_full = isinstance(error, OSError) and error.errno in FULL
                raise (DiskFull if is_full else Unreachable)(one_line(error)) from error

    @property
    def _at_model(self) -> bool:
        return bool(self.outbox.unsent) and self.outbox.next_event["do"] == "model"

    # --- which run ---

    @property
    def _run(self) -> str:
        return self.outbox.sent["run_id"]

    def _connected(self) -> "MlflowClient":
        """A client of the store that the environment names. A run that is not in it is sent from the beginning."""
        client = mlflow_client.connect(locations.store())
        if self._run and not self._exists(client):
            self.outbox.mark_sent(events=0, run_id="")
        return client

    def _exists(self, client: "MlflowClient") -> bool:
        from mlflow.exceptions import MlflowException

        try:
            run = client.get_run(self._run)
        except MlflowException as error:
            if error.get_http_status_code() != 404:
                raise
            return False
        return run.data.tags.get(KEY) == self.outbox.folder.name and run.info.lifecycle_stage == "active"

    # --- events ---

    def _send_next(self) -> None:
        first = self.outbox.sent["events"]
        event, count = self.outbox.events[first], 1
        if event["do"] == "metrics":
            event, count = self._batched(first)
        elif event["do"] == "text" and event["name"] in self._texts_after(first):  # a later one replaces it
            self.outbox.mark_sent(events=first + 1)
            return
        self._began = time.monotonic()
        try:
            getattr(self, f"_{event['do']}")(event)
        except Exception as error:
            if event["do"] == "start" or not _is_refusal(error):
                raise
            log.warning("MLflow does not take %s of %s: %s", event["do"], self.outbox.stage, one_line(error))
        self.outbox.mark_sent(events=first + count)

    def _batched(self, first: int) -> tuple[Event, int]:
        """As many consecutive metrics as fit into one call."""
        points: list[list[Any]] = []
        count = 0
        for event in self.outbox.events[first:]:
            if event["do"] != "metrics" or (points and len(points) + len(event["points"]) > LARGEST_BATCH):
                break
            points += [[*point, event["at"]] for point in event["points"]]
            count += 1
        return {"do": "metrics", "points": points}, count

    def _texts_after(self, first: int) -> set[str]:
        return {event["name"] for event in self.outbox.events[first + 1 :] if event["do"] == "text"}

    def _start(self, event: Event) -> None:
        client, key = self._client, self.outbox.folder.name
        experiment = mlflow_client.experiment(client, event["experiment"])
        tags = {**event["tags"], "dvc.stage": event["stage"], KEY: key, **self._parent(event)}
        runs = client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
        if not runs:
            runs = [client.create_run(experiment, start_time=event["at"], tags=tags, run_name=event["name"])]
        self.outbox.mark_sent(run_id=runs[0].info.run_id, experiment_id=experiment)

    def _again(self, event: Event) -> None:
        """The training resumes in another process."""
        self._client.update_run(self._run, status="RUNNING")
        self._tags({"values": {**event["tags"], **self._parent(event)}})

    def _parent(self, event: Event) -> dict[str, str]:
        return {"mlflow.parentRunId": parent_runs.run_of(self._client, event["pipeline"])} if event["pipeline"] else {}

    def _params(self, event: Event) -> None:
        from mlflow.entities import Param

        values = [Param(name, str(value)) for name, value in event["values"].items()]
        for i in range(0, len(values), SMALL_BATCH):
            self._client.log_batch(self._run, params=values[i : i + SMALL_BATCH])

    def _tags(self, event: Event) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(self._run, tags=[RunTag(name, value) for name, value in event["values"].items()])

    def _metrics(self, event: Event) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(name, value, at, step) for name, value, step, at in event["points"]]
        for i in range(0, len(metrics), LARGEST_BATCH):
            self._client.log_batch(self._run, metrics[i : i + LARGEST_BATCH])

    def _input(self, event: Event) -> None:
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.data.sources import LocalArtifactDatasetSource
        from mlflow.entities import DatasetInput

        dataset = MetaDataset(LocalArtifactDatasetSource(event["path"]), name=event["path"], digest=event["digest"])
        self._client.log_inputs(self._run, datasets=[DatasetInput(dataset._to_mlflow_entity())])

    def _text(self, event: Event) -> None:
        self._client.log_text(self._run, event["text"], event["name"])

    def _artifact(self, event: Event) -> None:
        self._client.log_artifact(self._run, str(self.outbox.folder / event["file"]), event["folder"] or None)

    def _model(self, event: Event) -> None:
        folder = self.outbox.folder / event["folder"]
        self._log_model(self._client, self._run, folder, event["task"], event["metrics"], event["labels"])

    def _end(self, event: Event) -> None:
        self._client.set_terminated(self._run, event["status"], event["at"])


def _is_refusal(error: Exception) -> bool:
    """Whether MLflow would never take it: it is invalid, or what it needs is gone."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.get_http_status_code() == 400
    return isinstance(error, (FileNotFoundError, ValueError, TypeError))


def one_line(error: Exception) -> str:
    """MLflow's message on one line, without passwords in addresses."""
    message = " ".join(str(error).split())
    message = re.split(r" with exception HTTPConnectionPool| \[SQL: ", message)[0]  # the rest says no more
    return addresses.redact(message)[:200] or type(error).__name__
