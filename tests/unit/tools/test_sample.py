"""The embedded sample keeps its promises: same seed, same bytes; big, varied and connected; and neither task is solved by a trick."""

import collections
import json
import random
import re
import subprocess
import sys

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from gptmill.ingest import sample
from tools.sample import SEED, SEPARATOR, make_corpus, make_instructions, make_messages, words
from tools.sample.tasks import KINDS, draw_records

KEYWORDS = re.compile(
    r"free|\bwin\b|\bwon\b|winner|prize|claim|urgent|\btxt\b|\bcash\b|call now|\u00a3|congrat|18\+|per min|www|\.net|\.info|\.biz|\.co\b|"
    r"\.org|\b0900|\b0906|\b0871|\b0845|\b09\d",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def corpus() -> str:
    return make_corpus(SEED)


@pytest.fixture(scope="module")
def messages() -> list[tuple[str, str]]:
    return [tuple(line.split("\t")) for line in make_messages(SEED).splitlines()]


@pytest.fixture(scope="module")
def records() -> list[dict[str, str]]:
    return json.loads(make_instructions(SEED))


def test_the_package_carries_what_the_generator_writes(corpus, messages, records):
    assert sample.corpus(len(corpus)) == corpus
    assert sample.messages(len(messages)).splitlines() == ["\t".join(row) for row in messages]
    assert json.loads(sample.instructions(len(records))) == records


def alphabetic(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def balanced(messages, seed: int):
    """As many ham as spam, in random order, like the book's undersampled split."""
    rng = random.Random(seed)
    spam = [row for row in messages if row[0] == "spam"]
    rows = spam + rng.sample([row for row in messages if row[0] == "ham"], len(spam))
    rng.shuffle(rows)
    return rows


@pytest.mark.parametrize("make", [make_corpus, make_messages, make_instructions])
def test_same_seed_same_text_and_another_seed_another(make):
    size = 40_000 if make is make_corpus else 300
    assert make(1, size) == make(1, size)
    assert make(1, size) != make(2, size)


def test_text_does_not_depend_on_the_process_or_its_hash_seed():
    code = (
        "import hashlib; from tools.sample import *; "
        "print(hashlib.sha256((make_corpus(1, 40_000) + make_messages(1, 400) + make_instructions(1, 120)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("characters", [2_000, 40_000])
def test_corpus_is_at_least_as_long_as_asked_for(characters):
    assert characters <= len(make_corpus(3, characters)) < characters + 3_000


def test_corpus_is_over_a_megabyte_of_whole_stories(corpus):
    assert len(corpus.encode()) > 1_000_000
    lengths = sorted(len(story.split()) for story in corpus.split(SEPARATOR))
    assert lengths[len(lengths) // 20] >= 60
    assert lengths[-len(lengths) // 20] <= 260


def test_corpus_has_over_1500_words(corpus):
    assert len(alphabetic(corpus)) > 2_000


def test_corpus_has_no_leftovers_of_its_templates(corpus):
    prose = corpus.replace("<|endoftext|>", "")
    assert not re.search(r"[\[\]{}|~<>_]|  |\b(a|A) [aeio]\w+|\.\.[^.]|,,|\?,|\.,", re.sub(r'"[^"]*"', '""', prose))


def test_stories_come_back_to_what_they_introduced(corpus):
    """Names are said again in the story that they belong to: that is what makes a story connected."""
    again = alone = 0
    for story in corpus.split(SEPARATOR):
        names = collections.Counter(
            word for word in re.findall(r"[A-Z][a-z]+", story) if word in words.GIRLS + words.BOYS + words.TOWNS
        )
        again += sum(count > 1 for count in names.values())
        alone += sum(count == 1 for count in names.values())
    assert again > 3 * alone


def test_messages_have_the_public_set_s_shape(messages):
    assert len(messages) == 5574
    assert collections.Counter(label for label, _ in messages) == {"ham": 4827, "spam": 747}
    assert all(text == text.strip() and text for _, text in messages)
    assert 0.05 < 1 - len(set(messages)) / len(messages) < 0.13
    length = {label: sorted(len(text) for other, text in messages if other == label) for label in ("ham", "spam")}
    assert length["ham"][len(length["ham"]) // 2] < length["spam"][373]


def test_few_rows_keep_the_share_of_spam():
    labels = [line.split("\t")[0] for line in make_messages(1, 400).splitlines()]
    assert len(labels) == 400
    assert labels.count("spam") == 54


def test_no_message_is_both_ham_and_spam(messages):
    assert not {text for label, text in messages if label == "ham"} & {
        text for label, text in messages if label == "spam"
    }


def test_no_keyword_list_solves_the_spam(messages):
    rows = balanced(messages, seed=0)
    right = sum(bool(KEYWORDS.search(text)) == (label == "spam") for label, text in rows)
    assert 0.5 < right / len(rows) <= 0.88


def test_word_statistics_solve_most_of_the_spam_but_not_all(messages):
    accuracies = []
    for seed in range(3):
        rows = balanced(messages, seed)
        labels, texts = zip(*rows, strict=True)
        train, test = int(0.7 * len(rows)), int(0.8 * len(rows))
        model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
        model.fit(texts[:train], labels[:train])
        accuracies.append(model.score(texts[test:], labels[test:]))
    assert 0.92 <= sum(accuracies) / len(accuracies) <= 0.98


def test_records_have_the_schema(records):
    assert len(records) == 1100
    assert len(json.loads(make_instructions(1, 120))) == 120
    for record in records:
        assert list(record) == ["instruction", "input", "output"]
        assert all(isinstance(text, str) for text in record.values())
        assert record["instruction"] and record["output"]
    assert 0.3 < sum(not record["input"] for record in records) / len(records) < 0.6


def test_records_are_of_many_kinds_and_rarely_repeat(records):
    kinds = collections.Counter(kind for kind, _ in draw_records(SEED, 1100))
    assert len(kinds) == len(KINDS) >= 25
    assert min(kinds.values()) >= 10
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert 1 - len({json.dumps(record) for record in records}) / len(records) < 0.015


def test_an_instruction_has_one_answer(records):
    answers = collections.defaultdict(set)
    for record in records:
        answers[record["instruction"], record["input"]].add(record["output"])
    assert all(len(outputs) == 1 for outputs in answers.values())


def test_copying_or_repeating_one_answer_solves_no_instructions(records):
    copied = sum(
        record["output"].lower() in (record["input"].lower(), record["instruction"].lower()) for record in records
    )
    assert copied / len(records) <= 0.02
    assert collections.Counter(record["output"] for record in records).most_common(1)[0][1] / len(records) <= 0.02


def test_no_kind_has_only_one_answer():
    outputs = collections.defaultdict(set)
    for kind, record in draw_records(SEED, 1100):
        outputs[kind].add(record["output"])
    assert min(len(answers) for answers in outputs.values()) >= 3


def test_instructions_use_only_words_of_the_corpus(corpus, records):
    known = alphabetic(corpus)
    prompt = alphabetic(
        "Below is an instruction that describes a task. Write a response that appropriately completes the request. Instruction: Input:"
    )
    asked = {word for record in records for text in record.values() for word in alphabetic(text) if len(word) > 1}
    assert not (asked | prompt) - known
