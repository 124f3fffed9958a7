"""CONTRIBUTING.md is followed to the letter: its stage runs, its parameter is read, and its places are all there are."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PARTS = ("src", "tools", "pipelines", "profiles", "prompts", "dvc.yaml", "params.yaml")


def block(after: str) -> str:
    """The first block of code after a text of the page."""
    return re.search(r"```\w+\n(.*?)```", PAGE[PAGE.index(after) :], re.DOTALL)[1]


@pytest.fixture
def copy(copy_of_built) -> Path:
    """A copy of the project that was run, with its code."""
    for name in PARTS:
        if not (copy_of_built / name).exists():
            copied = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copied(ROOT / name, copy_of_built / name)
    return copy_of_built


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}/src:{folder}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


CHECK = """
from tools import deps
from dvc.repo import Repo
[stage] = [stage for stage in Repo().index.stages if stage.name == "count_words"]
assert {dep.def_path for dep in stage.deps if dep.def_path.startswith("src/")} == set(deps.code("count_words")), deps.code("count_words")
print(stage.cmd)
"""


def test_a_stage_is_its_file_and_its_entry_in_the_graph(copy):
    (copy / "src/gptmill/stages/count_words.py").write_text(block("`src/gptmill/stages/count_words.py`"))
    with (copy / "dvc.yaml").open("a") as graph:
        graph.write("\n" + block("Its entry in `dvc.yaml`"))
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet", "--force"], cwd=copy, check=True)
    assert run(copy, "-c", CHECK).strip() == "gptmill stage count_words"
    assert re.fullmatch(r"count_words: \d+,\d+\n", run(copy, "-m", "gptmill", "stage", "count_words"))
    assert (copy / "metrics/words.json").exists()


def test_a_parameter_is_its_field_and_its_use(copy):
    place, name = re.search(r"In `(\S+)`, class `(\w+)`:", PAGE).groups()
    schema, field = copy / place, block(", class `ExpectationParams`:")
    key = f"data.expectations.{field.strip().partition(':')[0]}"
    text = schema.read_text()
    schema.write_text(text.replace(f"class {name}(Section):\n", f"class {name}(Section):\n{field}"))
    assert f"{key} was added" in run(copy, "-m", "gptmill", "params", "complete")
    assert f"{key}: 1" in run(copy, "-m", "gptmill", "params", "show")
    stage, use = block("`src/gptmill/stages/count_words.py`"), "print(params.data.expectations.min_word_letters)"
    stage = stage.replace("    words = len", f"    {use}\n    words = len")
    (copy / "src/gptmill/stages/count_words.py").write_text(stage)
    assert run(copy, "-m", "gptmill", "stage", "count_words").startswith("1\n")
