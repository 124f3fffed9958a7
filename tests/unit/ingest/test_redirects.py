"""Where a redirect may lead, and what it may take along."""

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from gptmill.ingest import download, redirects

CONTENT = b"The Verdict\n" * 50


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
    "198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%lo", "fc00::1",
    "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::", "2001:0:1:1:0:0:80ff:fffe",
])  # fmt: skip
def test_addresses_inside_are_told(address):
    assert not redirects.is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.15.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_addresses_of_the_public_network_are_told(address):
    assert redirects.is_public(address)


def guard_after(url: str, *, pinned: bool = True) -> redirects.Guard:
    guard = redirects.Guard(pinned=pinned)
    guard.on_request(httpx.Request("GET", url))
    return guard


@pytest.mark.parametrize("host", [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "169.254.169.254", "2852039166",
    "[::1]", "[::ffff:7f00:1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "0",
])  # fmt: skip
def test_an_address_that_is_written_as_a_number_is_refused_before_any_connection_in_each_spelling(host):
    with pytest.raises(redirects.RedirectRefused, match="not on the public network.*GPTMILL_ALLOW_PRIVATE_REDIRECTS=1"):
        guard_after("http://8.8.8.8/a").on_request(httpx.Request("GET", f"http://{host}/b"))


def test_https_leads_to_http_only_where_a_hash_protects_what_comes():
    guard_after("https://8.8.8.8/a").on_request(httpx.Request("GET", "http://8.8.4.4/a"))
    guard_after("http://8.8.8.8/a", pinned=False).on_request(httpx.Request("GET", "https://8.8.4.4/a"))
    with pytest.raises(redirects.RedirectRefused, match="from https to http .8.8.4.4.*set its sha256"):
        guard_after("https://8.8.8.8/a", pinned=False).on_request(httpx.Request("GET", "http://8.8.4.4/a"))


# --- with real servers: 127.0.0.1 stands for the public network, 127.0.0.2 is inside ---


@pytest.fixture
def hosts(serve, monkeypatch, tmp_path) -> Callable:
    """`hosts(locations)` gives the port of servers at 127.0.0.1 and 127.0.0.2 that redirect from each path of `locations`."""
    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(redirects, "is_public", lambda address: address == "127.0.0.1")
    servers = []

    def start(locations: dict[str, str]) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append((self.server.server_address[0], self.path, self.headers.get("Authorization")))
                to = locations.get(self.path, "").replace("PORT", str(port))
                self.send_response(302 if to else 200)
                self.send_header(*(("Location", to) if to else ("X", "y")))
                self.send_header("Content-Length", str(0 if to else len(CONTENT)))
                self.end_headers()
                self.wfile.write(b"" if to else CONTENT)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        for host in ("127.0.0.1", "127.0.0.2"):
            servers.append(ThreadingHTTPServer((host, port), Handler))
            threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return port

    seen = start.seen = []
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fetched(url: str, tmp_path) -> bytes:
    download.download(url, tmp_path / "file", "corpus", None, 1 << 20)
    return (tmp_path / "file").read_bytes()


OUTSIDE, INSIDE = "http://127.0.0.1:PORT", "http://127.0.0.2:PORT"


@pytest.mark.parametrize(("first", "locations"), [
    (f"{OUTSIDE}/data", {}),
    (f"{INSIDE}/data", {}),  # the user's own word
    (f"{OUTSIDE}/a", {"/a": f"{OUTSIDE}/b", "/b": f"{OUTSIDE}/data"}),
    (f"{INSIDE}/a", {"/a": f"{INSIDE}/b", "/b": f"{INSIDE}/data"}),
    (f"{INSIDE}/a", {"/a": f"{OUTSIDE}/data"}),
    (f"{OUTSIDE}/a", {"/a": "/data"}),
])  # fmt: skip
def test_redirects_are_followed_outside_and_from_the_inside(hosts, tmp_path, first, locations):
    assert fetched(first.replace("PORT", str(hosts(locations))), tmp_path) == CONTENT


@pytest.mark.parametrize(("first", "locations"), [
    (f"{OUTSIDE}/a", {"/a": f"{INSIDE}/data"}),
    (f"{OUTSIDE}/a", {"/a": f"{OUTSIDE}/b", "/b": f"{INSIDE}/data"}),
    (f"{INSIDE}/a", {"/a": f"{OUTSIDE}/b", "/b": f"{INSIDE}/data"}),
    (f"{OUTSIDE}/a", {"/a": "http://metadata.test:PORT/data"}),  # a name
    (f"{OUTSIDE}/a", {"/a": "//127.0.0.2:PORT/data"}),
    (f"{OUTSIDE}/a", {"/a": "http://2130706434:PORT/data"}),
])  # fmt: skip
def test_a_public_server_does_not_lead_inside_and_nothing_is_sent_there(
    hosts, tmp_path, waits, monkeypatch, first, locations
):
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve(
        "127.0.0.2" if host == "metadata.test" and not more.get("flags") else host, *rest, **more))  # fmt: skip
    port = hosts(locations)
    url = first.replace("PORT", str(port))
    with pytest.raises(
        download.Rejected,
        match=r"redirects to .*127.0.0.2.*not on the public network.*GPTMILL_ALLOW_PRIVATE_REDIRECTS=1",
    ):
        fetched(url, tmp_path)
    assert not any(path == "/data" for _, path, _ in hosts.seen) and waits == []
    monkeypatch.setenv("GPTMILL_ALLOW_PRIVATE_REDIRECTS", "1")
    assert fetched(url, tmp_path) == CONTENT


def test_a_password_does_not_follow_to_another_server(hosts, tmp_path):
    port = hosts({"/a": f"{OUTSIDE}/b", "/b": f"{INSIDE}/data"})
    with pytest.raises(download.Rejected):
        fetched(f"http://me:pass@127.0.0.1:{port}/a", tmp_path)
    other = hosts({"/a": f"http://127.0.0.1:{port}/data"})
    assert fetched(f"http://me:pass@127.0.0.1:{other}/a", tmp_path) == CONTENT
    assert [bool(sent) for _, _, sent in hosts.seen] == [True, True, True, False]


def test_with_a_proxy_it_is_the_proxy_that_is_connected_to(hosts, tmp_path, monkeypatch):
    """It may be inside. What it reaches by name is up to it; an address inside that is written as one is refused all the same."""
    port = hosts({"http://data.test/a": "http://elsewhere.test/data", "http://data.test/b": "http://10.0.0.1/data"})
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.2:{port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.2:{port}")
    assert fetched("http://data.test/a", tmp_path) == CONTENT
    assert [path for _, path, _ in hosts.seen] == ["http://data.test/a", "http://elsewhere.test/data"]
    with pytest.raises(download.Rejected, match="redirects to 10.0.0.1"):
        fetched("http://data.test/b", tmp_path)


@pytest.mark.parametrize("proxy", ["foo://me:pass@proxy:1", "socks5://me:pass@proxy:1"])
def test_an_invalid_proxy_is_one_message(tmp_path, monkeypatch, proxy):
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(download.Rejected, match="proxy or certificates can't be used.*HTTPS_PROXY") as caught:
        fetched("http://data.test/a", tmp_path)
    assert "pass" not in str(caught.value)


def test_an_invalid_location_is_one_message(hosts, tmp_path, waits):
    with pytest.raises(download.DownloadError, match="Invalid URL in location header"):
        fetched(f"http://127.0.0.1:{hosts({'/a': 'http://0177.0.0.1/data'})}/a", tmp_path)
