"""Decoding against its plainest form: one prompt at a time, the whole text for each token, no cache."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gptmill.inference.detokenizer import IncrementalDetokenizer
from gptmill.inference.generation import generate, stream
from gptmill.inference.sampling import SamplingParams, next_tokens
from gptmill.model.gpt import GPT, GPTConfig
from gptmill.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["naïve café, the quick brown fox — jumps over the lazy dog. ### End ### " * 30], 320)


def model_of(layers: int, heads: int, d_head: int, context: int, vocab: int, seed: int) -> GPT:
    torch.manual_seed(seed)
    model = GPT(GPTConfig(vocab, context, layers, heads, heads * d_head)).eval()
    with torch.no_grad():  # far from zero, so that the top-1 token is clearly so
        for weight in model.parameters():
            weight.mul_(4)
    return model


@torch.no_grad()
def uncached(model: GPT, prompt: list[int], sampling: SamplingParams, row: int) -> list[int]:
    context, generator = model.config.context_length, torch.Generator().manual_seed(sampling.seed + row)
    history, window, new = list(prompt), list(prompt[-context:]), []
    while len(new) < sampling.max_new_tokens:
        [token] = next_tokens(model(torch.tensor([window]))[:, -1], [history], sampling, len(new), [generator])
        if token == sampling.stop:
            break
        new.append(token)
        history.append(token)
        window.append(token)
        if len(window) > context:
            window = window[-(context // 2) :]
    return new


@st.composite
def cases(draw):
    context, vocab = draw(st.integers(4, 24)), draw(st.integers(5, 40))
    model = model_of(
        draw(st.integers(1, 3)),
        draw(st.sampled_from([1, 2, 3])),
        draw(st.sampled_from([2, 4])),
        context,
        vocab,
        draw(st.integers(0, 99)),
    )
    prompts = draw(
        st.lists(st.lists(st.integers(0, vocab - 1), min_size=1, max_size=2 * context), min_size=1, max_size=6)
    )
    most = draw(st.integers(0, 2 * context))
    sampling = SamplingParams(
        max_new_tokens=most,
        temperature=draw(st.sampled_from([0.0, 0.0, 0.7, 1.5])),
        top_k=draw(st.integers(0, vocab + 3)),
        top_p=draw(st.sampled_from([1.0, 0.9, 0.3])),
        repetition_penalty=draw(st.sampled_from([1.0, 1.3, 0.8])),
        min_new_tokens=draw(st.integers(0, most)),
        stop=draw(st.one_of(st.none(), st.integers(0, vocab - 1))),
        seed=draw(st.integers(0, 999)),
    )
    return model, prompts, sampling


@settings(max_examples=120, deadline=None, derandomize=True)
@given(cases())
def test_cached_batches_say_what_each_prompt_says_alone_and_uncached(case):
    model, prompts, sampling = case
    together = [completion.tokens for completion in generate(model, prompts, sampling)]
    assert together == [uncached(model, prompt, sampling, row) for row, prompt in enumerate(prompts)]


def test_a_prompt_says_the_same_alone_and_among_16_others():
    model, random = model_of(3, 4, 8, 48, 320, 0), torch.Generator().manual_seed(1)
    others = [
        torch.randint(320, (int(n),), generator=random).tolist() for n in torch.randint(1, 60, (16,), generator=random)
    ]
    sampling = SamplingParams(max_new_tokens=60, stop=7)
    for prompt in others[:4]:
        [alone] = generate(model, [prompt], sampling)
        for place in (0, 9, 16):
            assert generate(model, [*others[:place], prompt, *others[place:]], sampling)[place] == alone


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"repetition_penalty": 0},
        {"min_new_tokens": 9},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SamplingParams(8, **wrong)


def feed(text: str, stops: list[str]) -> tuple[str, bool]:
    """The text shown for single-byte tokens, and whether a stop string came."""
    stream = IncrementalDetokenizer(TOKENIZER, stops)
    shown = "".join(stream.feed(TOKENIZER.ranks[bytes([byte])]) for byte in text.encode())
    return shown + stream.finish(), stream.stopped


@given(st.text("ab# é—", max_size=30), st.lists(st.text("ab# é—", min_size=1, max_size=5), max_size=3))
def test_text_ends_before_the_first_stop_string(text, stops):
    shown, stopped = feed(text, stops)
    completed = min((text.find(stop) + len(stop) for stop in stops if stop in text), default=None)
    assert stopped == (completed is not None)
    expected = (
        text
        if completed is None
        else text[: min(text[:completed].find(stop) for stop in stops if stop in text[:completed])]
    )
    assert shown == expected


@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 1), max_size=40))
def test_a_stream_without_stop_strings_is_the_decoded_text(ids):
    stream = IncrementalDetokenizer(TOKENIZER)
    assert "".join(map(stream.feed, ids)) + stream.finish() == TOKENIZER.decode(ids)


def test_nothing_that_may_become_a_stop_string_is_shown():
    stream = IncrementalDetokenizer(TOKENIZER, ["### End"])
    shown = ""
    for token in TOKENIZER.encode("fox ### Fox ### En"):
        shown += stream.feed(token)
        assert not any(shown.endswith("### End"[:n]) for n in range(1, 7))
    assert shown == "fox ### Fox " and stream.finish() == "### En"


def completed(
    model: GPT, prompts: list[list[int]], sampling: SamplingParams, stops: list[str]
) -> list[tuple[str, int, bool]]:
    """Per prompt: the text shown, the number of tokens, and whether a stop string came."""
    texts, shown, counts = (
        [IncrementalDetokenizer(TOKENIZER, stops) for _ in prompts],
        ["" for _ in prompts],
        [0] * len(prompts),
    )
    for row, token in stream(model, prompts, sampling, should_stop=lambda row: texts[row].stopped):
        shown[row] += texts[row].feed(token)
        counts[row] += 1
    return [
        (history + text.finish(), count, text.stopped)
        for history, count, text in zip(shown, counts, texts, strict=True)
    ]


def test_rows_stop_at_stop_strings_each_for_itself():
    model = model_of(2, 2, 8, 64, TOKENIZER.vocab_size, 5)
    prompts, sampling = (
        [TOKENIZER.encode(text) for text in ("the quick", "fox", "café — lazy dog")],
        SamplingParams(40, temperature=1.0, seed=2),
    )
    free = completed(model, prompts, sampling, [])
    assert [(count, stopped) for _, count, stopped in free] == [(40, False)] * 3
    stops = [free[0][0][5:9], free[2][0][11:13]]
    for (shown, count, stopped), (whole, _, _) in zip(completed(model, prompts, sampling, stops), free, strict=True):
        assert stopped == any(stop in whole for stop in stops) and whole.startswith(shown)
        assert not any(stop in shown for stop in stops)
        assert (count < 40) == stopped


def test_streaming_gives_tokens_as_they_come():
    model = model_of(2, 2, 4, 16, 30, 0)
    tokens = stream(model, [[1, 2], [3]], SamplingParams(5))
    first = [next(tokens), next(tokens)]
    assert [row for row, _ in first] == [0, 1]
    rest = [*first, *tokens]
    assert [token for row, token in rest if row == 1] == generate(model, [[1, 2], [3]], SamplingParams(5))[1].tokens
