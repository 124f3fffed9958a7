"""`gptmill sync`: sends MLflow the outboxes of processes that have ended, in order, and the ends of pipeline runs."""

from dataclasses import dataclass, field
from datetime import datetime

from gptmill.tracking import locations, mlflow_client, outbox, parent_runs, replay
from gptmill.tracking.outbox import Outbox
from gptmill.tracking.replay import LogModel, Replayer, Unreachable


@dataclass
class Synced:
    sent: list[str] = field(default_factory=list)  # a line per run that MLflow has now
    left: list[str] = field(default_factory=list)  # a line per run that it does not have, with the reason
    at_work: int = 0  # runs whose own process will send them


def sync(log_model: LogModel) -> Synced:
    """Send all outboxes, as far as MLflow takes them. Killed and started again, it resumes."""
    mlflow_client.clear_outage()
    result = Synced(at_work=outbox.in_use())
    for box in outbox.abandoned():
        name = f"{box.stage} of {_time(box.events[0]['at'])}"
        box.mark_killed()
        unsent = box.unsent
        if problem := settle(box, log_model):
            result.left.append(f"{name}: {box.unsent} of {len(box.events)} events: {problem}")
        elif unsent:
            result.sent.append(f"{name}: {unsent} of {len(box.events)} events, {box.status}, run {box.sent['run_id']}")
    ended = conclude_pipelines()
    return Synced(result.sent + ended.sent, result.left + ended.left, result.at_work)


def settle(box: Outbox, log_model: LogModel | None, *, is_past: bool = False, send: bool = True) -> str:
    """Send and release an abandoned outbox; returns why MLflow did not take all of it, or ""."""
    box.mark_killed()
    problem = ""
    if send and box.unsent:
        try:
            Replayer(box).send(log_model)
        except Unreachable as error:
            problem = str(error)
    box.release(is_past=is_past)
    return problem


def conclude_pipelines(but: str = "") -> Synced:
    """Tell MLflow of the pipeline runs that have ended, except those with stages that are not sent yet."""
    result, waiting = Synced(), {but}
    for box in outbox.abandoned():
        if box.unsent:
            waiting.add(box.pipeline)
        box.close()
    for record in parent_runs.ended():
        name = f"pipeline run of {_time(record['started'])}, {record['name']}"
        if record["key"] in waiting:
            result.left.append(f"{name}: it waits for its stages")
            continue
        try:
            run_id = parent_runs.conclude(mlflow_client.connect(locations.store()), record)
        except Exception as error:  # noqa: BLE001 - whatever MLflow raises, it is tried again another time
            result.left.append(f"{name}: {replay.one_line(error)}")
        else:
            parent_runs.forget(record)
            result.sent.append(f"{name}: run {run_id}")
    return result


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%d %b %H:%M:%S")
