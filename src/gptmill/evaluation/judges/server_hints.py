"""Hints for a judge's server that gives no reply: its address, its scheme, a proxy, or the model's name."""

import ipaddress
import json
import os
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from gptmill.core import addresses

MODELS_NAMED, LONGEST_NAME = 8, 60
REFUSALS = (400, 404, 405, 422)  # statuses for an unknown address or model
BASE_URL = "base_url must be that of an OpenAI-compatible API, which ends with /v1 on most servers"


def of_error(error: httpx.HTTPError, base_url: str) -> str:
    """The likely cause of a failed request, or of a proxy's answer; "" where there is none."""
    scheme, message = urlsplit(base_url).scheme, str(error)
    if variable := _proxy_of(base_url):
        host = urlsplit(base_url).hostname
        return f"the request goes through the proxy in {variable}: if it should not, export NO_PROXY={host}"
    if isinstance(error, httpx.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in message:
        return "its certificate is not trusted here: name your authority's in SSL_CERT_FILE"
    if isinstance(error, httpx.ConnectError) and scheme == "https" and "SSL" in message:
        return "it seems to speak http, not https: let base_url begin with http://"
    if isinstance(error, httpx.HTTPStatusError) and error.response.is_redirect:
        return _of_redirect(error.response)
    if isinstance(error, httpx.HTTPStatusError) and scheme == "http" and "HTTPS" in message:  # Go's and nginx' servers
        return "it speaks https: let base_url begin with https://"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) and scheme == "http":
        return "if it speaks https, let base_url begin with https://"
    return ""


def _of_redirect(response: httpx.Response) -> str:
    """Where the server has moved to. Redirects are not followed: the request may hold a key."""
    try:
        target = addresses.redact_url(str(response.url.join(response.headers["Location"])))
    except (KeyError, ValueError, httpx.InvalidURL):
        return ""
    return f"it redirects to {_printable(target, 200)}: let base_url begin as that does"


def of_refusal(base_url: str, model: str, get: Callable[[str], bytes | None], status: int) -> str:
    """What the server's list of models tells of a refusal. `get`: the content of an address, or None."""
    base = base_url.rstrip("/")
    if (names := _models(get(f"{base}/models"))) is not None:
        if model in names or f"{model}:latest" in names:
            return ""
        return (
            f"it has no model {model}; it has {_listed(names, model)}"
            if names
            else f"it has no model yet: give it {model}"
        )
    parts = urlsplit(base)
    for other in () if base.endswith("/v1") else dict.fromkeys((f"{base}/v1", f"{parts.scheme}://{parts.netloc}/v1")):
        if _models(get(f"{other}/models")) is not None:
            return f"its OpenAI-compatible API is at {other}: set base_url to that"
    return BASE_URL if status in (404, 405) and not base.endswith("/v1") else ""


def _models(body: bytes | None) -> list[str] | None:
    """The names in a reply of `/models`; None for anything else."""
    try:
        return [model["id"] for model in json.loads(body or b"")["data"] or [] if isinstance(model["id"], str)]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def _listed(names: Sequence[str], model: str) -> str:
    near = get_close_matches(model, names, n=MODELS_NAMED, cutoff=0.4)
    shown = list(dict.fromkeys([*near, *names]))[:MODELS_NAMED]
    more = len(set(names)) - len(shown)
    return ", ".join(_printable(name, LONGEST_NAME) for name in shown) + (f" and {more} more" if more else "")


def _printable(text: str, longest: int) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:longest])


def _proxy_of(base_url: str) -> str | None:
    """The environment variable whose proxy a request to a local or private server goes through."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    kind = next((kind for kind in (parts.scheme, "all") if getproxies().get(kind)), None)
    if not kind or proxy_bypass(host) or not _is_near(host):
        return None
    names = (f"{kind}_proxy", f"{kind}_PROXY".upper())
    return next((name for name in names if name in os.environ), "the system's settings")


def _is_near(host: str) -> bool:
    """Whether the host is this machine, or one of a private network, which a proxy hardly reaches."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal"))
