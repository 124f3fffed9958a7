"""A store that hangs, a database that is down, a full disk: seconds are lost at most, once, and nothing else."""

import errno
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from gptmill import tracking
from gptmill.registry import log_model as registry
from gptmill.registry.log_model import log_to_run
from gptmill.tracking import locations, mlflow_client, outbox, sync


@pytest.fixture
def hanging(monkeypatch) -> Iterator[list[socket.socket]]:
    """MLFLOW_TRACKING_URI names a server that takes connections and never answers; the connections that it got."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
        monkeypatch.setattr(mlflow_client, "TIMEOUT", 0.5)
        yield connections
        server.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        connection.close()


def track(name: str = "pretrain") -> None:
    with tracking.run(name, {"seed": 1}, []) as run:
        run.metrics({"loss": 1.0})


def test_a_server_that_hangs_is_waited_for_once_by_all_stages(store, hanging, outboxes, monkeypatch, caplog):
    track()
    assert len(hanging) == 1 and "no answer within" in caplog.text
    track("finetune_classifier")
    assert len(hanging) == 1 and len(outboxes()) == 2
    assert "no answer within" in sync.sync(log_to_run).left[0]  # a person asked: the store was asked again
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert sync.sync(log_to_run).left == [] and outboxes() == []
    assert [run.data.metrics["loss"] for run in store.runs()] == [1.0, 1.0]


def test_a_database_that_is_down_is_tried_once(store, monkeypatch, outboxes, caplog):
    waited: list[float] = []
    monkeypatch.setattr("mlflow.store.db.utils.time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@127.0.0.1:9/mlflow")
    track()
    assert waited == [] and len(outboxes()) == 1
    assert "cannot be reached" in caplog.text and "secret" not in caplog.text


def test_silence_ends_by_itself_and_is_of_one_store(store, monkeypatch):
    assert mlflow_client._outage_of("a") == 0
    mlflow_client.record_outage("a")
    assert mlflow_client._outage_of("a") > 0 and mlflow_client._outage_of("b") == 0
    locations.outage().write_text("[" * 100_000)
    assert mlflow_client._outage_of("a") == 0
    mlflow_client.clear_outage()
    assert not locations.outage().exists()


# --- a full disk ---


@pytest.fixture
def weights(tmp_path) -> Path:
    folder = tmp_path / "models" / "base"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
    return folder


def uploaded() -> list[str]:
    return [path.name for path in Path("mlartifacts").rglob("model.safetensors*")]


def log_model(client, run_id: str, folder: Path, *, half: bool) -> None:
    """As MLflow does: the model is made known, then its files are copied, then it is ready."""
    from mlflow.entities import LoggedModelStatus

    model = client.create_logged_model(
        client.get_run(run_id).info.experiment_id, name=folder.name, source_run_id=run_id
    )
    place = Path(model.artifact_location.removeprefix("file://"))
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"x" * 500)
    if half:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def test_a_model_that_does_not_fit_leaves_nothing_and_is_sent_when_there_is_room(
    store, weights, outboxes, monkeypatch, caplog
):
    full = [True]
    monkeypatch.setattr(
        registry,
        "log_model",
        lambda run_id, folder, *_: log_model(store.client, run_id, folder, half=full[0]),
    )
    with tracking.run("pretrain", {"seed": 1}, [], log_model=log_to_run) as run:
        run.model(weights, "generate", {})
    assert "has no room" in caplog.text and uploaded() == [] and len(outboxes()) == 1
    for _ in range(2):
        assert "No space left" in sync.sync(log_to_run).left[0]
        assert uploaded() == []
    full[0] = False
    assert sync.sync(log_to_run).left == [] and uploaded() == ["model.safetensors"] and outboxes() == []
    [model] = store.client.search_logged_models(store.experiments())
    assert str(model.status) == "READY"


def test_without_room_an_upload_is_not_begun(store, weights, outboxes, monkeypatch, caplog):
    begun: list[Path] = []
    monkeypatch.setattr(registry, "log_model", lambda run_id, folder, *_: begun.append(folder))
    with monkeypatch.context() as patch:
        patch.setattr(registry.shutil, "disk_usage", lambda _: SimpleNamespace(free=1500))  # two copies are made
        with tracking.run("pretrain", {"seed": 1}, [], log_model=log_to_run) as run:
            run.model(weights, "generate", {})
    assert begun == [] and len(outboxes()) == 1 and "has no room: [Errno 28] no space left: 0 MB needed" in caplog.text
    assert sync.sync(log_to_run).left == [] and len(begun) == 1


class Full:
    """A file on a disk that is full: it takes some bytes, then none."""

    def __init__(self, file, room: int) -> None:
        self._file, self.room = file, room

    def write(self, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._file.write(data[: self.room])
        self.room -= written
        return written

    def __getattr__(self, name: str):
        return getattr(self._file, name)


def test_what_is_told_while_the_disk_is_full_is_written_when_there_is_room(store, outboxes):
    box = outbox.create()
    box.add("start", stage="pretrain", training="", experiment="gptmill-base", name="pretrain", tags={}, pipeline="")
    box._file = Full(box._file, 20)
    for step in range(2):
        with pytest.raises(OSError, match="No space left"):
            box.add("metrics", points=[["loss", 1.0, step]])
    path = outboxes()[0] / "events.jsonl"
    assert len(path.read_text().splitlines()) == 1 and path.read_text().endswith("\n")
    box._file.room = 10_000
    box.add("end", status="FINISHED")
    box.close()
    assert [json.loads(line)["do"] for line in path.read_text().splitlines()] == ["start", "metrics", "metrics", "end"]
    assert sync.sync(log_to_run).left == [] and len(store.curve(store.latest(), "loss")) == 2


def test_half_a_copy_is_not_kept(store, weights, outboxes, monkeypatch):
    def fail(source: str, target: str) -> None:
        Path(target).write_bytes(b"x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    box = outbox.create()
    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(OSError, match="No space left"):
        box.attach(weights / "model.safetensors", link=False)
    assert list((outboxes()[0] / "files").iterdir()) == []
    box.close()


def test_an_outbox_that_can_not_be_read_is_left_out_and_named(store, outboxes, caplog):
    box = outbox.create()
    box.add("start", stage="pretrain", training="", experiment="gptmill-base", name="pretrain", tags={}, pipeline="")
    box.close()
    (outboxes()[0] / "events.jsonl").write_text("[" * 100_000 + "\n")
    track()
    assert sync.sync(log_to_run).left == [] and len(outboxes()) == 1 and "is nested too deeply" in caplog.text
    assert [run.info.status for run in store.runs()] == ["FINISHED"]
