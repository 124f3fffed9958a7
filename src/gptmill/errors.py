"""The one error that a person is meant to read: `gptmill` prints its text without a traceback and exits with 1."""

from collections.abc import Sequence


class GptmillError(Exception):
    """Something that the user can put right. The message says what is wrong and what to do next."""


def listing(problems: Sequence[str], most: int = 40) -> str:
    """A line for each problem, to stand under a message's first line; what is beyond `most` is counted."""
    lines = [f"  {problem}" for problem in problems[:most]]
    return "\n".join(lines + [f"  … and {len(problems) - most} more"] * (len(problems) > most))
