"""Prefect's server: the one that `PREFECT_API_URL` names, or a temporary one; and cancellation of runs on it."""

import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings

from gptmill.commands import servers
from gptmill.core import addresses
from gptmill.core.errors import GptmillError

TIMEOUT = 10.0  # seconds
KEY_REQUIRED = (401, 403)
POLL = 1.5  # seconds between two requests of the run's state
LOGS = Path(".gptmill")


def require_server() -> None:
    """Raises `GptmillError` when `PREFECT_API_URL` names a server that does not answer."""
    import httpx

    if not (url := PREFECT_API_URL.value()):
        return
    try:
        with httpx.stream("GET", f"{url.rstrip('/')}/health", timeout=TIMEOUT) as answer:
            if answer.status_code not in KEY_REQUIRED:  # it answers, and Prefect's client has the key
                answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        where, why = addresses.redact_url(url), addresses.redact(str(error).partition("\n")[0])
        raise GptmillError(
            f"no Prefect server answers at PREFECT_API_URL={where} ({why}). Is it the API's address, which ends in "
            "/api? Start a server (`make ui`), unset PREFECT_API_URL to do without, or run the stages without Prefect: "
            "dvc repro"
        ) from None


@contextmanager
def server() -> Iterator[None]:
    """The server that `PREFECT_API_URL` names, or else a temporary server for this run.

    Not Prefect's own temporary server: that one shares the terminal's process group, so Ctrl-C ends it before it has
    stored the end of the run, and it has to start within 20 seconds. Raises `GptmillError` when there is no answer.
    """
    require_server()
    if PREFECT_API_URL.value():
        yield
        return
    temporary = servers.prefect(servers.free_port(), temporary=True)
    LOGS.mkdir(exist_ok=True)
    log = LOGS / f"prefect-server-{os.getpid()}.log"
    settings = {PREFECT_API_URL: temporary.settings["PREFECT_API_URL"], PREFECT_UI_URL: ""}  # no pages
    try:
        with servers.running(temporary, log=log), temporary_settings(settings):
            yield
    except GptmillError as error:
        raise GptmillError(f"{error}: {log}") from None
    log.unlink(missing_ok=True)


@contextmanager
def on_cancel(flow_runs: set[str], cancel: Callable[[], None]) -> Iterator[None]:
    """Call `cancel` once when one of these runs is cancelled on the server.

    Prefect itself ends only runs that a worker or `serve` started, and only their own process. The temporary server
    that Prefect starts for a flow called from Python is not polled: there is no way to cancel on it.
    """
    if not PREFECT_API_URL.value():
        yield
        return
    done = threading.Event()

    def poll() -> None:
        with get_client(sync_client=True) as client:
            runs = FlowRunFilter(id=FlowRunFilterId(any_=sorted(flow_runs)))
            while not done.wait(POLL):
                try:
                    states = [run.state for run in client.read_flow_runs(flow_run_filter=runs) if run.state]
                except Exception:  # noqa: BLE001 - a server that does not answer cancels nothing
                    continue
                if any(state.is_cancelling() or state.is_cancelled() for state in states):
                    cancel()
                    return

    # The server's address is in Prefect's context, which a new thread does not inherit.
    thread = threading.Thread(target=contextvars.copy_context().run, args=[poll], daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=TIMEOUT)
