"""No value of any parameter creates, changes or deletes anything outside the project, nor brings in what only `urls` may name.

Odd values go through the check and the stages, `dvc repro`, `dvc exp run -S` and the flow; what lies around the project, in the parent
folder and in HOME, is compared before and after.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gptmill import config, stages
from gptmill.config import profiles
from gptmill.core.errors import GptmillError
from gptmill.ingest import refresh
from pipelines.overrides import params_text

MARK = "PRECIOUS-7f3a"
DESCRIBED = list(config.describe(profiles.load("mini", Path(__file__).parents[2])))
KEYS = [key for key, *_ in DESCRIBED]
TEXTS = [key for key, value, _ in DESCRIBED if isinstance(value, str | list)]
PLACES = [
    "../precious.txt", "../../precious.txt", "../../../precious.txt", "../folder", "..", "../", "/", ".", "~", "~/precious.txt", "link",
    "link/kept.txt", "data/link/kept.txt", "models/link", "{parent}/precious.txt", "{parent}/folder", 
    "{parent}/folder/deep", "{parent}/made", "file://{parent}",
    "../made", "../../made", "%2e%2e/made", "..\\made", "data/raw/own.csv", "data/raw", "data", "**/*", "../*",
]  # fmt: skip
ODD = [
    "", " ", "${HOME}/made", "${data.source}", "${oc.env:HOME}", "${.}", "${key}", "$(touch ../made)", "`touch ../made`", "; touch ../made",
    "| tee ../made", "' ; touch ../made '", '" ; touch ../made "', "&& rm -r ../folder",
    "> ../made", "\n touch ../made", "{{ 7 * 7 }}", "{% x %}",
    "%s%n", "-rf", "--log-dir=../made", "torchrun --log-dir ../made", "torchrun ../made.py", "null", "!!python/object:os.system", "&a *a",
    "e\u0301", "é", "\u202egnp", "\ufeff", "猫🐈", "\u2028", "a\tb", "x" * 300, "CON", "a:b", "a@b", "*", "?", "[a]", "\x7f", "\u0000",
    "\ud800",
]  # fmt: skip
ENDINGS = ["", "", ".txt", ".csv", ".tsv", ".json", ".jsonl/../../made.txt", "\n.txt"]

word = st.builds(
    lambda parts, ending: "".join(parts) + ending,
    st.lists(st.sampled_from(PLACES + ODD), min_size=1, max_size=2),
    st.sampled_from(ENDINGS),
)
value = st.one_of(
    word,
    st.text(max_size=12),
    st.lists(word, max_size=2),
    st.dictionaries(word, word, max_size=1),
    st.integers(),
    st.none(),
)
anything = st.dictionaries(st.sampled_from([*TEXTS, *TEXTS, *KEYS]), value, min_size=1, max_size=3)
# What the check has nothing against more often.
plausible = st.fixed_dictionaries(
    {
        "data.source": st.just("custom"),
        "data.corpus.urls": st.lists(st.sampled_from([*PLACES, "{parent}/folder/deep"]), min_size=1, max_size=2),
    },
    optional={
        "data.corpus.member": word,
        "data.corpus.licence": word,
        "data.corpus.text": word,
        "judge.models.0.model": word,
        "judge.rubric": word,
    },
)
changes = st.one_of(anything, plausible)


@dataclass
class World:
    """A folder with what is precious, HOME and the project in it."""

    parent: Path
    environment: dict[str, str]

    @property
    def project(self) -> Path:
        return self.parent / "project"

    def around(self) -> dict[str, tuple]:
        """Everything around the project: its kind and rights, where it leads, what it holds."""
        result = {}
        for folder, folders, names in os.walk(self.parent):
            if Path(folder) == self.parent:
                folders.remove("project")
            for path in (Path(folder, name) for name in [*folders, *names]):
                status = path.lstat()
                held = (
                    os.readlink(path)
                    if path.is_symlink()
                    else path.read_bytes()
                    if stat.S_ISREG(status.st_mode)
                    else b""
                )
                result[str(path.relative_to(self.parent))] = (status.st_mode, held)
        return result

    def holds_what_is_precious(self) -> list[str]:
        made = [path for name in ("data/raw", "data/clean", "reports") for path in (self.project / name).rglob("*")]
        return [str(path) for path in made if path.is_file() and MARK.encode() in path.read_bytes()]

    def run(self, *command: str, patience: float = 300) -> subprocess.CompletedProcess:
        """A command in the project, as a person would give it."""
        given = [sys.executable, "-m", *command] if command[0] in ("dvc", "gptmill", "pipelines.flow") else command
        return subprocess.run(
            given, cwd=self.project, env=self.environment, capture_output=True, text=True, check=False, timeout=patience
        )

    def set(self, values: dict[str, Any]) -> None:
        """Write params.yaml with these values: as JSON, which is YAML that can hold any text."""
        document = profiles.load("mini", self.project).model_dump()
        for key, new in values.items():
            *sections, name = key.split(".")
            place: Any = document
            for part in sections:
                place = place[int(part)] if isinstance(place, list) else place[part]
            if isinstance(place, dict):  # or another change has put something else there
                place[name] = self.meant(new)
        (self.project / "params.yaml").write_text(json.dumps(document, indent=2), encoding="utf-8")

    def meant(self, new: Any) -> Any:
        if isinstance(new, str):
            return new.replace("{parent}", str(self.parent))
        if isinstance(new, list):
            return [self.meant(one) for one in new]
        return new

    def clean(self) -> None:
        """The project as before the first run."""
        shutil.rmtree(self.project / "data/raw", ignore_errors=True)
        (self.project / "data/raw").mkdir()
        (self.project / "data/raw/own.csv").write_text("label,text\nham,mine\n")


@pytest.fixture(scope="module")
def world(root, tmp_path_factory) -> Iterator[World]:
    parent, elsewhere = tmp_path_factory.mktemp("around"), tmp_path_factory.mktemp("tools")
    project, home = parent / "project", parent / "home"
    for folder in ("project/data", "project/models", "home", "folder/deep"):
        (parent / folder).mkdir(parents=True)
    for name in ("precious.txt", ".env", "folder/kept.txt", "folder/deep/kept.csv", "home/precious.txt", "home/.netrc"):
        (parent / name).write_text(f"label,text\nham,{MARK} in {name}\n" * 3)
    (parent / "folder/script.sh").write_text("#!/bin/sh\n")
    (parent / "folder/script.sh").chmod(0o750)
    (parent / "folder/link").symlink_to("../precious.txt")
    (parent / "dangling").symlink_to("made")
    for name in ("profiles", "prompts", "data/sources"):
        shutil.copytree(root / name, project / name)
    for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(root / name, project)
    for name in ("src", "pipelines"):
        shutil.copytree(root / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("link", "data/link", "models/link"):
        (project / name).symlink_to(parent / "folder")
    (project / "params.yaml").write_text(profiles.text("mini", project))
    environment = os.environ | {
        "HOME": str(home), "PYTHONPATH": str(project / "src"), "GPTMILL_CACHE": str(elsewhere / "cache"), "COLUMNS": "200",
        "DVC_GLOBAL_CONFIG_DIR": str(elsewhere), "DVC_SITE_CACHE_DIR": str(elsewhere), "XDG_CACHE_HOME": str(elsewhere),
        "XDG_CONFIG_HOME": str(elsewhere), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "PREFECT_HOME": str(elsewhere / "prefect"), "PREFECT_LOGGING_LEVEL": "WARNING", "TMPDIR": str(elsewhere),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }  # fmt: skip
    made = World(parent, environment)
    made.clean()
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "start"],
    ):
        done = made.run(*command)
        assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("HOME", str(home))
        yield made


def unharmed(world: World, values: dict[str, Any], act: Callable[[], None]) -> None:
    """Whatever `act` does with these values, what is around the project is the same after it; it is told of `urls` alone."""
    before = world.around()
    act()
    assert world.around() == before
    if not any("urls" in key or key == "data.corpus" for key in values):
        assert world.holds_what_is_precious() == []


CUSTOM = {"data.source": "custom"}


@example({"data.corpus.file": "../../../precious.txt"})
@example({"data.corpus.file": "../../../folder"})
@example({"data.corpus.file": "../../../.env", **CUSTOM, "data.corpus.urls": ["{parent}/precious.txt"]})
@example({**CUSTOM, "data.spam.urls": ["data/raw/own.csv"], "data.spam.file": "own.csv", "data.spam.columns": []})
@example(
    {
        **CUSTOM,
        "data.spam.urls": ["{parent}/folder/deep/kept.csv"],
        "data.spam.file": "own.csv",
        "data.spam.columns": [],
    }
)
@example({**CUSTOM, "data.corpus.urls": ["{parent}/folder"], "data.corpus.member": "../../made"})
@example({"judge.rubric": "../../precious", "judge.backend": "openai"})
@example({"compute.launcher": "torchrun --standalone --nproc-per-node 1 --log-dir ../made"})
@given(changes)
@settings(max_examples=60)
def test_check_and_download_touch_nothing_outside(world, values):
    def act() -> None:
        world.set(values)
        try:
            given = config.load()
            refresh.check_local(given)
            list(refresh.refresh_local(given))
            given = config.load()
        except GptmillError:
            return
        for name in ("corpus", "spam", "instructions"):
            if any(key.startswith(f"data.{name}") or key == "data.source" for key in values):
                with suppress(GptmillError):
                    stages.run("download", given, name)
        assert (world.project / "data/raw/own.csv").exists()  # of the user's, whatever runs write around it

    world.clean()
    unharmed(world, values, act)


@given(changes)
@settings(max_examples=15)
def test_overrides_of_the_flow_touch_nothing_outside(world, values):
    def act() -> None:
        for key, new in values.items():
            for profile in (None, str(world.meant(new))):
                with suppress(GptmillError):
                    params_text(world.project, profile, [f"{key}={world.meant(new)}"])

    unharmed(world, values, act)


# Each of them was a deletion, a command or a file, once or elsewhere.
WORST = [
    {
        "data.spam.file": "../../../precious.txt",
        "data.spam.licence": "$(touch ../made)",
        "data.spam.labels": ["ham; touch ../made", "../../made"],
        "key": "spam; touch ../made",  # names that dvc.yaml has for its items
        "item": {"size": "messages; touch ../made"},
    },
    {
        **CUSTOM,
        "data.spam.urls": ["{parent}/folder/deep/kept.csv"],
        "data.spam.file": "own.csv",
        "data.spam.columns": [],
    },
]


@pytest.mark.parametrize("values", WORST, ids=["deletion", "reading"])
def test_dvc_repro_touches_nothing_outside(world, values):
    message = []
    world.clean()
    world.set(values)
    unharmed(world, values, lambda: message.append(world.run("dvc", "repro", "--single-item", "download@spam")))
    assert "Running stage 'download@spam'" in message[0].stdout and (world.project / "data/raw/own.csv").exists()


@pytest.mark.parametrize("place", ["data/raw/spam", "data/raw", "models", "models/base", "data/clean", "reports"])
def test_a_link_from_an_output_to_outside_is_refused_by_the_check(world, place):
    path = world.project / place
    shutil.rmtree(path, ignore_errors=True) if not path.is_symlink() else path.unlink()
    path.parent.mkdir(exist_ok=True)
    kept = world.parent / "folder"
    path.symlink_to(kept)
    try:
        world.set({})
        with pytest.raises(GptmillError, match=f"{place} leads out of the project, to {kept}"):
            refresh.check_local(config.load())
    finally:
        path.unlink()
        (world.project / "models/link").parent.mkdir(exist_ok=True)


@pytest.mark.long
@given(changes)
@settings(max_examples=10)
def test_dvc_repro_and_experiments_touch_nothing_outside(world, values):
    world.clean()
    world.set(values)
    unharmed(world, values, lambda: world.run("dvc", "repro", "download", "validate"))
    world.set({})
    overrides = [part for key, new in values.items() for part in ("-S", f"{key}={world.meant(new)}")]
    if all("\0" not in part and part.isprintable() for part in overrides):
        unharmed(world, values, lambda: world.run("dvc", "exp", "run", "--single-item", "download@spam", *overrides))
        world.run("git", "checkout", "-q", "--", "params.yaml", "dvc.yaml")


@pytest.mark.long
@pytest.mark.parametrize(("values", "codes"), [
    ({"data.spam.licence": "$(touch ../made); ${HOME}"}, (0, 0)),
    ({"data.spam.file": "../../../precious.txt"}, (1, 1)),
    # In a copy of the project the path leads elsewhere: it is refused there.
    ({**CUSTOM, "data.spam.urls": ["../folder/deep/kept.csv"], "data.spam.file": "own.csv", "data.spam.columns": []}, (1, 0)),
])  # fmt: skip
def test_the_flow_touches_nothing_outside(world, values, codes):
    world.clean()
    world.set({})
    overrides = [
        part
        for key, new in values.items()
        for part in ("--set", f"{key}={new if isinstance(new, list) else repr(new)}")
    ]
    done = []
    unharmed(world, values, lambda: done.append(world.run("pipelines.flow", "download", *overrides)))
    world.set(values)
    unharmed(world, values, lambda: done.append(world.run("pipelines.flow", "download")))
    assert tuple(run.returncode for run in done) == codes, "\n".join(run.stdout + run.stderr for run in done)
