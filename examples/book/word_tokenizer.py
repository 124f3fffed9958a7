"""A tokenizer of whole words (chapter 2 of the book), to show what byte pairs are good for."""

import re
from collections.abc import Iterable, Sequence

from gptmill.text.tokenizer import END_OF_TEXT

UNKNOWN = "<|unk|>"


class WordTokenizer:
    """One id for each word or mark that a training text had; any other word is `<|unk|>`.

    What it can't do is why the pipeline uses byte pairs: a word that it never saw is lost, and white space is not kept.
    """

    _PIECES = re.compile(rf"{re.escape(END_OF_TEXT)}|{re.escape(UNKNOWN)}|\w+(?:['’]\w+)*|[^\w\s]")

    def __init__(self, texts: Iterable[str]) -> None:
        pieces = {piece for text in texts for piece in self._PIECES.findall(text)} - {END_OF_TEXT, UNKNOWN}
        self.words = [*sorted(pieces), END_OF_TEXT, UNKNOWN]
        self.ids = {word: i for i, word in enumerate(self.words)}
        self.vocab_size = len(self.words)
        self.end_of_text, self.unknown = self.ids[END_OF_TEXT], self.ids[UNKNOWN]

    def encode(self, text: str) -> list[int]:
        """Ids of a text; `<|endoftext|>` within it is the one token that stands between documents."""
        return [self.ids.get(piece, self.unknown) for piece in self._PIECES.findall(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Words with a space between, none before a closing mark. Not always the text that was encoded."""
        return re.sub(r" ([.,;:!?)\]}’”])", r"\1", " ".join(self.words[i] for i in ids))
