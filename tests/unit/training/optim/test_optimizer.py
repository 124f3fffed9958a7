from itertools import pairwise

import pytest
import torch

from gptmill.model.gpt import GPTClassifier
from gptmill.training.optim import adamw
from gptmill.training.optim.optimizer import BETAS, Optimizer
from gptmill.training.optim.schedule import learning_rate

BOTH = pytest.mark.parametrize("optimizer", ["adamw", "muon"])


def state(model) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def give_gradients(model, value: float) -> None:
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, value) if weight.requires_grad else None


@BOTH
@pytest.mark.parametrize("tied", [True, False])
def test_decay_pulls_the_blocks_matrices_towards_zero_and_no_norm_bias_or_embedding(
    make_gpt, training, optimizer, tied
):
    model = make_gpt(tie_weights=tied)
    before = state(model)
    give_gradients(model, 0.0)
    Optimizer(model, training(optimizer=optimizer, weight_decay=0.5)).step(0.1)
    for name, weight in model.named_parameters():
        if name == "head.weight":
            continue  # a head of its own may decay or not
        matrix = weight.dim() == 2 and ".blocks." in name
        torch.testing.assert_close(weight.detach(), before[name] * 0.95 if matrix else before[name], msg=name)


@BOTH
@pytest.mark.parametrize("trainable", ["head", "last_block", "all"])
def test_what_learns_moves_and_what_is_frozen_does_not(make_gpt, training, optimizer, trainable):
    model = GPTClassifier(make_gpt().backbone, ["a", "b"])
    model.freeze_all_but(trainable)
    before = state(model)
    give_gradients(model, 1.0)
    ours = Optimizer(model, training(optimizer=optimizer))
    assert sorted(map(id, ours.weights)) == sorted(id(weight) for weight in model.parameters() if weight.requires_grad)
    ours.step(0.01)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name]) != weight.requires_grad, name


@BOTH
def test_a_step_forgets_its_gradients(make_gpt, training, optimizer):
    model = make_gpt()
    give_gradients(model, 1.0)
    Optimizer(model, training(optimizer=optimizer)).step(0.01)
    assert all(weight.grad is None for weight in model.parameters())


@BOTH
def test_a_rate_of_zero_moves_nothing_and_a_higher_rate_moves_further(make_gpt, training, optimizer):
    def moved(rate: float) -> float:
        model = make_gpt()
        before = state(model)
        give_gradients(model, 1.0)
        Optimizer(model, training(optimizer=optimizer, weight_decay=0.0)).step(rate)
        return sum(float((weight.detach() - before[name]).abs().sum()) for name, weight in model.named_parameters())

    assert moved(0.0) == 0
    assert moved(0.02) == pytest.approx(2 * moved(0.01), rel=0.01)


def test_the_rate_warms_up_and_then_falls_along_a_cosine(training):
    params = training(learning_rate=0.4, min_learning_rate=0.04, warmup_steps=4)
    rates = [learning_rate(step, 24, params) for step in range(24)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[4] == pytest.approx(0.4)
    assert rates[14] == pytest.approx(0.22)  # half way down
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0.04 < rates[-1] < 0.05
    assert learning_rate(24, 24, params) == pytest.approx(0.04)


def test_the_rate_starts_at_its_peak_without_a_warm_up(training):
    assert learning_rate(0, 10, training(learning_rate=0.4, warmup_steps=0)) == pytest.approx(0.4)


def test_a_warm_up_that_is_longer_than_the_training_never_reaches_the_peak(training):
    params = training(learning_rate=0.4, warmup_steps=100)
    assert [learning_rate(step, 3, params) for step in range(3)] == pytest.approx([0.004, 0.008, 0.012])


def test_the_rate_is_constant_when_both_ends_are_the_same(training):
    params = training(learning_rate=0.1, min_learning_rate=0.1, warmup_steps=0)
    assert [learning_rate(step, 5, params) for step in range(5)] == pytest.approx([0.1] * 5)


@BOTH
@pytest.mark.parametrize("clip", [1e9, 0.5])
def test_the_steps_are_torchs_own(make_gpt, training, optimizer, clip):
    params = training(optimizer=optimizer, gradient_clip=clip)
    ours, theirs = make_gpt(tie_weights=False), make_gpt(tie_weights=False)
    stepper = Optimizer(ours, params)
    matrices = [weight for name, weight in theirs.named_parameters() if weight.dim() == 2 and "embedding" not in name]
    others = [weight for weight in theirs.parameters() if all(weight is not matrix for matrix in matrices)]
    if optimizer == "muon":
        torchs = [
            torch.optim.Muon(matrices, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, weight_decay=0.0),
        ]
    else:
        torchs = [
            torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}])
        ]
    for group in (group for one in torchs for group in one.param_groups if "betas" in group):
        group["betas"] = BETAS
    for step in range(4):
        torch.manual_seed(step)
        for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.grad = torch.randn_like(mine)
            yours.grad = mine.grad.clone()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        for one in torchs:
            one.param_groups[0]["lr"] = one.param_groups[-1]["lr"] = 0.01
            one.step()
        stepper.step(0.01)
    for (name, mine), yours in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        close = {"rtol": 0, "atol": 2e-3} if optimizer == "muon" and mine.dim() == 2 else {"rtol": 1e-5, "atol": 1e-6}
        torch.testing.assert_close(mine, yours, **close, msg=lambda text, name=name: f"{name}: {text}")


def test_large_weights_go_in_pieces_and_small_ones_together_each_exactly_once():
    sizes = [3, adamw._CHUNK, 5, 2 * adamw._CHUNK + 7, 1, 0, 9]
    pieces = list(adamw._chunks(sizes))
    assert all(sum(part.stop - part.start for _, part in places) <= adamw._CHUNK for places in pieces)
    for i, size in enumerate(sizes):
        parts = [part for places in pieces for j, part in places if j == i]
        assert all(before.stop == after.start for before, after in pairwise(parts))
        assert sum(part.stop - part.start for part in parts) == size
    assert len(pieces) == 4


@BOTH
def test_pieces_change_nothing(make_gpt, training, optimizer, monkeypatch):
    finals = []
    for at_once in (adamw._CHUNK, 64):
        monkeypatch.setattr(adamw, "_CHUNK", at_once)
        model = make_gpt()
        stepper = Optimizer(model, training(optimizer=optimizer), bf16=True)
        for _ in range(3):
            for weight in model.parameters():
                weight.grad = torch.full_like(weight, 0.01)
            stepper.step(0.01)
        stepper.release()
        finals.append(state(model))
    for name, weight in finals[0].items():
        torch.testing.assert_close(weight, finals[1][name], msg=name)


@BOTH
def test_steps_too_small_for_bf16_add_up_in_the_float32_weights(make_gpt, training, optimizer):
    model = make_gpt()
    before = state(model)
    stepper = Optimizer(model, training(optimizer=optimizer, weight_decay=0.0), bf16=True)
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    for _ in range(5):
        for weight in model.parameters():
            weight.grad = torch.ones_like(weight)
        stepper.step(1e-5)
    for weight, master in zip(model.parameters(), stepper.weights, strict=True):
        assert torch.equal(weight, master.bfloat16())
    with stepper.full_precision():
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    stepper.release()
    for name, weight in state(model).items():
        assert weight.dtype == torch.float32
        assert (weight - before[name]).abs().max() > 0, name


@BOTH
@pytest.mark.parametrize("bf16", [False, True])
def test_an_optimizer_that_is_restored_goes_on_with_the_same_bytes(make_gpt, training, optimizer, bf16):
    def steps(stepper: Optimizer, model, numbers: range) -> None:
        for step in numbers:
            torch.manual_seed(step)
            for weight in model.parameters():
                weight.grad = torch.randn_like(weight)
            stepper.step(0.01)

    first, second = make_gpt(), make_gpt(seed=1)
    one, other = (Optimizer(model, training(optimizer=optimizer), bf16=bf16) for model in (first, second))
    steps(one, first, range(3))
    with torch.no_grad():
        for mine, theirs in zip(other.weights, one.weights, strict=True):
            mine.copy_(theirs)
    other.restore({name: tensor.clone() for name, tensor in one.state().items()})
    for stepper, model in ((one, first), (other, second)):
        steps(stepper, model, range(3, 6))
        stepper.release()
    assert one.state().keys() == other.state().keys()
    assert all(torch.equal(tensor, other.state()[name]) for name, tensor in one.state().items())
    for (name, mine), theirs in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, theirs), name
