"""`gptmill doctor`: checks the installation, project, data, models and servers."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import typer

from gptmill.core import addresses, paths, terminal
from gptmill.core.errors import GptmillError

app = typer.Typer()

TOOLS = ("torch", "tiktoken", "dvc", "mlflow", "prefect", "pandas", "great-expectations")
MINIMUM_FREE_GB = 2


@dataclass(frozen=True)
class Finding:
    what: str
    found: str
    advice: str = ""  # empty: nothing is wrong
    missing: bool = False  # not there, and that is right so


@app.command()
def doctor() -> None:
    """Check the installation, project, data, models and servers. Exit code 1 when something is wrong."""
    from rich.table import Table
    from rich.text import Text

    paths.require_root()
    findings = [finding for check in CHECKS for finding in check()]
    table = Table("", "what", "found", "what to do", show_lines=False)
    for finding in findings:
        sign, style = ("!", "bold red") if finding.advice else ("–", "dim") if finding.missing else ("✓", "green")
        table.add_row(
            Text(sign, style=style),
            finding.what,
            *(Text(terminal.escape_controls(text)) for text in (finding.found, finding.advice)),
        )
    console = terminal.console()
    console.print(table)
    wrong = sum(bool(finding.advice) for finding in findings)
    console.print("Nothing is wrong." if not wrong else f"{wrong} to look at.")
    sys.exit(bool(wrong))


def _environment() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding(
        "Python", f"{version} ({sys.prefix})", "" if sys.version_info >= (3, 11) else "gptmill needs 3.11 or newer"
    )
    for tool in TOOLS:
        try:
            yield Finding(tool, metadata.version(tool))
        except metadata.PackageNotFoundError:
            yield Finding(tool, "not installed", "make run (it installs what the lock names)")
    for tool in ("git", "dvc"):
        if not shutil.which(tool):
            yield Finding(
                tool,
                "not on the PATH",
                "install git" if tool == "git" else "activate the environment: . .venv/bin/activate",
            )
    free = shutil.disk_usage(".").free / 1e9
    yield Finding(
        "disk", f"{free:.0f} GB free", "" if free > MINIMUM_FREE_GB else f"free some: a run wants {MINIMUM_FREE_GB} GB"
    )


def _compute() -> Iterator[Finding]:
    try:
        import torch

        from gptmill import config
        from gptmill.runtime import device

        runtime = device.setup(config.load().compute, seed=0)
    except (ImportError, GptmillError):
        return  # told elsewhere
    precision = "bf16" if runtime.bf16 else "float32"
    yield Finding("compute", f"{runtime.device}, {precision}, {torch.get_num_threads()} threads")


def _project() -> Iterator[Finding]:
    from gptmill import config
    from gptmill.config import profiles

    yield from _repository()
    readable = False
    try:
        yield Finding("params", f"valid, profile {profiles.matching(config.load()) or 'of your own'}")
        readable = True
    except GptmillError as error:
        yield Finding("params", str(error), "put it right, or go back: gptmill params use sample --force")
    if not paths.GRAPH.exists():
        yield Finding("graph", f"no {paths.GRAPH} here", "go to the project's root")
        return
    if not readable:  # DVC reads the file too, whatever it takes
        yield Finding("stages", "not known while params.yaml is not in order", missing=True)
        return
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--quiet"], capture_output=True, text=True, check=False
    )
    match status.returncode:
        case 0:
            yield Finding("stages", "up to date")
        case 1:
            yield Finding("stages", "not all up to date: `dvc status` says which, `dvc repro` runs them", missing=True)
        case _:
            said = status.stderr.strip().splitlines()[-1:] or [f"dvc status ended with {status.returncode}"]
            yield Finding("stages", said[0], "see `dvc status`; without git, `make run` configures DVC")


def _repository() -> Iterator[Finding]:
    here = Path.cwd()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        advice = (
            "`make run` works; DVC experiments and `make reproduce` need one: git init && git add --all && git commit"
        )
        yield Finding("git repository", "none: a copy without .git, such as a downloaded zip", advice)


def _data_and_models() -> Iterator[Finding]:
    from gptmill.ingest import download

    for what, path in {
        "data": paths.RAW,
        "base model": paths.BASE_MODEL / "model.safetensors",
        "classifier": paths.CLASSIFIER_MODEL / "model.safetensors",
        "instruct model": paths.INSTRUCT_MODEL / "model.safetensors",
        "report": paths.REPORT,
    }.items():
        there = path.exists()
        yield Finding(what, str(path) if there else "not made yet: `make run` makes it", missing=not there)
    for name in ("corpus", "spam", "instructions"):
        if (record := paths.source_record(name)).exists():
            yield _source(name, record)
    try:
        if mirror := download.mirror():
            yield Finding("mirror", addresses.redact_url(str(mirror)))
    except GptmillError as error:
        yield Finding("mirror", addresses.redact_url(os.environ["GPTMILL_MIRROR"]), str(error))


def _source(name: str, record: Path) -> Finding:
    from gptmill.core import files

    try:
        return Finding(f"source of {name}", str(files.read_json(record)["origin"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Finding(f"source of {name}", f"{record} can't be read", f"delete it, then: dvc repro download@{name}")


def _servers() -> Iterator[Finding]:
    from gptmill.tracking import locations

    tracking, prefect = os.environ.get("MLFLOW_TRACKING_URI"), os.environ.get("PREFECT_API_URL")
    otherwise = "unset MLFLOW_TRACKING_URI to track in mlflow.db"
    if tracking and tracking.startswith("http"):
        yield _answers("MLflow", tracking, "/health", otherwise)
    elif tracking:
        yield _opens("MLflow", tracking, otherwise)
    elif (locations.home() / "mlflow.db").exists():
        yield Finding("MLflow", "mlflow.db in this folder; `make ui` shows it")
    else:
        yield Finding("MLflow", "no mlflow.db in this folder yet: the first run makes it", missing=True)
    if prefect:
        yield _answers("Prefect", prefect, "/health", "unset PREFECT_API_URL to have flows bring their own server")
    else:
        yield Finding("Prefect", "each flow brings a server of its own")


def _opens(what: str, store: str, otherwise: str) -> Finding:
    """A store that is no server: a file or folder, or a database, which is only connected to."""
    shown = addresses.redact_url(store)
    scheme, _, rest = store.partition(":")
    path = (
        rest.removeprefix("///")
        if scheme.startswith("sqlite")
        else rest.removeprefix("//")
        if scheme == "file"
        else store
    )
    if scheme.startswith("sqlite") or "://" not in store or scheme == "file":
        there = Path(path).exists()
        return Finding(
            what, shown if there else f"{shown} does not exist yet: the first run makes it", missing=not there
        )
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        create_engine(
            store, connect_args={"connect_timeout": 3}
        ).connect().close()  # seconds; PostgreSQL's and MySQL's drivers know it
    except (SQLAlchemyError, ImportError, TypeError) as error:
        return Finding(what, f"{shown} does not answer ({type(error).__name__})", f"start it, or {otherwise}")
    return Finding(what, shown)


def _answers(what: str, address: str, path: str, otherwise: str) -> Finding:
    import httpx

    shown = addresses.redact_url(address)
    try:
        httpx.get(address.rstrip("/") + path, timeout=3).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(what, f"{shown} does not answer ({type(error).__name__})", f"start it (make ui), or {otherwise}")
    return Finding(what, shown)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_environment, _project, _compute, _data_and_models, _servers)
