"""Text to token ids and back: byte pair encoding (Sennrich et al. 2016) on bytes, as GPT-2 does it.

A tokenizer of whole words comes first, to show what byte pairs are good for. In the other, tiktoken encodes, whether the ranks are GPT-2's
own or were trained on the corpus. On disk it is Hugging Face's `tokenizer.json`, so that whatever loads our models finds it beside them.
"""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken

from gptmill import files
from gptmill.errors import GptmillError

END_OF_TEXT, UNKNOWN = "<|endoftext|>", "<|unk|>"

# How GPT-2 cuts text before it looks for pairs: contractions, words and numbers with the space before them, punctuation, white space.
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


class WordTokenizer:
    """The first rung, for reading: one id for each word or mark that a training text had; any other word is `<|unk|>`.

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


class Tokenizer:
    """Token ids 0 … vocab_size - 1; the last one, `end_of_text`, stands between documents, ends an answer and pads."""

    def __init__(self, ranks: dict[bytes, int]) -> None:
        """`ranks`: bytes of a token -> its id, which is also its priority in merging; every single byte must be there."""
        self.ranks = ranks
        self.end_of_text = len(ranks)
        self.vocab_size = len(ranks) + 1
        self._encoding = tiktoken.Encoding(
            "gptmill", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: self.end_of_text}
        )

    def encode(self, text: str) -> list[int]:
        """Ids of a text. `<|endoftext|>` within it is read as the characters that it is made of, so that no text can end a document."""
        return self._encoding.encode_ordinary(text)

    def encode_stretch(self, texts: Sequence[str], closed: bool = True) -> np.ndarray:
        """Ids of one document or more, one after the other, each followed by the end-of-text token: (tokens,) of uint32.

        `closed`: whether the last text's document ends with it. Other threads run meanwhile: the work is done outside of Python's lock.
        """
        joined = END_OF_TEXT.join(texts) + (END_OF_TEXT if closed else "")
        if joined.count(END_OF_TEXT) == len(texts) - (not closed):
            return self._encoding.encode_to_numpy(joined, allowed_special={END_OF_TEXT}, disallowed_special=())
        # One of the texts has the token's name in it, where it is read as characters.
        parts = [self._encoding.encode_to_numpy(text, disallowed_special=()) for text in texts]
        end = np.array([self.end_of_text], dtype=np.uint32)
        return np.concatenate([array for part in parts for array in (part, end)][: None if closed else -1])

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, without end-of-text tokens; bytes that are not UTF-8 (half a character) become U+FFFD."""
        return self._encoding.decode([i for i in ids if i != self.end_of_text])

    def token_bytes(self, token: int) -> bytes:
        """Bytes of one token; none of the end-of-text token. They need not be whole characters."""
        return b"" if token == self.end_of_text else self._encoding.decode_single_token_bytes(token)

    def save(self, folder: Path, max_length: int | None = None) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json` into a folder that exists. `max_length`: tokens that the model there reads."""
        from tokenizers import AddedToken, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as HubTokenizer

        printable = _printable_bytes()
        names = {rank: "".join(printable[byte] for byte in token) for token, rank in self.ranks.items()}
        merges = [tuple("".join(printable[b] for b in part) for part in self._halves(token)) for token in self._merged()]
        hub = HubTokenizer(models.BPE(vocab={name: rank for rank, name in names.items()}, merges=merges))
        hub.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        hub.decoder = decoders.ByteLevel()
        hub.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
        files.write_text(folder / "tokenizer.json", hub.to_str(pretty=False))
        special = {f"{role}_token": END_OF_TEXT for role in ("bos", "eos", "pad", "unk")}
        settings = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, **special}
        if max_length:
            settings["model_max_length"] = max_length
        files.write_json(folder / "tokenizer_config.json", settings)

    def _merged(self) -> list[bytes]:
        return [token for token, _ in sorted(self.ranks.items(), key=lambda item: item[1]) if len(token) > 1]

    def _halves(self, token: bytes) -> tuple[bytes, bytes]:
        """The pair that `token` is merged from: what is left of it when only lower ranks may merge."""
        limit = self.ranks[token]
        parts = [token[i : i + 1] for i in range(len(token))]
        while len(parts) > 2:
            pairs = [(self.ranks.get(left + right, limit), i) for i, (left, right) in enumerate(zip(parts, parts[1:], strict=False))]
            rank, i = min(pairs)
            if rank >= limit:
                raise GptmillError(f"the tokenizer's ranks are not byte pairs: nothing merges into {token!r}")
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return parts[0], parts[1]


def count_pieces(text: str) -> int:
    """How many pieces GPT-2's pattern cuts a text into: no byte pair tokenizer of that pattern makes fewer tokens of it."""
    return sum(1 for _ in _pieces().finditer(text))


@cache
def _pieces():
    import regex  # the standard library's has no classes of Unicode characters

    return regex.compile(PATTERN)


def load(folder: Path) -> Tokenizer:
    """Read a tokenizer that `Tokenizer.save` wrote, or any byte-level BPE in `tokenizer.json` whose ids are its merge order."""
    path = folder / "tokenizer.json"
    try:
        vocabulary = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    except FileNotFoundError:
        raise GptmillError(f"{path} is not here: run the stage that makes it, `dvc repro tokenize`") from None
    except (ValueError, KeyError, TypeError) as error:
        raise GptmillError(f"{path} is not a tokenizer ({error}): delete it and run `dvc repro tokenize`") from None
    return Tokenizer(_ranks(vocabulary, path))


def max_length(folder: Path) -> int:
    """How many tokens of a text the model in this folder was made to read."""
    return files.read_json(folder / "tokenizer_config.json")["model_max_length"]


def from_gpt2_files(encoder_json: Path) -> Tokenizer:
    """GPT-2's tokenizer from OpenAI's `encoder.json`, whose ids are in merge order."""
    return Tokenizer(_ranks(json.loads(encoder_json.read_text(encoding="utf-8")), encoder_json))


def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte pairs of `texts`, at most `vocab_size` tokens with all bytes and the end-of-text token in it; fewer when the texts are short."""
    from tokenizers import Tokenizer as HubTokenizer
    from tokenizers import models, pre_tokenizers, trainers

    hub = HubTokenizer(models.BPE())
    hub.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    hub.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocab_size - 1, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    )
    return Tokenizer(_ranks(hub.get_vocab(), Path("the corpus")))


def _ranks(vocabulary: dict[str, Any], where: Path) -> dict[bytes, int]:
    byte_of = {character: byte for byte, character in _printable_bytes().items()}
    try:
        ranks = {bytes(byte_of[c] for c in token): int(rank) for token, rank in vocabulary.items() if token != END_OF_TEXT}
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise GptmillError(f"{where} is not a byte-level vocabulary ({error!r})") from None
    if sorted(ranks.values()) != list(range(len(ranks))) or any(bytes([byte]) not in ranks for byte in range(256)):
        raise GptmillError(f"{where} is not a byte-level vocabulary: ids have gaps, or some of the 256 bytes are missing")
    return ranks


def _printable_bytes() -> dict[int, str]:
    """GPT-2's spelling of bytes as visible characters: printable Latin-1 stands for itself, the rest for U+0100 and up, in order."""
    own = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
    others = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) for byte in own} | {byte: chr(256 + i) for i, byte in enumerate(others)}
