import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.data import near_duplicates, text_files
from gptmill.text import writing_systems

CHINESE, JAPANESE, THAI = "我昨天去了学校，然后回家吃午饭。", "今日はラーメンを食べました。", "วันนี้อากาศดีมาก"
UNSPACED = [CHINESE, JAPANESE, THAI, "ພາສາລາວ", "ភាសាខ្មែរ", "မြန်မာဘာသာ", "ラーメン", "ㄅㄆㄇ"]
SPACED = [
    "The mill.",
    "Привет, мир!",
    "مرحبا بالعالم",
    "हिन्दी में लिखो",
    "안녕하세요 여러분",
    "Chào buổi sáng",
    "£100 — naïve 🐈",
    "",
    "123",
]


@pytest.mark.parametrize("text", UNSPACED)
def test_scripts_without_spaces_are_known(text):
    assert writing_systems.are_unspaced([text]) and len(writing_systems.split(text)) > 2


@pytest.mark.parametrize("text", SPACED)
def test_scripts_with_spaces_are_left_to_white_space(text):
    assert not writing_systems.are_unspaced([text]) and writing_systems.split(text) == text.split()


def test_in_mixed_texts_the_share_of_letters_decides():
    assert writing_systems.are_unspaced(["Call now " * 3, CHINESE]) and not writing_systems.are_unspaced(
        ["Call now " * 30, CHINESE]
    )
    assert writing_systems.are_unspaced([f"http://example.org/{n} {CHINESE}" for n in range(3)])
    assert not writing_systems.are_unspaced([]) and not writing_systems.are_unspaced(["!?"])


def test_words_of_mixed_texts_are_words_and_characters():
    assert writing_systems.split("我 use TensorFlow和") == ["我", "use", "TensorFlow", "和"]
    assert writing_systems.split("ไป ที่นี่") == ["ไ", "ป", "ที่", "นี่"], "a character comes with its marks"


@given(st.text(st.sampled_from("我去ที่ ab"), max_size=20), st.integers(1, 3))
def test_ngrams_are_all_runs_of_characters(text, n):
    ngrams = list(writing_systems.ngrams(text, n))
    assert "".join(ngrams[::n])[: len("".join(text.split()))] in "".join(text.split())
    assert ngrams == list(writing_systems.ngrams(text.replace(" ", ""), n)), "white space decides nothing"


# --- near-duplicates ---


def near(one: str, other: str) -> bool:
    return near_duplicates._Text(text_files.grouping_key(one)).is_near(
        near_duplicates._Text(text_files.grouping_key(other)), 0.8
    )


MESSAGE = "明天下午三点我们在学校门口见面，然后一起去看电影，好不好？"


def test_near_duplicates_are_found_among_ideographs():
    assert near(MESSAGE, MESSAGE.replace("三", "四"))
    assert near(MESSAGE, "！" + MESSAGE + "吧") and near(MESSAGE, MESSAGE.replace("，", " "))
    assert not near(MESSAGE, MESSAGE.replace("看电影", "吃晚饭").replace("学校", "公司")), "two words of six are others"
    assert not near("你好", "再见") and not near(MESSAGE, "恭喜你中奖了，请点击链接领取一千元现金红包。")


def test_the_digits_of_a_short_text_of_ideographs_must_be_the_same():
    assert not near("验证码是1234请勿告诉别人", "验证码是1235请勿告诉别人")
    assert near(f"{MESSAGE}电话13800001111", f"{MESSAGE}电话13800001112")


def test_fullwidth_letters_are_letters():
    assert text_files.grouping_key("ＡＢＣ１２３ ｶﾀｶﾅ") == text_files.grouping_key("abc123 カタカナ")
    assert text_files.normalise("Ｈｅｌｌｏ　ｗｏｒｌｄ") == "hello world"


@pytest.mark.parametrize(("one", "other"), [("दिन", "दान"), ("ไม่", "ไม้"), ("กี", "กู"), ("कि", "की")])
def test_vowels_that_are_marks_tell_texts_apart(one, other):
    assert text_files.grouping_key(one) != text_files.grouping_key(other)


def test_what_only_chooses_a_look_tells_nothing_apart():
    assert text_files.grouping_key("love ❤️") == text_files.grouping_key("love ❤") and text_files.grouping_key(
        "葛\ufe00"
    ) == text_files.grouping_key("葛")
