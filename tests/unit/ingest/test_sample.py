"""The embedded sample gives its first part, of any size that the parameters allow."""

import json

import pytest

from gptmill.config.data import SampleParams
from gptmill.data.text_files import SEPARATOR
from gptmill.ingest import sample


def most(key: str) -> int:
    return next(bound.le for bound in SampleParams.model_fields[key].metadata if hasattr(bound, "le"))


@pytest.mark.parametrize(
    ("take", "key"),
    [(sample.corpus, "corpus_characters"), (sample.messages, "messages"), (sample.instructions, "instructions")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_largest_size_that_a_parameter_allows_is_all_of_it(take, key):
    assert take(most(key)) == take(10 * most(key))
    assert len(take(most(key) - 1000)) < len(take(most(key)))


def test_a_part_of_the_corpus_is_its_first_whole_stories_and_long_enough():
    part, whole = sample.corpus(40_000), sample.corpus(most("corpus_characters"))
    stories = part.removesuffix("\n").split(SEPARATOR)
    assert stories == whole.split(SEPARATOR)[: len(stories)]
    assert 40_000 <= len(part) + len(SEPARATOR) < 43_000


def test_a_part_of_the_messages_and_records_is_the_first_ones():
    assert sample.messages(300).splitlines() == sample.messages(5574).splitlines()[:300]
    assert json.loads(sample.instructions(70)) == json.loads(sample.instructions(1100))[:70]
