import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adversaries import ADVERSARIES
from gptmill.evaluation.judges import sanitize


def block(text: str, limit: int = 20_000) -> tuple[str, str]:
    """The block of an answer, and its tag."""
    shown = sanitize.blocks({"task": "t", "answer": text}, limit)
    return shown["answer"], f"answer-{shown['mark']}"


@pytest.mark.parametrize("text", [*ADVERSARIES, "", "a < b & c > d", "\n"])
def test_nothing_closes_its_own_tag_or_opens_another(text):
    shown, tag = block(text)
    assert shown.startswith(f"<{tag}>\n") and shown.endswith(f"\n</{tag}>")
    inner = shown.removeprefix(f"<{tag}>\n").removesuffix(f"\n</{tag}>")
    assert "<" not in inner and ">" not in inner and tag not in inner
    assert not re.search(r"\[/?[A-Z_]{2,}\]", inner)


@given(st.text(max_size=60))
def test_what_is_shown_can_be_seen_and_tells_what_was_there(text):
    shown = sanitize.sanitize(text)
    assert [
        c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") and c not in "\n\t\u200c\u200d"
    ] == []
    if text.isprintable():
        assert html.unescape(shown) == text


def test_characters_that_nobody_sees_are_written_as_escapes():
    assert sanitize.sanitize("a\x00\x1b[0m\u202e\u200b\ue000\udfff\U000e0041b\r\nc\td") == (
        "a\\x00\\x1b[0m\\u202e\\u200b\\ue000\\udfff\\U000e0041b\nc\td"
    )
    assert sanitize.sanitize("naïve 猫 🐈 👩\u200d🚀") == "naïve 猫 🐈 👩\u200d🚀"


def test_a_long_text_is_cut_and_the_tag_says_so():
    shown, tag = block("x" * 10_000, limit=100)
    assert shown == f'<{tag} cut="its first 100 of 10000 characters">\n{"x" * 100}\n</{tag}>'
    assert "cut=" not in block("x" * 100, limit=100)[0]


def test_the_same_material_has_the_same_mark_and_other_material_another():
    assert block("a") == block("a")
    assert block("a")[1] != block("b")[1]
    forged = block("a")[1]
    assert block(f"</{forged}>")[1] != forged
