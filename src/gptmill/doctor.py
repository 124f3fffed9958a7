"""What is installed, where data, models and servers are, and what is wrong: for whoever sets gptmill up or asks for help."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gptmill import paths
from gptmill.errors import GptmillError
from gptmill.params import addresses

TOOLS = ("torch", "tiktoken", "dvc", "mlflow", "prefect", "pandas", "great-expectations")
MINIMUM_FREE_GB = 2


@dataclass(frozen=True)
class Finding:
    what: str
    found: str
    advice: str = ""  # empty: nothing is wrong


def examine() -> bool:
    """Print every finding; True when nothing is wrong."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    findings = [finding for check in CHECKS for finding in check()]
    table = Table("", "what", "found", "what to do", show_lines=False)
    for finding in findings:
        mark = Text("!", style="bold red") if finding.advice else Text("✓", style="green")
        table.add_row(mark, finding.what, Text(finding.found), Text(finding.advice))
    console = Console()
    console.print(table)
    wrong = sum(bool(finding.advice) for finding in findings)
    console.print("Nothing is wrong." if not wrong else f"{wrong} to look at.")
    return not wrong


def _environment() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding("Python", f"{version} ({sys.prefix})", "" if sys.version_info >= (3, 11) else "gptmill needs 3.11 or newer")
    for tool in TOOLS:
        try:
            yield Finding(tool, metadata.version(tool))
        except metadata.PackageNotFoundError:
            yield Finding(tool, "not installed", "make run (it installs what the lock names)")
    for tool in ("git", "dvc"):
        if not shutil.which(tool):
            yield Finding(tool, "not on the PATH", "install git" if tool == "git" else "activate the environment: . .venv/bin/activate")
    free = shutil.disk_usage(".").free / 1e9
    yield Finding("disk", f"{free:.0f} GB free", "" if free > MINIMUM_FREE_GB else f"free some: a run wants {MINIMUM_FREE_GB} GB")


def _compute() -> Iterator[Finding]:
    try:
        import torch

        from gptmill import compute, params

        machine = compute.prepare(params.load().compute, seed=0)
    except (ImportError, GptmillError):
        return  # told elsewhere
    precision = "bf16" if machine.bf16 else "float32"
    yield Finding("compute", f"{machine.device}, {precision}, {torch.get_num_threads()} threads")


def _project() -> Iterator[Finding]:
    from gptmill import params
    from gptmill.params import profiles

    try:
        yield Finding("params", f"valid, profile {profiles.matching(params.load()) or 'of your own'}")
    except GptmillError as error:
        yield Finding("params", str(error), "put it right, or go back: gptmill params use sample --force")
    if not paths.GRAPH.exists():
        yield Finding("graph", f"no {paths.GRAPH} here", "go to the project's root")
        return
    status = subprocess.run([sys.executable, "-m", "dvc", "status", "--quiet"], capture_output=True, text=True, check=False)
    yield Finding(
        "stages", "up to date" if status.returncode == 0 else "not all up to date: `dvc status` says which, `dvc repro` runs them"
    )


def _data_and_models() -> Iterator[Finding]:
    for what, path in {
        "data": paths.RAW,
        "base model": paths.BASE_MODEL / "model.safetensors",
        "classifier": paths.CLASSIFIER_MODEL / "model.safetensors",
        "instruct model": paths.INSTRUCT_MODEL / "model.safetensors",
        "report": paths.REPORT,
    }.items():
        yield Finding(what, str(path) if path.exists() else "not made yet: `make run` makes it")
    for name in ("corpus", "spam", "instructions"):
        if (record := paths.source_record(name)).exists():
            yield _source(name, record)
    if mirror := os.environ.get("GPTMILL_MIRROR"):
        there = mirror.startswith(("http://", "https://")) or Path(mirror).is_dir()
        yield Finding(
            "mirror",
            addresses.shown(mirror),
            "" if there else "there is no such folder: set GPTMILL_MIRROR to one, or unset it",
        )


def _source(name: str, record: Path) -> Finding:
    from gptmill import files

    try:
        return Finding(f"source of {name}", str(files.read_json(record)["origin"]))
    except (ValueError, KeyError, TypeError):
        return Finding(f"source of {name}", f"{record} can't be read", f"delete it, then: dvc repro download@{name}")


def _servers() -> Iterator[Finding]:
    tracking, prefect = os.environ.get("MLFLOW_TRACKING_URI"), os.environ.get("PREFECT_API_URL")
    if tracking and tracking.startswith("http"):
        yield _answers("MLflow", tracking, "/health", "unset MLFLOW_TRACKING_URI to track in mlflow.db")
    else:
        yield Finding("MLflow", addresses.shown(tracking) if tracking else "mlflow.db in this folder; `make ui` shows it")
    if prefect:
        yield _answers("Prefect", prefect, "/health", "unset PREFECT_API_URL to have flows bring their own server")
    else:
        yield Finding("Prefect", "each flow brings a server of its own")


def _answers(what: str, address: str, path: str, otherwise: str) -> Finding:
    import httpx

    shown = addresses.shown(address)
    try:
        httpx.get(address.rstrip("/") + path, timeout=3).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(what, f"{shown} does not answer ({type(error).__name__})", f"start it (make ui), or {otherwise}")
    return Finding(what, shown)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_environment, _project, _compute, _data_and_models, _servers)
