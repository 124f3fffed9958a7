"""MLflow's and Prefect's servers as subprocesses: start, wait until they answer, stop with all their children."""

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
from gptmill.commands.watchdog import Watchdog, signal_group
from gptmill.core import addresses
from gptmill.core.errors import GptmillError

HOST = "127.0.0.1"
GRACE = 2.0  # seconds from SIGTERM to SIGKILL; acknowledged requests are stored already
TIMEOUT = 120  # seconds until a server answers; a first start takes 15 to 25, for its database


@dataclass(frozen=True)
class Server:
    name: str
    arguments: tuple[str, ...]  # of `python -m`
    url: str  # of its pages
    health: str  # URL that answers once it serves
    settings: Mapping[str, str] = field(default_factory=dict)  # environment variables


def mlflow(port: int) -> Server:
    """MLflow's server of the store that stages log to. Raises `GptmillError` when that store is a server already."""
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
    # No access log. An open page does not delay the shutdown.
    arguments += ("--uvicorn-opts", "--log-level=warning --timeout-graceful-shutdown=1")
    # By default MLflow also accepts any host name that begins like a private address: 10.evil.example.
    arguments += ("--allowed-hosts", f"{HOST}:{port},localhost:{port}")
    # No job queues, several processes for evaluations started from the page.
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return Server("MLflow", arguments, f"http://{HOST}:{port}", f"http://{HOST}:{port}/health", settings)


def prefect(port: int, *, temporary: bool = False, project: Path = Path()) -> Server:
    """Prefect's server behind `pipelines.guard`. A `temporary` one serves a single run: no pages, no schedules."""
    api = f"http://{HOST}:{port}/api"
    arguments = ("uvicorn", "--app-dir", str(project.absolute()), "--factory", "pipelines.guard:prefect")
    arguments += ("--host", HOST, "--port", str(port), "--log-level", "warning", "--timeout-graceful-shutdown", "1")
    settings = {"PREFECT_API_URL": api, "PREFECT_UI_API_URL": api}  # its pages ask port 4200 by default
    if temporary:
        settings |= {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT_UI_ENABLED": "0"}
    return Server("Prefect", arguments, f"http://{HOST}:{port}", f"{api}/health", settings)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def check_free(server: Server) -> None:
    """Raises `GptmillError` when the server's port is taken."""
    port = httpx.URL(server.url).port
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            option = f"--{server.name.lower()}-port"
            raise GptmillError(f"port {port} is taken: stop the process that uses it, or choose another with {option}")


@contextmanager
def running(
    *servers: Server, environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[list[subprocess.Popen]]:
    """Start servers in parallel, wait until all answer, and stop them at the end.

    Output goes to `log`, default stderr. Raises `GptmillError` when a server ends early or does not answer.
    """
    environment = os.environ if environment is None else environment
    processes: list[subprocess.Popen] = []
    with Watchdog() as watchdog:
        try:
            for server in servers:
                check_free(server)
            for server in servers:
                with log.open("ab") if log else open(os.dup(sys.stderr.fileno()), "wb") as output:
                    options = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
                    # A process group of its own: Ctrl-C reaches it through `stop` alone.
                    options |= {"env": {**environment, **server.settings}, "start_new_session": True}
                    processes.append(subprocess.Popen([sys.executable, "-m", *server.arguments], **options))
                watchdog.add(processes[-1].pid, GRACE)
            for server, process in zip(servers, processes, strict=True):
                await_answer(server, process)
            yield processes
        finally:
            stop(processes)


def await_answer(server: Server, process: subprocess.Popen) -> None:
    """Raises `GptmillError` when the process ends, or does not answer within `TIMEOUT`."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise GptmillError(f"{server.name} ended with {process.returncode}; see its output")
        with suppress(httpx.TransportError):
            if httpx.get(server.health, timeout=5).is_success:
                return
        time.sleep(0.2)
    raise GptmillError(f"{server.name} did not answer at {server.health} within {TIMEOUT} seconds; see its output")


def stop(processes: list[subprocess.Popen], grace: float = GRACE) -> None:
    """SIGTERM to the group of each process, and SIGKILL `grace` seconds later."""
    for process in processes:
        signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
