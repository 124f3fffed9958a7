import random

import pytest

from gptmill.core.errors import GptmillError
from gptmill.evaluation.tfidf import tfidf_classifier, tfidf_of

TRAIN = [
    "win a prize now",
    "claim your prize",
    "free cash prize",
    "see you at home",
    "home for tea",
    "tea at ours then",
]
LABELS = ["spam", "spam", "spam", "ham", "ham", "ham"]


def test_tfidf_tells_what_words_tell_apart():
    assert tfidf_classifier((TRAIN, LABELS), ["a free prize", "tea at home", "prize prize"], seed=1) == [
        "spam",
        "ham",
        "spam",
    ]


def test_tfidf_tells_more_than_two_classes_and_weighs_rare_ones_if_asked():
    texts, labels = [*TRAIN, "rain and snow", "snow at night"], [*LABELS, "weather", "weather"]
    assert tfidf_classifier((texts, labels), ["snow tomorrow", "tea", "prize"], seed=1) == ["weather", "ham", "spam"]
    common = (["tea now", "tea"] * 30 + ["tea"], ["common"] * 60 + ["rare"])
    assert tfidf_classifier(common, ["tea"], seed=1) == ["common"]
    assert tfidf_classifier(common, ["tea"], seed=1, weigh_classes=True) == ["rare"]


def test_texts_without_words_are_one_error():
    with pytest.raises(GptmillError, match="no text of the training split has a word"):
        tfidf_classifier((["?", "!", "a b", ""], ["x", "x", "y", "y"]), ["?"], seed=1)


def test_tfidf_is_repeatable_and_takes_words_that_it_does_not_know():
    texts = ["", "xyzzy", "prize tea", "home"]
    assert tfidf_classifier((TRAIN, LABELS), texts, seed=1) == tfidf_classifier((TRAIN, LABELS), texts, seed=1)


# --- scripts without spaces ---

HAM, SPAM, ANY = (
    words.split()
    for words in (
        "今天 明天 开会 吃饭 回家 电影 妈妈",
        "中奖 红包 点击 链接 免费 贷款 优惠",
        "我们 的 了 是 已经 大家 一个 到",
    )
)
THAI = tuple(words.split() for words in ("วันนี้ พรุ่งนี้ กินข้าว กลับบ้าน ดูหนัง", "รางวัล คลิก ลิงก์ ฟรี เงินกู้", "ของ ที่ ได้ เป็น และ"))


def messages(vocabulary: tuple, between: str = "", besides: str = "") -> tuple[list[str], list[str]]:
    chance, (ham, spam, both) = random.Random(1), vocabulary
    labels = [chance.choice(["ham", "spam"]) for _ in range(200)]
    texts = [
        between.join(chance.choices((spam if label == "spam" else ham) + both * 2, k=12)) + besides for label in labels
    ]
    return texts, labels


@pytest.mark.parametrize("vocabulary", [(HAM, SPAM, ANY), THAI], ids=["Chinese", "Thai"])
@pytest.mark.parametrize("besides", ["", " see http://example.org or call ７７７"])
def test_tfidf_of_characters_tells_scripts_without_spaces_apart(vocabulary, besides):
    texts, labels = messages(vocabulary, besides=besides)
    assert tfidf_of(texts[:140]) == "characters"
    result = tfidf_classifier((texts[:140], labels[:140]), texts[140:], seed=1)
    assert sum(one == other for one, other in zip(result, labels[140:], strict=True)) >= 58


def test_tfidf_is_of_words_where_there_are_spaces_and_says_which():
    assert tfidf_of(TRAIN) == tfidf_of(["Привет, мир", "안녕하세요"]) == tfidf_of(["", "?"]) == "words"
    assert tfidf_of([*TRAIN * 9, "我"]) == "words", "a few characters change nothing for the others"


def test_fullwidth_and_capital_letters_are_the_same_to_characters():
    train = (["中奖 ＷＩＮ", "中奖 win", "回家 ＨＯＭＥ", "回家 home"] * 3, ["spam", "spam", "ham", "ham"] * 3)
    assert tfidf_classifier(train, ["WIN", "ｈｏｍｅ"], seed=1) == ["spam", "ham"]
