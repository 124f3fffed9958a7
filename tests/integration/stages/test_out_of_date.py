"""An edit that cannot change weights puts no training out of date, and one that can does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gptmill.core import paths

ROOT = Path(__file__).parents[3]
TRAININGS = {"pretrain", "finetune_classifier", "finetune_instruct"}


@pytest.fixture(scope="module")
def receipt(built, tmp_path_factory) -> Path:
    """The project that was run, with its code, and a dvc.lock that has all of it as it is."""
    folder = tmp_path_factory.mktemp("receipt")
    left_out = shutil.ignore_patterns("mlartifacts", "mlflow.db*", ".git", "data_docs", "__pycache__")
    shutil.copytree(built.folder, folder, dirs_exist_ok=True, ignore=left_out)
    shutil.copytree(ROOT / "src", folder / "src", ignore=left_out)
    shutil.copy(ROOT / ".dvcignore", folder)
    for command in (["git", "init", "-q"], ["dvc", "init", "--quiet", "--force"], ["dvc", "commit", "-q", "--force"]):
        subprocess.run(command, cwd=folder, check=True)
    return folder


@pytest.fixture
def out_of_date(receipt, monkeypatch):
    """`out_of_date(path, edit)`: the stages that `dvc status` names after an edit of that file, which is undone again."""
    from dvc.repo import Repo

    monkeypatch.chdir(receipt)

    def after(path: str, edit) -> set[str]:
        before = Path(path).read_text(encoding="utf-8")
        Path(path).write_text(edit(before), encoding="utf-8")
        try:
            with Repo() as repo:
                return set(repo.status())
        finally:
            Path(path).write_text(before, encoding="utf-8")

    return after


def commented(text: str) -> str:
    return f"{text}\n# A comment.\n"


def test_nothing_is_out_of_date_after_a_run(out_of_date):
    assert out_of_date("src/gptmill/cli.py", str) == set()


@pytest.mark.parametrize("path", [
    "registry/model_card.py", "report/page.py", "report/report.html.jinja", "evaluation/judges/reference.py", "tracking/outbox.py",
    "evaluation/baselines.py", "data/validation/expectations.py",
    "data/near_duplicates.py", "inference/decoder.py", "net/retry.py", "ingest/download.py",
    "stages/evaluate_classifier.py", "commands/stage.py", "config/schema.py",
])  # fmt: skip
def test_an_edit_of_what_decides_no_weight_leaves_all_trainings_alone(out_of_date, path):
    assert TRAININGS.isdisjoint(out_of_date(f"src/gptmill/{path}", commented))


@pytest.mark.parametrize(
    "path", ["training/trainer.py", "model/gpt.py", "text/tokenizer.py", "runtime/device.py", "core/files.py"]
)
def test_an_edit_of_what_decides_weights_is_seen_by_all_trainings(out_of_date, path):
    assert out_of_date(f"src/gptmill/{path}", commented) >= TRAININGS


def test_a_new_parameter_of_another_section_leaves_all_trainings_alone(out_of_date):
    def grown(text: str) -> str:
        grown, count = re.subn(
            r"^(generate|judge|promotion|compute|split|tokenizer):\n", r"\g<0>  new: 1\n", text, flags=re.MULTILINE
        )
        assert count == 6
        return grown

    assert TRAININGS.isdisjoint(out_of_date(str(paths.PARAMS), grown))
