"""HTTP downloads into the cache: with retries, resumed after a break, checked by hash and length, up to a size limit.

A partial download leaves a `.part` in the cache, and a `.seen` with the server's version of the file: the next attempt
or run resumes only when the version is the same. The caller holds the cache entry's lock.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from gptmill.core import addresses
from gptmill.core.errors import GptmillError
from gptmill.ingest import download_cache

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 5
TIMEOUT_SECONDS = 20  # without a single byte
STALLED_SECONDS = 60  # without progress over all attempts; or below SLOWEST
SLOWEST = 100  # bytes a second
ADVICE = "Check the network, or point GPTMILL_MIRROR at a folder that has the file."
PAGES = ("text/html", "application/xhtml+xml")
ENCODINGS = ("", "identity", "gzip", "x-gzip", "zstd")  # what archives.py unpacks


class DownloadError(Exception):
    """The address does not provide the file; the message says why. Another address may."""

    is_transient = True  # whether a retry of the same address may succeed


class ChecksumMismatch(Exception):
    """The file is not the expected one; the message is its SHA-256. It was deleted."""


class SizeLimitExceeded(Exception):
    """The file exceeds the size limit. It was deleted."""


class NotFound(DownloadError):
    """The server has no such file."""

    is_transient = False


class Rejected(DownloadError):
    """The server's response is never acceptable; a retry is useless."""

    is_transient = False


def mirror() -> Path | str | None:
    """`GPTMILL_MIRROR`, which precedes the public addresses: a folder or an http(s) prefix; None when unset or empty.

    Raises `GptmillError` when it is neither, as an ignored mirror would go unnoticed.
    """
    value = os.environ.get("GPTMILL_MIRROR", "").strip()
    scheme = addresses.scheme(value)
    if not value:
        return None
    if scheme in ("http", "https"):
        if not (why := addresses.problem(value)):
            return value.rstrip("/")
    elif scheme not in ("", "file"):
        why = f"{scheme}:// is not supported for a mirror"
    else:
        try:
            folder = Path(unquote(value.partition("://")[2]) if scheme else value).expanduser()
            if not folder.is_dir():
                why = "it is not a folder" if folder.exists() else "there is no such folder"
            elif os.access(folder, os.R_OK | os.X_OK):
                return folder
            else:
                why = "it can't be read"
        except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown user's home, a NUL
            why = f"it can't be used ({getattr(error, 'strerror', None) or error})"
    advice = "Set it to a folder or an http(s) address that has the files, or unset it."
    raise GptmillError(f"GPTMILL_MIRROR is {addresses.redact_url(value)}: {why}. {advice}")


def download(
    url: str, to: Path, name: str, expected: str | None, limit: int | None, *, refuse_pages: bool = False
) -> None:
    """Downloads an http(s) address to `to`, a locked cache entry: at most `limit` bytes, with SHA-256 `expected`.

    Raises `DownloadError`, `ChecksumMismatch` or `SizeLimitExceeded`.
    """
    import httpx

    from gptmill.ingest import redirects
    from gptmill.net import retry

    with download_cache.cache_errors():
        attempt = _Attempt(url, to, name, expected, limit, refuse_pages)
        try:
            retry.retrying(ATTEMPTS, longest_wait=20, stop=attempt.has_stalled)(attempt)
        except httpx.HTTPStatusError as error:
            gone = error.response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE)
            raise (NotFound if gone else DownloadError)(retry.reason(error)) from None
        except httpx.HTTPError as error:
            raise DownloadError(retry.reason(error)) from None
        except redirects.RedirectRefused as error:
            raise Rejected(str(error)) from None
        except httpx.InvalidURL:
            raise DownloadError("it is not a valid address") from None
        attempt.part.replace(to)
        attempt.seen.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Version:
    """Identifies the version of a partly downloaded file at its address."""

    validator: str  # an ETag or a date, as the server wrote it
    total: int | None  # bytes

    @classmethod
    def read(cls, path: Path) -> "_Version | None":
        try:
            return cls(**json.loads(path.read_text(encoding="ascii")))
        except (FileNotFoundError, ValueError, TypeError):  # missing, or half-written by a killed process
            return None


class _Attempt:
    """One download; called again after each break."""

    def __init__(
        self, url: str, to: Path, name: str, expected: str | None, limit: int | None, refuse_pages: bool
    ) -> None:
        self.url, self.name, self.expected, self.limit, self.refuse_pages = url, name, expected, limit, refuse_pages
        self.part, self.seen = to.with_name(to.name + ".part"), to.with_name(to.name + ".seen")
        self.version = _Version.read(self.seen)
        if not expected and not self.version:
            self.forget()  # of another run, perhaps of another version
        self.most, self.since = self._size(), time.monotonic()  # bytes, and when the last of them came

    def has_stalled(self) -> bool:
        return time.monotonic() - self.since > STALLED_SECONDS

    def forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.seen.unlink(missing_ok=True)
        self.version = None

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def __call__(self) -> None:
        import httpx

        from gptmill.ingest import redirects

        have = self._size()
        if not have or (self.limit is not None and have >= self.limit) or not (self.expected or self.version):
            self.forget()
            have = 0
        headers = {"Accept-Encoding": "identity"}  # so that the counted bytes are the file's
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.version:
                headers["If-Range"] = self.version.validator
        with redirects.get(self.url, headers, TIMEOUT_SECONDS, pinned=bool(self.expected)) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                # The part may be the whole file, or of another one.
                self._start_over("the server has no more than what was there already")
            response.raise_for_status()
            # 202: not ready; 203: changed on the way
            if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
                raise httpx.HTTPStatusError("not the file", request=response.request, response=response)
            self._refuse_pages(response)
            if (encoding := response.headers.get("Content-Encoding", "").strip().lower()) not in ENCODINGS:
                raise Rejected(f"the server sends it encoded ({encoding}), although it was asked not to")
            if response.status_code == httpx.codes.PARTIAL_CONTENT:
                total = self._resume(response, have)
            else:
                have, total = 0, self._start(response)
            if self.limit is not None and total is not None and total > self.limit:
                self._give_up_too_large()
            self._receive(response, have, total)

    def _resume(self, response: "httpx.Response", have: int) -> int:
        """The file's length, when the response continues the partial file."""
        content_range = response.headers.get("Content-Range", "").strip()
        match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", content_range)
        start, last, total = map(int, match.groups()) if match else (0, 0, 0)
        if not have or start != have or not start <= last < total:
            self._start_over("the server sent another part than was asked for")
        # A server that ignores If-Range sends the rest of its current file. Without a hash, nothing else would show it.
        if not self.expected and (
            _validator(response) != self.version.validator or self.version.total not in (None, total)
        ):
            self._start_over("the server sent a part of another file")
        return total

    def _start(self, response: "httpx.Response") -> int | None:
        """The file's length, if the server sends it. Saves the file's version."""
        self.forget()  # before `seen` is written: it must not describe old bytes
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        length = response.headers.get("Content-Length", "")
        total = int(length) if re.fullmatch(r"\d{1,18}", length) and not chunked else None
        if total is None and not chunked and not self.expected:
            raise Rejected(
                "the server says neither how long the file is nor where it ends, so a part would pass for the whole: "
                "set its sha256, or download it yourself and use its path"
            )
        if validator := _validator(response):
            self.version = _Version(validator, total)
            self.seen.write_text(json.dumps(asdict(self.version)), encoding="ascii")
        return total

    def _receive(self, response: "httpx.Response", have: int, total: int | None) -> None:
        """Appends the response to the partial file, then checks its length and hash."""
        import httpx
        from tqdm import tqdm

        resumed = have > 0
        with (
            self.part.open("a+b") as file,
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
            # Of the open file, whatever has happened to its path.
            size = file.seek(0, os.SEEK_END)
            if size != have or (total is not None and size > total):
                self._start_over(f"{size:,} bytes are here, {total if total is not None else have:,} were announced")
            if total is not None and size < total:
                raise httpx.RemoteProtocolError(f"the server sent {size:,} of the {total:,} bytes that it announced")
            if self.expected:
                file.seek(0)
                if (actual := hashlib.file_digest(file, "sha256").hexdigest()) != self.expected:
                    if resumed:  # the earlier part may be at fault
                        self._start_over("the parts do not make the file")
                    self.forget()
                    raise ChecksumMismatch(actual)

    def _start_over(self, why: str) -> None:
        """Drop the partial file: the next attempt starts from zero."""
        import httpx

        self.forget()
        raise httpx.RemoteProtocolError(why)

    def _give_up_too_large(self) -> None:
        self.forget()
        raise SizeLimitExceeded

    def _refuse_pages(self, response: "httpx.Response") -> None:
        if self.refuse_pages and response.headers.get("Content-Type", "").partition(";")[0].strip().lower() in PAGES:
            raise DownloadError("the server sends a web page (HTML), not data: is it a log-in or an error page?")

    def _not_too_slow(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Raises a timeout below SLOWEST: a byte now and then is as bad as none."""
        import httpx

        start, count = time.monotonic(), 0
        for chunk in chunks:
            count += len(chunk)
            yield chunk
            if (passed := time.monotonic() - start) > STALLED_SECONDS:
                if count < SLOWEST * passed:
                    raise httpx.ReadTimeout("too slow")
                start, count = time.monotonic(), 0


def _validator(response: "httpx.Response") -> str:
    """A strong validator of the file's version (RFC 9110 8.8): its ETag unless weak, or its date; "" without either."""
    tag, modified, now = (response.headers.get(name, "") for name in ("ETag", "Last-Modified", "Date"))
    if tag.startswith('"') and tag.isascii():
        return tag
    try:  # a date in the second of the response may hide a later change
        return modified if modified.isascii() and parsedate_to_datetime(modified) < parsedate_to_datetime(now) else ""
    except (ValueError, TypeError):
        return ""
