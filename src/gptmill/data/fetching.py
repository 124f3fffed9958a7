"""Bytes from http and https onto this disk: with retries, resumed after a break, checked, and never more than was allowed.

What is fetched goes into a cache of its own (`GPTMILL_CACHE`, by default `~/.cache/gptmill`). A download that broke leaves a `.part` there,
and what the server said of the file beside it (`.seen`): the next attempt, or the next run, goes on only when it is still the same file.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from gptmill import files
from gptmill.errors import GptmillError
from gptmill.params import addresses

ATTEMPTS = 5
TIMEOUT_SECONDS = 20  # without a single byte
STALLED_SECONDS = 60  # without a byte more than there was, over all attempts; or with fewer than SLOWEST a second
SLOWEST = 100  # bytes a second
CHUNK = 1 << 20
ADVICE = "Check the network, or point GPTMILL_MIRROR at a folder that has the file."
PAGES = ("text/html", "application/xhtml+xml")


class NotHad(Exception):
    """An address that does not give its file; the text says why. Another one may."""


class Differs(Exception):
    """What came is not what was expected; the text is its SHA-256. Nothing of it was kept."""


class TooLarge(Exception):
    """What comes is more than was allowed. Nothing of it was kept."""


class NotThere(NotHad):
    """The server answers, and has no such file."""


def mirror() -> str:
    """What is asked before the public addresses: a folder or an http(s) prefix; "" when there is none."""
    return os.environ.get("GPTMILL_MIRROR", "").rstrip("/")


def cache() -> Path:
    return Path(os.environ.get("GPTMILL_CACHE") or Path.home() / ".cache" / "gptmill")


def is_remote(address: str) -> bool:
    return addresses.scheme(address) in addresses.REMOTE


def download(url: str, to: Path, name: str, expected: str | None, limit: int | None, *, refuse_pages: bool = False) -> None:
    """The file at an http(s) address. `expected` is its SHA-256, `limit` bytes are the most that are read.

    Raises `NotHad` when it can't be had, and `Differs` or `TooLarge` when it is not what was expected.
    """
    import httpx

    from gptmill import network

    to.parent.mkdir(parents=True, exist_ok=True)
    attempt = _Attempt(url, to, name, expected, limit, refuse_pages)
    try:
        network.retrying(ATTEMPTS, longest_wait=20, enough=attempt.has_stalled)(attempt)
    except httpx.HTTPStatusError as error:
        gone = error.response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE)
        raise (NotThere if gone else NotHad)(network.reason(error)) from None
    except httpx.HTTPError as error:
        raise NotHad(network.reason(error)) from None
    except httpx.InvalidURL:
        raise NotHad("it is no address") from None
    except OSError as error:
        raise GptmillError(f"{to.parent} can't be written to ({error.strerror or error}): set GPTMILL_CACHE to another folder") from None
    if expected and (actual := files.digest(attempt.part)) != expected:
        attempt.forget()
        raise Differs(actual)
    attempt.part.replace(to)
    attempt.seen.unlink(missing_ok=True)


class _Attempt:
    """One download; called again after each break."""

    def __init__(self, url: str, to: Path, name: str, expected: str | None, limit: int | None, refuse_pages: bool) -> None:
        self.url, self.name, self.expected, self.limit, self.refuse_pages = url, name, expected, limit, refuse_pages
        self.part, self.seen = to.with_name(to.name + ".part"), to.with_name(to.name + ".seen")
        self.total: int | None = None  # as this run's first answer had it
        self.most, self.since = self._have(), time.monotonic()
        if not expected and not self.seen.exists():
            self.forget()  # of another run, and nothing tells whether it is still the same file

    def has_stalled(self) -> bool:
        return time.monotonic() - self.since > STALLED_SECONDS

    def forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.seen.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def __call__(self) -> None:
        import httpx
        from tqdm import tqdm

        have = self._have()
        if self.limit is not None and have >= self.limit:
            self.forget()
            have = 0
        headers = {"Accept-Encoding": "identity"}  # so that the bytes that are counted are the file's
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.seen.exists():
                headers["If-Range"] = self.seen.read_text(encoding="ascii")
        with httpx.stream("GET", self.url, headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=True) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                self.forget()  # nothing is left to send: what is here is whole, or another file's; the next attempt starts anew
                raise httpx.RemoteProtocolError("the server has no more than what was there already")
            response.raise_for_status()
            self._refuse_pages(response)
            have = self._goes_on(response, have)
            total = have + int(response.headers.get("Content-Length", 0)) or None
            self.total = self.total or total
            if self.limit is not None and total and total > self.limit:
                self._give_up_too_large()
            with (
                self.part.open("ab" if have else "wb") as file,
                tqdm(total=total, initial=have, desc=self.name, unit="B", unit_scale=True, disable=None) as bar,
            ):
                for chunk in self._not_too_slow(response.iter_raw()):
                    have += len(chunk)
                    if self.limit is not None and have > self.limit:
                        self._give_up_too_large()
                    file.write(chunk)
                    bar.update(len(chunk))
                    if have > self.most:
                        self.most, self.since = have, time.monotonic()

    def _goes_on(self, response, have: int) -> int:
        """How many of the bytes that are here the answer continues. What tells this version of the file from others is kept."""
        import httpx

        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            place, _, whole = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            same = self.expected or self.seen.exists() or (self.total is not None and whole == str(self.total))
            if not have or not place.startswith(f"{have}-") or not same:
                self.forget()
                raise httpx.RemoteProtocolError("the server sent another part than was asked for")
            return have
        tag = response.headers.get("ETag", "")
        mark = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")  # a weak tag promises nothing of the bytes
        self.seen.unlink(missing_ok=True)
        if mark.isascii() and mark:
            self.seen.write_text(mark, encoding="ascii")
        self.total = None
        return 0

    def _give_up_too_large(self) -> None:
        self.forget()
        raise TooLarge

    def _refuse_pages(self, response) -> None:
        if self.refuse_pages and response.headers.get("Content-Type", "").partition(";")[0].strip().lower() in PAGES:
            raise NotHad("the server sends a web page (HTML), not data: is it a log-in or an error page?")

    def _not_too_slow(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """A server that sends a byte now and then is no better than one that has stopped."""
        import httpx

        start, count = time.monotonic(), 0
        for chunk in chunks:
            count += len(chunk)
            yield chunk
            if (passed := time.monotonic() - start) > STALLED_SECONDS:
                if count < SLOWEST * passed:
                    raise httpx.ReadTimeout("too slow")
                start, count = time.monotonic(), 0
