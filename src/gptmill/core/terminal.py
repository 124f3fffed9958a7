"""Terminal output: text with control characters escaped, errors as one message without a traceback.

Labels, names, answers and messages may come from untrusted files, and terminals obey the escape sequences in them. So
everything is printed by `say` or `console`; ruff refuses other ways (pyproject.toml).
"""

import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any, TextIO

import typer

from gptmill.core import errors, paths

if TYPE_CHECKING:
    from rich.console import Console

# C0 except tab, line feed and CRLF; DEL, C1; line separators, bidirectional controls, lone surrogates.
_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"
)


def escape_controls(text: str) -> str:
    """The text with control characters escaped as in Python and JSON: `\\u001b`."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def say(text: object = "", *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """Print a line to standard output or standard error; `style` is `typer.secho`'s."""
    typer.secho(escape_controls(str(text)), err=err, nl=nl, **style)


def console(**options: Any) -> "Console":
    """A rich console with control characters escaped, and without markup: texts from files have brackets too."""
    from rich.console import Console
    from rich.segment import Segment

    class VisibleConsole(Console):
        def render(self, *args: Any, **kwargs: Any) -> Iterator[Segment]:
            for segment in super().render(*args, **kwargs):
                yield segment if segment.control else segment._replace(text=escape_controls(segment.text))

    return VisibleConsole(markup=False, emoji=False, **options)


class _Formatter(logging.Formatter):
    """For warnings, which quote file names and servers' replies."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_controls(super().format(record))


class _EscapingStream:
    """A text stream that escapes control characters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(escape_controls(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def escape_prints() -> AbstractContextManager[Any]:
    """`print` escapes as `say` does in this context. For stages: an import would make all depend on this file."""
    return redirect_stdout(_EscapingStream(sys.stdout))


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Context manager or decorator of an entry point: an error that the user can fix becomes one message on standard
    error and an exit code. `GPTMILL_DEBUG=1` shows its traceback."""
    if logging.lastResort:
        logging.lastResort.setFormatter(_Formatter())
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # while a full disk can still be reported
    except errors.Interrupted as stopped:
        say(stopped, err=True)
        sys.exit(stopped.exit_code)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        _drop_unwritten()
        sys.exit(1)
    except Exception as error:
        message = errors.explain(error)
        if message is None or os.environ.get("GPTMILL_DEBUG", "0") not in ("", "0"):
            raise
        _drop_unwritten()
        with suppress(OSError):
            say(f"error: {message}", err=True, fg="red")
            if root := paths.enclosing_project():
                say(f"This is a subfolder of the project. Run it from the root: cd {shlex.quote(str(root))}", err=True)
        sys.exit(error.exit_code if isinstance(error, errors.GptmillError) else 1)


def _drop_unwritten() -> None:
    """Discard output that can't be written, so that the interpreter does not retry at exit and print a second error."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
