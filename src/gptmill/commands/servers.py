"""MLflow's and Prefect's servers as processes: started, waited for until they answer, and ended with all that they started."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gptmill import tracking
from gptmill.commands.watchdog import Watchdog
from gptmill.core import addresses
from gptmill.core.errors import GptmillError

HOST = "127.0.0.1"
GRACE = 2.0  # seconds for a server to end in; then it is killed: what it was told, it has written
PATIENCE = 120  # seconds until a server has to answer; a first start makes its database, which takes 15 to 25


@dataclass(frozen=True)
class Server:
    """What `python -m` starts, the address of its page, and the address that answers once it serves."""

    name: str
    arguments: tuple[str, ...]
    url: str
    health: str
    settings: Mapping[str, str] = field(default_factory=dict)  # variables of its environment


def mlflow(port: int) -> Server:
    """MLflow's, on the store that the stages log to. Raises `GptmillError` when that is a server already."""
    if addresses.scheme(store := tracking.store()) in ("http", "https"):
        raise GptmillError(
            "MLFLOW_TRACKING_URI names a server already: open that one, or unset it for the store in this folder"
        )
    arguments = (
        "mlflow",
        "server",
        "--backend-store-uri",
        store,
        "--host",
        HOST,
        "--port",
        str(port),
        "--workers",
        "1",
    )
    # Not a line for each thing that a page asks for. A page that is open does not keep the server from ending.
    arguments += ("--uvicorn-opts", "--log-level=warning --timeout-graceful-shutdown=1")
    # Without these, MLflow also answers to any name that begins as a private address does: 10.evil.example.
    arguments += ("--allowed-hosts", f"{HOST}:{port},localhost:{port}")
    # Its queues of jobs, a handful of processes, serve evaluations that are started from the page: not ours.
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return Server("MLflow", arguments, f"http://{HOST}:{port}", f"http://{HOST}:{port}/health", settings)


def prefect(port: int, *, temporary: bool = False, project: Path = Path()) -> Server:
    """Prefect's, behind `guard`. Its page asks port 4200 unless it is told, whatever the server's own.

    A `temporary` one serves a single run: it has no pages, and keeps no schedules.
    """
    api = f"http://{HOST}:{port}/api"
    arguments = ("uvicorn", "--app-dir", str(project.absolute()), "--factory", "pipelines.guard:prefect")
    arguments += ("--host", HOST, "--port", str(port), "--log-level", "warning", "--timeout-graceful-shutdown", "1")
    settings = {"PREFECT_API_URL": api, "PREFECT_UI_API_URL": api}
    if temporary:
        settings |= {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT_UI_ENABLED": "0"}
    return Server("Prefect", arguments, f"http://{HOST}:{port}", f"{api}/health", settings)


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def check_free(server: Server) -> None:
    """Raises `GptmillError` when something listens where the server would."""
    port = httpx.URL(server.url).port
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise GptmillError(
                f"port {port} is taken: stop what listens there, or choose another with --{server.name.lower()}-port"
            )


@contextmanager
def running(
    *servers: Server, environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[list[subprocess.Popen]]:
    """The servers, started side by side; all answer when the body begins, all are gone when it ends.

    What they print goes to `log`, else to where this process prints. Raises `GptmillError` when one ends early or does not answer.
    """
    given = os.environ if environment is None else environment
    processes: list[subprocess.Popen] = []
    with Watchdog() as watchdog:
        try:
            for server in servers:
                check_free(server)
            for server in servers:
                with log.open("ab") if log else open(os.dup(sys.stderr.fileno()), "wb") as output:
                    processes.append(
                        subprocess.Popen(
                            [sys.executable, "-m", *server.arguments],
                            env={**given, **server.settings},
                            stdin=subprocess.DEVNULL,
                            stdout=output,
                            stderr=subprocess.STDOUT,
                            start_new_session=True,  # so that what it starts can be ended with it, and Ctrl-C reaches it through us alone
                        )
                    )
                watchdog.add(processes[-1].pid, GRACE)
            for server, process in zip(servers, processes, strict=True):
                await_answer(server, process)
            yield processes
        finally:
            stop(processes)


def await_answer(server: Server, process: subprocess.Popen) -> None:
    """Raises `GptmillError` when the process ends first, or when the server does not answer in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise GptmillError(f"{server.name} ended with {process.returncode}; what it printed says why")
        with suppress(httpx.TransportError):
            if httpx.get(server.health, timeout=5).is_success:
                return
        time.sleep(0.2)
    raise GptmillError(
        f"{server.name} did not answer at {server.health} within {PATIENCE} seconds; what it printed may say why"
    )


def stop(processes: list[subprocess.Popen], patience: float = GRACE) -> None:
    """Ask each process, and all that it started, to end; end what is still there `patience` seconds later."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + patience
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen, number: int) -> None:
    with suppress(ProcessLookupError):  # gone already, with all that it started
        os.killpg(process.pid, number)
