"""When to ask a server again: the same answer for downloads and for judges."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

PATIENCE = 120  # seconds: a server that asks for a longer pause is given up


def retrying(
    attempts: int,
    longest_wait: float,
    enough: Callable[[], bool] = lambda: False,
    also: tuple[type[Exception], ...] = (),
) -> Retrying:
    """Calls a function again, ever more slowly, as long as what it raised may pass and it is not `enough`; the last error is raised.

    `also` are errors of the caller's own that may pass. A server that says how long to wait (`Retry-After`) is not asked before that.
    """
    backoff = wait_exponential_jitter(multiplier=0.5, max=longest_wait)

    def asked_pause(state: RetryCallState) -> float:
        return retry_after(state.outcome.exception()) if state.outcome else 0.0

    return Retrying(
        retry=retry_if_exception(lambda error: is_transient(error) or isinstance(error, also)),
        stop=stop_after_attempt(attempts) | (lambda state: enough() or asked_pause(state) > PATIENCE),
        wait=lambda state: max(backoff(state), asked_pause(state)),
        reraise=True,
    )


def is_transient(error: BaseException) -> bool:
    """A broken line, or a server that is busy or failing, may be better in a moment. A page that is not there stays away."""
    if isinstance(error, httpx.HTTPStatusError):
        passing = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT)
        return error.response.status_code in passing or error.response.is_server_error
    return isinstance(error, httpx.TransportError)


def retry_after(error: BaseException | None) -> float:
    """The seconds that the server asks to wait, by RFC 9110 10.2.3 a number or a date; 0 when it says nothing that can be understood."""
    said = error.response.headers.get("Retry-After", "").strip() if isinstance(error, httpx.HTTPStatusError) else ""
    try:
        seconds = (
            float(said) if said.isascii() and said.isdigit() else parsedate_to_datetime(said).timestamp() - time.time()
        )
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, seconds)


def reason(error: Exception) -> str:
    """What went wrong with a request, in plain words and without its address, which may hold secrets."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answers {error.response.status_code} {error.response.reason_phrase}".rstrip()
    said = str(error).partition("\n")[0]
    if isinstance(error, httpx.TimeoutException):
        return (
            "the server does not answer in time"
            if isinstance(error, httpx.ConnectTimeout)
            else "the server has stopped sending"
        )
    what = {
        httpx.ConnectError: "no connection",
        httpx.RemoteProtocolError: "the connection broke",
        httpx.ReadError: "the connection broke",
        httpx.TooManyRedirects: "it redirects in a circle",
        httpx.UnsupportedProtocol: "it redirects to something else than http or https",
    }.get(type(error), "the request failed")
    return f"{what} ({said})" if said else what
