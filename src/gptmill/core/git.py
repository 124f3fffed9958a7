"""The one way to call git."""

import subprocess
from pathlib import Path

from gptmill.core.errors import GptmillError


def git(*command: str, cwd: Path | str = ".", stdin: str = "", default: str | None = None) -> str:
    """What git prints: line ends as they are, bytes that are not UTF-8 as surrogates.

    When it fails or is not installed, returns the `default`; without one, raises `GptmillError` or `OSError`.
    """
    try:
        done = subprocess.run(
            ["git", *command], cwd=cwd, input=stdin.encode("utf-8", "surrogateescape"), capture_output=True, check=False
        )
    except OSError:
        if default is None:
            raise
        return default
    if done.returncode == 0:
        return done.stdout.decode("utf-8", "surrogateescape")
    if default is not None:
        return default
    message = done.stderr.decode("utf-8", "replace").strip()
    advice = (
        ". Make this folder one: git init && git add --all && git commit" if "not a git repository" in message else ""
    )
    raise GptmillError(f"git {command[0]} ended with {done.returncode}: {message}{advice}")
