"""The attention ladder: each rung gives what the next gives with the same weights, gradients too; so do the oracles of torch's layers."""

import pytest
import torch
from torch import Tensor, nn

from examples.book import reference_layers
from examples.book.attention import (
    CausalAttention,
    MultiHeadAttention,
    SelfAttention,
    SimilarityAttention,
    StackedHeads,
)
from gptmill.model.attention import Attention
from gptmill.model.gpt import GPT, FeedForward, GPTConfig

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def tokens(B: int, T: int, C: int, seed: int = 0) -> Tensor:
    return torch.randn(B, T, C, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def outputs_and_gradients(function, x: Tensor, weights: list[Tensor]) -> list[Tensor]:
    """The output, and the gradients of a fixed weighting of it with respect to the input and the weights."""
    y = function(x)
    weighting = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    return [y.detach(), *torch.autograd.grad((y * weighting).sum(), [x, *weights])]


def assert_all_close(left: list[Tensor], right: list[Tensor]) -> None:
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


def copy(target: nn.Linear, weight: Tensor, bias: Tensor | None) -> None:
    with torch.no_grad():
        target.weight.copy_(weight)
        if bias is not None:
            target.bias.copy_(bias)


@pytest.mark.parametrize("B, T, C", [(1, 1, 4), (2, 7, 16)])
def test_rung_1_is_rung_2_with_identities_for_weights(B, T, C):
    x, learnt = tokens(B, T, C), SelfAttention(C, C)
    copy(learnt.query, torch.eye(C) * C**0.5, None)  # undoes the scaling
    copy(learnt.key, torch.eye(C), None)
    copy(learnt.value, torch.eye(C), None)
    assert_all_close(outputs_and_gradients(SimilarityAttention(), x, []), outputs_and_gradients(learnt, x, []))


def test_weights_of_rung_1_are_a_mean():
    x = torch.ones(1, 5, 3)
    torch.testing.assert_close(SimilarityAttention()(x), x)


@pytest.mark.parametrize("bias", [True, False])
def test_rung_3_is_rung_2_on_each_beginning_of_the_text(bias):
    torch.manual_seed(0)
    x = tokens(2, 6, 8)
    causal, whole = CausalAttention(8, 5, qkv_bias=bias), SelfAttention(8, 5, qkv_bias=bias)
    whole.load_state_dict(causal.state_dict())

    def each_beginning(x: Tensor) -> Tensor:
        return torch.cat([whole(x[:, : t + 1])[:, -1:] for t in range(x.shape[1])], dim=1)

    assert_all_close(
        outputs_and_gradients(causal, x, list(causal.parameters())),
        outputs_and_gradients(each_beginning, x, list(whole.parameters())),
    )


@pytest.mark.parametrize("bias", [True, False])
def test_rung_4_with_one_head_is_rung_3(bias):
    torch.manual_seed(0)
    x, one, stacked = tokens(2, 6, 8), CausalAttention(8, 8, qkv_bias=bias), StackedHeads(8, 1, qkv_bias=bias)
    stacked.heads[0].load_state_dict(one.state_dict())
    assert_all_close(
        outputs_and_gradients(one, x, list(one.parameters())),
        outputs_and_gradients(stacked, x, list(stacked.parameters())),
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_rung_5_is_rung_4_and_a_projection(bias, heads):
    torch.manual_seed(0)
    x, stacked, multi = (
        tokens(3, 9, 16),
        StackedHeads(16, heads, qkv_bias=bias),
        MultiHeadAttention(16, heads, qkv_bias=bias),
    )
    for name in ("query", "key", "value"):
        parts = [getattr(head, name) for head in stacked.heads]
        copy(
            getattr(multi, name),
            torch.cat([p.weight for p in parts]),
            torch.cat([p.bias for p in parts]) if bias else None,
        )
    left = outputs_and_gradients(lambda x: multi.out_proj(stacked(x)), x, [head.query.weight for head in stacked.heads])
    right = outputs_and_gradients(multi, x, [multi.query.weight])
    assert_all_close([*left[:2], torch.cat(left[2:])], right)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads, T", [(1, 5), (4, 1), (4, 33)])
def test_rung_6_is_rung_5_with_one_matrix_for_three(bias, heads, T):
    torch.manual_seed(0)
    x, multi, fused = (
        tokens(2, T, 16),
        MultiHeadAttention(16, heads, qkv_bias=bias),
        Attention(16, heads, qkv_bias=bias),
    )
    three = [multi.query, multi.key, multi.value]
    copy(fused.qkv, torch.cat([p.weight for p in three]), torch.cat([p.bias for p in three]) if bias else None)
    copy(fused.out_proj, multi.out_proj.weight, multi.out_proj.bias)
    left = outputs_and_gradients(multi, x, [*(p.weight for p in three), *multi.out_proj.parameters()])
    right = outputs_and_gradients(fused, x, [fused.qkv.weight, *fused.out_proj.parameters()])
    assert_all_close([*left[:2], torch.cat(left[2:5]), *left[5:]], right)


@pytest.mark.parametrize(
    "rung", [CausalAttention(8, 8, 0.5), StackedHeads(8, 2, 0.5), MultiHeadAttention(8, 2, 0.5), Attention(8, 2, 0.5)]
)
def test_dropout_hides_in_training_alone_and_never_shows_the_future(rung):
    x = tokens(1, 12, 8).detach()
    torch.manual_seed(0)
    assert not torch.equal(rung.train()(x), rung(x))
    later = x.clone()
    later[:, 6:] = 9.0
    for _ in range(5):
        torch.manual_seed(3)
        left = rung(x)
        torch.manual_seed(3)
        torch.testing.assert_close(left[:, :6], rung(later)[:, :6])
    assert torch.equal(rung.eval()(x), rung(x))


def test_dropout_keeps_the_mean():
    torch.manual_seed(0)
    x, rung = tokens(1, 6, 8).detach(), CausalAttention(8, 8, dropout=0.3)
    mean = torch.stack([rung.train()(x) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(mean, rung.eval()(x), atol=0.03, rtol=0)


def test_layer_norm_is_torchs():
    torch.manual_seed(0)
    ours, torchs = reference_layers.LayerNorm(24), nn.LayerNorm(24)
    nn.init.normal_(torchs.weight), nn.init.normal_(torchs.bias)
    ours.load_state_dict(torchs.state_dict())
    x = tokens(2, 5, 24)
    assert_all_close(
        outputs_and_gradients(ours, x, list(ours.parameters())),
        outputs_and_gradients(torchs, x, list(torchs.parameters())),
    )
    assert torch.equal(ours(torch.full((24,), 3.0)), ours.bias)


def test_gelu_is_what_the_model_uses():
    x = torch.linspace(-6, 6, 400).requires_grad_()
    assert_all_close(
        outputs_and_gradients(reference_layers.GELU(), x, []), outputs_and_gradients(FeedForward(8).activation, x, [])
    )


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_checkpointed_activations_change_no_gradient(dropout):
    torch.manual_seed(0)
    model = GPT(GPTConfig(64, 16, 3, 2, 16, dropout=dropout))
    rows = torch.randint(64, (4, 16))
    gradients = []
    for on in (False, True):
        model.backbone.checkpoint_activations = on
        torch.manual_seed(1)
        model.zero_grad()
        loss, *_ = model.loss(rows[:, :-1], rows[:, 1:])
        loss.backward()
        gradients.append([weight.grad.clone() for weight in model.parameters()])
    for left, right in zip(*gradients, strict=True):
        assert torch.equal(left, right)


def test_checkpointing_keeps_less_for_the_way_back():
    model = GPT(GPTConfig(64, 64, 4, 2, 32))
    rows = torch.randint(64, (2, 64))
    saved = []
    for on in (False, True):
        model.backbone.checkpoint_activations = on
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, sizes=sizes: sizes.append(t.nbytes) or t, lambda t: t):
            model.backbone(rows)
        saved.append(sum(sizes))
    assert saved[1] < saved[0] / 3
