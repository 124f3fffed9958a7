"""Cache of judges' replies on disk, one file per reply, so that no reply is paid for twice.

A file's name is the hash of all that the reply depends on: server, model, messages, seed, limits. After a model has
changed behind its name, `rm -r .gptmill/judgements` clears the cache.
"""

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gptmill.core import files, paths


@dataclass(frozen=True)
class Reply:
    text: str
    finish: str  # finish_reason: stop, length, …; "" where the server gives none
    input_tokens: int  # 0 where the server does not count
    output_tokens: int
    seconds: float


class ResponseCache:
    def __init__(self, folder: Path = paths.JUDGE_CACHE) -> None:
        self.folder = folder
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def get(self, question: dict[str, Any], ask: Callable[[], Reply]) -> tuple[Reply, bool]:
        """The reply to a question, from the cache or by `ask`, and whether it was cached. Threads share one `ask`."""
        name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        path = self.folder / name[:2] / f"{name[2:]}.json"
        with self._lock:
            lock = self._locks[name]
        with lock:
            if (cached := _read(path)) is not None:
                return cached, True
            reply = ask()
            files.write_json(path, asdict(reply))
            return reply, False


def _read(path: Path) -> Reply | None:
    try:
        return Reply(**files.read_json(path))
    except (OSError, ValueError, TypeError):  # absent or broken
        return None
