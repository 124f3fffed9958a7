import random

import pytest

from gptmill.report.lengths import Bar, Lengths

RANDOM = random.Random(1)
KINDS = {
    "messages": ([int(RANDOM.lognormvariate(3, 0.6)) for _ in range(2000)], 128),
    "documents": ([int(RANDOM.lognormvariate(6, 1.6)) + 1 for _ in range(2000)], 1024),
    "all alike": ([40] * 10, 256),
    "one": ([5145], 256),
    "empty texts": ([0, 0, 0], 8),
    "one giant": ([5, 6, 5_000_000], 256),
    "a limit of 1": ([1, 2, 3], 1),
    "no step divides the limit": (list(range(500)), 251),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_is_in_one_bar(kind):
    texts, limit = KINDS[kind]
    bars = Lengths(texts).bars(limit)
    assert sum(bar.texts for bar in bars) == len(texts)
    for place, bar in enumerate(bars):
        low = -1 if place == 0 else bar.above
        assert bar.texts == sum(
            low < length <= (bar.up_to if bar.up_to is not None else max(texts)) for length in texts
        )
    assert [bar.above for bar in bars[1:]] == [bar.up_to for bar in bars[:-1]]


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_not_more_bars_than_a_person_can_read(kind):
    texts, limit = KINDS[kind]
    assert 1 <= len(Lengths(texts).bars(limit)) <= 36


def test_what_is_longer_than_nearly_all_is_one_bar():
    lengths = Lengths([*range(1, 101)] * 10 + [9000, 9001])
    assert lengths.bars(50)[-1] == Bar(100, None, 2)


def test_bars_are_cut_or_are_not_where_round_steps_allow_it():
    texts, limit = KINDS["messages"]
    assert limit in {bar.up_to for bar in Lengths(texts).bars(limit)}


def test_very_different_lengths_get_growing_steps():
    texts, limit = KINDS["documents"]
    widths = [bar.up_to - bar.above for bar in Lengths(texts).bars(limit) if bar.up_to]
    assert widths[-1] > 100 * widths[1]


def test_middle_longest_and_cut_are_counted():
    lengths = Lengths([1, 2, 3, 4, 100])
    assert (lengths.texts, lengths.tokens, lengths.longest) == (5, 110, 100)
    assert (lengths.quantile(0.5), lengths.quantile(0.95)) == (3, 100)
    assert (lengths.over(3), lengths.over(100)) == (2, 0)


def test_no_text_at_all_has_no_bars():
    assert Lengths().bars(8) == []
    assert (Lengths().quantile(0.5), Lengths().longest, Lengths().tokens) == (0, 0, 0)
