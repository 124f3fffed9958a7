"""The README's commands: those of gptmill are run; of make and of `dvc exp run`, it is checked that what they name is there."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gptmill import config
from gptmill.config import profiles, schema
from gptmill.core import paths
from gptmill.core.errors import Unavailable

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split(" #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
DOWNLOADS = "gptmill weights import gpt2 --to models/gpt2"


def run(command: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(shlex.split(command), cwd=folder, capture_output=True, text=True, timeout=120)


def test_there_are_commands_to_check():
    assert {"make run", "make test"} <= set(COMMANDS)
    assert DOWNLOADS in COMMANDS


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("gptmill ") and c != DOWNLOADS])
def test_gptmill_commands_run_after_a_run(built, copy_of_built, command, monkeypatch):
    shutil.copy(built.folder / "mlflow.db", copy_of_built / "own.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copy_of_built}/own.db")
    for name in ("dvc.yaml", "profiles"):
        assert (copy_of_built / name).exists()
    done = run(command, copy_of_built)
    assert "Traceback" not in done.stderr
    # Doctor's exit code says whether it found something wrong with the machine; here that would be a fault of the test's surroundings.
    assert done.returncode == 0 or "doctor" in command, done.stderr
    assert done.stdout.strip()


def test_weights_that_can_not_be_downloaded_are_said_so(copy_of_built, monkeypatch):
    """The download itself is 548 MB from the public network; what is checked is the command, and what it says without one."""
    monkeypatch.setenv("GPTMILL_MIRROR", "http://127.0.0.1:9")
    done = run(DOWNLOADS, copy_of_built)
    assert done.returncode == Unavailable.exit_code
    assert done.stderr.startswith("error: ") and "could not be downloaded" in done.stderr
    assert not (copy_of_built / "models/gpt2").exists()


def test_the_example_of_ones_own_data_is_in_order(project):
    from ruamel.yaml import YAML

    [example] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    values, example = YAML(typ="safe").load(paths.PARAMS.read_text()), YAML(typ="safe").load(example)
    values["data"]["source"] = example["data"]["source"]
    values["data"]["spam"] |= example["data"]["spam"]
    data = schema.Params.model_validate(values).data
    assert data.spam.columns_by_field() == {"label": "topic", "text": "body"} and len(data.spam.labels) == 4


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist_and_lead_to_the_tools(command):
    """A dry run. CI runs `make test`; test_flow runs what `make run` and `make flow` call; test_ui starts the servers of `make ui`."""
    done = run(f"{command} --dry-run", ROOT)
    assert done.returncode == 0, done.stderr
    if profile := re.search(r"PROFILE=(\S+)", command):
        assert profiles.load(profile[1], ROOT)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("dvc exp run")])
def test_overrides_name_keys_that_are_there(command):
    [(key, _)] = re.findall(r"-S (\S+)=(\S+)", command)
    assert key in {name for name, *_ in config.describe(config.load(ROOT / paths.PARAMS))}


def test_the_picture_shows_every_stage_of_the_graph():
    from pipelines import graph

    picture = re.search(r"```mermaid\n(.*?)```", README, re.DOTALL)[1]
    shown = set(re.findall(r"[\w]+@\w+", picture)) | set(re.findall(r"\b[a-z_]{6,}\b", picture))
    assert {stage.name for stage in graph.read(str(ROOT))} <= shown


def test_it_names_every_folder_of_the_package():
    folders = {path.parent.name for path in (ROOT / "src/gptmill").glob("*/__init__.py")}
    assert folders <= set(re.findall(r"`(\w+)/`", README[README.index("## Where things are") :]))


def test_every_place_that_it_names_is_there():
    for name in re.findall(r"^\| `([^|]+)` \|", README, re.MULTILINE):
        for path in re.findall(r"[\w./]+", name):
            if not (ROOT / "src/gptmill" / path).is_dir() and not path.startswith(
                ("models/", "metrics/", "plots/", "reports/", "data/")
            ):
                assert (ROOT / path).exists(), path
