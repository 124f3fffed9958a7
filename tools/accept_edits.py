"""Accepts edits of code that change no behaviour, comments, docstrings and formatting: dvc.lock gets the new hashes, and no stage runs.

    python -m tools.accept_edits        # exit code 1, and nothing written, when anything else has changed

The sources that a stage last ran with are looked for in git: a commit in which they have the hash that dvc.lock names. They are compared
with those of the working tree as syntax trees without docstrings.
"""

import ast
import io
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dvc.dependency import Dependency
from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml

from gptmill.core.errors import GptmillError, listing
from gptmill.core.git import git
from gptmill.tracking.dvc_lock import LOCK, dvc_hash

CODE = "src/"
COMMITS = 300  # that are looked through, newest first


def accept(root: Path) -> list[str]:
    """The stages whose receipt in dvc.lock was renewed. Raises `GptmillError` that lists every other change; then nothing is written."""
    with Repo(str(root)) as repo:
        refused = [f"{stage}: {what}" for stage, changes in repo.status().items() for what in _other_changes(changes)]
        renewed: dict[str, list[Dependency]] = {}
        compared: dict[tuple[str, str], list[str]] = {}
        for stage in repo.index.stages:
            for dep in stage.deps:
                if not dep.def_path.startswith(CODE) or not dep.hash_info or not dep.changed_checksum():
                    continue
                known = dep.def_path, dep.hash_info.value
                if known not in compared:
                    compared[known] = list(_differences(root, *known))
                refused += [f"{stage.addressing}: {difference}" for difference in compared[known]]
                dep.save()
                renewed.setdefault(stage.addressing, []).append(dep)
        if refused:
            raise GptmillError(
                f"these are changes of behaviour, or may be; run the stages: dvc repro\n{listing(sorted(set(refused)))}"
            )
        if renewed:
            _write(root / LOCK, renewed)
    return sorted(renewed)


def _other_changes(changes: list) -> Iterator[str]:
    """What `dvc status` says of a stage, but for changed code, and data that is not here."""
    for change in changes:
        if isinstance(change, str):
            yield change
            continue
        for kind, entries in change.items():
            for path, what in entries.items() if isinstance(entries, dict) else []:
                if what != "deleted" and not (kind == "changed deps" and path.startswith(CODE) and what == "modified"):
                    yield f"{kind}: {path} ({what if isinstance(what, str) else ', '.join(what)})"


def _differences(root: Path, path: str, md5: str) -> Iterator[str]:
    """What of the code at `path` is not as it was when its hash was `md5`, but for comments, docstrings and layout."""
    with tempfile.TemporaryDirectory(prefix="gptmill-") as temporary:
        before = _from_git(root, path, md5, Path(temporary))
        if before is None:
            yield f"{path}: no commit has the sources of its last run"
            return
        old, new = _files(before), _files(root / path)
        yield from (
            f"{Path(path, name)} was {'added' if name in new else 'removed'}"
            for name in sorted(old.keys() ^ new.keys())
        )
        for name in sorted(old.keys() & new.keys()):
            if _behaviour(old[name]) != _behaviour(new[name]):
                yield f"{Path(path, name)} behaves differently"


def _from_git(root: Path, path: str, md5: str, folder: Path) -> Path | None:
    """`path` as it was in a commit in which it had that hash, written below `folder`."""
    log = git("log", f"--max-count={COMMITS}", "--format=%H", "HEAD", "--", path, cwd=root)
    for number, commit in enumerate(["HEAD", *log.split()]):
        packed = git("archive", commit, path, cwd=root, default="").encode("utf-8", "surrogateescape")
        if not packed:  # the path did not exist then
            continue
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(folder / str(number), filter="data")
        if dvc_hash(folder / str(number) / path) == md5:
            return folder / str(number) / path
    return None


def _files(place: Path) -> dict[str, Path]:
    if place.is_file():
        return {"": place}
    return {
        str(path.relative_to(place)): path
        for path in place.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _behaviour(path: Path) -> str | bytes:
    """A Python file's syntax tree without docstrings; another file's bytes."""
    if path.suffix != ".py":
        return path.read_bytes()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


def _write(lock: Path, renewed: dict[str, list[Dependency]]) -> None:
    with modify_yaml(str(lock)) as receipt:
        for stage, deps in renewed.items():
            entries = {entry["path"]: entry for entry in receipt["stages"][stage]["deps"]}
            for dep in deps:
                meta = {"size": dep.meta.size} | ({"nfiles": dep.meta.nfiles} if dep.meta.isdir else {})
                entries[dep.def_path].update({"md5": dep.hash_info.value, **meta})


def main() -> None:
    try:
        stages = accept(Path.cwd())
    except GptmillError as error:
        sys.exit(f"error: {error}")
    print(
        f"dvc.lock has the new hashes for {', '.join(stages)}"
        if stages
        else "No stage's code has changed since its last run."
    )


if __name__ == "__main__":
    main()
