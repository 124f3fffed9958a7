"""HTTP GET that follows redirects, but not from the public network into a private one (server-side request forgery).

The user chooses the addresses in params.yaml, a server chooses its `Location` headers: followed blindly, they would
make this machine train on what only it can reach (cloud metadata, an intranet, its own ports). So a public server may
not redirect to addresses that are not globally routed (loopback, link-local, private, shared, …). Every hop counts.
From a private address (an intranet mirror) redirects may lead anywhere, until one of them has led outside.

The check is of the address that the socket is connected to, before a byte is sent: a name that resolves differently
each time (DNS rebinding) gains a TCP handshake at most. A proxy (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`) resolves
names itself: then only numeric addresses are checked here, the rest is up to the proxy's rules.
"""

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from gptmill.core import addresses

ALLOW = "GPTMILL_ALLOW_PRIVATE_REDIRECTS"
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")  # RFC 4291 2.4, as far as it is assigned
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_PORTS = {"http": 80, "https": 443}


class RedirectRefused(Exception):
    """A redirect that is not followed; the message says why, and how to allow it."""


@contextmanager
def get(url: str, headers: dict[str, str], timeout: float, *, pinned: bool) -> Iterator[httpx.Response]:
    """The response of the last hop, as a stream. `pinned`: a hash protects the file, so https may redirect to http.

    Raises `RedirectRefused`, and what httpx raises.
    """
    guard = Guard(pinned=pinned)
    hooks = {"request": [guard.on_request]}
    limits = httpx.Limits(max_keepalive_connections=0)  # no connection is reused: each hop's is checked
    try:
        client = httpx.Client(timeout=timeout, follow_redirects=True, limits=limits, event_hooks=hooks)
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        reason = addresses.redact(str(error).partition("\n")[0])
        raise RedirectRefused(
            f"the environment's proxy or certificates can't be used ({reason}): see HTTPS_PROXY and SSL_CERT_FILE"
        ) from None
    with client, client.stream("GET", url, headers=headers, extensions={"trace": guard.on_trace}) as response:
        yield response


class Guard:
    """Follows the hops of one request, by httpx's event hook and its trace extension."""

    def __init__(self, *, pinned: bool) -> None:
        self._pinned = pinned
        self._url: httpx.URL | None = None  # of this hop
        self._direct = False  # whether this hop's connection is to its server, not to a proxy
        self._outside = False  # whether a hop has led to the public network

    def on_request(self, request: httpx.Request) -> None:
        before, self._url = self._url, request.url
        if before and before.scheme == "https" and request.url.scheme == "http" and not self._pinned:
            raise RedirectRefused(
                f"it redirects from https to http ({request.url.host}), where anyone on the way can change the file: "
                "set its sha256, or use the http address itself"
            )
        if address := _numeric(request.url.host):
            self._check(address)

    def on_trace(self, event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            server = (self._url.raw_host.decode("ascii"), self._url.port or _PORTS.get(self._url.scheme))
            self._direct = (info["host"], info["port"]) == server
            # A name behind a proxy counts as public.
            self._outside |= not self._direct and not _numeric(self._url.host)
        elif event == "connection.connect_tcp.complete" and self._direct:
            stream = info["return_value"]
            try:
                self._check(stream.get_extra_info("server_addr")[0])
            except RedirectRefused:
                stream.close()
                raise

    def _check(self, address: str) -> None:
        if is_public(address):
            self._outside = True
        elif self._outside and os.environ.get(ALLOW) != "1":
            host = self._url.host
            what = host if host == address else f"{host} ({address})"
            raise RedirectRefused(
                f"it redirects to {what}, which is not on the public network: if that is right, set {ALLOW}=1"
            )


def is_public(address: str) -> bool:
    """Whether an IP address is globally routed. An embedded IPv4 address (mapped, 6to4, NAT64, Teredo) decides."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast
    nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
    if inner := ip.ipv4_mapped or ip.sixtofour or nat64 or (ip.teredo and ip.teredo[1]):
        return is_public(str(inner))
    return ip in _GLOBAL_IPV6 and ip.is_global


def _numeric(host: str) -> str | None:
    """A numeric host as an IP address, in every spelling of the resolver (also 2130706433, 0x7f.1); None for a name."""
    try:
        return str(socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4][0])
    except (OSError, UnicodeError):
        return None
