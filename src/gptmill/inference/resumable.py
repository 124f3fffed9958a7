"""Resume killed work: finished pieces are appended to a JSONL file, and are not computed again.

`.gptmill/responses/<cache key>/<name>.jsonl` has a line per finished piece, on disk before the next piece begins. A
line torn by a kill is cut off. It is not a DVC output, as DVC deletes those before a stage runs.
"""

import json
import os
from pathlib import Path
from typing import Any


class ResumableJsonl:
    """Finished pieces of work by key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def finished(self) -> dict[str, Any]:
        """The finished pieces. Cuts off a torn line, so that the next piece begins a line of its own."""
        if not self._path.exists():
            return {}
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self._path.open("r+b") as file:
                file.truncate(len(whole))
        return dict(json.loads(line) for line in whole.splitlines())

    def add(self, key: str, value: Any) -> None:
        """Append a piece and fsync. Raises `OSError`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write((json.dumps([key, value]) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
