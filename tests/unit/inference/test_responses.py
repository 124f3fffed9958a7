from collections.abc import Iterator

import pytest

from gptmill.config.schema import GenerateParams
from gptmill.inference import responses
from gptmill.inference.generation import generate
from gptmill.inference.responses import Answer, complete, respond
from gptmill.inference.resumable import ResumableJsonl
from gptmill.inference.sampling import SamplingParams
from gptmill.text.prompts import TEMPLATES

ALPACA = TEMPLATES["alpaca"]
QUESTIONS = ["Name the cat.", "Translate into French, please, and take your time: the mill", "Hi"]
PROMPTS = [ALPACA.prompt(question) for question in QUESTIONS]


def params(**changes) -> GenerateParams:
    return GenerateParams(
        **({"max_new_tokens": 6, "temperature": 0.0, "top_k": 0, "batch_size": 2, "compare_base": False} | changes)
    )


@pytest.fixture
def model(make_gpt, tokenizer):
    return make_gpt(vocab_size=tokenizer.vocab_size, context_length=256)


@pytest.fixture
def ask(model, tokenizer, cpu, tmp_path):
    """`ask(seed=1, batch_size=2, …)`: the answers to the prompts, without finished batches."""
    places: Iterator[int] = iter(range(99))

    def ask(seed: int = 1, **changes: object) -> list[Answer]:
        return respond(
            model,
            tokenizer,
            ALPACA,
            PROMPTS,
            params(**changes),
            seed,
            cpu,
            ResumableJsonl(tmp_path / f"{next(places)}.jsonl"),
        )

    return ask


def test_each_prompt_gets_its_own_answer_in_its_place(model, tokenizer, ask):
    for prompt, answer in zip(PROMPTS, ask(), strict=True):
        [completion] = generate(model, [tokenizer.encode(prompt)], SamplingParams(6, stop=tokenizer.end_of_text))
        assert answer == Answer(
            ALPACA.parse_response(tokenizer.decode(completion.tokens))[0],
            len(completion.tokens),
            completion.finish_reason,
        )


def test_how_many_prompts_share_a_batch_does_not_matter(ask):
    assert ask(batch_size=1) == ask(batch_size=2) == ask(batch_size=8)


def test_sampled_answers_are_repeatable_by_their_seed(ask):
    first, again, other = (ask(seed, temperature=2.0) for seed in (1, 1, 2))
    assert first == again != other


def test_batches_that_are_finished_are_not_made_again(model, tokenizer, cpu, tmp_path, monkeypatch):
    path = tmp_path / "answers.jsonl"
    whole = respond(model, tokenizer, ALPACA, PROMPTS, params(batch_size=1), 1, cpu, ResumableJsonl(path))
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    path.write_bytes(b"".join(lines[:2]) + lines[2][:-9])
    made = []

    def counted(*args: object) -> list[Answer]:
        made.append(args[3])
        return complete(*args)

    monkeypatch.setattr(responses, "complete", counted)
    assert respond(model, tokenizer, ALPACA, PROMPTS, params(batch_size=1), 1, cpu, ResumableJsonl(path)) == whole
    assert made == [[tokenizer.encode(PROMPTS[1])]]  # the longest, whose line was torn
    assert path.read_bytes() == b"".join(lines)


class Scripted:
    """In place of a model: writes these texts, one per row, token by token, then the end of text."""

    def __init__(self, monkeypatch, tokenizer, *texts: str) -> None:
        def stream(model, prompts, sampling, should_stop):
            for row, text in enumerate(texts):
                for token in [*tokenizer.encode(text), tokenizer.end_of_text][: sampling.max_new_tokens]:
                    yield row, token
                    if should_stop(row):
                        break

        monkeypatch.setattr(responses, "stream", stream)


def test_an_answer_ends_where_the_model_goes_on_with_a_further_section(tokenizer, monkeypatch):
    texts = [
        "Tom.\n\n### Instruction:\nAnd the dog?",
        "### Response:\nTom £1",
        "",
        "### Response:",
        "Tom and Tom and Tom",
    ]
    Scripted(monkeypatch, tokenizer, *texts)
    ended = []
    answers = complete(
        None,
        tokenizer,
        ALPACA,
        [[1]] * 5,
        SamplingParams(len(tokenizer.encode(texts[0])), stop=tokenizer.end_of_text),
        lambda: ended.append(1),
    )
    assert [answer.response for answer in answers] == ["Tom.", "Tom £1", "", "", "Tom and Tom and Tom"]
    assert [answer.finish_reason for answer in answers] == ["stop"] * 5 and len(ended) == 5
    assert answers[0].tokens == len(tokenizer.encode("Tom.\n\n### Instruction:"))  # and not one more
    assert answers[2].tokens == 0 and answers[1].tokens == len(tokenizer.encode(texts[1]))


def test_an_answer_that_never_ends_is_cut_and_said_to_be(tokenizer, monkeypatch):
    Scripted(monkeypatch, tokenizer, "mill " * 50, "Tom.\n\n### Inst")
    room = len(tokenizer.encode("Tom.\n\n### Inst"))
    cut, half = complete(None, tokenizer, ALPACA, [[1], [1]], SamplingParams(room, stop=tokenizer.end_of_text))
    assert (cut.tokens, cut.finish_reason) == (room, "length") and ("mill " * 50).startswith(cut.response)
    assert half == Answer("Tom.", room, "length")
