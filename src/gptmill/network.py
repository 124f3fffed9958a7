"""When to ask a server again: the same answer for downloads and for judges."""

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter


def retrying(attempts: int, longest_wait: float) -> Retrying:
    """Calls a function again, ever more slowly, as long as what it raised may pass; the last error is raised as it is."""
    return Retrying(
        retry=retry_if_exception(may_pass),
        stop=stop_after_attempt(attempts),
        wait=wait_exponential_jitter(multiplier=0.5, max=longest_wait),
        reraise=True,
    )


def may_pass(error: BaseException) -> bool:
    """A broken line, or a server that is busy or failing, may be better in a moment. A page that is not there stays away."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == httpx.codes.TOO_MANY_REQUESTS or error.response.is_server_error
    return isinstance(error, httpx.TransportError)
