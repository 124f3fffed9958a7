"""When to ask a server again: the same answer for downloads and for judges."""

from collections.abc import Callable

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter


def retrying(attempts: int, longest_wait: float, enough: Callable[[], bool] = lambda: False) -> Retrying:
    """Calls a function again, ever more slowly, as long as what it raised may pass and it is not `enough`; the last error is raised."""
    return Retrying(
        retry=retry_if_exception(may_pass),
        stop=stop_after_attempt(attempts) | (lambda _: enough()),
        wait=wait_exponential_jitter(multiplier=0.5, max=longest_wait),
        reraise=True,
    )


def may_pass(error: BaseException) -> bool:
    """A broken line, or a server that is busy or failing, may be better in a moment. A page that is not there stays away."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == httpx.codes.TOO_MANY_REQUESTS or error.response.is_server_error
    return isinstance(error, httpx.TransportError)


def reason(error: Exception) -> str:
    """What went wrong with a request, in plain words and without its address, which may hold secrets."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answers {error.response.status_code} {error.response.reason_phrase}".rstrip()
    said = str(error).partition("\n")[0]
    if isinstance(error, httpx.TimeoutException):
        return "the server does not answer in time" if isinstance(error, httpx.ConnectTimeout) else "the server has stopped sending"
    what = {
        httpx.ConnectError: "no connection",
        httpx.RemoteProtocolError: "the connection broke",
        httpx.ReadError: "the connection broke",
        httpx.TooManyRedirects: "it redirects in a circle",
        httpx.UnsupportedProtocol: "it redirects to something else than http or https",
    }.get(type(error), "the request failed")
    return f"{what} ({said})" if said else what
