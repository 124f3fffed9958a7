"""Acceptance: on a real server, a deployment that is due every few seconds runs by itself, and a person sees in the UI what it did."""

import re
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
EVERY = 10  # seconds


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("log") / "deployments.log"


@pytest.fixture(scope="module")
def ran(settled, prefect_server, api, log):
    """The first run of `nightly` that came by itself, in a project in which the report was still to be made; and the run after it."""
    project = settled("report")
    plan = project.folder / "prefect.yaml"
    text, changed = re.subn(r'cron: "15 4[^"]*"', f"interval: {EVERY}", plan.read_text())
    assert changed == 1
    plan.write_text(text.replace("promote: true", "promote: false"))  # nothing was trained
    ask = api(prefect_server)
    given = project.command("pipelines.deployments")
    given["env"] = given["env"] | {"PREFECT_API_URL": prefect_server, "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    with log.open("w") as output:
        serving = subprocess.Popen(**given, stdout=output, stderr=subprocess.STDOUT)
    try:
        run, again, *_ = ask.await_end("nightly", count=2)
    finally:
        serving.send_signal(signal.SIGINT)  # Ctrl-C
        serving.wait(timeout=60)
    assert run["state_type"] == "COMPLETED", (run["state"]["message"], log.read_text())
    return SimpleNamespace(ask=ask, run=run, again=again)


def test_a_deployment_runs_by_itself_with_the_plans_parameters(ran):
    run = ran.run
    assert run["auto_scheduled"] and run["created_by"]["type"] == "SCHEDULE"
    assert run["parameters"] == {"refresh": True, "force": False, "promote": False}
    assert "1 ran" in run["state"]["message"]


def test_a_run_without_changes_does_nothing_and_says_so(ran):
    assert ran.again["state_type"] == "COMPLETED"
    assert ran.again["state"]["message"].startswith("Nothing has changed")
    [pipeline] = ran.ask.children(ran.again)
    assert {task["state_name"] for task in ran.ask.tasks(pipeline)} == {"Cached"}


def test_the_server_knows_the_plan(ran):
    planned = {one["name"]: one for one in YAML(typ="safe").load((ROOT / "prefect.yaml").read_text())["deployments"]}
    known = {one["name"]: one for one in ran.ask("deployments", flows={"name": {"any_": ["gptmill-scheduled"]}})}
    assert set(known) == set(planned) == {"nightly", "weekly"}
    [schedule] = known["weekly"]["schedules"]
    assert {key: schedule["schedule"][key] for key in ("cron", "timezone")} == planned["weekly"]["schedules"][0]
    for name, one in known.items():
        assert (
            one["global_concurrency_limit"]["limit"] == 1
            and one["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        )
        assert set(planned[name]["parameters"]) == set(one["parameter_openapi_schema"]["properties"])
    assert known["weekly"]["paused"]  # with the process that served it


def test_its_stages_are_task_runs_by_name(ran):
    ask, run = ran.ask, ran.run
    [pipeline] = ask.children(run)
    states = {task["name"]: task["state_name"] for task in ask.tasks(pipeline)}
    from pipelines import graph

    assert {stage.name for stage in graph.read(str(ROOT))} <= set(states)
    assert states["report"] == "Completed" and states["pretrain"] == "Cached"
    assert [task["name"] for task in ask.tasks(run) if task["name"] == "refresh"]


def test_the_ui_shows_stages_states_and_artifacts(ran, browser, prefect_server, tmp_path):
    from pipelines import graph

    ask, run = ran.ask, ran.run
    page = browser.new_page(viewport={"width": 1600, "height": 1900})
    try:
        page.goto(f"{prefect_server.removesuffix('/api')}/runs/flow-run/{ask.children(run)[0]['id']}")
        page.get_by_text("Task Runs", exact=True).click()
        page.get_by_role("link", name="download@corpus", exact=True).wait_for()  # the last of the list
        lines = [line.strip() for line in page.inner_text("body").splitlines() if line.strip()]
        shown = {stage.name: lines[lines.index(stage.name) + 1] for stage in graph.read(str(ROOT))}
        assert shown.pop("report") == "Completed" and set(shown.values()) == {"Cached"}
        page.screenshot(path=tmp_path / "stages.png")
        page.get_by_text("Artifacts", exact=True).click()
        for key in ("metrics", "places", "answers"):
            page.get_by_text(key, exact=True).first.wait_for()
        page.screenshot(path=tmp_path / "artifacts.png")
    finally:
        page.close()
