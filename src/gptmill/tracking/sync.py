"""`gptmill sync`: what MLflow could not take when it was told, in the order in which it was told; and the end of pipeline runs."""

from dataclasses import dataclass, field
from datetime import datetime

from gptmill.tracking import locations, mlflow_client, outbox, parent_runs, replay
from gptmill.tracking.outbox import Outbox
from gptmill.tracking.replay import Replayer, Unreachable


@dataclass
class Synced:
    sent: list[str] = field(default_factory=list)  # a line for each run that MLflow has now
    left: list[str] = field(default_factory=list)  # a line for each that it has not, with why
    at_work: int = 0  # runs whose own process will send them


def sync() -> Synced:
    """Send what is kept, as far as MLflow takes it. Killed and started again, it goes on where it was."""
    mlflow_client.forget_silence()
    result = Synced(at_work=outbox.at_work())
    for found in outbox.left():
        what = f"{found.stage} of {_time(found.events[0]['at'])}"
        found.end_as_killed()
        behind = found.behind
        problem = settle(found)
        if problem:
            result.left.append(f"{what}: {found.behind} of {len(found.events)} notes: {problem}")
        elif behind:
            result.sent.append(
                f"{what}: {behind} of {len(found.events)} notes, {found.status}, run {found.sent['run_id']}"
            )
    concluded = conclude_pipelines()
    result.sent += concluded.sent
    result.left += concluded.left
    return result


def settle(found: Outbox, *, is_past: bool = False, send: bool = True) -> str:
    """Send a journal whose process is no more; what of it MLflow would not take, or "".

    It is removed when MLflow has all of it, and a training will not go on in it: one that was not finished may, until `is_past`.
    """
    found.end_as_killed()
    problem = ""
    if send and found.behind:
        try:
            Replayer(found).send()
        except Unreachable as error:
            problem = str(error)
    if found.behind or (found.may_go_on and not is_past):
        found.close()
    else:
        found.remove()
    return problem


def conclude_pipelines(but: str = "") -> Synced:
    """Tell MLflow of the pipeline runs that have ended, but for those that have stages which it does not know all of."""
    result, waiting = Synced(), {but}
    for found in outbox.left():
        if found.behind:
            waiting.add(found.pipeline)
        found.close()
    for record in parent_runs.ended():
        what = f"pipeline run of {_time(record['started'])}, {record['name']}"
        if record["key"] in waiting:
            result.left.append(f"{what}: it waits for its stages")
            continue
        try:
            run_id = parent_runs.conclude(mlflow_client.connect(locations.store()), record)
        except Exception as error:  # noqa: BLE001 - whatever MLflow raises, it is told another time
            result.left.append(f"{what}: {replay.said(error)}")
        else:
            parent_runs.forget(record)
            result.sent.append(f"{what}: run {run_id}")
    return result


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%d %b %H:%M:%S")
