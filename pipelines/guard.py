"""Prefect's server behind a guard that refuses foreign Host and Origin headers.

Prefect itself answers any Host and any Origin. So any web page open in the user's browser could start a run with a
command of its own (cross-site request forgery), or read the server's data by DNS rebinding to 127.0.0.1.

uvicorn --factory pipelines.guard:prefect --host 127.0.0.1 --port 4200          # what `make ui` and compose.yaml start
"""

import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

Message = MutableMapping[str, Any]
Receive, Send = Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ALLOWED_HOSTS = "GPTMILL_ALLOWED_HOSTS"  # more host names, as in compose.yaml or behind a proxy; separated by commas


class Guard:
    """ASGI middleware that answers 403 to a foreign Host or Origin, for requests and WebSockets alike.

    An Origin is allowed when its host is one of the server's names, and its port that of the request: a page of
    `localhost:4200` may ask `127.0.0.1:4200`, one of `localhost:8888` may not. Programs send no Origin; browsers always
    send one with cross-origin requests, except for reads whose response they hide from the page.
    """

    def __init__(self, app: App, names: Iterable[str] = ()) -> None:
        self.app, self.names = app, {*LOOPBACK, *names}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif self._allowed(scope["headers"]):
            await self.app(scope, receive, _deny_framing(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # not accepted: the server answers 403
        else:
            body = b"This server answers only to its own names (Host) and to its own pages (Origin).\n"
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def _allowed(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        decoded = [(name.lower(), value.decode("latin-1")) for name, value in headers]
        hosts = [_split(f"//{value}") for name, value in decoded if name == b"host"]
        origins = [_split(value) for name, value in decoded if name == b"origin"]
        if len(hosts) != 1 or not self._own(hosts[0]):
            return False
        return all(self._own(origin) and origin.port == hosts[0].port for origin in origins)

    def _own(self, address: SplitResult | None) -> bool:
        return address is not None and address.hostname in self.names


def _deny_framing(send: Send) -> Send:
    """Clickjacking protection: no page of another origin may show this one in a frame."""

    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"x-frame-options", b"SAMEORIGIN")]
        await send(message)

    return send_with_header


def _split(address: str) -> SplitResult | None:
    """None if the address is invalid."""
    try:
        split = urlsplit(address)
        split.port  # noqa: B018 - raises when it is not a number
    except ValueError:
        return None
    return None if "@" in split.netloc else split


def allowed_hosts() -> list[str]:
    return [name.strip().lower() for name in os.environ.get(ALLOWED_HOSTS, "").split(",") if name.strip()]


def prefect() -> App:
    """Prefect's API, pages and services, as `prefect server start` has them."""
    os.environ.setdefault("PREFECT_HOME", str(Path.cwd() / ".prefect"))  # as in `pipelines`
    from prefect.server.api.server import create_app

    return Guard(create_app(final=True), allowed_hosts())
