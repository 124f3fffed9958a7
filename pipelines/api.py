"""What the flow asks of Prefect's server: whether it answers, before anything starts, and whether somebody has cancelled the run."""

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.settings import PREFECT_API_URL

from gptmill.errors import GptmillError
from gptmill.params import addresses

PATIENCE = 10.0  # seconds for a server to answer
WITH_A_KEY = (401, 403)
EVERY = 1.5  # seconds between two looks at the run's state


def require_server() -> None:
    """Raises `GptmillError` when `PREFECT_API_URL` names a server that does not answer. Without one, Prefect starts one for the run."""
    import httpx

    if not (url := PREFECT_API_URL.value()):
        return
    try:
        with httpx.stream("GET", f"{url.rstrip('/')}/health", timeout=PATIENCE) as answer:
            if answer.status_code not in WITH_A_KEY:  # somebody is there, and Prefect's client has the key
                answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        where, why = addresses.shown(url), addresses.without_secrets(str(error).partition("\n")[0])
        raise GptmillError(
            f"no Prefect server answers at PREFECT_API_URL={where} ({why}). Is it the API's address, which ends in /api? "
            "Start a server (`make ui`), unset PREFECT_API_URL to do without, or run the stages without Prefect: dvc repro"
        ) from None


@contextmanager
def watched(flow_runs: set[str], cancel: Callable[[], None]) -> Iterator[None]:
    """Call `cancel` once when one of these runs is cancelled on the server.

    Prefect itself ends only a run that was started by a worker or by `serve`, and only that run's own process. A server that Prefect starts
    for one run is not asked: it is nowhere that somebody could cancel from.
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
