"""Pipeline runs: the parents in MLflow of the stages' runs.

A stage belongs to the run that `GPTMILL_RUN` names, else to that of the DVC process above it; without either it has
none. `.gptmill/runs/<key>.json` has what is known of each until MLflow has it, so that stages that run side by side
agree.

A run ends by `finish` (`gptmill sync` with `GPTMILL_RUN` set, in `make run` and the flow), or when its DVC process has
ended, which the next `gptmill sync` or stage notices. Then it lists the run behind each stage's outputs: its own, or,
for a stage that DVC took from its cache, the earlier run that wrote the same bytes.
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
from gptmill.tracking import dvc_lock, locations, mlflow_client, run_tags
from gptmill.tracking.outbox import now

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY = "gptmill.pipeline"  # the tag by which a pipeline run is found again
Record = dict[str, Any]


# --- on this machine ---


def current() -> str:
    """The key of the pipeline run that this process belongs to, which is recorded; "" without one."""
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
        end = {"ended": now(), "status": "FAILED" if failed else "FINISHED", "outputs": _locked_outputs()}
        files.write_json(_path(_key(name)), _record(_key(name)) | end)


def record_outputs(key: str) -> None:
    """Record what dvc.lock says now: it may be another run's by the time that the end of this one is noticed."""
    with _locked():
        if (path := _path(key)).exists():
            files.write_json(path, files.read_json(path) | {"outputs": _locked_outputs()})


def ended() -> list[Record]:
    """Those that have ended, which MLflow does not know yet."""
    with _locked():
        records = [files.read_json(path) for path in sorted(locations.pipelines().glob("*.json"))]
    return [each for each in records if each["status"] or (each["process"] and not _is_running(*each["process"]))]


def forget(record: Record) -> None:
    with _locked():
        _path(record["key"]).unlink(missing_ok=True)


def _record(key: str, process: tuple[int, float] | None = None) -> Record:
    """What is recorded of a pipeline run; of one that is not recorded, its start now."""
    if (path := _path(key)).exists():
        return files.read_json(path)
    name = os.environ.get("DVC_EXP_NAME") or os.environ.get("GPTMILL_RUN") or "dvc repro"
    start = {"key": key, "name": name, "started": now(), "ended": 0, "status": "", "process": process}
    return start | {"tags": run_tags.tags(name), "outputs": _locked_outputs()}


def _locked_outputs() -> dict[str, dict[str, str]]:
    """Stage -> output -> hash in dvc.lock, of the stages that have runs."""
    receipts = dvc_lock.read()
    known = [name for name in locations.EXPERIMENTS if name in receipts]
    return {name: {path: md5 for path, (md5, _) in receipts[name].outs.items() if md5} for name in known}


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
            command = process.cmdline()[:3]
            if any(Path(word).name == "dvc" for word in command[:2]) or command[1:] == ["-m", "dvc"]:
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
    """The id of a pipeline's run, which is made when it does not exist."""
    with _locked():
        record = _record(key)
        experiment = mlflow_client.experiment(client, locations.PIPELINES)
        if runs := client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1):
            return runs[0].info.run_id
        tags = {**record["tags"], KEY: key}
        run = client.create_run(experiment, start_time=record["started"], tags=tags, run_name=record["name"])
        return run.info.run_id


def conclude(client: "MlflowClient", record: Record) -> str:
    """Tell MLflow how a pipeline run ended and which runs wrote its stages' outputs; returns the run's id."""
    run_id = run_of(client, record["key"])
    found = [client.get_experiment_by_name(name) for name in dict.fromkeys(locations.EXPERIMENTS.values())]
    experiments = [experiment.experiment_id for experiment in found if experiment]
    children = []
    if experiments:
        parent = f"tags.`mlflow.parentRunId` = '{run_id}'"
        children = client.search_runs(experiments, parent, order_by=["start_time ASC"])
    rows = list(_rows(client, experiments, {run.data.tags["dvc.stage"]: run for run in children}, record["outputs"]))
    for row in rows:
        if row["run_id"]:
            client.set_tag(run_id, f"{row['how']}.{row['stage']}", row["run_id"])
    table = _table(rows, [*experiments, mlflow_client.experiment(client, locations.PIPELINES)])
    client.set_tag(run_id, "mlflow.note.content", table)
    client.log_text(run_id, json.dumps(rows, indent=2) + "\n", "stages.json")
    status = record["status"] or _status(children)
    last = max((run.info.end_time or 0 for run in children), default=0)
    client.set_terminated(run_id, status, record["ended"] or max(last, record["started"]))
    return run_id


def _rows(
    client: "MlflowClient", experiments: list[str], own: Mapping[str, "Run"], outputs: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    """Per stage: ran or cached, the run that wrote its outputs ("" when unknown), and the outputs' hashes."""
    for stage in locations.EXPERIMENTS:
        run = own.get(stage)
        hashes = _outputs(run) if run else outputs.get(stage)
        if hashes is None:
            continue
        maker = run or _maker(client, experiments, stage, hashes)
        yield {
            "stage": stage,
            "how": "ran" if run else "cached",
            "status": maker.info.status if maker else "",
            "run_id": maker.info.run_id if maker else "",
            "experiment_id": maker.info.experiment_id if maker else "",
            "outputs": dict(hashes),
        }


def _maker(client: "MlflowClient", experiments: list[str], stage: str, hashes: Mapping[str, str]) -> "Run | None":
    """The last run of that stage that ended well with exactly these outputs."""
    if not experiments or not hashes:
        return None
    conditions = [f"tags.`dvc.stage` = '{stage}'", "attributes.status = 'FINISHED'"]
    conditions += [f"tags.`{run_tags.OUTPUT}{path}` = '{digest}'" for path, digest in hashes.items()]
    runs = client.search_runs(experiments, " and ".join(conditions), order_by=["start_time DESC"], max_results=1)
    return runs[0] if runs else None


def _outputs(run: "Run") -> dict[str, str]:
    tags, prefix = run.data.tags, run_tags.OUTPUT
    return {tag.removeprefix(prefix): value for tag, value in tags.items() if tag.startswith(prefix)}


def _status(children: list["Run"]) -> str:
    """The status of a pipeline whose DVC process has ended and did not say how."""
    statuses = {run.info.status for run in children}
    return "FAILED" if "FAILED" in statuses else "KILLED" if statuses & {"KILLED", "RUNNING"} else "FINISHED"


def _table(rows: list[dict[str, Any]], experiments: list[str]) -> str:
    """For the run's page, in Markdown. MLflow nests runs across experiments only in a view of both."""
    view = "workflowType=machine_learning"  # the page opens on conversations with models otherwise
    lines = ["| stage | | run |", "|---|---|---|"]
    for row in rows:
        address = f"#/experiments/{row['experiment_id']}/runs/{row['run_id']}?{view}"
        link = f"[{row['run_id'][:8]}]({address})" if row["run_id"] else "unknown"
        lines.append(f"| {row['stage']} | {row['how']} | {link} |")
    together = quote(json.dumps(sorted(experiments), separators=(",", ":")))
    lines += ["", f"[Pipeline runs with their stages](#/compare-experiments/s?experiments={together}&{view})"]
    return "\n".join(lines)
