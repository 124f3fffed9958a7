"""Acceptance: on a real server, a deployment that is due every few seconds runs by itself, and a person sees in the UI what it did."""

import re
import subprocess
from pathlib import Path

import pytest

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
        run = ask.await_end("nightly")
    finally:
        serving.terminate()
        serving.wait(timeout=60)
    assert run["state_type"] == "COMPLETED", (run["state"]["message"], log.read_text())
    return project, ask, run


def test_a_deployment_runs_by_itself_with_the_plans_parameters(ran):
    _, _, run = ran
    assert run["auto_scheduled"] and run["created_by"]["type"] == "SCHEDULE"
    assert run["parameters"] == {"refresh": True, "force": False, "promote": False}
    assert "1 ran" in run["state"]["message"]


def test_its_stages_are_task_runs_by_name(ran):
    _, ask, run = ran
    [pipeline] = ask.children(run)
    states = {task["name"]: task["state_name"] for task in ask.tasks(pipeline)}
    from pipelines import graph

    assert {stage.name for stage in graph.read(str(ROOT))} <= set(states)
    assert states["report"] == "Completed" and states["pretrain"] == "Cached"
    assert [task["name"] for task in ask.tasks(run) if task["name"] == "refresh"]


def test_the_ui_shows_stages_states_and_artifacts(ran, browser, prefect_server, tmp_path):
    from pipelines import graph

    _, ask, run = ran
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
