"""What a person is meant to read: `gptmill` prints the text of these without a traceback, and ends with their exit code."""

import errno
import os
from collections.abc import Sequence
from signal import Signals
from typing import Any


class GptmillError(Exception):
    """Something that the user can put right. The message says what is wrong and what to do next."""

    exit_code = 1


class Unavailable(GptmillError):
    """A server or the way to it does not answer: another try, a little later, may be all that it needs."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class Unreadable(GptmillError, ValueError):
    """A file that is not what it should be. A `ValueError` as well, as what the parsers raise is."""


class Interrupted(BaseException):
    """A person or the system asked a training to stop (Ctrl-C, SIGTERM), and it did so in good order. The message says how to go on."""

    def __init__(self, message: str, signal: Signals) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal  # as shells have it: 130, 143


def listing(problems: Sequence[str], most: int = 40) -> str:
    """A line for each problem, to stand under a message's first line; what is beyond `most` is counted."""
    lines = [f"  {problem}" for problem in problems[:most]]
    return "\n".join(lines + [f"  … and {len(problems) - most} more"] * (len(problems) > most))


def short_repr(value: Any, most: int = 200) -> str:
    """The value as Python writes it, cut at so many characters. Not every value can be written."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # of more digits than Python converts, or nested too deeply
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
    """The message for an error that a person can put right; None for a fault of the code, which needs its traceback."""
    match error:
        case GptmillError() | FloatingPointError():
            return str(error)
        case OSError():
            return _explain_system(error)
        case RecursionError():
            return f"an input is nested too deeply ({_DEBUG})"
        case MemoryError():
            return (
                f"not enough memory. Close other programs, or ask for less: smaller batches, fewer workers ({_DEBUG})"
            )
        case UnicodeError():
            return f"an input is not valid UTF-8: {error} ({_DEBUG})"
    return None


def _explain_system(error: OSError) -> str:
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    found = {
        "path": f" {path}" if path else "",
        "of": f" of {path}" if path else "",
        "named": f": {path}" if path else "",
    }
    if error.errno in _ADVICE:
        return _ADVICE[error.errno].format(**found)
    return f"{error.strerror or error or type(error).__name__}{found['named']} ({_DEBUG})"
