"""Foreign text made safe to show to a judge: what an answer says is data, whatever it says.

A text stands between tags whose names end in a mark that comes from the hash of all the material, so that no text can hold its own mark,
and the same material always gives the same prompt. Inside, `<`, `>` and `&` are escaped: no tag can be closed or opened, nor can a chat
template's `<|…|>`. So are the brackets of `[INST]` and its like, and characters that nobody sees are written as escapes.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from html import escape

# Control characters, lone surrogates, private ones, and format characters: those that turn the writing's direction or hide text.
UNSEEN = {"Cc", "Cf", "Cs", "Co"}
SEEN = {"\n", "\t", "\u200c", "\u200d"}  # the last two join and part letters in Persian, in Hindi and in emoji
_BRACKETED = re.compile(r"\[(?=/?[A-Z_]{2,}\])")


def blocks(texts: Mapping[str, str], limit: int) -> dict[str, str]:
    """Each text between tags of its name, and `mark`, in which those names end. Of a text no more than `limit` characters are shown."""
    mark = hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode()).hexdigest()[:8]
    return {name: _block(f"{name}-{mark}", text, limit) for name, text in texts.items()} | {"mark": mark}


def _block(tag: str, text: str, limit: int) -> str:
    # The note stands in the tag, where no text can put one of its own.
    note = f' cut="its first {limit} of {len(text)} characters"' if len(text) > limit else ""
    return f"<{tag}{note}>\n{sanitize(text[:limit])}\n</{tag}>"


def sanitize(text: str) -> str:
    text = _BRACKETED.sub("&#91;", escape(text.replace("\r\n", "\n"), quote=False))
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in SEEN or unicodedata.category(character) not in UNSEEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
