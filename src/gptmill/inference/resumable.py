"""Finished work, on disk as it comes: what was killed goes on from there, and nothing that was finished is done again.

`.gptmill/responses/<fingerprint>/<name>.jsonl` has a line for each finished piece of work; it is only ever added to, and each line reaches
the disk before the next piece begins. A line that a kill tore is left out and cut off. None of it is an output of DVC's, which deletes
those before a stage runs. The fingerprint is of all that decides the result, so lines of another run are never read.
"""

import json
import os
from pathlib import Path
from typing import Any


class ResumableJsonl:
    """The finished pieces of one work, each under its key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def finished(self) -> dict[str, Any]:
        """What was finished before, by key. Removes a torn line, so that the next one begins a line of its own."""
        if not self._path.exists():
            return {}
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self._path.open("r+b") as file:
                file.truncate(len(whole))
        return dict(json.loads(line) for line in whole.splitlines())

    def add(self, key: str, value: Any) -> None:
        """Have one more piece on the disk, or raise `OSError`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write((json.dumps([key, value]) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
