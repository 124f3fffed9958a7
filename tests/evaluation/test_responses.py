import pytest

from gptmill.data import prompts
from gptmill.evaluation.responses import extract, respond
from gptmill.model.generation import Decoding, generate
from gptmill.params import GenerateParams

RECORDS = [
    {"instruction": "Name the cat.", "input": "", "output": "Tom"},
    {"instruction": "Translate into French, please, and take your time.", "input": "the mill", "output": "le moulin"},
    {"instruction": "Hi", "input": "", "output": "Hello"},
]


@pytest.mark.parametrize(("written", "answer"), [
    ("Tom.", "Tom."), ("  Tom.\n", "Tom."), ("", ""), ("\n \n", ""),
    ("### Response:\nTom.", "Tom."), ("\n### Response: Tom.", "Tom."),
    ("Tom.\n\n### Instruction:\nName the dog.", "Tom."), ("Tom.\n### Input:\nx", "Tom."), ("Tom.\n### Response:\nNo, Ann.", "Tom."),
    ("### Instruction:\nName the dog.", ""), ("### Response:\n### Response:\nTom", ""),
    ("a\n\nb\n\n### of what\nc", "a\n\nb\n\n### of what\nc"),
])  # fmt: skip
def test_the_answer_is_what_stands_before_the_next_section(written, answer):
    assert extract(written) == answer


def params(**changes) -> GenerateParams:
    return GenerateParams(**({"max_new_tokens": 6, "temperature": 0.0, "top_k": 0, "batch_size": 2} | changes))


@pytest.fixture
def model(make_gpt, words):
    return make_gpt(vocab_size=words.vocab_size, context_length=256)


def test_each_record_gets_the_answer_to_its_own_prompt_in_its_place(model, words, cpu):
    answers = list(respond(model, words, RECORDS, params(), 1, cpu))
    for record, answer in zip(RECORDS, answers, strict=True):
        prompt = words.encode(prompts.alpaca(record["instruction"], record["input"]))
        [completion] = generate(model, [prompt], Decoding(6, stop=words.end_of_text))
        assert answer == {
            **record,
            "response": extract(words.decode(completion.tokens)),
            "tokens": len(completion.tokens),
            "stopped": completion.stopped,
        }


def test_how_many_prompts_share_a_batch_does_not_matter(model, words, cpu):
    answers = [list(respond(model, words, RECORDS, params(batch_size=size), 1, cpu)) for size in (1, 2, 8)]
    assert answers[0] == answers[1] == answers[2]


def test_sampled_answers_are_repeatable_by_their_seed(model, words, cpu):
    first, again, other = (list(respond(model, words, RECORDS, params(temperature=2.0), seed, cpu)) for seed in (1, 1, 2))
    assert first == again != other
