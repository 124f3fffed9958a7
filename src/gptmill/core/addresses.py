"""Addresses of data in params.yaml: http, https and s3 URLs, or paths; and how to print them without secrets."""

import errno
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

REMOTE = ("http", "https", "s3")
# Of a query only the values of these keys are shown: signatures and tokens have many names.
SAFE_QUERY_KEYS = {
    "id", "raw", "download", "dl", "format", "version", "v", "export", "ref", "rev",
    "file", "name", "page", "gid", "alt", "output",
}  # fmt: skip
REDACTED = "…"
_ADDRESS = re.compile(r"\b[A-Za-z][\w+.-]*://[^\s'\"<>]+")


def scheme(address: str) -> str:
    """The part before `://` in lower case; "" for a path."""
    return address.partition("://")[0].lower() if "://" in address else ""


def is_remote(address: str) -> bool:
    return scheme(address) in REMOTE


def local_path(address: str) -> Path | None:
    """The local path that an address names; None when it names a server."""
    if is_remote(address):
        return None
    return Path(os.path.expanduser(unquote(address.partition("://")[2]) if scheme(address) == "file" else address))


def redact_url(address: str) -> str:
    """The address without user, password, fragment and query values that may be secret. Paths stay unchanged."""
    if scheme(address) in ("", "file"):
        return address
    try:
        parts = urlsplit(address)
    except ValueError:  # not a valid URL
        return f"{scheme(address)}://{REDACTED}"
    pairs = [
        f"{name}={value if name.lower() in SAFE_QUERY_KEYS else REDACTED}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    query = "&".join(pairs) if pairs or not parts.query else REDACTED
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" + (f"?{query}" if query else "")


def redact(text: str) -> str:
    """The text with each address in it redacted."""
    return _ADDRESS.sub(lambda match: redact_url(match[0]), text)


def file_name(address: str) -> str:
    """The last part of an address or a path."""
    path = urlsplit(redact_url(address)).path if scheme(address) else address
    return path.rstrip("/").rpartition("/")[2] or redact_url(address)


def problem(address: str) -> str | None:
    """Why data can't come from this address; None when it can."""
    if not address.strip() or "\x00" in address:
        return "an address must not be empty"
    kind = scheme(address)
    if kind not in ("", "file", *REMOTE):
        return f"{redact_url(address)} is not supported: use an http, https or s3 address, or a path"
    if kind in REMOTE:
        try:
            host = urlsplit(address).hostname
        except ValueError:
            host = None
        if not host:
            return f"{redact_url(address)} names no {'bucket' if kind == 's3' else 'server'}"
        return None
    return _path_problem(str(local_path(address)))


def _path_problem(path: str) -> str | None:
    """Why this can't be a path on any file system."""
    try:
        os.lstat(path)
    except ValueError:  # a NUL byte or a lone surrogate
        return f"{path!r} can't be a path"
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return f"{path[:80]}… is too long for a path"
    return None
