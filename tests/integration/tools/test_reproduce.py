"""Two clean runs: what counts as the same, and what is said of what is not."""

import subprocess
from pathlib import Path

import pytest

from gptmill.core import files
from gptmill.core.errors import GptmillError
from tools import reproduce


def _folder(path: Path, contents: dict[str, str]) -> dict[str, dict[str, str]]:
    for name, text in contents.items():
        files.write_text(path / name, text)
    return {"one": reproduce._hashes(path / "one"), "two.json": reproduce._hashes(path / "two.json")}


def test_equal_bytes_are_the_same_whatever_folder_they_are_in(tmp_path, capsys):
    contents = {"one/a.txt": "A", "one/deep/b.txt": "B", "two.json": "{}"}
    assert reproduce.compare(_folder(tmp_path / "x", contents), _folder(tmp_path / "y", contents)) == []
    assert "differs" not in capsys.readouterr().out


def test_every_file_that_differs_or_is_in_one_run_alone_is_named(tmp_path, capsys):
    first = _folder(tmp_path / "x", {"one/a.txt": "A", "one/b.txt": "B", "one/c.txt": "C", "two.json": "{}"})
    second = _folder(tmp_path / "y", {"one/a.txt": "A", "one/b.txt": "b", "one/d.txt": "D", "two.json": "[]"})
    assert reproduce.compare(first, second) == ["one/b.txt", "one/c.txt", "one/d.txt", "two.json"]
    assert capsys.readouterr().out.count("differs") == 2


def test_a_file_that_moved_within_an_output_differs(tmp_path):
    first, second = _folder(tmp_path / "x", {"one/a.txt": "A"}), _folder(tmp_path / "y", {"one/b.txt": "A"})
    assert reproduce.differences(first["one"], second["one"]) == ["a.txt", "b.txt"]


def test_an_output_that_neither_run_wrote_is_no_success(tmp_path, capsys):
    (tmp_path / "x").mkdir()
    nothing = _folder(tmp_path / "x", {"two.json": "{}"})
    assert reproduce.compare(nothing, nothing) == ["one"]
    assert "missing" in capsys.readouterr().out


def test_an_empty_folder_is_an_output_that_was_written(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "dvc.yaml").write_text("stages: {a: {cmd: a, outs: [empty]}}\n")
    subprocess.run(["dvc", "init", "--quiet", "--no-scm"], cwd=tmp_path, check=True)
    found = reproduce.outputs(tmp_path)
    assert reproduce.compare(found, found) == [] and "same" in capsys.readouterr().out


ROOT = Path(__file__).parents[3]


def _repository(folder: Path, stage: str) -> Path:
    """A repository of one stage, with the real parameters and a package that shows whose code runs."""
    files.write_text(
        folder / "dvc.yaml", f"stages:\n  only:\n    cmd: {stage}\n    params: [seed]\n    outs: [out.txt]\n"
    )
    for name in ("params.yaml", "profiles/mini.yaml"):
        files.write_text(folder / name, (ROOT / name).read_text(encoding="utf-8"))
    files.write_text(folder / "src/gptmill/__init__.py", "")
    files.write_text(folder / "src/gptmill/__main__.py", "")  # takes the place of `gptmill params check`
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (
        ["git", "init", "--quiet"],
        ["dvc", "init", "--quiet"],
        ["git", "add", "."],
        [*git, "commit", "--quiet", "-m", "all"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def test_a_stage_without_chance_gives_the_same_twice(tmp_path, capfd):
    repository = _repository(tmp_path / "project", "grep ^seed params.yaml > out.txt")
    assert reproduce.reproduce(repository, profile="mini")
    assert "All 1 outputs are the same" in capfd.readouterr().out
    assert not reproduce.reproduce(repository, "seed=2")
    assert "differs: out.txt" in capfd.readouterr().out


def test_a_stage_that_writes_what_no_parameter_says_is_found_out(tmp_path, capfd):
    assert not reproduce.reproduce(_repository(tmp_path / "project", "pwd > out.txt"))
    assert "differs: out.txt" in capfd.readouterr().out


def test_a_stage_runs_twice_however_many_projects_share_a_cache(tmp_path, capfd, monkeypatch):
    (tmp_path / "config").write_text(f"[cache]\n    dir = {tmp_path / 'shared'}\n", encoding="utf-8")
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path))
    assert not reproduce.reproduce(_repository(tmp_path / "project", "date +%s%N > out.txt"))
    assert "differs: out.txt" in capfd.readouterr().out and (tmp_path / "shared").is_dir()


def test_what_can_not_be_run_is_said(tmp_path):
    with pytest.raises(GptmillError, match="not a git repository"):
        reproduce.reproduce(tmp_path)
    with pytest.raises(GptmillError, match="sead=1 overrides nothing"):
        reproduce.reproduce(_repository(tmp_path / "project", "false"), "sead=1")


def test_a_stage_that_fails_is_no_difference_but_an_error(tmp_path):
    with pytest.raises(GptmillError, match="the first run ended with"):
        reproduce.reproduce(_repository(tmp_path / "project", "false"))


def test_changes_that_are_not_committed_are_said_to_play_no_part(tmp_path, capfd):
    repository = _repository(tmp_path / "project", "cp params.yaml out.txt")
    (repository / "params.yaml").write_text("seed: three\n", encoding="utf-8")
    assert reproduce.reproduce(repository)
    assert "not committed" in capfd.readouterr().out
