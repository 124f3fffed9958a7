"""The retry policy of downloads and of judges: exponential backoff with jitter, and `Retry-After`."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

LONGEST_RETRY_AFTER = 120  # seconds; a server that asks for a longer wait is not asked again


def retrying(
    attempts: int,
    longest_wait: float,
    stop: Callable[[], bool] = lambda: False,
    also_retry: tuple[type[Exception], ...] = (),
) -> Retrying:
    """Retries a function on transient errors with exponential backoff, until `stop()`; the last error is raised.

    `also_retry`: further transient errors. `longest_wait`: seconds, unless `Retry-After` asks for more.
    """
    backoff = wait_exponential_jitter(multiplier=0.5, max=longest_wait)

    def requested(state: RetryCallState) -> float:
        return retry_after(state.outcome.exception()) if state.outcome else 0.0

    return Retrying(
        retry=retry_if_exception(lambda error: is_transient(error) or isinstance(error, also_retry)),
        stop=stop_after_attempt(attempts) | (lambda state: stop() or requested(state) > LONGEST_RETRY_AFTER),
        wait=lambda state: max(backoff(state), requested(state)),
        reraise=True,
    )


def is_transient(error: BaseException) -> bool:
    """A broken connection, a time-out, a rate limit (429) or a server error: a retry may succeed."""
    if isinstance(error, httpx.HTTPStatusError):
        transient = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT)
        return error.response.status_code in transient or error.response.is_server_error
    return isinstance(error, httpx.TransportError)


def retry_after(error: BaseException | None) -> float:
    """Seconds to wait by `Retry-After`, a number or a date (RFC 9110, 10.2.3); 0 where absent or malformed."""
    value = error.response.headers.get("Retry-After", "").strip() if isinstance(error, httpx.HTTPStatusError) else ""
    try:
        if value.isascii() and value.isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def reason(error: Exception) -> str:
    """Why a request failed, for people. Without its address, which may hold secrets."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answers {error.response.status_code} {error.response.reason_phrase}".rstrip()
    if isinstance(error, httpx.TimeoutException):
        connecting = isinstance(error, httpx.ConnectTimeout)
        return "the server does not answer in time" if connecting else "the server has stopped sending"
    what = {
        httpx.ConnectError: "no connection",
        httpx.RemoteProtocolError: "the connection broke",
        httpx.ReadError: "the connection broke",
        httpx.TooManyRedirects: "it redirects in a circle",
        httpx.UnsupportedProtocol: "it redirects to something else than http or https",
    }.get(type(error), "the request failed")
    message = str(error).partition("\n")[0]
    return f"{what} ({message})" if message else what
