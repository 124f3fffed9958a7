"""A copy of the project without .git, as a downloaded zip: `make run` works; what needs git says so in one line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gptmill.core.errors import GptmillError
from gptmill.core.git import git
from pipelines import graph

ROOT = Path(__file__).parents[2]
STAGE = "stages:\n  one:\n    cmd: python -c \"open('out','w')\"\n    outs: [out]\n"


@pytest.fixture
def unpacked(tmp_path, monkeypatch) -> Path:
    """The Makefile and DVC's configuration with a graph of one stage and a complete environment, as the working folder."""
    for name in (
        "Makefile",
        "tools/environment.py",
        ".dvc/config",
        "requirements-dev.lock",
        "tests/models.lock",
        "pyproject.toml",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "dvc.yaml").write_text(STAGE)
    command = [sys.executable, "tools/environment.py", "--name"]
    name = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    tools = tmp_path / ".venvs" / name / "bin"
    tools.mkdir(parents=True)
    (tools.parent / ".ready").touch()
    for tool, words in {"dvc": "-m dvc", "python": ""}.items():
        (tools / tool).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
    (tools / "gptmill").write_text('#!/bin/sh\necho "$@" >> verbs\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_make_run_works(unpacked):
    done = subprocess.run(["make", "run", f"PYTHON={sys.executable}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert Path("out").exists() and Path("verbs").read_text().splitlines() == [
        "params check",
        "data refresh --local",
        "sync",
        "summary",
    ]
    assert "no_scm" in Path(".dvc/config.local").read_text()


def test_a_repository_is_left_to_git(unpacked):
    subprocess.run(["git", "init", "-q"], check=True)
    done = subprocess.run(["make", "run", f"PYTHON={sys.executable}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not Path(".dvc/config.local").exists()


def test_what_reads_the_graph_says_what_to_do(unpacked):
    with pytest.raises(
        GptmillError, match="is not a git repository. Make it one .git init., or run without git: dvc config"
    ):
        graph.read()


def test_what_needs_git_says_what_to_do(unpacked):
    with pytest.raises(GptmillError, match="not a git repository.*git init && git add --all && git commit"):
        git("status", cwd=unpacked)
