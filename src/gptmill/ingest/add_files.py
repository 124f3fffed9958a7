"""`gptmill data add`: copies files to data/sources, versions them by DVC and names them in params.yaml."""

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
from gptmill.config.sources import FILE, ORIGIN_KEYS
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.git import git

NAME = re.compile(r"\w[\w.()+, -]*")  # valid in DVC, git and a list of addresses
PACKED = re.compile(r"(\.(gz|zst|zip|tar))+$")


def add(name: str, new: Sequence[Path], *, replace: bool = False) -> Iterator[str]:
    """Copies files to data/sources/<name>, versions them, and names them in params.yaml; yields messages.

    Raises `GptmillError` before anything is written when a file can't be added.
    """
    data = params_file.load().data
    if name not in paths.DATA_SETS:
        raise GptmillError(f"unknown data set {name}; known are {', '.join(paths.DATA_SETS)}")
    copies = {source: paths.SOURCES / name / source.name for source in new}
    _refuse(name, copies, replace)
    created = []
    try:
        for source, to in copies.items():
            if not _same(source, to):
                created += [] if to.exists() else [to]
                with files.atomic(to) as tmp:
                    shutil.copyfile(source, tmp)
        _version(list(copies.values()))
    except BaseException:
        for to in created:  # copies of the user's files
            if not _dvc_file(to).exists():
                to.unlink(missing_ok=True)
        raise
    for to in copies.values():
        dvc_file = _dvc_file(to).name
        yield f"{to}: {to.stat().st_size:,} bytes. git gets {dvc_file}; `dvc push` and `dvc pull` carry the file."
    yield from _name(data, name, list(copies.values()))


def _refuse(name: str, copies: dict[Path, Path], replace: bool) -> None:
    problems = []
    for source, to in copies.items():
        if not source.is_file():
            problems.append(f"{source} is not a file" if source.exists() else f"{source} does not exist")
        elif not NAME.fullmatch(source.name) or source.suffix == ".dvc" or source.name == "README.md":
            problems.append(f"{str(source)!r} has an unsupported name: rename it to letters, digits and . - _ + ( )")
        elif to.exists() and not replace and not _same(source, to):
            problems.append(f"{to} exists and has other bytes: rename {source}, or add it with --replace")
    if len(set(copies.values())) < len(copies):
        problems.append("two of the files have the same name")
    if name != "corpus" and len(copies) > 1:
        problems.append(f"{name} is one file; only the corpus may have several")
    if problems:
        raise GptmillError("; ".join(problems))


def _same(one: Path, other: Path) -> bool:
    if not other.exists():
        return False
    same_size = one.stat().st_size == other.stat().st_size
    return one.samefile(other) or (same_size and files.digest(one) == files.digest(other))


def _dvc_file(path: Path) -> Path:
    """The file that DVC writes next to it, for git."""
    return path.with_name(f"{path.name}.dvc")


def _version(added: list[Path]) -> None:
    """`dvc add`, and `git add` of the .dvc files, which copies of the project (`make flow` with overrides) need."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "add", "--quiet", *map(str, added)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).removeprefix("ERROR: ")
        raise GptmillError(f"DVC can't version {', '.join(map(str, added))}: {reason}")
    for_git = {str(path) for one in added for path in (_dvc_file(one), one.with_name(".gitignore"))}
    git("add", "--", *sorted(for_git), default="")  # without git there is nothing to stage


def _name(data: DataParams, name: str, added: list[Path]) -> Iterator[str]:
    """Names the files in params.yaml where that makes it valid; else says what to set."""
    section = getattr(data, name)
    urls = [str(paths.SOURCES / name if name == "corpus" else added[0])]
    file = PACKED.sub("", added[0].name)
    new: dict[editing.Key, Any] = {
        ("data", "source"): "custom",
        ("data", name, "urls"): urls,
        ("data", name, "sha256"): "",  # the pinned hash was of another file or version
    }
    if FILE.fullmatch(file) and file.rpartition(".")[2] != section.extension:  # the extension says how it is read
        new["data", name, "file"] = file
    keys = section.model_dump()
    old = {("data", "source"): data.source} | {("data", name, key): value for key, value in keys.items()}
    values = {key: value for key, value in new.items() if old[key] != value}
    settings = _yaml({".".join(key): value for key, value in values.items()})
    if values:
        try:
            _write(values)
        except GptmillError as error:
            yield f"{paths.PARAMS} is unchanged: set {settings}, and fix what follows from it:\n{error}"
            return
        yield f"{paths.PARAMS}: {settings}"
    reading = _yaml({key: value for key, value in keys.items() if key not in ("file", *ORIGIN_KEYS)})
    yield f"data.{name} reads it with {reading} (columns: without a header line). Correct these, then: make run"


def _yaml(values: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())


def _write(values: dict[editing.Key, Any]) -> None:
    changed = editing.set_values(paths.PARAMS.read_bytes().decode("utf-8"), values)
    with files.atomic(paths.PARAMS) as tmp:
        tmp.write_bytes(changed.encode("utf-8"))
        params_file.load(tmp)
