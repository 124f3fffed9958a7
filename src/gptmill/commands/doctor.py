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

PACKAGES = ("torch", "tiktoken", "dvc", "mlflow", "prefect", "pandas", "great-expectations")
PROGRAMS = {"git": "install git", "dvc": "activate the environment: . .venv/bin/activate"}
MIN_FREE_GB = 2
TIMEOUT = 3  # seconds


@dataclass(frozen=True)
class Finding:
    what: str
    value: str
    advice: str = ""  # empty: nothing is wrong
    missing: bool = False  # absent, which is fine


@app.command()
def doctor() -> None:
    """Check the installation, project, data, models and servers. Exit code 1 when something is wrong."""
    from rich.table import Table
    from rich.text import Text

    paths.require_root()
    table = Table("", "what", "found", "what to do")
    wrong = 0
    for finding in (finding for check in CHECKS for finding in check()):
        sign, style = ("!", "bold red") if finding.advice else ("–", "dim") if finding.missing else ("✓", "green")
        texts = (Text(terminal.escape_controls(text)) for text in (finding.value, finding.advice))
        table.add_row(Text(sign, style=style), finding.what, *texts)
        wrong += bool(finding.advice)
    console = terminal.console()
    console.print(table)
    console.print(f"{wrong} to look at." if wrong else "Nothing is wrong.")
    sys.exit(bool(wrong))


def _environment() -> Iterator[Finding]:
    advice = "" if sys.version_info >= (3, 11) else "gptmill needs 3.11 or newer"
    yield Finding("Python", f"{platform.python_version()} ({sys.prefix})", advice)
    for package in PACKAGES:
        try:
            yield Finding(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            yield Finding(package, "not installed", "make run (it installs the versions of the lock)")
    for program, advice in PROGRAMS.items():
        if not shutil.which(program):
            yield Finding(program, "not on the PATH", advice)
    free = shutil.disk_usage(".").free / 1e9
    advice = "" if free > MIN_FREE_GB else f"free some space: a run needs {MIN_FREE_GB} GB"
    yield Finding("disk", f"{free:.0f} GB free", advice)


def _project() -> Iterator[Finding]:
    from gptmill import config
    from gptmill.config import profiles

    here = Path.cwd()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        advice = (
            "`make run` works; DVC experiments and `make reproduce` need one: git init && git add --all && git commit"
        )
        yield Finding("git repository", "none: a copy without .git, such as a downloaded zip", advice)
    valid = False
    try:
        yield Finding("params", f"valid, profile {profiles.matching(config.load()) or 'of your own'}")
        valid = True
    except GptmillError as error:
        yield Finding("params", str(error), "correct it, or reset it: gptmill params use sample --force")
    if not paths.GRAPH.exists():
        yield Finding("graph", f"no {paths.GRAPH} here", "go to the project's root")
    elif not valid:  # DVC would read the file without limits
        yield Finding("stages", "unknown while params.yaml is invalid", missing=True)
    else:
        yield _stages()


def _stages() -> Finding:
    command = [sys.executable, "-m", "dvc", "status", "--quiet"]
    status = subprocess.run(command, capture_output=True, text=True, check=False)
    if status.returncode == 0:
        return Finding("stages", "up to date")
    if status.returncode == 1:
        return Finding("stages", "not all up to date: `dvc status` lists them, `dvc repro` runs them", missing=True)
    [line] = status.stderr.strip().splitlines()[-1:] or [f"dvc status ended with {status.returncode}"]
    return Finding("stages", line, "see `dvc status`; without git, `make run` configures DVC")


def _compute() -> Iterator[Finding]:
    try:
        import torch

        from gptmill import config
        from gptmill.runtime import device

        runtime = device.setup(config.load().compute, seed=0)
    except (ImportError, GptmillError):
        return  # another check reports it
    precision = "bf16" if runtime.bf16 else "float32"
    yield Finding("compute", f"{runtime.device}, {precision}, {torch.get_num_threads()} threads")


def _data_and_models() -> Iterator[Finding]:
    from gptmill.core import files
    from gptmill.ingest import download
    from gptmill.model.lineage import Lineage
    from gptmill.registry.model_kinds import MODEL_KINDS

    for what, path in {
        "data": paths.RAW,
        **{kind.label: kind.folder / Lineage.WEIGHTS for kind in MODEL_KINDS.values()},
        "report": paths.REPORT,
    }.items():
        exists = path.exists()
        yield Finding(what, str(path) if exists else "none yet: `make run` makes it", missing=not exists)
    for name in ("corpus", "spam", "instructions"):
        if (record := paths.source_record(name)).exists():
            what = f"source of {name}"
            try:
                yield Finding(what, str(files.read_json(record)["origin"]))
            except (OSError, ValueError, KeyError, TypeError):
                yield Finding(what, f"{record} can't be read", f"delete it, then: dvc repro download@{name}")
    try:
        if mirror := download.mirror():
            yield Finding("mirror", addresses.redact_url(str(mirror)))
    except GptmillError as error:
        yield Finding("mirror", addresses.redact_url(os.environ["GPTMILL_MIRROR"]), str(error))


def _servers() -> Iterator[Finding]:
    from gptmill.tracking import locations

    store, prefect = os.environ.get("MLFLOW_TRACKING_URI"), os.environ.get("PREFECT_API_URL")
    advice = "unset MLFLOW_TRACKING_URI to track in mlflow.db"
    if store and store.startswith("http"):
        yield _server("MLflow", store, advice)
    elif store:
        yield _database(store, advice)
    elif (locations.home() / "mlflow.db").exists():
        yield Finding("MLflow", "mlflow.db in this folder; `make ui` shows it")
    else:
        yield Finding("MLflow", "no mlflow.db in this folder yet: the first run makes it", missing=True)
    if prefect:
        yield _server("Prefect", prefect, "unset PREFECT_API_URL to give each flow a temporary server")
    else:
        yield Finding("Prefect", "each flow starts a temporary server")


def _server(name: str, url: str, advice: str) -> Finding:
    import httpx

    shown = addresses.redact_url(url)
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=TIMEOUT).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(name, f"{shown} does not answer ({type(error).__name__})", f"start it (make ui), or {advice}")
    return Finding(name, shown)


def _database(store: str, advice: str) -> Finding:
    """MLflow's store that is not a server: a file or folder, or a database, to which this only connects."""
    shown = addresses.redact_url(store)
    scheme, _, rest = store.partition(":")
    sqlite, is_file = scheme.startswith("sqlite"), scheme == "file"
    if sqlite or is_file or "://" not in store:
        path = rest.removeprefix("///" if sqlite else "//") if sqlite or is_file else store
        exists = Path(path).exists()
        return Finding("MLflow", shown if exists else f"{shown} not found: the first run makes it", missing=not exists)
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:  # PostgreSQL's and MySQL's drivers know connect_timeout
        create_engine(store, connect_args={"connect_timeout": TIMEOUT}).connect().close()
    except (SQLAlchemyError, ImportError, TypeError) as error:
        return Finding("MLflow", f"{shown} does not answer ({type(error).__name__})", f"start it, or {advice}")
    return Finding("MLflow", shown)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_environment, _project, _compute, _data_and_models, _servers)
