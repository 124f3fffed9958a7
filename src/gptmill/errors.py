"""What a person is meant to read: `gptmill` prints the text of these without a traceback, and ends with their exit code."""

from collections.abc import Sequence
from signal import Signals


class GptmillError(Exception):
    """Something that the user can put right. The message says what is wrong and what to do next."""

    exit_code = 1


class Unavailable(GptmillError):
    """A server or the way to it does not answer: another try, a little later, may be all that it needs."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class Interrupted(BaseException):
    """A person or the system asked a training to stop (Ctrl-C, SIGTERM), and it did so in good order. The message says how to go on."""

    def __init__(self, message: str, signal: Signals) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal  # as shells have it: 130, 143


def listing(problems: Sequence[str], most: int = 40) -> str:
    """A line for each problem, to stand under a message's first line; what is beyond `most` is counted."""
    lines = [f"  {problem}" for problem in problems[:most]]
    return "\n".join(lines + [f"  … and {len(problems) - most} more"] * (len(problems) > most))
