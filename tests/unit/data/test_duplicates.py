import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from gptmill.data import duplicates, tables


def frame(rows: list[tuple]) -> pd.DataFrame:
    labels, texts = zip(*rows, strict=True)
    return pd.DataFrame(
        {"row": range(1, len(rows) + 1), "label": tables.strings(labels), "text": tables.strings(texts)}
    )


def conflicts(*rows: tuple) -> dict[int, str]:
    result = duplicates.label_conflicts(frame(list(rows)), ["ham", "spam", "news"])
    return {row: words for row, words in enumerate(result, start=1) if not pd.isna(words)}


@given(
    st.lists(
        st.sampled_from(
            [
                "Call me now please",
                "call me  NOW please",
                "call me now, please!",
                "call me now pleases",
                "bye",
                "",
                None,
            ]
        )
    )
)
def test_texts_are_groups_and_duplicates_and_near_duplicates(texts):
    result = duplicates.mark_duplicates(tables.strings(texts), 0.8)
    there = sum(text is not None for text in texts)
    assert there == result["group"].nunique() + result["is_duplicate"].sum() + result["is_near_duplicate"].sum()
    assert (result["is_duplicate"] + result["is_near_duplicate"] <= 1).sum() == there
    assert result.notna().all(axis="columns").sum() == there


def test_a_repetition_but_for_case_and_spacing_is_a_duplicate_and_one_but_for_punctuation_is_near():
    result = duplicates.mark_duplicates(
        tables.strings(["Call me now", "call me  NOW ", "Ｃall me now", "call me, now!", "bye"]), 0.8
    )
    assert list(result["is_duplicate"]) == [0, 1, 1, 0, 0] and list(result["is_near_duplicate"]) == [0, 0, 0, 1, 0]


def test_a_text_under_two_labels_names_the_others_and_their_rows():
    assert conflicts(("ham", "Win now"), ("spam", "win  NOW"), ("ham", "see you"), ("ham", "see you"), ("ham", "win now")) == {
        1: "spam (row 2)", 2: "ham (rows 1, 5)", 5: "spam (row 2)",
    }  # fmt: skip


def test_a_text_under_three_labels_names_two_others_and_not_every_row():
    result = conflicts(("ham", "x"), ("spam", "x"), *[("news", "x")] * 5)
    assert (
        result[1] == "spam (row 2), news (rows 3, 4, 5 and 2 more)"
        and result[3] == "ham (row 1), spam (row 2)"
        and len(result) == 7
    )


def test_unknown_labels_empty_texts_and_other_punctuation_contradict_nobody():
    assert (
        conflicts(
            ("ham", "x"),
            ("hum", "x"),
            (None, "x"),
            ("ham", " "),
            ("spam", ""),
            ("ham", None),
            ("spam", None),
            ("spam", "x!"),
        )
        == {}
    )
