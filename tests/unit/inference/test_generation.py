import pytest
import torch

from gptmill.inference.generation import Completion, generate, stream
from gptmill.inference.sampling import SamplingParams

PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5, 3, 5, 8, 9, 7, 9], [3, 2]]
CONTEXT = 16


@torch.inference_mode()
def uncached(model, prompt: list[int], new: int, choose=lambda logits, history: int(logits.argmax())) -> list[int]:
    """Without a cache or a batch: all is read again for each token. Past the context the older half is dropped."""
    context = model.config.context_length
    history, window = list(prompt), list(prompt[-context:])
    for _ in range(new):
        token = choose(model(torch.tensor([window]))[0, -1], history)
        history.append(token)
        window.append(token)
        if len(window) > context:
            window = window[-(context // 2) :]
    return history[len(prompt) :]


def tokens(model, prompts, sampling) -> list[list[int]]:
    return [completion.tokens for completion in generate(model, prompts, sampling)]


@pytest.mark.parametrize("seed", range(3))
def test_the_cache_changes_nothing(make_gpt, seed):
    model = make_gpt(seed)
    for prompt in PROMPTS:
        assert tokens(model, [prompt], SamplingParams(6)) == [uncached(model, prompt, 6)]


@pytest.mark.parametrize("seed", range(3))
def test_a_prompt_gives_in_company_what_it_gives_alone(make_gpt, seed):
    model = make_gpt(seed)
    assert tokens(model, PROMPTS, SamplingParams(6)) == [uncached(model, prompt, 6) for prompt in PROMPTS]


@pytest.mark.parametrize("new", [16, 50])
def test_a_text_goes_on_beyond_the_context_alone_and_in_company(make_gpt, new):
    model = make_gpt()
    alone = [uncached(model, prompt, new) for prompt in PROMPTS]
    assert [tokens(model, [prompt], SamplingParams(new))[0] for prompt in PROMPTS] == alone
    assert tokens(model, PROMPTS, SamplingParams(new)) == alone


@pytest.mark.parametrize("length", [CONTEXT - 1, CONTEXT, CONTEXT + 1, 3 * CONTEXT])
def test_a_prompt_that_fills_the_context_is_read_from_its_end(make_gpt, length):
    model = make_gpt()
    prompt = [i * 7 % 40 for i in range(length)]
    assert tokens(model, [prompt], SamplingParams(5)) == [uncached(model, prompt, 5)]
    assert tokens(model, [prompt, [9]], SamplingParams(5)) == [uncached(model, prompt, 5), uncached(model, [9], 5)]
    assert tokens(model, [prompt], SamplingParams(1)) == tokens(model, [prompt[-CONTEXT:]], SamplingParams(1))


def test_the_smallest_context_works(make_gpt):
    model = make_gpt(context_length=8, n_layers=1)
    assert tokens(model, PROMPTS, SamplingParams(20)) == [uncached(model, prompt, 20) for prompt in PROMPTS]


def test_sampling_among_one_is_greedy(make_gpt):
    model = make_gpt()
    assert tokens(model, PROMPTS, SamplingParams(8, temperature=1.5, top_k=1, seed=3)) == tokens(
        model, PROMPTS, SamplingParams(8)
    )
    assert tokens(model, PROMPTS, SamplingParams(8, temperature=1.5, top_p=0.0001, seed=3)) == tokens(
        model, PROMPTS, SamplingParams(8)
    )


def test_sampling_is_repeatable_by_its_seed(make_gpt):
    model = make_gpt()
    first, again, other = (tokens(model, PROMPTS, SamplingParams(12, temperature=2.0, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_a_row_draws_the_same_whatever_stands_beside_it(make_gpt):
    model = make_gpt()
    sampling = SamplingParams(8, temperature=2.0, seed=5)
    assert tokens(model, PROMPTS[:1], sampling)[0] == tokens(model, PROMPTS, sampling)[0]


def test_top_k_draws_from_the_top_k(make_gpt):
    model = make_gpt()
    top = set(model(torch.tensor([PROMPTS[0]]))[0, -1].topk(3).indices.tolist())
    drawn = {
        tokens(model, PROMPTS[:1], SamplingParams(1, temperature=5.0, top_k=3, seed=seed))[0][0] for seed in range(60)
    }
    assert drawn == top


def test_top_p_keeps_to_the_smallest_set_that_reaches_it(make_gpt):
    model = make_gpt()
    probabilities, order = model(torch.tensor([PROMPTS[0]]))[0, -1].softmax(0).sort(descending=True)
    p = float(probabilities[:2].sum().detach()) - 1e-4  # the top-1 token does not reach it, the top 2 do
    drawn = {
        tokens(model, PROMPTS[:1], SamplingParams(1, temperature=1.0, top_p=p, seed=seed))[0][0] for seed in range(80)
    }
    assert drawn == set(order[:2].tolist())


def test_a_higher_temperature_is_bolder(make_gpt):
    model = make_gpt()
    kinds = [
        len({tokens(model, PROMPTS[:1], SamplingParams(1, temperature=t, seed=seed))[0][0] for seed in range(40)})
        for t in (0.05, 20.0)
    ]
    assert kinds[0] < 5 < kinds[1]


def test_the_stop_token_ends_a_row_and_is_not_part_of_it(make_gpt):
    model = make_gpt()
    free = tokens(model, PROMPTS, SamplingParams(10))
    stop = free[0][4]
    completions = generate(model, PROMPTS, SamplingParams(10, stop=stop))
    for row, completion in zip(free, completions, strict=True):
        expected = Completion(row[: row.index(stop)], "stop") if stop in row else Completion(row, "length")
        assert completion == expected
    assert completions[0].finish_reason == "stop"


def test_rows_that_go_on_are_not_disturbed_by_those_that_stop(make_gpt):
    model = make_gpt()
    free = tokens(model, PROMPTS, SamplingParams(30))
    for stop in {token for row in free for token in row}:
        for row, completion in zip(free, generate(model, PROMPTS, SamplingParams(30, stop=stop)), strict=True):
            assert completion.tokens == (row[: row.index(stop)] if stop in row else row)


def test_no_row_stops_before_its_smallest_length(make_gpt):
    model = make_gpt()
    stop = tokens(model, PROMPTS[:1], SamplingParams(1))[0][0]
    assert generate(model, PROMPTS[:1], SamplingParams(6, stop=stop)) == [Completion([], "stop")]
    [completion] = generate(model, PROMPTS[:1], SamplingParams(6, stop=stop, min_new_tokens=3))
    assert len(completion.tokens) >= 3 and stop not in completion.tokens


def test_repetition_is_penalised_as_ctrl_does_it(make_gpt):
    model = make_gpt()

    def penalised(logits, history):
        logits = logits.clone()
        for token in set(history):
            logits[token] = logits[token] / 1.8 if logits[token] > 0 else logits[token] * 1.8
        return int(logits.argmax())

    sampling = SamplingParams(25, repetition_penalty=1.8)
    assert tokens(model, PROMPTS, sampling) == [uncached(model, prompt, 25, penalised) for prompt in PROMPTS]
    assert tokens(model, PROMPTS, sampling) != tokens(model, PROMPTS, SamplingParams(25))


def test_no_new_tokens_means_none(make_gpt):
    assert generate(make_gpt(), PROMPTS, SamplingParams(0)) == [Completion([], "length")] * 4
    assert generate(make_gpt(), [], SamplingParams(5)) == []


def test_an_empty_prompt_is_an_error(make_gpt):
    with pytest.raises(ValueError, match="at least one token"):
        generate(make_gpt(), [[1], []], SamplingParams(5))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_the_mode_that_it_was_in(make_gpt, training):
    model = make_gpt(dropout=0.5).train(training)
    assert tokens(model, PROMPTS, SamplingParams(4)) == tokens(model, PROMPTS, SamplingParams(4))
    assert model.training is training
    next(stream(model, PROMPTS, SamplingParams(4)))  # left in the middle
    assert model.training is training


def test_a_stream_yields_what_generate_collects(make_gpt):
    model = make_gpt()
    rows: list[list[int]] = [[] for _ in PROMPTS]
    for row, token in stream(model, PROMPTS, SamplingParams(7)):
        rows[row].append(token)
    assert rows == tokens(model, PROMPTS, SamplingParams(7))


def test_untied_and_biasless_models_generate_too(make_gpt):
    model = make_gpt(tie_weights=False, qkv_bias=False, n_heads=4)
    assert tokens(model, PROMPTS, SamplingParams(6)) == [uncached(model, prompt, 6) for prompt in PROMPTS]


def test_decoding_in_half_precision_works(make_gpt):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        completions = generate(make_gpt(), PROMPTS, SamplingParams(6))
    assert [len(completion.tokens) for completion in completions] == [6] * 4


# --- numbers at the edge of what float32 has ---


@pytest.mark.parametrize("temperature", [1e-320, 1e-45, 1e-38, 1e-30])
def test_a_temperature_next_to_zero_is_top_1(make_gpt, temperature):
    model = make_gpt()
    assert tokens(model, PROMPTS, SamplingParams(8, temperature=temperature, seed=3)) == tokens(
        model, PROMPTS, SamplingParams(8)
    )
    cut = SamplingParams(8, temperature=temperature, top_k=5, top_p=1e-320, min_new_tokens=8, stop=3)
    assert all(len(row) == 8 for row in tokens(model, PROMPTS, cut))


@pytest.mark.parametrize(
    "settings", [{"temperature": 1e308}, {"temperature": 2.0, "top_p": 1e-320}, {"repetition_penalty": 0.001}]
)
def test_other_numbers_at_the_edge_give_tokens(make_gpt, settings):
    assert [len(row) for row in tokens(make_gpt(), PROMPTS, SamplingParams(8, **settings))] == [8] * len(PROMPTS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 100_000_000}, "max_new_tokens is 100,000,000.*10.0 GB of memory"),
        ({"repetition_penalty": 1e-320}, "repetition_penalty must be from"),
        ({"seed": 10**30}, "seed must be between"),
        ({"temperature": float("nan")}, "temperature must be 0 or more"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SamplingParams(**{"max_new_tokens": 8} | settings)
