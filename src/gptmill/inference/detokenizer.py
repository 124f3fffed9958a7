"""Text from tokens as they come, up to a stop string."""

import codecs
from collections.abc import Sequence

from gptmill.text.tokenizer import Tokenizer


class IncrementalDetokenizer:
    """Tokens of a row in, text out once it is certain: whole characters, no stop string and no beginning of one."""

    def __init__(self, tokenizer: Tokenizer, stop_strings: Sequence[str] = ()) -> None:
        if not all(stop_strings):
            raise ValueError("a stop string must have at least one character")
        self.stopped = False  # whether a stop string came
        self._tokenizer, self._stops = tokenizer, tuple(stop_strings)
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")  # a character may be spread over tokens
        self._held = ""

    def feed(self, token: int) -> str:
        """The text that is certain after one more token; nothing after a stop string."""
        return self._certain(self._bytes.decode(self._tokenizer.token_bytes(token)))

    def finish(self) -> str:
        """The text held back, when no more tokens come."""
        text = self._certain(self._bytes.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _certain(self, text: str) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        matches = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if matches:
            self.stopped, self._held = True, ""
            return text[: min(matches)]
        held = max((n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]
