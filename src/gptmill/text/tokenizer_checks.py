"""Which foreign tokenizers gptmill can represent: GPT-2's kind, byte-level BPE with `<|endoftext|>` as special token.

Each check names what differs. A tokenizer with any difference is refused: it would silently give other ids.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gptmill.core import files

END_OF_TEXT = "<|endoftext|>"
SETTINGS_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")  # may stand by a vocabulary
# The classes of transformers that do what tokenizer.json says.
_CLASSES = ("GPT2Tokenizer", "PreTrainedTokenizer", "TokenizersBackend")


def ranks_of(vocabulary: Any, end_of_text: int | None = None) -> tuple[dict[bytes, int], int]:
    """Ids by the bytes of the tokens, and the end-of-text id. Raises `ValueError` for a vocabulary of another kind."""
    byte_of = {character: byte for byte, character in _printable_bytes().items()}
    try:
        ranks = {bytes(byte_of[c] for c in token): rank for token, rank in vocabulary.items() if token != END_OF_TEXT}
        end = vocabulary.get(END_OF_TEXT, len(ranks) if end_of_text is None else end_of_text)
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"it is not a byte-level vocabulary ({error!r})") from None
    ids, missing = [*ranks.values(), end], [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing or any(type(i) is not int for i in ids) or sorted(ids) != list(range(len(ids))):
        raise ValueError("it is not a byte-level vocabulary: ids have gaps, or some of the 256 bytes are missing")
    return ranks, end


def merges(ranks: dict[bytes, int], vocabulary: dict[str, int], merges: Any) -> list[str]:
    """tiktoken has no merges: it merges the pair whose token has the lowest id. Says why that would give other ids."""
    from tokenizers import models

    try:
        pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]
        merged = [vocabulary.get(left + right) for left, right in pairs]
        if merged != sorted(rank for token, rank in ranks.items() if len(token) > 1):
            return ["its merges do not stand in the order of the tokens that they make, one for each"]
        # Where every token is what its own bytes merge into, no other pair can make it.
        names = {token: rank for token, rank in vocabulary.items() if token != END_OF_TEXT}
        bpe = models.BPE(vocab=names, merges=pairs)
        lost = [token for token in names if len(bpe.tokenize(token)) > 1]
    except Exception as error:  # noqa: BLE001 - the library raises no narrower one
        return [f"its merges are not readable ({error})"]
    return [f"nothing merges into {len(lost)} of its tokens, as {lost[0]!r}"] if lost else []


def steps(content: dict[str, Any]) -> Iterator[str]:
    """Steps of a `tokenizer.json` that would change a text or its ids."""
    model = content["model"]
    if (kind := model.get("type") or "BPE") != "BPE":
        yield f"model {kind}"
    for name in ("dropout", "byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            yield f"model.{name} {model[name]!r}"
    for step in _flat(content.get("normalizer")):
        yield f"normalizer {_kind(step)}"
    before = _flat(content.get("pre_tokenizer"))
    if [_kind(step) for step in before] != ["ByteLevel"]:
        yield f"pre_tokenizer {', '.join(map(_kind, before)) or 'none'}"
    elif before[0].get("add_prefix_space", True):
        yield "pre_tokenizer ByteLevel with add_prefix_space"
    elif not before[0].get("use_regex", True):
        yield "pre_tokenizer ByteLevel with use_regex false"
    for step in _flat(content.get("post_processor")):
        template = step.get("single") if isinstance(step, dict) else None
        plain = isinstance(template, list) and all(
            isinstance(piece, dict) and "Sequence" in piece for piece in template
        )
        if _kind(step) != "ByteLevel" and not (_kind(step) == "TemplateProcessing" and plain):
            yield f"post_processor {_kind(step)}, which adds tokens"
    after = [_kind(step) for step in _flat(content.get("decoder"))]
    if after != ["ByteLevel"]:
        yield f"decoder {', '.join(after) or 'none'}"


def _flat(step: Any) -> list[Any]:
    """A step, or those of a sequence of steps."""
    if _kind(step) != "Sequence":
        return [] if step is None else [step]
    keys = ("normalizers", "pretokenizers", "processors", "decoders")
    parts = next((step[key] for key in keys if key in step), None)
    return [part for inner in parts for part in _flat(inner)] if isinstance(parts, list) else ["an odd sequence"]


def _kind(step: Any) -> str:
    return str(step.get("type")) if isinstance(step, dict) else str(step)[:60]


def added_tokens(names: Iterable[Any]) -> Iterator[str]:
    for name in names:
        if name != END_OF_TEXT:
            yield f"added token {str(name)[:60]!r}"


def settings(folder: Path) -> Iterator[str]:
    """What the files next to a vocabulary change about it."""
    for file in SETTINGS_FILES:
        try:
            content = files.read_json(folder / file)
            if not isinstance(content, dict):
                raise ValueError("it holds no object")
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            yield f"{file} is not readable ({error})"
            continue
        if file == "added_tokens.json":
            yield from added_tokens(content)
            continue
        for name in ("add_prefix_space", "add_bos_token", "add_eos_token", "do_lower_case"):
            if content.get(name):
                yield f"{name} in {file}"
        kind = content.get("tokenizer_class") or _CLASSES[0]
        if str(kind).removesuffix("Fast") not in _CLASSES:
            yield f"tokenizer_class {str(kind)[:60]}"
        for role in ("bos", "eos", "pad", "unk", "sep", "cls", "mask"):
            name = _content(content.get(f"{role}_token"))
            if name not in (None, END_OF_TEXT):
                yield f"{role}_token {str(name)[:60]!r}"
        for key in ("additional_special_tokens", "extra_special_tokens", "added_tokens_decoder"):
            tokens = content.get(key) or []
            yield from added_tokens(map(_content, tokens.values() if isinstance(tokens, dict) else tokens))


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token


def printable(token: bytes) -> str:
    """GPT-2's spelling of bytes: printable Latin-1 stands for itself, the rest for U+0100 and up, in order."""
    return "".join(map(_printable_bytes().__getitem__, token))


@cache
def _printable_bytes() -> dict[int, str]:
    own = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
    rest = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) for byte in own} | {byte: chr(256 + i) for i, byte in enumerate(rest)}
