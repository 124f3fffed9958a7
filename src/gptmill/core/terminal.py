"""What reaches the terminal: text without control characters, and errors as one message without a traceback.

Labels, names, answers and error messages may come from files that anybody wrote, and a terminal obeys what is in them: it would change its
title, hide a line, or type an answer. So everything is printed by `say` or `console`; ruff refuses other ways (pyproject.toml).
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

# C0 but tab, line feed and the carriage return before it, DEL, C1; line separators, bidirectional controls, halves of surrogate pairs.
_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"
)


def escape_controls(text: str) -> str:
    """The text with each control character as the escape sequence that Python and JSON have for it: `\\u001b`."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def say(text: object = "", *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """Print a line to standard output or standard error; `style` is `typer.secho`'s."""
    typer.secho(escape_controls(str(text)), err=err, nl=nl, **style)


def console(**options: Any) -> "Console":
    """rich's console, which itself lets most control characters through. Brackets are no markup: texts from files have them too."""
    from rich.console import Console
    from rich.segment import Segment

    class VisibleConsole(Console):
        def render(self, *args: Any, **kwargs: Any) -> Iterator[Segment]:
            for segment in super().render(*args, **kwargs):
                yield segment if segment.control else segment._replace(text=escape_controls(segment.text))

    return VisibleConsole(markup=False, emoji=False, **options)


class _Formatter(logging.Formatter):
    """Of warnings, which quote file names and what servers said."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_controls(super().format(record))


class _Visible:
    """A text stream that takes no control characters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(escape_controls(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def escape_prints() -> AbstractContextManager[Any]:
    """While this is entered, `print` is as `say`: for stages, which would all run again if they imported this."""
    return redirect_stdout(_Visible(sys.stdout))


@contextmanager
def exit_on_error() -> Iterator[None]:
    """For the outermost call of a program, or as a decorator of it: an error that a person can put right becomes one message on standard
    error and an exit code. `GPTMILL_DEBUG=1` shows where it came from."""
    if logging.lastResort:
        logging.lastResort.setFormatter(_Formatter())
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # here, where a full disk can still be reported
    except errors.Interrupted as stopped:
        say(stopped, err=True)
        sys.exit(stopped.exit_code)
    except BrokenPipeError:  # whoever read it has enough, as `head`
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
    """What standard output could not take is not tried again at the interpreter's end, with a second message."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
