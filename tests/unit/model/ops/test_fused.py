import pytest
import torch
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from gptmill.model.ops import fused


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("T", [1, 7])
def test_attention_and_its_gradient_are_torchs(dtype, close, T):
    B, H, D = 3, 2, 4
    gradient = random(B, T, H * D, seed=1, dtype=dtype)
    ours, theirs = (random(B, T, 3 * H * D, dtype=dtype).requires_grad_() for _ in range(2))
    out = fused.CausalAttention.apply(ours, H)
    out.backward(gradient)
    q, k, v = theirs.view(B, T, 3, H, D).permute(2, 0, 3, 1, 4)
    plain = scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, H * D)
    plain.backward(gradient)
    torch.testing.assert_close(out, plain, rtol=close, atol=close)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=close, atol=close)


@pytest.mark.parametrize("at_once", [(1 << 26, 1 << 20), (5 * 70, 2 * 70), (1, 1)])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
def test_cross_entropy_and_its_gradients_are_torchs_in_one_piece_and_in_many(monkeypatch, at_once, dtype, close):
    monkeypatch.setattr(fused, "_LOGITS_AT_ONCE", at_once[0])
    monkeypatch.setattr(fused, "_WIDENED_AT_ONCE", at_once[1])
    targets = torch.randint(70, (13,), generator=torch.Generator().manual_seed(2))
    hidden, head, h, w = (make.clone().requires_grad_() for make in (random(13, 8), random(70, 8, seed=1)) * 2)
    total, correct = fused.CrossEntropy.apply(hidden, head, targets, dtype)
    (total / 3).backward()
    logits = h @ w.T
    plain = cross_entropy(logits, targets, reduction="sum")
    (plain / 3).backward()
    torch.testing.assert_close(total, plain, rtol=close, atol=close)
    torch.testing.assert_close(hidden.grad, h.grad, rtol=close, atol=close)
    torch.testing.assert_close(head.grad, w.grad, rtol=close, atol=close)
    if dtype == torch.float32:
        assert int(correct) == int((logits.argmax(1) == targets).sum())


def test_of_equal_logits_the_first_is_the_likeliest():
    hidden, head = torch.ones(2, 3), torch.ones(5, 3)
    assert int(fused.CrossEntropy.apply(hidden, head, torch.tensor([0, 2]), torch.float32)[1]) == 1


def test_a_target_of_no_probability_has_a_finite_loss_and_gradient():
    hidden, head = torch.tensor([[1000.0]], requires_grad=True), torch.tensor([[1.0], [-1.0]], requires_grad=True)
    total, correct = fused.CrossEntropy.apply(hidden, head, torch.tensor([1]), torch.float32)
    total.backward()
    assert float(total.detach()) == 2000 and int(correct) == 0
    assert hidden.grad.tolist() == [[2.0]] and head.grad.tolist() == [[1000.0], [-1000.0]]


def test_nothing_to_predict_has_no_loss_and_gradients_of_zero():
    hidden, head = torch.zeros(0, 3, requires_grad=True), torch.ones(5, 3, requires_grad=True)
    total, correct = fused.CrossEntropy.apply(hidden, head, torch.zeros(0, dtype=torch.long), torch.float32)
    total.backward()
    assert float(total.detach()) == int(correct) == 0
    assert hidden.grad.shape == (0, 3) and not head.grad.any()


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_a_tied_weights_gradient_is_torchs_of_the_embedding_and_the_head_together(dtype, close):
    tokens, targets = torch.tensor([[3, 3, 1], [0, 3, 6]]), torch.tensor([1, 2, 3, 4, 5, 6])
    ours, theirs = (random(7, 4, dtype=dtype).requires_grad_() for _ in range(2))
    for turn in (1, 2):  # the second one adds to what is there
        tied = fused.TiedGradient()
        x = fused.Embedding.apply(ours, tokens, tied)
        total, _ = fused.CrossEntropy.apply(torch.tanh(x).flatten(0, 1), ours, targets, dtype, tied)
        (total / 3).backward()
        assert tied.gradient is None
        plain = torch.tanh(torch.nn.functional.embedding(tokens, theirs)).flatten(0, 1) @ theirs.T
        (cross_entropy(plain.float(), targets, reduction="sum") / 3).backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=close * turn, atol=close * turn)
