"""What judges have said, on disk: one small file for each reply, written when it comes. A reply that was paid for is never asked again.

A file's name is the hash of all that the reply depends on (server, model, messages, seed, limits): another rubric, answer or judge has
another name. `rm -r .gptmill/judgements` forgets everything, which is right after a model has changed behind its name.
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
    finish: str  # why the model stopped: stop, length, … ; "" when the server does not say
    input_tokens: int  # 0 when the server does not count
    output_tokens: int
    seconds: float


class ResponseCache:
    def __init__(self, folder: Path = paths.JUDGE_CACHE) -> None:
        self.folder = folder
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def get(self, question: dict[str, Any], ask: Callable[[], Reply]) -> tuple[Reply, bool]:
        """The reply to a question, and whether it was here already. `ask` gets it otherwise; whatever that raises leaves nothing here.

        Two threads with the same question (the same answer to the same task) ask once.
        """
        name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        path = self.folder / name[:2] / f"{name[2:]}.json"
        with self._lock:
            lock = self._locks[name]
        with lock:
            if (kept := _read(path)) is not None:
                return kept, True
            reply = ask()
            files.write_json(path, asdict(reply))
            return reply, False


def _read(path: Path) -> Reply | None:
    try:
        return Reply(**files.read_json(path))
    except (OSError, ValueError, TypeError):  # not there, or not from here
        return None
