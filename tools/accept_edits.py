"""Accepts edits of comments, docstrings and formatting: writes the new hashes to dvc.lock, and no stage runs again.

    python -m tools.accept_edits        # exit code 1, and nothing written, when anything else has changed

The code of a stage's last run is read from git, from a commit in which it has the hash of dvc.lock. It is compared with
the working tree as syntax trees without docstrings.
"""

import ast
import io
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dvc.dependency import Dependency
from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml

from gptmill.core.errors import GptmillError, listing
from gptmill.core.git import git
from gptmill.core.terminal import exit_on_error, say
from gptmill.tracking.dvc_lock import LOCK, dvc_hash

CODE = "src/"
MAX_COMMITS = 300  # that are searched, newest first


def accept(root: Path) -> list[str]:
    """Renew dvc.lock; returns its stages. Raises `GptmillError` with all other changes: then nothing is written."""
    with Repo(str(root)) as repo:
        refused = [f"{stage}: {what}" for stage, changes in repo.status().items() for what in _other_changes(changes)]
        renewed: dict[str, list[Dependency]] = {}
        compared: dict[tuple[str, str], list[str]] = {}
        for stage in repo.index.stages:
            for dep in stage.deps:
                if not dep.def_path.startswith(CODE) or not dep.hash_info or not dep.changed_checksum():
                    continue
                last_run = dep.def_path, dep.hash_info.value
                if last_run not in compared:
                    compared[last_run] = list(_differences(root, *last_run))
                refused += [f"{stage.addressing}: {difference}" for difference in compared[last_run]]
                dep.save()
                renewed.setdefault(stage.addressing, []).append(dep)
        if refused:
            raise GptmillError(
                f"these may be changes of behaviour; run the stages: dvc repro\n{listing(sorted(set(refused)))}"
            )
        if renewed:
            _write(root / LOCK, renewed)
    return sorted(renewed)


def _other_changes(changes: list) -> Iterator[str]:
    """The output of `dvc status` for a stage, except changed code and missing data."""
    for change in changes:
        if isinstance(change, str):
            yield change
            continue
        for kind, entries in change.items():
            for path, status in entries.items() if isinstance(entries, dict) else []:
                is_code = kind == "changed deps" and path.startswith(CODE)
                if status != "deleted" and not (is_code and status == "modified"):
                    yield f"{kind}: {path} ({status if isinstance(status, str) else ', '.join(status)})"


def _differences(root: Path, path: str, md5: str) -> Iterator[str]:
    """Changes of the code at `path` since its hash was `md5`, except comments, docstrings and layout."""
    with tempfile.TemporaryDirectory(prefix="gptmill-") as temporary:
        before = _from_git(root, path, md5, Path(temporary))
        if before is None:
            yield f"{path}: no commit has the sources of its last run"
            return
        old, new = _files(before), _files(root / path)
        for name in sorted(old.keys() ^ new.keys()):
            yield f"{Path(path, name)} was {'added' if name in new else 'removed'}"
        for name in sorted(old.keys() & new.keys()):
            if _behaviour(old[name]) != _behaviour(new[name]):
                yield f"{Path(path, name)} behaves differently"


def _from_git(root: Path, path: str, md5: str, folder: Path) -> Path | None:
    """Extract `path` below `folder` from a commit in which it has that hash."""
    log = git("log", f"--max-count={MAX_COMMITS}", "--format=%H", "HEAD", "--", path, cwd=root)
    for number, commit in enumerate(["HEAD", *log.split()]):
        packed = git("archive", commit, path, cwd=root, default="").encode("utf-8", "surrogateescape")
        if not packed:  # the path did not exist then
            continue
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(folder / str(number), filter="data")
        if dvc_hash(folder / str(number) / path) == md5:
            return folder / str(number) / path
    return None


def _files(path: Path) -> dict[str, Path]:
    if path.is_file():
        return {"": path}
    files = [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return {str(file.relative_to(path)): file for file in files}


def _behaviour(path: Path) -> str | bytes:
    """A Python file's syntax tree without docstrings; another file's bytes."""
    if path.suffix != ".py":
        return path.read_bytes()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        documentable = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documentable and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _write(lock: Path, renewed: dict[str, list[Dependency]]) -> None:
    with modify_yaml(str(lock)) as values:
        for stage, deps in renewed.items():
            entries = {entry["path"]: entry for entry in values["stages"][stage]["deps"]}
            for dep in deps:
                meta = {"size": dep.meta.size} | ({"nfiles": dep.meta.nfiles} if dep.meta.isdir else {})
                entries[dep.def_path].update({"md5": dep.hash_info.value, **meta})


def main() -> None:
    with exit_on_error():
        stages = accept(Path.cwd())
        renewed = f"dvc.lock has the new hashes for {', '.join(stages)}"
        say(renewed if stages else "No stage's code has changed since its last run.")


if __name__ == "__main__":
    main()
