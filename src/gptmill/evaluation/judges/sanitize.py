"""Escapes text for a judge's prompt, against prompt injection.

Texts stand between tags whose names end in a mark, the hash of all texts of the prompt: no text can contain it.
Inside, `<`, `>` and `&` are escaped, so that no tag or chat template token `<|…|>` can be opened or closed; so are
the brackets of `[INST]` and the like, and invisible characters.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from html import escape

# Control, format (bidi controls, hidden text), surrogate and private-use characters.
INVISIBLE = {"Cc", "Cf", "Cs", "Co"}
ALLOWED = {"\n", "\t", "\u200c", "\u200d"}  # the last two join and separate letters in Persian, Hindi and emoji
_BRACKETED = re.compile(r"\[(?=/?[A-Z_]{2,}\])")


def blocks(texts: Mapping[str, str], limit: int) -> dict[str, str]:
    """Each text, cut after `limit` characters, between tags of its name; and `mark`, with which those names end."""
    mark = hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode()).hexdigest()[:8]
    return {name: _block(f"{name}-{mark}", text, limit) for name, text in texts.items()} | {"mark": mark}


def _block(tag: str, text: str, limit: int) -> str:
    # In the tag, where no text can write.
    note = f' cut="its first {limit} of {len(text)} characters"' if len(text) > limit else ""
    return f"<{tag}{note}>\n{sanitize(text[:limit])}\n</{tag}>"


def sanitize(text: str) -> str:
    text = _BRACKETED.sub("&#91;", escape(text.replace("\r\n", "\n"), quote=False))
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in ALLOWED or unicodedata.category(character) not in INVISIBLE:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
