"""From a journal to MLflow: each event once, in order, so that the run looks as if it had been told directly, whenever it is sent.

A process may be killed between MLflow's taking an event and our noting so; the event is then sent again. That changes nothing: params,
tags, inputs and files are what they were, MLflow's database keeps a metric's point once (name, value, step and time are its key; the time
is the journal's), and a run or a model is looked for before it is made.
"""

import errno
import logging
import re
import threading
import time
from contextlib import suppress
from pathlib import Path
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

log = logging.getLogger(__name__)


class Unreachable(Exception):
    """MLflow did not take an event, and may take it another time. The message is its own, on one line."""


class NoRoom(Unreachable):
    """The disk of the store, or the one of temporary files, is full."""


class Replayer:
    """Sends one journal. Threads may share it."""

    def __init__(self, journal: Outbox) -> None:
        self.journal, self._turn = journal, threading.Lock()
        self._asked_at = 0.0
        self._client: MlflowClient | None = None

    def send(self, *, models: bool = True) -> None:
        """Send what MLflow does not have yet; without `models`, no more than what comes before one: they take long.

        Raises `Unreachable` with the rest unsent.
        """
        with self._turn:
            try:
                if self._client is None:
                    self._client = self._connected()
                while self.journal.behind and (models or self.journal.next["do"] != "model"):
                    self._send_next()
            except Unreachable:
                raise
            except Exception as error:
                if (
                    self._client
                    and self.journal.next["do"] != "model"
                    and time.monotonic() - self._asked_at > mlflow_client.SLOW
                ):
                    mlflow_client.note_silence(locations.store())
                self._client = None  # the next try begins with a first contact, which is bounded
                is_full = isinstance(error, OSError) and error.errno in FULL
                raise (NoRoom if is_full else Unreachable)(said(error)) from error

    # --- which run ---

    @property
    def _run(self) -> str:
        return self.journal.sent["run_id"]

    def _connected(self) -> "MlflowClient":
        """A client of the store that the environment names; a run that is not in it is sent from the beginning."""
        client = mlflow_client.connect(locations.store())
        if self._run and not self._is_there(client):
            self.journal.mark(events=0, run_id="")
        return client

    def _is_there(self, client: "MlflowClient") -> bool:
        from mlflow.exceptions import MlflowException

        try:
            run = client.get_run(self._run)
        except MlflowException as error:
            if error.get_http_status_code() != 404:
                raise
            return False
        return run.data.tags.get(KEY) == self.journal.folder.name and run.info.lifecycle_stage == "active"

    # --- events ---

    def _send_next(self) -> None:
        first = self.journal.sent["events"]
        event, count = self.journal.events[first], 1
        if event["do"] == "metrics":
            event, count = self._joined(first)
        elif event["do"] == "text" and any(_replaces(later, event) for later in self.journal.events[first + 1 :]):
            self.journal.mark(events=first + 1)
            return
        self._asked_at = time.monotonic()
        try:
            getattr(self, f"_{event['do']}")(event)
        except Exception as error:
            if event["do"] == "start" or not _is_refusal(error):
                raise
            log.warning("MLflow does not take %s of %s: %s", event["do"], self.journal.stage, said(error))
        self.journal.mark(events=first + count)

    def _joined(self, first: int) -> tuple[Event, int]:
        """As many metrics as follow one another and go into one call."""
        points: list[list[Any]] = []
        count = 0
        for event in self.journal.events[first:]:
            if event["do"] != "metrics" or (points and len(points) + len(event["points"]) > LARGEST_BATCH):
                break
            points += [[*point, event["at"]] for point in event["points"]]
            count += 1
        return {"do": "metrics", "points": points}, count

    def _start(self, event: Event) -> None:
        client, key = self._client, self.journal.folder.name
        where = mlflow_client.experiment(client, event["experiment"])
        tags = {**event["tags"], "dvc.stage": event["stage"], KEY: key, **self._parent(event)}
        found = client.search_runs([where], f"tags.`{KEY}` = '{key}'", max_results=1)
        run = found[0] if found else client.create_run(where, start_time=event["at"], tags=tags, run_name=event["name"])
        self.journal.mark(run_id=run.info.run_id, experiment_id=where)

    def _again(self, event: Event) -> None:
        """The training goes on in another process."""
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
        self._client.log_artifact(self._run, str(self.journal.folder / event["file"]), event["folder"] or None)

    def _model(self, event: Event) -> None:
        import mlflow

        from gptmill.registry import log_model, model_card

        folder: Path = self.journal.folder / event["folder"]
        if self._has_model(folder.name):
            return
        log_model.require_room(
            folder, self._client.get_experiment(self.journal.sent["experiment_id"]).artifact_location
        )
        card = model_card.of_folder(folder, event["task"], event["metrics"], event["labels"])
        try:
            with mlflow.start_run(run_id=self._run, log_system_metrics=False):
                log_model.log_model(folder, event["task"], card)
        except Exception:
            with suppress(Exception):  # it is tried again before the next try
                self._has_model(folder.name)
            raise
        self._client.update_run(self._run, status="RUNNING")  # the end is an event of its own

    def _has_model(self, name: str) -> bool:
        """Whether it was logged before; what was only begun is removed, with its files: on a full disk they would fill what is freed."""
        from gptmill.registry import log_model

        where = [self.journal.sent["experiment_id"]]
        whole = False
        for model in self._client.search_logged_models(where, filter_string=f"source_run_id = '{self._run}'"):
            if model.name == name and str(model.status) == "READY":
                whole = True
            elif model.name == name:
                log_model.remove_files(model)
                self._client.delete_logged_model(model.model_id)
        return whole

    def _end(self, event: Event) -> None:
        self._client.set_terminated(self._run, event["status"], event["at"])


def _replaces(later: Event, event: Event) -> bool:
    return later["do"] == "text" and later["name"] == event["name"]


def _is_refusal(error: Exception) -> bool:
    """Whether MLflow would not take it another time either: it is wrong, or what it needs is gone."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.get_http_status_code() == 400
    return isinstance(error, (FileNotFoundError, ValueError, TypeError))


def said(error: Exception) -> str:
    """MLflow's message on one line, without the passwords that an address in it may have."""
    words = " ".join(str(error).split())
    words = re.split(r" with exception HTTPConnectionPool| \[SQL: ", words)[0]  # what follows says no more
    return addresses.redact(words)[:200] or type(error).__name__
