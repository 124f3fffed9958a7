"""`gptmill data add`: files of one's own become sources of the project, versioned by DVC, so that a fresh clone has them by `dvc pull`."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gptmill import config as params_file
from gptmill.config import editing
from gptmill.config.data import DataParams
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.git import git

NAME = re.compile(r"\w[\w.()+, -]*")  # what DVC, git and a list of addresses take as it is
PACKED = re.compile(r"(\.(gz|zst|zip|tar))+$")
READ = re.compile(r"[A-Za-z0-9][\w.-]*\.(txt|csv|tsv|jsonl|json|parquet)")
# Of a data set: where it comes from. The other keys say how it is read.
SOURCE_KEYS = {"file", "urls", "member", "sha256", "licence", "max_megabytes"}


def add(name: str, given: Sequence[Path], *, replace: bool = False) -> Iterator[str]:
    """Copies files to data/sources/<name>, versions them, and names them in params.yaml; yields what to tell.

    Raises `GptmillError` before anything is written when one of them can't be added.
    """
    data = params_file.load().data
    if name not in paths.DATA_SETS:
        raise GptmillError(f"unknown data set {name}; known are {', '.join(paths.DATA_SETS)}")
    copies = {source: paths.SOURCES / name / source.name for source in given}
    _refuse(name, copies, replace)
    made = []
    try:
        for source, to in copies.items():
            if not _same(source, to):
                made += [] if to.exists() else [to]
                with files.atomic(to) as tmp:
                    shutil.copyfile(source, tmp)
        _version(list(copies.values()))
    except BaseException:
        for to in made:  # a copy of what the user has elsewhere
            if not _receipt(to).exists():
                to.unlink(missing_ok=True)
        raise
    for to in copies.values():
        yield f"{to}: {to.stat().st_size:,} bytes. git gets {_receipt(to).name}; `dvc push` and `dvc pull` carry the file."
    yield from _name(data, name, list(copies.values()))


def _refuse(name: str, copies: dict[Path, Path], replace: bool) -> None:
    problems = []
    for source, to in copies.items():
        if not source.is_file():
            problems.append(f"{source} is not a file" if source.exists() else f"{source} does not exist")
        elif not NAME.fullmatch(source.name) or source.suffix == ".dvc" or source.name == "README.md":
            problems.append(
                f"{str(source)!r} has a name that is not taken for data: rename it to letters, digits and . - _ + ( )"
            )
        elif to.exists() and not replace and not _same(source, to):
            problems.append(f"{to} exists and has other bytes: rename {source}, or add it with --replace")
    if len(set(copies.values())) < len(copies):
        problems.append("two of the files have the same name")
    if name != "corpus" and len(copies) > 1:
        problems.append(f"{name} is one file; only the corpus may be made of many")
    if problems:
        raise GptmillError("; ".join(problems))


def _same(one: Path, other: Path) -> bool:
    if not other.exists():
        return False
    return one.samefile(other) or (
        one.stat().st_size == other.stat().st_size and files.digest(one) == files.digest(other)
    )


def _receipt(path: Path) -> Path:
    """What DVC writes for git next to a file."""
    return path.with_name(f"{path.name}.dvc")


def _version(added: list[Path]) -> None:
    """`dvc add`, and `git add` of what git is to have: a copy of the project (`make flow` with overrides) has what git knows."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "add", "--quiet", *map(str, added)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).removeprefix("ERROR: ")
        raise GptmillError(f"DVC can't version {', '.join(map(str, added))}: {said}")
    for_git = {str(path) for one in added for path in (_receipt(one), one.with_name(".gitignore"))}
    git("add", "--", *sorted(for_git), default="")  # without git there is nothing to stage


def _name(data: DataParams, name: str, added: list[Path]) -> Iterator[str]:
    """Names the files in params.yaml when it is in order with them; else says what to set."""
    section = getattr(data, name)
    urls = [str(paths.SOURCES / name if name == "corpus" else added[0])]
    file = PACKED.sub("", added[0].name)
    wanted: dict[editing.Key, Any] = {
        ("data", "source"): "custom",
        ("data", name, "urls"): urls,
        ("data", name, "sha256"): "",  # what was pinned was another file, or this one as it was
    }
    if READ.fullmatch(file) and file.rpartition(".")[2] != section.extension:  # the ending says how it is read
        wanted["data", name, "file"] = file
    before = {("data", "source"): data.source} | {
        ("data", name, key): value for key, value in section.model_dump().items()
    }
    values = {key: value for key, value in wanted.items() if before[key] != value}
    told = _told({".".join(key): value for key, value in values.items()})
    if values:
        try:
            _write(values)
        except GptmillError as error:
            yield f"{paths.PARAMS} is as it was: set {told}; and what has to go with it:\n{error}"
            return
        yield f"{paths.PARAMS}: {told}"
    reading = {key: value for key, value in section.model_dump().items() if key not in SOURCE_KEYS}
    yield f"data.{name} reads it with {_told(reading)} (columns: of a file without a header line). Put right what differs, then: make run"


def _told(values: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())


def _write(values: dict[editing.Key, Any]) -> None:
    changed = editing.set_values(paths.PARAMS.read_bytes().decode("utf-8"), values)
    with files.atomic(paths.PARAMS) as tmp:
        tmp.write_bytes(changed.encode("utf-8"))
        params_file.load(tmp)
