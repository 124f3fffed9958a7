import pytest
import torch

from gptmill.model.gpt import GPTClassifier
from gptmill.training.optimizer import Optimizer, learning_rate

BOTH = pytest.mark.parametrize("optimizer", ["adamw", "muon"])


def state(model) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def give_gradients(model, value: float) -> None:
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, value) if weight.requires_grad else None


@BOTH
@pytest.mark.parametrize("tied", [True, False])
def test_decay_pulls_the_blocks_matrices_towards_zero_and_no_norm_bias_or_embedding(make_gpt, training, optimizer, tied):
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
    model = GPTClassifier(make_gpt().trunk, ["a", "b"])
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
