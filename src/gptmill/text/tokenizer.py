"""Text to token ids and back: byte pair encoding (Sennrich et al. 2016) on bytes, as GPT-2 does it.

tiktoken encodes, whether the ranks are GPT-2's own or were trained on the corpus. On disk it is Hugging Face's
`tokenizer.json`, so that whatever loads our models finds it in their folder.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken

from gptmill.core import files
from gptmill.core.errors import GptmillError, listing

END_OF_TEXT = "<|endoftext|>"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
OTHER_KINDS = (
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
)  # files of SentencePiece and WordPiece

# How GPT-2 cuts text before it looks for pairs: contractions, words and numbers with the space before them, punctuation, white space.
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


class Tokenizer:
    """Token ids 0 … vocab_size - 1; `end_of_text`, the last one of ours, stands between documents, ends an answer and pads."""

    def __init__(self, ranks: dict[bytes, int], end_of_text: int | None = None) -> None:
        """`ranks`: bytes of a token -> its id, which is also its priority in merging; every single byte must be there."""
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
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        hub.train_from_iterator(
            texts,
            trainers.BpeTrainer(
                vocab_size=vocab_size - 1, min_frequency=2, initial_alphabet=alphabet, show_progress=False
            ),
        )
        return cls(*_ranks(hub.get_vocab()))

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Read the tokenizer that `Tokenizer.save` wrote, or another one in `tokenizer.json` that gives the same ids here as there.

        Raises `GptmillError` that lists what keeps a tokenizer from being one of ours.
        """
        return files.read_snapshot(folder, _load)

    @classmethod
    def from_gpt2_files(cls, vocabulary: Path, merges: Path | None = None) -> "Tokenizer":
        """GPT-2's tokenizer from OpenAI's `encoder.json`, or a tokenizer of that kind in `vocab.json` and `merges.txt`."""
        try:
            ids = files.read_json(vocabulary)
            lines = merges.read_text(encoding="utf-8").splitlines() if merges else None
        except (OSError, ValueError) as error:
            raise GptmillError(f"{vocabulary} is not a vocabulary ({error}): get it again") from None
        pairs = None if lines is None else [line for line in lines if line and not line.startswith("#version")]
        return _ours(
            ids, pairs, vocabulary, _odd_settings(vocabulary.parent) if merges else [], check_merges=merges is not None
        )

    @staticmethod
    def max_length(folder: Path) -> int:
        """How many tokens of a text the model in this folder was made to read."""
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
        """Ids of a text. `<|endoftext|>` within it is read as the characters that it is made of, so that no text can end a document."""
        return self._encoding.encode_ordinary(text)

    def encode_documents(self, texts: Sequence[str], closed: bool = True) -> np.ndarray:
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
        merges = [
            tuple("".join(printable[b] for b in part) for part in self._halves(token)) for token in self._merged()
        ]
        vocabulary = {name: rank for rank, name in names.items()}
        if self.end_of_text != len(names):  # else it is added at the end
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

    def _merged(self) -> list[bytes]:
        return [token for token, _ in sorted(self.ranks.items(), key=lambda item: item[1]) if len(token) > 1]

    def _halves(self, token: bytes) -> tuple[bytes, bytes]:
        """The pair that `token` is merged from: what is left of it when only lower ranks may merge."""
        limit = self.ranks[token]
        parts = [token[i : i + 1] for i in range(len(token))]
        while len(parts) > 2:
            pairs = [
                (self.ranks.get(left + right, limit), i)
                for i, (left, right) in enumerate(zip(parts, parts[1:], strict=False))
            ]
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


def _load(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    try:
        content = files.read_json(path)
        model, added = content["model"], content.get("added_tokens") or []
        vocabulary, merges = model["vocab"], model.get("merges")
        names = {token["content"]: token["id"] for token in added}
    except FileNotFoundError:
        raise GptmillError(f"{path} is not here: run the stage that makes it, `dvc repro tokenize`") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GptmillError(
            f"{path} is not a tokenizer ({error}): `dvc repro tokenize` makes the pipeline's own; get any other again"
        ) from None
    odd = [*_odd_steps(content), *_odd_tokens(names), *_odd_settings(folder)]
    return _ours(vocabulary, merges, path, odd, names.get(END_OF_TEXT))


def _ours(
    vocabulary: Any,
    merges: Any,
    where: Path,
    odd: Sequence[str],
    end_of_text: int | None = None,
    check_merges: bool = True,
) -> Tokenizer:
    """A tokenizer of those ids. Raises `GptmillError` that lists what is `odd` about it, and about the ids and merges."""
    problems = list(dict.fromkeys(odd))
    try:
        tokenizer = Tokenizer(*_ranks(vocabulary, end_of_text))
    except ValueError as error:
        problems.append(str(error))
    else:
        if check_merges and not problems and (problem := _odd_merges(tokenizer.ranks, vocabulary, merges)):
            problems.append(problem)
        if not problems:
            return tokenizer
    raise GptmillError(
        f"{where} is a tokenizer that gptmill can't represent, which knows GPT-2's kind: byte-level BPE with {END_OF_TEXT} as its one "
        f"special token. This one differs:\n{listing(problems)}"
    )


def _ranks(vocabulary: Any, end_of_text: int | None = None) -> tuple[dict[bytes, int], int]:
    """Ids by the bytes of the tokens, and the id of the end of text. Raises `ValueError` when they are not those of byte pairs."""
    byte_of = {character: byte for byte, character in _printable_bytes().items()}
    try:
        ranks = {bytes(byte_of[c] for c in token): rank for token, rank in vocabulary.items() if token != END_OF_TEXT}
        end = vocabulary.get(END_OF_TEXT, len(ranks) if end_of_text is None else end_of_text)
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"it is not a byte-level vocabulary ({error!r})") from None
    ids, lacking = [*ranks.values(), end], [byte for byte in range(256) if bytes([byte]) not in ranks]
    if lacking or any(type(i) is not int for i in ids) or sorted(ids) != list(range(len(ids))):
        raise ValueError("it is not a byte-level vocabulary: ids have gaps, or some of the 256 bytes are missing")
    return ranks, end


def _odd_merges(ranks: dict[bytes, int], vocabulary: dict[str, int], merges: Any) -> str:
    """Why tiktoken, which merges whatever makes a token of the lowest id, would merge in another way; empty when it does not."""
    from tokenizers import models

    try:
        pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]
        made = [vocabulary.get(left + right) for left, right in pairs]
        if made != sorted(rank for token, rank in ranks.items() if len(token) > 1):
            return "its merges do not stand in the order of the tokens that they make, one for each"
        # Where every token is what its own bytes merge into, no other pair can make it.
        names = {token: rank for token, rank in vocabulary.items() if token != END_OF_TEXT}
        pair_by_pair = models.BPE(vocab=names, merges=pairs)
        lost = [token for token in names if len(pair_by_pair.tokenize(token)) > 1]
    except Exception as error:  # noqa: BLE001 - the library raises no narrower one
        return f"its merges are not readable ({error})"
    return f"nothing merges into {len(lost)} of its tokens, as {lost[0]!r}" if lost else ""


def _odd_steps(content: dict[str, Any]) -> Iterator[str]:
    """Steps of a `tokenizer.json` that would change a text or its ids, by name."""
    model = content["model"]
    if (kind := model.get("type") or "BPE") != "BPE":
        yield f"model {kind}"
    for name in ("dropout", "byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            yield f"model.{name} {model[name]!r}"
    for step in _steps(content.get("normalizer")):
        yield f"normalizer {_kind(step)}"
    before = _steps(content.get("pre_tokenizer"))
    if [_kind(step) for step in before] != ["ByteLevel"]:
        yield f"pre_tokenizer {', '.join(map(_kind, before)) or 'none'}"
    elif before[0].get("add_prefix_space", True) or not before[0].get("use_regex", True):
        yield f"pre_tokenizer ByteLevel with {'add_prefix_space' if before[0].get('add_prefix_space', True) else 'use_regex false'}"
    for step in _steps(content.get("post_processor")):
        template = step.get("single") if isinstance(step, dict) else None
        adds = not isinstance(template, list) or any(
            not isinstance(piece, dict) or "Sequence" not in piece for piece in template
        )
        if _kind(step) != "ByteLevel" and not (_kind(step) == "TemplateProcessing" and not adds):
            yield f"post_processor {_kind(step)}, which adds tokens"
    if [_kind(step) for step in _steps(content.get("decoder"))] != ["ByteLevel"]:
        yield f"decoder {', '.join(map(_kind, _steps(content.get('decoder')))) or 'none'}"


def _steps(step: Any) -> list[Any]:
    """A step, or those of a sequence of steps."""
    if _kind(step) != "Sequence":
        return [] if step is None else [step]
    parts = next(
        (step[name] for name in ("normalizers", "pretokenizers", "processors", "decoders") if name in step), None
    )
    return [part for inner in parts for part in _steps(inner)] if isinstance(parts, list) else ["an odd sequence"]


def _kind(step: Any) -> str:
    return str(step.get("type")) if isinstance(step, dict) else str(step)[:60]


def _odd_tokens(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name != END_OF_TEXT:
            yield f"added token {str(name)[:60]!r}"


def _odd_settings(folder: Path) -> Iterator[str]:
    """What the files that may stand next to a vocabulary change about it."""
    for file in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        try:
            settings = files.read_json(folder / file)
            if not isinstance(settings, dict):
                raise ValueError("it holds no object")
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            yield f"{file} is not readable ({error})"
            continue
        if file == "added_tokens.json":
            yield from _odd_tokens(settings)
            continue
        for name in ("add_prefix_space", "add_bos_token", "add_eos_token", "do_lower_case"):
            if settings.get(name):
                yield f"{name} in {file}"
        kind = settings.get("tokenizer_class") or _CLASSES[0]
        if str(kind).removesuffix("Fast") not in _CLASSES:
            yield f"tokenizer_class {str(kind)[:60]}"
        for role in ("bos", "eos", "pad", "unk", "sep", "cls", "mask"):
            name = _named(settings.get(f"{role}_token"))
            if name not in (None, END_OF_TEXT):
                yield f"{role}_token {str(name)[:60]!r}"
        for key in ("additional_special_tokens", "extra_special_tokens", "added_tokens_decoder"):
            tokens = settings.get(key) or []
            yield from _odd_tokens(_named(token) for token in (tokens.values() if isinstance(tokens, dict) else tokens))


# Of transformers, those that are what tokenizer.json says.
_CLASSES = ("GPT2Tokenizer", "PreTrainedTokenizer", "TokenizersBackend")


def _named(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token


def _printable_bytes() -> dict[int, str]:
    """GPT-2's spelling of bytes as visible characters: printable Latin-1 stands for itself, the rest for U+0100 and up, in order."""
    own = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
    others = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) for byte in own} | {byte: chr(256 + i) for i, byte in enumerate(others)}
