import itertools
import random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.data import near_duplicates, text_files

LONG = "the miller and his three sons went down to the river at dawn, and the cat went with them"
SOURCES = [
    LONG,
    "claim your prize of one thousand pounds by calling this number today",
    "what is the opposite of hot",
    "ok",
    "",
]


@st.composite
def texts(draw) -> list[str]:
    """Texts of which some are others with a few characters changed, cut or added, so that all similarities occur."""
    rng = random.Random(draw(st.integers(0, 10**6)))
    made = []
    for _ in range(draw(st.integers(2, 25))):
        text = list(rng.choice(SOURCES))
        for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
            text.insert(rng.randrange(len(text) + 1), rng.choice("abz 9!"))
        made.append("".join(text)[rng.choice([0, 0, 3]) :])
    return made


def near(one: str, other: str, threshold: float) -> bool:
    first, second = ({key[i : i + 5] for i in range(max(1, len(key) - 4))} for key in (one, other))
    digits = [[character for character in key if character.isdigit()] for key in (one, other)]
    same_numbers = min(len(one), len(other)) >= 50 or digits[0] == digits[1]
    return same_numbers and len(first & second) / len(first | second) >= threshold


def partition(groups: pd.Series) -> set[frozenset[int]]:
    return {frozenset(places) for places in groups.groupby(groups).groups.values()}


@given(texts(), st.sampled_from([0.75, 0.8, 0.9, 1.0]), st.integers(0, 99))
def test_what_straddles_is_what_a_comparison_of_all_with_all_finds(made, threshold, seed):
    rng = random.Random(seed)
    sides = {"left": set(), "middle": set(), "right": set()}
    for text in made:
        for _ in range(rng.choice([1, 1, 2])):
            sides[rng.choice(list(sides))].add(text_files.grouping_key(text))
    expected = {
        frozenset([(one, key), (other, its)])
        for one, other in itertools.combinations(sides, 2)
        for key, its in itertools.product(sides[one], sides[other])
        if key != its and near(key, its, threshold)
    }
    result = [frozenset(pair) for pair in near_duplicates.cross_split_pairs(sides, threshold)]
    assert set(result) == expected and len(result) == len(expected)


@given(texts())
def test_groups_are_the_chains_of_close_pairs(made):
    keys = [text_files.grouping_key(text) for text in made]
    groups = near_duplicates.group(pd.Series(made, dtype="str"), 0.8)
    chain = {key: {key} for key in keys}
    for one, other in itertools.combinations(sorted(set(keys)), 2):
        if near(one, other, 0.8) and chain[one] is not chain[other]:
            chain[one] |= chain[other]
            for key in chain[other]:
                chain[key] = chain[one]
    for (key, group), (other, its) in itertools.combinations(zip(keys, groups, strict=True), 2):
        assert (group == its) == (other in chain[key])


@given(texts(), st.randoms(use_true_random=False))
def test_the_order_of_the_texts_decides_nothing(made, rng):
    groups = near_duplicates.group(pd.Series(made, dtype="str"), 0.8)
    order = rng.sample(range(len(made)), len(made))
    assert list(near_duplicates.group(pd.Series([made[i] for i in order], dtype="str"), 0.8)) == [
        groups[i] for i in order
    ]


def test_copies_with_other_case_spacing_and_punctuation_are_of_one_group():
    copies = [
        LONG,
        LONG.upper(),
        LONG.replace(" ", "  "),
        LONG.replace(",", " ...") + "!!",
        f"“{LONG}”",
        "ok",
        "OK.",
        "o k",
    ]
    assert partition(near_duplicates.group(pd.Series(copies), 0.8)) == {frozenset(range(5)), frozenset({5, 6, 7})}


def test_what_differs_in_meaning_is_not_of_one_group_for_its_template():
    asked = [
        "Convert 45 km to metres.",
        "Convert 10 km to metres.",
        "What is the opposite of hot?",
        "What is the opposite of big?",
        "a",
        "b",
    ]
    assert near_duplicates.group(pd.Series(asked), 0.8).nunique() == len(asked)


def test_texts_of_a_template_with_a_number_are_no_giant_group():
    for template in (
        "Is it even or odd, this number: {}",
        "the square root of {} is what I want",
        "{} messages are what it says here",
    ):
        numbered = pd.Series([template.format(n) for n in range(300)])
        assert near_duplicates.group(numbered, 0.8).nunique() == 300
    long = pd.Series([f"{LONG}: call 09061{n:03d}25" for n in range(20)])
    assert (
        near_duplicates.group(long, 0.8).nunique() == 1
    )  # a long message with another phone number is the same message


def test_one_word_of_many_does_not_part_a_group():
    assert near_duplicates.group(pd.Series([LONG, LONG.replace("dawn", "noon")]), 0.8).nunique() == 1


def test_where_there_is_no_text_there_is_no_group():
    groups = near_duplicates.group(pd.Series(["a", None, "A"], dtype="str"), 0.8)
    assert list(groups.isna()) == [False, True, False] and groups[0] == groups[2]
    assert (
        near_duplicates.group(pd.Series([None], dtype="str"), 0.8).isna().all()
        and near_duplicates.group(pd.Series([], dtype="str"), 0.8).empty
    )


@pytest.mark.parametrize(("similarity", "missed"), [(0.8, 5e-8), (0.75, 6e-6)])
def test_the_bands_miss_as_seldom_as_is_said(similarity, missed):
    assert (1 - similarity**near_duplicates.ROWS) ** near_duplicates.BANDS < missed
