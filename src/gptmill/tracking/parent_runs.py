"""Pipeline runs: the parents in MLflow of the stages' runs.

Which one a stage belongs to: the one that `GPTMILL_RUN` names, else that of the DVC process it descends from; a stage that is run by hand
has none. `.gptmill/runs/<key>.json` says what is known of each, so that stages side by side agree on one, until MLflow has it all.

It ends when somebody says so (`finish`: `gptmill sync` with `GPTMILL_RUN` set, as `make run` and the flow have it), or when its DVC process
is no more, which the next `gptmill sync` or stage finds. Then it lists the run behind each stage's outputs: one of its own, or, for a stage
that DVC took from its cache, the earlier run that wrote the same bytes.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from filelock import FileLock

from gptmill.core import files
from gptmill.tracking import locations, mlflow_client, run_tags
from gptmill.tracking.outbox import now

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY = "gptmill.pipeline"  # the tag by which a pipeline run is found again
Record = dict[str, Any]


# --- on this machine ---


def current() -> str:
    """The key of the pipeline run that this process belongs to, which is now known here; "" without one."""
    if name := os.environ.get("GPTMILL_RUN"):
        key, process = _key(name), None
    elif process := _dvc():
        key = f"dvc-{process[0]}-{int(process[1] * 1000)}"
    else:
        return ""
    with _locked():
        if not (path := _path(key)).exists():
            files.write_json(path, _record(key, process))
    return key


def finish(name: str, *, failed: bool) -> None:
    """Say that the pipeline run that `GPTMILL_RUN` named has ended."""
    with _locked():
        path = _path(key := _key(name))
        record = files.read_json(path) if path.exists() else _record(key, None)
        record |= {"ended": now(), "status": "FAILED" if failed else "FINISHED", "outputs": run_tags.locked()}
        files.write_json(path, record)


def note(key: str) -> None:
    """Remember what dvc.lock says now: it may be another run's by the time that this one is found to have ended."""
    with _locked():
        if (path := _path(key)).exists():
            files.write_json(path, files.read_json(path) | {"outputs": run_tags.locked()})


def ended() -> list[Record]:
    """Those that have ended, and that MLflow has not been told so of."""
    with _locked():
        records = [files.read_json(path) for path in sorted(locations.pipelines().glob("*.json"))]
    return [
        record for record in records if record["status"] or (record["process"] and not _is_running(*record["process"]))
    ]


def forget(record: Record) -> None:
    with _locked():
        _path(record["key"]).unlink(missing_ok=True)


def _record(key: str, process: tuple[int, float] | None) -> Record:
    name = os.environ.get("DVC_EXP_NAME") or os.environ.get("GPTMILL_RUN") or "dvc repro"
    tags = run_tags.tags(name)
    return {
        "key": key, "name": name, "started": now(), "ended": 0, "status": "", "process": process, "tags": tags,
        "outputs": run_tags.locked(),
    }  # fmt: skip


def _key(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


def _path(key: str) -> Path:
    return locations.pipelines() / f"{key}.json"


def _locked() -> FileLock:
    locations.pipelines().mkdir(parents=True, exist_ok=True)
    return FileLock(locations.pipelines() / ".lock")


def _dvc() -> tuple[int, float] | None:
    """Process id and time of creation of the nearest DVC process above this one."""
    import psutil

    try:
        for process in psutil.Process().parents():
            words = process.cmdline()[:3]
            if any(Path(word).name == "dvc" for word in words[:2]) or words[1:] == ["-m", "dvc"]:
                return process.pid, process.create_time()
    except psutil.Error:
        pass
    return None


def _is_running(pid: int, created: float) -> bool:
    import psutil

    try:
        return abs(psutil.Process(pid).create_time() - created) < 1
    except psutil.NoSuchProcess:
        return False


# --- in MLflow ---


def run_of(client: "MlflowClient", key: str) -> str:
    """The id of a pipeline's run, which is made when there is none."""
    with _locked():
        record = files.read_json(_path(key)) if _path(key).exists() else _record(key, None)
        where = mlflow_client.experiment(client, locations.PIPELINES)
        if found := client.search_runs([where], f"tags.`{KEY}` = '{key}'", max_results=1):
            return found[0].info.run_id
        tags = {**record["tags"], KEY: key}
        return client.create_run(where, start_time=record["started"], tags=tags, run_name=record["name"]).info.run_id


def conclude(client: "MlflowClient", record: Record) -> str:
    """Tell MLflow how a pipeline run ended, and which runs are behind its stages' outputs; the run's id."""
    run_id = run_of(client, record["key"])
    found = [
        experiment for name in {*locations.EXPERIMENTS.values()} if (experiment := client.get_experiment_by_name(name))
    ]
    where = [experiment.experiment_id for experiment in found]
    children = (
        client.search_runs(where, f"tags.`mlflow.parentRunId` = '{run_id}'", order_by=["start_time ASC"])
        if where
        else []
    )
    rows = list(_rows(client, where, {run.data.tags["dvc.stage"]: run for run in children}, record["outputs"]))
    for row in rows:
        if row["run_id"]:
            client.set_tag(run_id, f"{row['how']}.{row['stage']}", row["run_id"])
    client.set_tag(
        run_id, "mlflow.note.content", _table(rows, [*where, mlflow_client.experiment(client, locations.PIPELINES)])
    )
    client.log_text(run_id, json.dumps(rows, indent=2) + "\n", "stages.json")
    status = record["status"] or _status(children)
    last = max((run.info.end_time or 0 for run in children), default=0)
    client.set_terminated(run_id, status, record["ended"] or max(last, record["started"]))
    return run_id


def _rows(
    client: "MlflowClient", where: list[str], own: Mapping[str, "Run"], outputs: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    """Of each stage: whether it ran or was cached, the run that made its outputs ("" when none is known), and the outputs' hashes."""
    for stage in locations.EXPERIMENTS:
        run = own.get(stage)
        hashes = _outputs(run) if run else outputs.get(stage)
        if hashes is None:
            continue
        maker = run or _maker(client, where, stage, hashes)
        yield {
            "stage": stage,
            "how": "ran" if run else "cached",
            "status": maker.info.status if maker else "",
            "run_id": maker.info.run_id if maker else "",
            "experiment_id": maker.info.experiment_id if maker else "",
            "outputs": dict(hashes),
        }


def _maker(client: "MlflowClient", where: list[str], stage: str, hashes: Mapping[str, str]) -> "Run | None":
    """The last run of that stage that ended well with exactly these outputs."""
    wanted = [f"tags.`dvc.stage` = '{stage}'", "attributes.status = 'FINISHED'"]
    wanted += [f"tags.`{run_tags.OUTPUT}{path}` = '{digest}'" for path, digest in hashes.items()]
    found = (
        client.search_runs(where, " and ".join(wanted), order_by=["start_time DESC"], max_results=1)
        if where and hashes
        else []
    )
    return found[0] if found else None


def _outputs(run: "Run") -> dict[str, str]:
    return {
        tag.removeprefix(run_tags.OUTPUT): value
        for tag, value in run.data.tags.items()
        if tag.startswith(run_tags.OUTPUT)
    }


def _status(children: list["Run"]) -> str:
    """Of a pipeline whose DVC process has ended without a word."""
    statuses = {run.info.status for run in children}
    return "FAILED" if "FAILED" in statuses else "KILLED" if statuses & {"KILLED", "RUNNING"} else "FINISHED"


def _table(rows: list[dict[str, Any]], experiments: list[str]) -> str:
    """For MLflow's page, in Markdown. Its own table nests runs under parents of another experiment when it shows both experiments."""
    view = "workflowType=machine_learning"  # the page opens on conversations with models otherwise
    lines = ["| stage | | run |", "|---|---|---|"]
    for row in rows:
        link = (
            f"[{row['run_id'][:8]}](#/experiments/{row['experiment_id']}/runs/{row['run_id']}?{view})"
            if row["run_id"]
            else "none is known"
        )
        lines.append(f"| {row['stage']} | {row['how']} | {link} |")
    together = quote(json.dumps(sorted(experiments), separators=(",", ":")))
    return "\n".join(
        [*lines, "", f"[Pipeline runs with their stages](#/compare-experiments/s?experiments={together}&{view})"]
    )
