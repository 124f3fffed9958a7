"""What the flow asks of Prefect's server: whether it answers, before anything starts, and whether the run was cancelled. Without one, the
flow starts a server that lives as long as the run.
"""

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

PATIENCE = 10.0  # seconds for a server to answer
WITH_A_KEY = (401, 403)
EVERY = 1.5  # seconds between two looks at the run's state
LOGS = Path(".gptmill")


def require_server() -> None:
    """Raises `GptmillError` when `PREFECT_API_URL` names a server that does not answer."""
    import httpx

    if not (url := PREFECT_API_URL.value()):
        return
    try:
        with httpx.stream("GET", f"{url.rstrip('/')}/health", timeout=PATIENCE) as answer:
            if answer.status_code not in WITH_A_KEY:  # somebody is there, and Prefect's client has the key
                answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        where, why = addresses.redact_url(url), addresses.redact(str(error).partition("\n")[0])
        raise GptmillError(
            f"no Prefect server answers at PREFECT_API_URL={where} ({why}). Is it the API's address, which ends in /api? "
            "Start a server (`make ui`), unset PREFECT_API_URL to do without, or run the stages without Prefect: dvc repro"
        ) from None


@contextmanager
def server() -> Iterator[None]:
    """The server that `PREFECT_API_URL` names; without one, a temporary server of our own.

    Prefect's own temporary server is in the terminal's group of processes, so that Ctrl-C ends it before it has heard of the run's end, and
    it has to start within 20 seconds. Raises `GptmillError` when the server does not answer.
    """
    require_server()
    if PREFECT_API_URL.value():
        yield
        return
    mine = servers.prefect(servers.free_port(), temporary=True)
    LOGS.mkdir(exist_ok=True)
    log = LOGS / f"prefect-server-{os.getpid()}.log"
    settings = {PREFECT_API_URL: mine.settings["PREFECT_API_URL"], PREFECT_UI_URL: ""}  # there is no page to be told of
    try:
        with servers.running(mine, log=log), temporary_settings(settings):
            yield
    except GptmillError as error:
        raise GptmillError(f"{error}: {log}") from None
    log.unlink(missing_ok=True)


@contextmanager
def watched(flow_runs: set[str], cancel: Callable[[], None]) -> Iterator[None]:
    """Call `cancel` once when one of these runs is cancelled on the server.

    Prefect itself ends only a run that was started by a worker or by `serve`, and only that run's own process. A server that Prefect starts
    for one run, of a flow that Python code calls, is not asked: nobody can cancel there.
    """
    if not PREFECT_API_URL.value():
        yield
        return
    done = threading.Event()

    def look() -> None:
        with get_client(sync_client=True) as client:
            these = FlowRunFilter(id=FlowRunFilterId(any_=sorted(flow_runs)))
            while not done.wait(EVERY):
                try:
                    found = client.read_flow_runs(flow_run_filter=these)
                except Exception:  # noqa: BLE001 - a server that is away for a moment cancels nothing
                    continue
                if any(run.state and (run.state.is_cancelling() or run.state.is_cancelled()) for run in found):
                    cancel()
                    return

    # Which server it is stands in Prefect's context, which a new thread has none of.
    thread = threading.Thread(target=contextvars.copy_context().run, args=[look], daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=PATIENCE)
