"""The decoder against the model in training: the same logits in float32, close ones in bf16."""

import pytest
import torch

from gptmill.config.schema import LoRAParams
from gptmill.inference.decoder import Decoder
from gptmill.inference.generation import generate
from gptmill.inference.sampling import SamplingParams
from gptmill.model import lora

ROWS = [[3, 1, 4, 1, 5, 9, 2], [6, 5], [3, 5, 8, 9, 7]]
MORE = [[7, 8, 9], [1, 0, 3], [2, 2, 30]]  # a token of each row, step by step
KINDS = [{}, {"tie_weights": False, "qkv_bias": False}, {"n_heads": 4, "n_layers": 3}]


@torch.inference_mode()
def decode(decoder: Decoder, rows: list[list[int]], more: list[list[int]]) -> torch.Tensor:
    """(steps, B, V) logits after the rows, and after each step."""
    state, logits = decoder.prefill(rows, len(more))
    return torch.stack([logits, *(state.decode_step(tokens) for tokens in more)])


@torch.inference_mode()
def uncached(model, rows: list[list[int]], more: list[list[int]]) -> torch.Tensor:
    def logits(row: list[int], i: int, step: int) -> torch.Tensor:
        return model(torch.tensor([[*row, *(tokens[i] for tokens in more[:step])]]))[0, -1]

    steps = range(len(more) + 1)
    return torch.stack([torch.stack([logits(row, i, step) for i, row in enumerate(rows)]) for step in steps])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_reads_as_the_model_does(make_gpt, kind):
    model = make_gpt(**kind)
    torch.testing.assert_close(decode(Decoder(model), ROWS, MORE), uncached(model, ROWS, MORE), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("packed", [True, False])  # False: as on a GPU, and on CPUs that oneDNN has no bf16 for
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1]], ids=["padded", "alone"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_in_bf16_it_reads_nearly_so(make_gpt, kind, rows, packed, monkeypatch):
    if not packed:
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    model = make_gpt(**kind)
    more = [tokens[: len(rows)] for tokens in MORE]
    bf16, full = decode(Decoder(model, bf16=True), rows, more), uncached(model, rows, more)
    assert bf16.dtype == torch.float32
    assert 0 < float((bf16 - full).norm() / full.norm()) < 0.02


def test_adapters_count_in_bf16_too(make_gpt):
    model = make_gpt()
    lora.attach(model, LoRAParams(rank=4, alpha=8.0, dropout=0.0, target_modules=["qkv", "up_proj"]))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(".B"):
                weight.normal_(std=0.4)
    bf16, full = decode(Decoder(model, bf16=True), ROWS, MORE), uncached(model, ROWS, MORE)
    assert float((bf16 - full).norm() / full.norm()) < 0.02


def test_logits_that_lie_far_from_zero_together_keep_their_differences(make_gpt):
    """GPT-2's are about -100, where bf16 knows halves only."""
    model = make_gpt(tie_weights=False)
    with torch.no_grad():
        model.backbone.final_norm.bias[0] += 10
        model.head.weight *= 0.1
        model.head.weight[:, 0] -= 10
    full = uncached(model, ROWS, [])[0]
    assert full.max() < -50
    bf16 = decode(Decoder(model, bf16=True), ROWS, [])[0]
    assert float((bf16 - full).abs().max()) < 0.15
    gaps = (bf16 - bf16.mean(1, keepdim=True)) - (full - full.mean(1, keepdim=True))
    assert float(gaps.abs().max()) < 0.05
    assert float((full.bfloat16().float() - full).abs().max()) > 0.1


def test_rows_that_stay_are_not_moved_by_those_that_go(make_gpt):
    decoder = Decoder(make_gpt())
    with torch.inference_mode():
        state, _ = decoder.prefill(ROWS, 2)
        state.select_rows([0, 2])
        both = state.decode_step([7, 2])
        state.select_rows([0])  # of the rows that are left, none is padded any more
        last = state.decode_step([1])
    torch.testing.assert_close(both, decode(decoder, [ROWS[0], ROWS[2]], [[7, 2]])[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last, decode(decoder, [ROWS[0]], [[7], [1]])[2], rtol=1e-5, atol=1e-5)


def test_a_row_that_does_not_fit_into_the_context_is_an_error(make_gpt):
    with pytest.raises(ValueError, match="17 tokens do not fit into a context of 16"):
        Decoder(make_gpt()).prefill([[1] * 17, [2]], 1)


def test_a_decoder_writes_what_its_model_writes(make_gpt):
    model = make_gpt()
    assert generate(Decoder(model), ROWS, SamplingParams(30)) == generate(model, ROWS, SamplingParams(30))
    bf16 = Decoder(model, bf16=True)
    assert generate(bf16, ROWS, SamplingParams(30)) == generate(bf16, ROWS, SamplingParams(30))
    assert generate(bf16, ROWS, SamplingParams(3)) == generate(model, ROWS, SamplingParams(3))
