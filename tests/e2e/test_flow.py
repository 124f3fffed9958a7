"""The flow in its real role: Prefect's server, DVC's cache, every stage a process of its own. Slow, so few runs serve all the tests."""

import re
import subprocess
import sys

import pytest

STAGES = [
    "download@corpus", "download@spam", "download@instructions", "download_base", "validate", "split_spam", "split_instructions",
    "tokenize", "data_cards", "pretrain", "evaluate_base", "finetune_classifier", "evaluate_classifier", "finetune_instruct",
    "generate_responses", "judge_responses", "report",
]  # fmt: skip


def flow(project, *options: str) -> subprocess.CompletedProcess:
    return project.run(sys.executable, "-m", "pipelines.flow", *options)


def change(project, key: str, value: object) -> None:
    path = project.folder / "params.yaml"
    text, count = re.subn(rf"({key}): .*", rf"\1: {value}", path.read_text())
    assert count == 1
    path.write_text(text)


def table(done: subprocess.CompletedProcess) -> dict[str, tuple[str, str]]:
    """stage -> state and why, from what the flow printed at its end."""
    rows = re.findall(r"^[│┃|] *([\w@]+) *[│┃|] *(\w+) *[│┃|] *(.*?) *[│┃|]$", done.stdout, re.MULTILINE)
    return {stage: (state, why) for stage, state, why in rows if stage in STAGES}


@pytest.fixture(scope="module")
def project(clone):
    """What a clone is, with no run yet."""
    project = clone()
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        assert project.run("git", *command).returncode == 0
    return project


@pytest.fixture(scope="module")
def failed(project) -> subprocess.CompletedProcess:
    """A run in which `validate` cannot succeed."""
    change(project, "min_messages", 100_000)
    return flow(project)


@pytest.fixture(scope="module")
def whole(project, failed) -> subprocess.CompletedProcess:
    """The same project, put right."""
    change(project, "min_messages", 100)
    return flow(project)


@pytest.fixture(scope="module")
def again(project, whole) -> subprocess.CompletedProcess:
    """A second run, with nothing changed."""
    return flow(project)


def test_a_stage_that_fails_fails_the_flow_and_says_why(failed):
    assert failed.returncode == 1
    states = table(failed)
    state, why = states["validate"]
    assert state == "Failed"
    assert why.startswith("error: ") and re.search("min_messages|100,?000", failed.stdout + failed.stderr)
    assert "Traceback" not in why


def test_what_depends_on_a_failed_stage_is_not_run(project, failed):
    states = table(failed)
    assert set(states) == set(STAGES)
    assert {states[stage][0] for stage in STAGES[:4]} == {"Completed"}
    assert {states[stage][0] for stage in STAGES[5:]} == {"NotReady"}


def test_a_whole_run_completes_every_stage_under_its_own_name(whole):
    assert whole.returncode == 0, whole.stdout + whole.stderr
    states = table(whole)
    assert set(states) == set(STAGES)
    assert {states[stage][0] for stage in STAGES[4:]} == {"Completed"}


def test_stages_that_succeeded_before_the_failure_are_not_run_again(whole):
    assert {table(whole)[stage][0] for stage in STAGES[:4]} == {"Cached"}


def test_a_second_run_finds_everything_cached(again):
    assert again.returncode == 0
    assert {state for state, _ in table(again).values()} == {"Cached"}
    assert set(table(again)) == set(STAGES)


def test_afterwards_dvc_finds_everything_up_to_date(project, again):
    assert "up to date" in project.run("dvc", "status").stdout
    done = project.run("dvc", "repro")
    assert done.returncode == 0 and "Running stage" not in done.stdout
    assert "Data and pipelines are up to date" in done.stdout + done.stderr


def test_metrics_params_and_plots_are_there_for_dvc_to_show(project, again):
    metrics = project.run("dvc", "metrics", "show").stdout
    assert "validation_perplexity" in metrics and "exactly_right" in metrics
    assert project.run("dvc", "params", "diff").returncode == 0
    plots = project.run("dvc", "plots", "show", "--json")
    assert plots.returncode == 0 and "validation_loss" in plots.stdout


def test_git_tracks_nothing_that_a_run_made_but_metrics_and_lock(project, again):
    listed = project.run("git", "status", "--porcelain", "--untracked-files=all").stdout.split("\n")
    new = {line[3:] for line in listed if line.startswith("??")}
    assert {path for path in new if not path.endswith(".gitignore")} == {
        "dvc.lock",
        *(
            f"metrics/{name}.json"
            for name in ("pretrain", "base", "finetune_classifier", "classifier", "instruct", "judge")
        ),
    }


def test_prefect_stays_in_the_project(project, again):
    assert (project.folder / ".prefect").is_dir()


def test_bad_params_stop_the_flow_before_any_stage(project, again):
    text = (project.folder / "params.yaml").read_text()
    try:
        change(project, "max_new_tokens", -1)
        done = flow(project)
    finally:
        (project.folder / "params.yaml").write_text(text)
    assert done.returncode == 1
    assert "generate.max_new_tokens: -1" in done.stderr and "Traceback" not in done.stderr
    assert table(done) == {}
