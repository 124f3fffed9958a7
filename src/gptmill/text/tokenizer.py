"""Tokenizer: byte pair encoding (Sennrich et al. 2016) on bytes, as GPT-2 does it.

tiktoken encodes, with GPT-2's own ranks or with ranks trained on the corpus. On disk it is Hugging Face's
`tokenizer.json`, so that every tool that loads our models finds it in their folder.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import regex  # unlike `re`, it knows classes of Unicode characters
import tiktoken

from gptmill.core import files
from gptmill.core.errors import GptmillError, listing
from gptmill.text import tokenizer_checks
from gptmill.text.tokenizer_checks import END_OF_TEXT, printable, ranks_of

TOKENIZER_FILES = ("tokenizer.json", *tokenizer_checks.SETTINGS_FILES, "vocab.json", "merges.txt")
# Of SentencePiece and WordPiece.
UNSUPPORTED_FILES = ("spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "vocab.txt")

# GPT-2's pre-tokenizer: contractions, words and numbers with the space before them, punctuation, white space.
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
_PIECES = regex.compile(PATTERN)


class Tokenizer:
    """Ids 0 … vocab_size - 1. `end_of_text`, by default the last one, separates documents, ends responses and pads."""

    def __init__(self, ranks: dict[bytes, int], end_of_text: int | None = None) -> None:
        """`ranks`: bytes of a token -> its id, which is also its merge priority. They include every single byte."""
        self.ranks = ranks
        self.end_of_text = len(ranks) if end_of_text is None else end_of_text
        self.vocab_size = len(ranks) + 1
        self._encoding = tiktoken.Encoding(
            "gptmill", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: self.end_of_text}
        )

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Byte pairs of `texts`: `vocab_size` tokens with all bytes and end-of-text, fewer when the texts are short."""
        from tokenizers import Tokenizer as HubTokenizer
        from tokenizers import models, pre_tokenizers, trainers

        hub = HubTokenizer(models.BPE())
        hub.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        size, alphabet = vocab_size - 1, pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
        hub.train_from_iterator(texts, trainer)
        return cls(*ranks_of(hub.get_vocab()))

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Read `tokenizer.json`, ours or one of GPT-2's kind. Raises `GptmillError` that lists what differs."""
        return files.read_snapshot(folder, cls._load)

    @classmethod
    def _load(cls, folder: Path) -> "Tokenizer":
        path = folder / "tokenizer.json"
        try:
            content = files.read_json(path)
            model, added = content["model"], content.get("added_tokens") or []
            vocabulary, merges = model["vocab"], model.get("merges") or []
            names = {token["content"]: token["id"] for token in added}
        except FileNotFoundError:
            raise GptmillError(f"{path} is not here: run the stage that makes it, `dvc repro tokenize`") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise GptmillError(
                f"{path} is not a tokenizer ({error}): "
                "`dvc repro tokenize` makes the pipeline's own; get any other again"
            ) from None
        problems = [*tokenizer_checks.steps(content), *tokenizer_checks.added_tokens(names)]
        problems += tokenizer_checks.settings(folder)
        return cls._checked(path, vocabulary, problems, merges, names.get(END_OF_TEXT))

    @classmethod
    def from_gpt2_files(cls, vocabulary: Path, merges: Path | None = None) -> "Tokenizer":
        """GPT-2's tokenizer from OpenAI's `encoder.json`, or one of that kind from `vocab.json` and `merges.txt`."""
        try:
            ids = files.read_json(vocabulary)
            lines = merges.read_text(encoding="utf-8").splitlines() if merges else []
        except (OSError, ValueError) as error:
            raise GptmillError(f"{vocabulary} is not a vocabulary ({error}): get it again") from None
        if not merges:
            return cls._checked(vocabulary, ids, [])
        pairs = [line for line in lines if line and not line.startswith("#version")]
        return cls._checked(vocabulary, ids, tokenizer_checks.settings(vocabulary.parent), pairs)

    @classmethod
    def _checked(
        cls, path: Path, vocabulary: Any, problems: Iterable[str], merges: Any = None, end_of_text: int | None = None
    ) -> "Tokenizer":
        """`merges`: None when they are not known, as in `encoder.json`."""
        problems = list(dict.fromkeys(problems))
        try:
            ranks, end_of_text = ranks_of(vocabulary, end_of_text)
        except ValueError as error:
            problems.append(str(error))
        else:
            if merges is not None and not problems:
                problems += tokenizer_checks.merges(ranks, vocabulary, merges)
            if not problems:
                return cls(ranks, end_of_text)
        raise GptmillError(
            f"{path} is a tokenizer that gptmill can't represent, which knows GPT-2's kind: byte-level BPE with "
            f"{END_OF_TEXT} as its one special token. This one differs:\n{listing(problems)}"
        )

    @staticmethod
    def max_length(folder: Path) -> int:
        """How many tokens of a text the model in this folder was trained to read."""
        path = folder / "tokenizer_config.json"
        try:
            return int(files.read_json(path)["model_max_length"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise GptmillError(
                f"{path} does not say model_max_length ({error!r}): get it again, or run the stage that makes it"
            ) from None

    def is_equivalent(self, other: "Tokenizer") -> bool:
        """Whether every text has the same ids in both."""
        return (self.ranks, self.end_of_text) == (other.ranks, other.end_of_text)

    def encode(self, text: str) -> list[int]:
        """Ids of a text. `<|endoftext|>` within it is plain text, so that no text can end a document."""
        return self._encoding.encode_ordinary(text)

    def encode_documents(self, texts: Sequence[str], closed: bool = True) -> np.ndarray:
        """Ids of one document or more, each followed by the end-of-text token: (tokens,) of uint32.

        `closed`: whether it follows the last one too. Releases the GIL, so that threads run in parallel.
        """
        joined = END_OF_TEXT.join(texts) + (END_OF_TEXT if closed else "")
        if joined.count(END_OF_TEXT) == len(texts) - (not closed):
            return self._encoding.encode_to_numpy(joined, allowed_special={END_OF_TEXT}, disallowed_special=())
        # A text contains the token's name, which is plain text there.
        parts = [self._encoding.encode_to_numpy(text, disallowed_special=()) for text in texts]
        end = np.array([self.end_of_text], dtype=np.uint32)
        return np.concatenate([array for part in parts for array in (part, end)][: None if closed else -1])

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, without end-of-text tokens; bytes that are not UTF-8 (part of a character) become U+FFFD."""
        return self._encoding.decode([i for i in ids if i != self.end_of_text])

    def token_bytes(self, token: int) -> bytes:
        """Bytes of one token, perhaps part of a character; none of the end-of-text token."""
        return b"" if token == self.end_of_text else self._encoding.decode_single_token_bytes(token)

    def save(self, folder: Path, max_length: int | None = None) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json` there. `max_length`: tokens that the model reads."""
        from tokenizers import AddedToken, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as HubTokenizer

        merged = sorted((token for token in self.ranks if len(token) > 1), key=self.ranks.__getitem__)
        merges = [tuple(map(printable, self._halves(token))) for token in merged]
        vocabulary = {printable(token): rank for token, rank in self.ranks.items()}
        if self.end_of_text != len(self.ranks):  # else it is added at the end
            vocabulary[END_OF_TEXT] = self.end_of_text
        hub = HubTokenizer(models.BPE(vocab=vocabulary, merges=merges))
        hub.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        hub.decoder = decoders.ByteLevel()
        hub.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
        files.write_text(folder / "tokenizer.json", hub.to_str(pretty=False))
        special = {f"{role}_token": END_OF_TEXT for role in ("bos", "eos", "pad", "unk")}
        settings = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, **special}
        if max_length:
            settings["model_max_length"] = max_length
        files.write_json(folder / "tokenizer_config.json", settings)

    def _halves(self, token: bytes) -> tuple[bytes, bytes]:
        """The pair that `token` is merged from: what is left of it when only lower ranks may merge."""
        limit = self.ranks[token]
        parts = [token[i : i + 1] for i in range(len(token))]
        while len(parts) > 2:
            pairs = zip(parts, parts[1:], strict=False)
            rank, i = min((self.ranks.get(left + right, limit), i) for i, (left, right) in enumerate(pairs))
            if rank >= limit:
                raise GptmillError(f"the tokenizer's ranks are not byte pairs: nothing merges into {token!r}")
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return parts[0], parts[1]


def count_pieces(text: str) -> int:
    """How many pieces GPT-2's pattern cuts a text into: the least number of tokens that any such tokenizer makes."""
    return sum(1 for _ in _PIECES.finditer(text))
