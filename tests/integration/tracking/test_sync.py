"""What MLflow could not take: saved in order, sent once, whoever is killed meanwhile."""

import json
import signal
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from gptmill import cli, tracking
from gptmill.core.errors import Interrupted
from gptmill.registry import log_model
from gptmill.registry.log_model import log_to_run
from gptmill.tracking import locations, outbox, replay, sync

DEAD = "http://me:secret@127.0.0.1:9"


@pytest.fixture
def offline(store, monkeypatch):
    """`offline()`: what follows finds no server; `offline(False)`: the store again."""

    def switch(off: bool = True) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD) if off else monkeypatch.delenv("MLFLOW_TRACKING_URI")

    return switch


def tell(run: tracking.Run, folder: Path) -> None:
    """All that a stage may tell, twice 600 points of a curve among it."""
    run.curve([(step, {"loss": 1 / (step + 1), "rate": 0.5}) for step in range(600)])
    run.text("samples.txt", "first\n")
    (folder / "judged.jsonl").write_text("{}\n")
    run.artifact(folder / "judged.jsonl")
    (folder / "judged.jsonl").write_text("changed since\n")
    run.text("samples.txt", "first\nsecond\n")
    run.metrics({"accuracy": 0.75, "seconds": 1.5})


def seen(store, run) -> dict:
    """Everything about a run but its times and ids."""
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    names = {name for name in run.data.metrics if not name.startswith("system/")}
    paths = sorted(item.path for item in store.client.list_artifacts(run.info.run_id))
    return {
        "params": run.data.params,
        "curves": {name: store.curve(run, name) for name in names},
        "inputs": [(given.dataset.name, given.dataset.digest) for given in run.inputs.dataset_inputs],
        "artifacts": {path: mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{path}") for path in paths},
        "status": run.info.status,
        "stage": run.data.tags["dvc.stage"],
    }


def track(folder: Path) -> None:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "train.bin").write_text("x")
    with tracking.run("pretrain", {"seed": 1}, [Path("data")]) as run:
        tell(run, folder)


def test_a_run_that_is_sent_later_is_the_run_that_would_have_been(store, offline, tmp_path, outboxes):
    track(tmp_path)
    offline()
    track(tmp_path)
    assert len(outboxes()) == 1 and len(store.runs()) == 1
    events = [json.loads(line) for line in (outboxes()[0] / "events.jsonl").read_text().splitlines()]
    offline(False)
    done = sync.sync(log_to_run)
    assert done.left == [] and len(done.sent) == 1 and outboxes() == []
    late, direct = store.runs()
    assert seen(store, late) == seen(store, direct)
    assert seen(store, direct)["artifacts"] == {"judged.jsonl": "{}\n", "samples.txt": "first\nsecond\n"}
    assert len(seen(store, direct)["curves"]["loss"]) == 600
    # Times are those of the events, not of sending them.
    assert (late.info.start_time, late.info.end_time) == (events[0]["at"], events[-1]["at"])
    [accuracy] = store.client.get_metric_history(late.info.run_id, "accuracy")
    assert accuracy.timestamp in {event["at"] for event in events}


class Killed(BaseException):
    """As SIGKILL: nobody catches it."""


def test_a_sync_that_is_killed_anywhere_doubles_nothing(store, offline, tmp_path, outboxes, monkeypatch):
    track(tmp_path)
    offline()
    track(tmp_path)
    offline(False)
    mark, deaths = outbox.Outbox.mark_sent, set()

    def dying(self, **sent: object) -> None:
        """Die once at each place, after MLflow has taken something and before that is noted."""
        place = ("run_id" in sent, sent.get("events"))
        if place not in deaths:
            deaths.add(place)
            self.close()  # as the system does
            raise Killed
        mark(self, **sent)

    monkeypatch.setattr(outbox.Outbox, "mark_sent", dying)
    for _ in range(30):
        try:
            sync.sync(log_to_run)
            break
        except Killed:
            pass
    assert len(deaths) >= 9 and outboxes() == []
    late, direct = store.runs()
    assert seen(store, late) == seen(store, direct)


def test_a_second_sync_finds_nothing_to_do(store, offline, tmp_path):
    offline()
    track(tmp_path)
    offline(False)
    assert len(sync.sync(log_to_run).sent) == 1
    assert sync.sync(log_to_run) == sync.Synced()
    assert len(store.runs()) == 1


def test_sync_says_what_is_left_and_why_and_ends_with_1(store, offline, tmp_path, outboxes):
    offline()
    track(tmp_path)
    result = CliRunner().invoke(cli.app, ["sync"])
    assert (
        result.exit_code == 1
        and "left  pretrain of " in result.output
        and "127.0.0.1" in result.output
        and "secret" not in result.output
    )
    offline(False)
    result = CliRunner().invoke(cli.app, ["sync"])
    assert (
        result.exit_code == 0 and "sent  pretrain of " in result.output and store.latest().info.run_id in result.output
    )
    result = CliRunner().invoke(cli.app, ["sync"])
    assert result.exit_code == 0 and result.output == "MLflow has everything.\n"


def test_what_a_stage_is_still_telling_is_left_to_it(store, outboxes):
    with tracking.run("pretrain", {"seed": 1}, []) as run:
        run.metrics({"loss": 1.0})
        with pytest.raises(Exception, match="could not be acquired"):
            FileLock(outboxes()[0] / "lock", timeout=0).acquire()
        assert list(outbox.abandoned()) == [] and outbox.in_use() == 1
        assert sync.sync(log_to_run).sent == []
    assert store.latest().info.status == "FINISHED"


def test_a_run_that_is_gone_from_the_server_is_sent_from_the_beginning(store, offline, tmp_path, outboxes, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(replay.Replayer, "_end", lambda *_: (_ for _ in ()).throw(ConnectionError("gone")))
        track(tmp_path)
    [run] = store.runs()
    store.client.delete_run(run.info.run_id)
    assert len(outboxes()) == 1
    assert sync.sync(log_to_run).left == []
    again = store.latest()
    assert again.info.run_id != run.info.run_id and seen(store, again)["status"] == "FINISHED"
    assert len(seen(store, again)["curves"]["loss"]) == 600


def test_an_outbox_that_is_just_begun_is_nobody_elses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    over = threading.Event()
    found = []

    def look() -> None:
        while not over.is_set():
            found.extend(outbox.abandoned())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(300):
            begun = outbox.create()
            assert begun.folder.exists()
            begun.remove()
    finally:
        over.set()
        looking.join()
    assert found == []


def test_another_stages_outbox_that_can_not_be_settled_costs_this_one_nothing(
    store, offline, tmp_path, monkeypatch, caplog
):
    offline()
    track(tmp_path)
    offline(False)

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(sync, "settle", fail)
    track(tmp_path)
    assert [run.info.status for run in store.runs()] == ["FINISHED"] and "disk full" in caplog.text


def test_a_line_that_was_half_written_when_the_process_was_killed_is_left_out(store, outboxes):
    box = outbox.create()
    box.add("start", stage="pretrain", training="", experiment="gptmill-base", name="pretrain", tags={}, pipeline="")
    box.add("metrics", points=[["loss", 1.0, 0]])
    box.close()
    with (outboxes()[0] / "events.jsonl").open("a") as file:
        file.write('{"do": "metrics", "at": 17')
    done = sync.sync(log_to_run)
    assert done.left == [] and store.latest().data.metrics == {"loss": 1.0}
    assert store.latest().info.status == "KILLED"
    assert outboxes() == []


def test_a_model_is_kept_as_it_was_and_logged_once(store, offline, tmp_path, monkeypatch):
    logged = []

    def logging(run_id: str, folder: Path, task: str, card: str) -> None:
        logged.append((folder.name, (folder / "model.safetensors").read_text(), task))

    monkeypatch.setattr(log_model, "log_model", logging)
    offline()
    weights = tmp_path / "models" / "base"
    weights.mkdir(parents=True)
    (weights / "model.safetensors").write_text("old")
    with tracking.run("pretrain", {"seed": 1}, [], log_model=log_to_run) as run:
        run.model(weights, "generate", {})
    (weights / "new").write_text("new")
    (weights / "new").replace(weights / "model.safetensors")  # as files.atomic does
    offline(False)
    assert sync.sync(log_to_run).left == []
    assert logged == [("base", "old", "generate")]
    assert store.latest().info.status == "FINISHED"


def test_a_model_and_what_follows_it_wait_for_someone_who_can_log_it(store, tmp_path, outboxes):
    logged = []
    (tmp_path / "models" / "base").mkdir(parents=True)
    with tracking.run("pretrain", {"seed": 1}, []) as run:
        run.metrics({"loss": 1.0})
        run.model(tmp_path / "models" / "base", "generate", {})
        run.metrics({"after": 1.0})
    assert len(outboxes()) == 1 and store.latest().info.status == "RUNNING"
    assert "loss" in store.latest().data.metrics and "after" not in store.latest().data.metrics
    done = sync.sync(lambda client, run_id, folder, *_: logged.append((run_id, folder.name)))
    assert done.left == [] and logged == [(store.latest().info.run_id, "base")] and outboxes() == []
    assert store.latest().info.status == "FINISHED" and store.latest().data.metrics["after"] == 1.0


# --- trainings that go on ---


def test_a_training_that_goes_on_does_so_in_its_run(store, outboxes):
    with pytest.raises(Interrupted), tracking.run("pretrain", {"seed": 1}, [], "same") as run:
        run.curve([(1, {"loss": 3.0}), (2, {"loss": 2.0})])
        raise Interrupted("stopped", signal.SIGTERM)
    assert store.latest().info.status == "KILLED"
    with tracking.run("pretrain", {"seed": 1}, [], "same") as run:
        assert store.latest().info.status == "RUNNING"
        run.curve([(1, {"loss": 3.0}), (2, {"loss": 2.0}), (3, {"loss": 1.0})])
    [run] = store.runs()
    assert run.info.status == "FINISHED" and store.curve(run, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert outboxes() == []


def test_a_process_that_was_killed_is_found_out_by_the_next_one(store, outboxes):
    for training in ("one", "two", "two"):
        killed = tracking._Tracked("pretrain", {"seed": 1}, [], training)
        killed.run.curve([(1, {"loss": 3.0})])
        killed._uploader.stop()
        killed._uploader.deliver()
        killed.outbox.close()  # as the system does it for a process that is killed
    assert len(store.runs()) == 2 and len(outboxes()) == 1
    now, before = store.runs()
    assert (now.info.status, before.info.status) == ("RUNNING", "KILLED")
    assert store.curve(now, "loss") == [(1, 3.0)]
    sync.sync(log_to_run)
    assert store.latest().info.status == "KILLED"


def test_a_stage_that_ended_well_begins_a_new_run(store):
    for _ in range(2):
        with tracking.run("pretrain", {"seed": 1}, [], "same"):
            pass
    assert len(store.runs()) == 2


def test_a_passing_copy_of_dvc_tracks_where_its_project_does(store, tmp_path, monkeypatch):
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert locations.store() == store.uri
    with tracking.run("pretrain", {"seed": 1}, []):
        pass
    assert len(store.runs()) == 1 and not list(copy.iterdir())
