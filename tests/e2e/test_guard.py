"""No web page can make a server do things: a foreign Host or Origin is refused, by Prefect's server, by MLflow's, and in compose.yaml."""

import asyncio

import httpx
import pytest
from httpx import ASGITransport

from gptmill.commands import servers
from pipelines import guard
from pipelines.guard import Guard

PORT = 4200


async def app(scope, receive, send) -> None:
    """What is guarded: it takes everything."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def status(headers: dict[str, str], method: str = "POST") -> int:
    async def ask() -> int:
        async with httpx.AsyncClient(
            transport=ASGITransport(Guard(app, ["prefect"])), base_url=f"http://127.0.0.1:{PORT}"
        ) as client:
            return (await client.request(method, "/api/flows/", headers=headers, content=b'{"name": "x"}')).status_code

    return asyncio.run(ask())


OWN = ["127.0.0.1:4200", "localhost:4200", "LOCALHOST:4200", "[::1]:4200", "prefect:4200", "localhost"]
FOREIGN = [
    "evil.example", "evil.example:4200", "127.0.0.1.evil.example", "10.evil.example", "0.0.0.0:4200", "localhost.:4200", "localhost:x", "",
    "evil.example@127.0.0.1:4200", "[::1", "prefect.evil.example:4200",
]  # fmt: skip


@pytest.mark.parametrize("host", OWN)
def test_a_server_answers_to_its_own_names(host):
    assert status({"Host": host}) == 200


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_refused(host, method):
    assert status({"Host": host}, method) == 403


@pytest.mark.parametrize("origin", ["http://127.0.0.1:4200", "http://localhost:4200", "http://prefect:4200"])
def test_a_page_of_the_server_may_ask_it_under_any_of_its_names(origin):
    assert status({"Origin": origin}) == 200


@pytest.mark.parametrize("content", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://evil.example:4200",
        "null",
        "",
        "http://localhost:8888",
        "http://localhost",
        "file://",
        "http://[",
        "x",
    ],
)
def test_a_page_from_elsewhere_is_refused_whatever_it_sends(origin, content):
    assert status({"Origin": origin, "Content-Type": content}) == 403
    assert status({"Origin": origin}, "OPTIONS") == 403


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ([(b"host", b"127.0.0.1:4200")], "websocket.accept"),
        ([(b"host", b"127.0.0.1:4200"), (b"origin", b"http://localhost:4200")], "websocket.accept"),
        ([(b"host", b"127.0.0.1:4200"), (b"origin", b"http://evil.example")], "websocket.close"),
        ([(b"host", b"evil.example:4200")], "websocket.close"),
        ([(b"host", b"127.0.0.1:4200"), (b"host", b"evil.example")], "websocket.close"),
        ([], "websocket.close"),
    ],
)
def test_a_websocket_is_guarded_as_a_request_is(headers, answer):
    said: list[dict] = []

    async def send(message: dict) -> None:
        said.append(message)

    asyncio.run(Guard(app)({"type": "websocket", "headers": headers}, None, send))
    assert [message["type"] for message in said] == [answer]


def test_other_names_come_from_the_environment(monkeypatch):
    monkeypatch.setenv(guard.ALLOWED_HOSTS, "Prefect, prefect.example.org,")
    assert guard.allowed_hosts() == ["prefect", "prefect.example.org"]


def test_no_page_may_show_the_servers_page_in_a_frame():
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=ASGITransport(Guard(app)), base_url="http://localhost") as client:
            return await client.get("/")

    assert asyncio.run(ask()).headers["x-frame-options"] == "SAMEORIGIN"


# --- the servers themselves ---


def test_every_server_of_ours_is_started_behind_a_guard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for temporary in (False, True):
        assert "pipelines.guard:prefect" in servers.prefect(4200, temporary=temporary).arguments
    given = servers.mlflow(5000).arguments
    assert given[given.index("--allowed-hosts") + 1] == "127.0.0.1:5000,localhost:5000"
