"""What CI tells about a pull request: the Markdown, and the workflow that posts it, by a `gh` that takes notes."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gptmill.core.errors import GptmillError
from tools import pull_request

ROOT = Path(__file__).parents[3]
WORKFLOWS = {
    path.name: YAML(typ="safe").load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yaml"))
}
LOCK = """schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - {path: data/clean/a.txt, hash: md5, md5: %(data)s, size: 1}
    - {path: train.py, hash: md5, md5: %(code)s, size: 1}
    params:
      params.yaml: {epochs: %(epochs)s}
    outs:
    - {path: data/clean, hash: md5, md5: %(data)s.dir, size: 5, nfiles: 1}
    - {path: metrics/a.json, hash: md5, md5: m00%(epochs)s, size: 9}
    - {path: models/a, hash: md5, md5: w00%(epochs)s, size: 123%(epochs)s}
"""


def git(*words: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(accuracy: float, epochs: int) -> str:
    Path("metrics/a.json").write_text(json.dumps({"accuracy": accuracy, "<b>": f"x|{epochs}"}))
    Path("params.yaml").write_text(f"epochs: {epochs}\n")
    Path("dvc.lock").write_text(lock(epochs))
    git("add", "-A")
    git("commit", "-q", "-m", f"{epochs} epochs")
    return git("rev-parse", "HEAD")


def lock(epochs: int, code: str = "c001", data: str = "d001") -> str:
    return LOCK % {"epochs": epochs, "code": code, "data": data}


@pytest.fixture(scope="module")
def two_commits(tmp_path_factory) -> tuple[Path, str]:
    """A repository of DVC's with two commits, and the hash of the first."""
    folder = tmp_path_factory.mktemp("repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        git("init", "-q")
        (folder / ".dvc").mkdir()
        (folder / ".dvc/config").write_text("[core]\n    analytics = false\n")
        (folder / "dvc.yaml").write_text(
            "stages:\n  train:\n    cmd: python train.py\n    params: [epochs]\n    metrics: [{metrics/a.json: {cache: false}}]\n"
        )
        (folder / "metrics").mkdir()
        first = commit(0.5, 2)
        commit(0.75, 3)
    return folder, first


def test_metrics_parameters_and_outputs_are_compared_without_a_run(two_commits, monkeypatch):
    folder, first = two_commits
    monkeypatch.chdir(folder)
    said = pull_request.comment(first)
    assert "| a: accuracy | 0.5 | 0.75 | +0.25 |" in said
    assert "| params: epochs | 2 | 3 | +1 |" in said
    assert "| a: &lt;b&gt; | x&#124;2 | x&#124;3 |  |" in said
    assert "2 of 3 outputs have changed" in said and "| `models/a` | 1,232 | 1,233 |" in said
    assert "Reproducibility" not in said and "mermaid" not in said


def test_what_is_the_same_is_said_to_be(two_commits, monkeypatch):
    monkeypatch.chdir(two_commits[0])
    said = pull_request.comment("HEAD")
    assert (
        "No metric has changed." in said
        and "No parameter has changed." in said
        and "All outputs have the same bytes" in said
    )


def test_a_commit_that_dvc_cannot_read_is_named(two_commits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "clone", "-q", str(two_commits[0]), "."], check=True)
    Path("dvc.lock").write_text("schema: '2.0'\nstages: 7\n")
    git("commit", "-qam", "broken")
    broken = git("rev-parse", "HEAD")
    git("checkout", "-q", "HEAD~1")
    assert f"failed to load metrics in revision '{broken}'" in pull_request.difference("metrics", broken)


def test_a_commit_that_is_not_there_says_what_to_do(two_commits, monkeypatch):
    monkeypatch.chdir(two_commits[0])
    with pytest.raises(GptmillError, match="nowhere.*--unshallow"):
        pull_request.comment("nowhere")


@pytest.mark.parametrize(("run", "says"), [
    (lock(3), "reproduced all 3 outputs of `dvc.lock`"),
    (lock(3, data="d002"), "did not reproduce 1 of the 3 outputs of `dvc.lock` (`data/clean`)"),
    (lock(3, code="c002"), "`dvc.lock` is outdated**: the code or parameters of `train` have changed"),
    (lock(4), "`dvc.lock` is outdated"),
])  # fmt: skip
def test_a_run_is_compared_with_the_receipt(run, says):
    assert says in pull_request.reproduced(pull_request.read_receipt(lock(3)), pull_request.read_receipt(run))


def test_a_curve_is_drawn_to_its_last_point():
    drawn = pull_request.chart("Loss", [(step, 1 / step) for step in range(1, 96)])
    steps = re.search(r"\[(.*)\]", drawn)[1].split(", ")
    assert steps[-1] == '"95"' and len(steps) == 19 and drawn.count("```") == 2
    assert len(re.search(r"line \[(.*)\]", drawn)[1].split(", ")) == 19


# --- the workflows ---


def steps() -> list[tuple[str, str, dict]]:
    return [
        (file, name, step)
        for file, flow in WORKFLOWS.items()
        for name, job in flow["jobs"].items()
        for step in job["steps"]
    ]


def test_workflows_use_no_action_of_strangers():
    assert {step["uses"].partition("@")[0] for _, _, step in steps() if "uses" in step} <= {
        "actions/checkout", "actions/setup-python", "actions/upload-artifact"
    }  # fmt: skip


def test_only_the_job_that_comments_may_write_and_it_runs_nothing_of_the_pull_request():
    allowed = {
        (file, name): {**flow.get("permissions", {}), **job.get("permissions", {})}
        for file, flow in WORKFLOWS.items()
        for name, job in flow["jobs"].items()
    }
    assert {place for place, permissions in allowed.items() if "write" in permissions.values()} == {
        ("pull-request.yaml", "comment")
    }
    assert all("permissions" in flow for flow in WORKFLOWS.values())
    assert not {"pull_request_target"} & {event for flow in WORKFLOWS.values() for event in flow["on"]}
    [step] = WORKFLOWS["pull-request.yaml"]["jobs"]["comment"]["steps"]
    assert "uses" not in step and "${{" not in step["run"]


def test_what_workflows_run_is_there():
    scripts = [step["run"] for _, _, step in steps() if "run" in step]
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make ([\w-]+)", "\n".join(scripts))) <= set(targets)
    assert WORKFLOWS["pull-request.yaml"]["on"]["workflow_run"]["workflows"] == [WORKFLOWS["ci.yaml"]["name"]]


def test_a_comparison_that_fails_leaves_no_comment(tmp_path):
    compare, upload, _ = (step for _, name, step in steps() if name == "report" and step.get("if"))
    assert compare["shell"] == "bash" and f"steps.{compare['id']}.outcome == 'success'" in upload["if"]
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 'no such commit' >&2; exit 1\n")
    python.chmod(0o755)
    # What GitHub starts for `shell: bash`; without a name it is `bash -e`.
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", compare["run"]]
    assert (
        subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"GITHUB_STEP_SUMMARY": "summary"}, check=False
        ).returncode
        == 1
    )


GH = """#!/bin/bash
echo "$*" >> calls
case "$*" in
  *"/pulls "*) echo "$NUMBER" ;;
  "run download"*) mkdir found && printf '### Metrics by @somebody\\n%70000s' x > found/comment.md ;;
  *"--paginate"*) echo "$COMMENT" ;;
  *) cp body.md posted.md ;;
esac
"""


def post(folder: Path, number: str, existing: str) -> list[str]:
    """Run the workflow's script with a `gh` that notes what it is asked; these calls."""
    (folder / "bin").mkdir()
    (folder / "bin/gh").write_text(GH)
    (folder / "bin/gh").chmod(0o755)
    known = {
        "GH_REPO": "a/b",
        "RUN": "7",
        "RUN_URL": "https://example.org/7",
        "COMMIT": "c" * 40,
        "OWNER": "o",
        "BRANCH": "x y",
    }
    environment = {
        **os.environ,
        **known,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "NUMBER": number,
        "COMMENT": existing,
    }
    [step] = WORKFLOWS["pull-request.yaml"]["jobs"]["comment"]["steps"]
    subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, env=environment, check=True, capture_output=True)
    return (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(("existing", "last"), [
    ("", "api --method POST repos/a/b/issues/12/comments"), ("345", "api --method PATCH repos/a/b/issues/comments/345"),
])  # fmt: skip
def test_one_comment_is_kept_up_to_date(tmp_path, existing, last):
    assert post(tmp_path, "12", existing)[-1].startswith(last)
    posted = (tmp_path / "posted.md").read_text(encoding="utf-8")
    assert posted.startswith("<!-- gptmill") and "@\u200bsomebody" in posted and "https://example.org/7" in posted
    assert len(posted) < 65_536  # what GitHub takes


def test_nothing_is_posted_where_no_pull_request_ends_with_that_commit(tmp_path):
    assert len(post(tmp_path, "", "")) == 1
    assert not (tmp_path / "posted.md").exists()
