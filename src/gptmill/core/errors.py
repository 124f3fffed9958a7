"""Errors that the user can fix: `gptmill` prints their message without a traceback, and exits with their code."""

import errno
import os
from collections.abc import Sequence
from signal import Signals
from typing import Any


class GptmillError(Exception):
    """An error that the user can fix. The message says what is wrong and what to do next."""

    exit_code = 1


class Unavailable(GptmillError):
    """A server or the network does not answer: a retry may succeed."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class Unreadable(GptmillError, ValueError):
    """A file with invalid content. Also a `ValueError`, as parsers raise."""


class Interrupted(BaseException):
    """A training stopped cleanly on Ctrl-C or SIGTERM. The message says how to resume."""

    def __init__(self, message: str, signal: Signals) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal  # as in shells: 130, 143


def listing(problems: Sequence[str], most: int = 40) -> str:
    """One indented line per problem, to follow a message's first line; those beyond `most` are counted."""
    lines = [f"  {problem}" for problem in problems[:most]]
    return "\n".join(lines + [f"  … and {len(problems) - most} more"] * (len(problems) > most))


def short_repr(value: Any, most: int = 200) -> str:
    """`repr`, cut to `most` characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more digits than Python converts, or nested too deeply
        return f"(a value of type {type(value).__name__} that is too large to show)"
    return text if len(text) <= most else f"{text[: most - 1]}…"


_DEBUG = "GPTMILL_DEBUG=1 shows where"
_ADVICE = {
    errno.ENOSPC: "no space left on the disk{of}. Free some, then run it again",
    errno.EDQUOT: "the disk quota is used up{of}. Free some space, then run it again",
    errno.EFBIG: "a file grows larger than the file system or the limit (ulimit -f) allows{named}",
    errno.EEXIST: "a file stands in the way{named}. Move it",
    errno.EROFS: "the file system{of} is read-only. Work in a folder that can be written to",
    errno.EACCES: "no permission to read or write{path}. Change its permissions or its owner, then run it again",
    errno.EPERM: "not permitted{of}. Change its permissions or its owner, then run it again",
    errno.ENOENT: "no such file or folder{named}",
    errno.ENOTDIR: "a part of the path{path} is a file, not a folder",
    errno.EISDIR: "expected a file, found a folder{named}",
    errno.ENAMETOOLONG: "a file name is too long{named}",
    errno.ELOOP: "links that lead in a circle{named}",
    errno.EMFILE: "too many open files{named}. Raise the limit: ulimit -n 4096",
    errno.EIO: "the disk cannot be read or written{named}. It may be damaged",
}


def explain(error: BaseException) -> str | None:
    """The message for an error that the user can fix; None for a bug, which needs its traceback."""
    match error:
        case GptmillError() | FloatingPointError():
            return str(error)
        case OSError():
            return _explain_system(error)
        case RecursionError():
            return f"an input is nested too deeply ({_DEBUG})"
        case MemoryError():
            return f"not enough memory. Close other programs, or use smaller batches or fewer workers ({_DEBUG})"
        case UnicodeError():
            return f"an input is not valid UTF-8: {error} ({_DEBUG})"
    return None


def _explain_system(error: OSError) -> str:
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    places = {
        key: f"{prefix}{path}" if path else "" for key, prefix in (("path", " "), ("of", " of "), ("named", ": "))
    }
    if error.errno in _ADVICE:
        return _ADVICE[error.errno].format(**places)
    return f"{error.strerror or error or type(error).__name__}{places['named']} ({_DEBUG})"
