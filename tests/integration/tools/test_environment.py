"""The environment that make sets up: complete or not there, and nothing of the user's own emptied or replaced."""

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BACKEND = """
def _wheel(folder):
    import zipfile
    name = "mill-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("mill.py", "")
        wheel.writestr("mill-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: mill\\nVersion: 1\\n")
        wheel.writestr("mill-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("mill-1.dist-info/RECORD", "mill.py,,\\n")
    return name

def build_editable(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder)
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "mill"
version = "1"
"""


@pytest.fixture
def environment():
    """tools/environment.py, which is a script."""
    spec = importlib.util.spec_from_file_location("environment", ROOT / "tools/environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def mill(tmp_path, monkeypatch) -> Path:
    """A project with this one's Makefile and without requirements, as the working folder."""
    for name in ("tools", "tests", "precious"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "tools/environment.py", tmp_path / "tools")
    for name in ("requirements-dev.lock", "tests/models.lock"):
        (tmp_path / name).touch()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "precious/thesis.txt").write_text("years of work")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def installed(environment, monkeypatch) -> list[tuple[str, ...]]:
    """Nothing is installed; the list says what would have been run."""
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(environment, "_run", lambda *command: commands.append(command))
    return commands


def make(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["make", "--silent", *words, f"PYTHON={sys.executable}"], capture_output=True, text=True, check=False
    )


def set_up(environment) -> str:
    os.makedirs(".venvs", exist_ok=True)
    folder = f".venvs/{environment.name()}"
    environment.build(folder)
    environment.point(folder)
    return folder


def test_make_sets_up_once_and_leaves_the_folder_behind_a_link_as_it_is(mill):
    Path(".venv").symlink_to("precious")
    first = make("environment")
    assert first.returncode == 0, first.stderr
    assert "Setting up .venvs/" in first.stdout and ".venv is not a link that make created" in first.stderr
    assert Path(".venv").readlink() == Path("precious")
    assert {path.name: path.read_text() for path in Path("precious").iterdir()} == {"thesis.txt": "years of work"}
    [folder] = (path for path in Path(".venvs").iterdir() if path.is_dir())
    assert subprocess.run([folder / "bin/python", "-c", "import mill"], check=False).returncode == 0
    Path(".venv").unlink()
    second = make("environment")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert Path(".venv").readlink() == folder


def test_a_folder_that_make_did_not_create_stays(mill, environment, installed, capsys):
    shutil.copytree("precious", ".venv")
    folder = set_up(environment)
    assert Path(".venv/thesis.txt").read_text() == "years of work" and Path(folder, ".ready").exists()
    assert f". {folder}/bin/activate" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_an_environment_of_that_name_that_make_did_not_create_is_refused(mill, environment, installed, kind):
    os.mkdir(".venvs")
    place = Path(".venvs", environment.name())
    place.symlink_to("../precious") if kind == "link" else shutil.copytree("precious", place)
    with pytest.raises(SystemExit, match="make did not create it. Rename it"):
        set_up(environment)
    assert (place / "thesis.txt").read_text() == "years of work" and installed == []


def test_another_lock_is_another_environment_and_other_times_are_none(mill, environment, installed):
    before = set_up(environment)
    os.utime("requirements-dev.lock", (2e9, 2e9))
    assert set_up(environment) == before and len(installed) == 4
    Path("requirements-dev.lock").write_text("numpy==2\n")
    after = set_up(environment)
    assert after != before and len(installed) == 8
    assert os.readlink(".venv") == after and Path(before, ".ready").exists()  # a process may use it
    Path("requirements-dev.lock").write_text("")
    assert set_up(environment) == before and len(installed) == 8 and os.readlink(".venv") == before


def test_an_interrupted_set_up_does_not_count_and_is_started_again(mill, environment, installed, monkeypatch):
    def fail(*command: str) -> None:
        Path(command[-1], "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment, "_run", fail)
        with pytest.raises(KeyboardInterrupt):
            set_up(environment)
    assert not os.path.lexists(".venv")
    folder = set_up(environment)
    assert [path.name for path in Path(folder).iterdir()] == [".ready"] and os.readlink(".venv") == folder


def test_of_two_at_once_one_installs(mill, environment, installed, monkeypatch):
    def slow(*command: str) -> None:
        time.sleep(0.05)
        installed.append(command)

    monkeypatch.setattr(environment, "_run", slow)
    os.mkdir(".venvs")
    both = [threading.Thread(target=environment.build, args=[f".venvs/{environment.name()}"]) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(installed) == 4


def test_an_old_python_is_told_so(mill):
    python = Path("python")
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import sys, runpy; sys.version_info = (3, 9); sys.argv = sys.argv[1:]; "
                      "runpy.run_path(sys.argv[0], run_name=\"__main__\")' \"$@\"\n")  # fmt: skip
    python.chmod(0o755)
    done = subprocess.run(["make", "environment", "PYTHON=./python"], capture_output=True, text=True, check=False)
    assert done.returncode and "make PYTHON=python3.12" in done.stderr and not Path(".venvs").exists()
