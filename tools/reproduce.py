"""Reproducibility check: two clones of the last commit, run without caches, must give the same bytes.

python -m tools.reproduce                            # make reproduce
python -m tools.reproduce --change seed=124          # another parameter in the second run: which outputs depend on it?
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.git import git
from gptmill.core.terminal import console, exit_on_error, say
from pipelines.overrides import params_text

RUNS = ("first", "second")


def clone(repository: Path, to: Path) -> None:
    """A fresh clone of the last commit of `repository`: no outputs, no caches."""
    git("clone", "--quiet", "--no-local", str(repository), str(to), cwd=repository)
    for receipt in to.glob(f"{paths.SOURCES}/*/*.dvc"):  # as by `dvc pull`
        file = receipt.relative_to(to).with_suffix("")
        if (repository / file).exists():
            shutil.copyfile(repository / file, to / file)


def run(folder: Path, cache: Path) -> None:
    """`dvc repro` in a clone, with its code and an empty download cache. Raises `GptmillError` if a stage fails."""
    own = {"PYTHONPATH": str(folder / "src"), "GPTMILL_CACHE": str(cache)}
    unset = ("MLFLOW_TRACKING_URI", "GPTMILL_RUN", "DVC_ROOT", "DVC_STAGE")
    environment = {name: value for name, value in os.environ.items() if name not in unset} | own
    # --force: a DVC cache that the user shares among projects (`cache.dir`) may have these outputs.
    for module, *arguments in (["gptmill", "params", "check"], ["dvc", "repro", "--force"]):
        code = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=folder, env=environment, check=False
        ).returncode
        if code:
            raise GptmillError(f"the {folder.name} run ended with {code}; see its output")


def outputs(folder: Path) -> dict[str, dict[str, str]]:
    """Output of dvc.yaml, by name -> path within the output -> SHA-256."""
    from dvc.repo import Repo

    with Repo(folder) as repo:
        names = sorted(Path(out.fs_path).relative_to(folder.resolve()).as_posix() for out in repo.index.outs)
    return {name: _hashes(folder / name) for name in names}


def _hashes(path: Path) -> dict[str, str]:
    if path.is_dir():
        hashes = {
            file.relative_to(path).as_posix(): files.digest(file) for file in sorted(path.rglob("*")) if file.is_file()
        }
        return hashes or {"": hashlib.sha256().hexdigest()}  # an empty folder is an output too
    return {"": files.digest(path)} if path.exists() else {}


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Paths of the files that differ, or exist in one run only."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def compare(first: dict[str, dict[str, str]], second: dict[str, dict[str, str]]) -> list[str]:
    """Print a line for each output; returns every file that differs. An output that neither run wrote differs."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    differing = []
    style = {"title": "SHA-256 of each output, in both runs", "title_justify": "left", "box": box.SIMPLE_HEAD}
    table = Table("output", "files", *RUNS, "", **style)
    for name in sorted(first.keys() | second.keys()):
        one, other = first.get(name, {}), second.get(name, {})
        differences_here = differences(one, other) if one or other else [""]
        differing += [f"{name}/{path}".rstrip("/") for path in differences_here]
        verdict = Text("differs", style="red") if differences_here else Text("same", style="green")
        table.add_row(name, str(len(one)), _short(one), _short(other), verdict)
    console().print(table)
    return differing


def _short(hashes: dict[str, str]) -> str:
    """One hash for an output: of the file, or of the list of a folder's files and hashes."""
    if not hashes:
        return "missing"
    listed = "".join(f"{digest}  {path}\n" for path, digest in hashes.items())
    return (hashes.get("") or hashlib.sha256(listed.encode()).hexdigest())[:12]


def main(
    changed: Annotated[
        str, typer.Option("--change", help="a parameter to change in the second run, as in seed=124")
    ] = "",
    profile: Annotated[str, typer.Option(help="a file of profiles/, without .yaml")] = "",
) -> None:
    """Run the pipeline twice from the last commit, and compare every output. Exit code 1 when anything differs."""
    with exit_on_error():
        same = reproduce(Path.cwd(), changed, profile)
    if not same:
        raise typer.Exit(1)


def reproduce(repository: Path, changed: str = "", profile: str = "") -> bool:
    """Whether two runs of the last commit of `repository` gave the same bytes; what differs is printed."""
    if git("status", "--porcelain", cwd=repository):
        say("The last commit runs: changes that are not committed are ignored.")
    results = []
    with tempfile.TemporaryDirectory(prefix="gptmill-reproduce-") as temporary:
        folders = [Path(temporary, name).resolve() for name in RUNS]
        for folder, overrides in zip(folders, ([], [changed] if changed else []), strict=True):
            clone(repository, folder)
            if profile or overrides:
                text = params_text(folder, profile or None, overrides)
                (folder / paths.PARAMS).write_text(text, encoding="utf-8")
        for folder in folders:
            say(f"The {folder.name} run", bold=True)
            sys.stdout.flush()  # before DVC's output
            run(folder, Path(temporary, f"cache-{folder.name}"))
            results.append(outputs(folder))
    differing = compare(*results)
    for path in differing:
        say(f"differs: {path}")
    say(
        f"{len(differing)} files differ."
        if differing
        else f"All {len(results[0])} outputs are the same, byte for byte."
    )
    return not differing


if __name__ == "__main__":
    typer.run(main)
