"""An edit that changes no behaviour costs no training; any other edit is refused."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gptmill.core.errors import GptmillError
from tools import accept_edits

GRAPH = """
stages:
  one:
    cmd: python src/stages/one.py
    params: [size]
    deps: [data.txt, src/library, src/stages/one.py]
    outs: [one.txt]
  two:
    cmd: echo two > two.txt
    deps: [one.txt, src/library]
    outs: [two.txt]
"""
LIBRARY = '''"""The library."""


def area(size):  # in metres
    """Of a square."""
    return size * size
'''


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A repository whose two stages have run."""
    folder = tmp_path_factory.mktemp("template")
    for name, text in {
        "dvc.yaml": GRAPH, "params.yaml": "size: 3\n", "data.txt": "data", "src/library/area.py": LIBRARY, "src/library/note.txt": "a",
        "src/stages/one.py": "open('one.txt', 'w').write('one')\n",
    }.items():  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro", "-q"], ["git", "add", "."]):
        subprocess.run(command, cwd=folder, check=True)
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "all"], cwd=folder, check=True
    )
    return folder


@pytest.fixture
def project(template, tmp_path, monkeypatch) -> Path:
    shutil.copytree(template, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def out_of_date() -> bool:
    return subprocess.run(["dvc", "status", "-q"], check=False).returncode != 0


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


def test_comments_docstrings_and_layout_are_accepted_for_every_stage_that_has_the_code(project):
    edit("src/library/area.py", "# in metres", "# in feet")
    edit("src/library/area.py", "Of a square.", "The area of a square, in square feet.")
    edit("src/library/area.py", "    return size * size", "    return (\n        size * size\n    )")
    assert out_of_date()
    assert accept_edits.accept(project) == ["one", "two"]
    assert not out_of_date()
    edit("src/stages/one.py", "open", "# Writes.\nopen")
    assert accept_edits.accept(project) == ["one"]
    assert not out_of_date()


@pytest.mark.parametrize(("change", "named"), [
    (lambda: edit("src/library/area.py", "size * size", "size * 2"), "src/library/area.py behaves differently"),
    (lambda: edit("src/library/note.txt", "a", "b"), "src/library/note.txt behaves differently"),
    (lambda: Path("src/library/new.py").write_text("x = 1\n"), "src/library/new.py was added"),
    (lambda: Path("src/library/note.txt").unlink(), "src/library/note.txt was removed"),
    (lambda: Path("data.txt").write_text("other"), "data.txt (modified)"),
    (lambda: Path("params.yaml").write_text("size: 4\n"), "params.yaml"),
    (lambda: Path("one.txt").write_text("mine"), "one.txt"),
    (lambda: edit("dvc.yaml", "echo two", "echo  two"), "two: changed command"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_anything_else_is_refused_with_its_name_and_nothing_is_written(project, change, named):
    change()
    edit("src/library/area.py", "# in metres", "# in feet")
    before = Path("dvc.lock").read_bytes()
    with pytest.raises(GptmillError) as caught:
        accept_edits.accept(project)
    assert named in str(caught.value) and Path("dvc.lock").read_bytes() == before


def test_sources_that_no_commit_has_are_refused(project):
    edit("src/library/area.py", "size * size", "size * 2")
    subprocess.run(["dvc", "repro", "-q"], check=True)
    edit("src/library/area.py", "# in metres", "# in feet")
    with pytest.raises(GptmillError, match="src/library: no commit has the sources of its last run"):
        accept_edits.accept(project)


def test_nothing_to_accept_writes_nothing(project):
    before = Path("dvc.lock").stat().st_mtime_ns
    assert accept_edits.accept(project) == []
    assert Path("dvc.lock").stat().st_mtime_ns == before
