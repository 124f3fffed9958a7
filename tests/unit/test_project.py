"""What stands around the code: locks, make's targets, CI, and nothing of the machine that it was written on."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", name)[0]).lower()


def pins(lock: str) -> dict[str, str]:
    lines = [
        line for line in (ROOT / lock).read_text().splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!]+)( *;.*)?", line) for line in lines]
    assert [line for line, match in zip(lines, found, strict=True) if not match] == [], (
        "not pinned by == to a version that anyone can get"
    )
    return {normalised(match[1]): match[2] for match in found}


def tracked() -> list[Path]:
    """Files of the repository that are text."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    paths = [ROOT / name for name in listed if name] or [path for path in (ROOT / "src").rglob("*.py")]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8000]]


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("requirements.lock", ["build", "stack"]), ("requirements-dev.lock", ["build", "stack", "dev"])],
)
def test_locks_pin_every_direct_dependency(lock, extras):
    wanted = PROJECT["dependencies"] + [name for extra in extras for name in PROJECT["optional-dependencies"][extra]]
    assert {normalised(name) for name in wanted} - set(pins(lock)) == set()


def test_both_locks_agree():
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: version for name, version in run.items() if dev.get(name) != version} == {}
    assert len(run) > 100


def test_make_has_the_targets_that_the_documents_name():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    texts = [
        path.read_text()
        for path in (ROOT / "README.md", ROOT / ".ci/run", ROOT / "Makefile", *(ROOT / "docs").glob("*.md"))
        if path.exists()
    ]
    named = {target for text in texts for target in re.findall(r"(?:^|`|\n|# {2,})make (\w+)", text)}
    assert named | {"run", "test", "lint", "flow", "ui", "clean"} <= targets
    assert targets - {"export"} <= set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()) | {
        "VENV",
        "READY",
    }


@pytest.mark.parametrize(
    "path",
    sorted(
        [
            *ROOT.glob("*.y*ml"),
            *ROOT.glob(".github/**/*.y*ml"),
            *ROOT.glob("profiles/*.yaml"),
            *ROOT.glob("deploy/**/*.y*ml"),
        ]
    ),
    ids=lambda path: path.name,
)
def test_yaml_files_are_readable(path):
    assert isinstance(
        YAML(typ="safe").load(path.read_text()) or {}, dict
    )  # the default profile has nothing but its comment


def test_the_version_stands_once():
    import gptmill

    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", gptmill.__version__)


def test_nothing_tells_of_the_machine_that_it_was_written_on():
    here = str(ROOT)
    machine = re.compile(
        rf"{re.escape(here)}(?!\w)"  # where this clone lies
        r"|/root/|/home/(?!\w+/work)\w+/\w"  # somebody's home
        r"|/wor[k]/(?:main|shared|\.library)|/tm[p]/w/"
        r"|(?:index-url|find-links|trusted-host)[ =]+\S*//"  # a package registry of one's own
        r"|^-[-i]\S*index|@ file:/",
        re.MULTILINE,
    )
    found = {
        (str(path.relative_to(ROOT)), match[0])
        for path in tracked()
        for match in machine.finditer(path.read_text(errors="replace"))
    }
    assert {hit for hit in found if hit[0] != "tests/unit/test_project.py"} == set()


def test_locks_name_no_address():
    assert [lock for lock in ("requirements.lock", "requirements-dev.lock") if "://" in (ROOT / lock).read_text()] == []


def test_nothing_large_or_made_by_a_run_is_tracked():
    large = [path for path in tracked() if path.stat().st_size > 1_000_000]
    assert large == []
    made = re.compile(
        r"^(data/(raw|clean|tokens|spam|instructions)/[^.]|models/\w+/|reports/\w+\.|mlruns/|mlartifacts/|mlflow\.db|\.prefect/)"
    )
    assert [str(path.relative_to(ROOT)) for path in tracked() if made.match(str(path.relative_to(ROOT)))] == []


def test_the_image_gets_no_environment_and_no_data():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert "*" in ignored  # what is not named is left out
    ignored.remove("!data/sources/*/README.md")  # DVC wants the folders
    assert not [name for name in ignored if name.startswith("!") and re.search(r"env|\.git$|mlflow|models|data", name)]
