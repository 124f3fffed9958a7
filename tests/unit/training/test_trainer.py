import math

import numpy as np
import pytest
import torch

from gptmill.model.gpt import GPTClassifier
from gptmill.training import trainer
from gptmill.training.objectives import Classification, Example, Instruction, NextToken


def pattern(period: list[int], size: int = 200) -> np.ndarray:
    return np.resize(np.array(period, dtype=np.uint16), size)


PERIOD = [3, 1, 4, 1, 5, 9]


def objective(
    train: list[int] = PERIOD, validation: list[int] | None = None, seed: int = 0, batch_size: int = 4
) -> NextToken:
    return NextToken(
        pattern(train), pattern(validation or train, 60), context_length=16, batch_size=batch_size, seed=seed
    )


@pytest.fixture
def fresh():
    """A model of GPT-2's initial weights: `fresh(seed)`."""
    from gptmill.model.gpt import GPT, GPTConfig

    def make(seed: int = 0, **changes):
        torch.manual_seed(seed)
        return GPT(
            GPTConfig(
                **({"vocab_size": 12, "context_length": 16, "n_layers": 1, "n_heads": 2, "d_model": 16} | changes)
            )
        )

    return make


def state(model) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def equal(first: dict, second: dict) -> bool:
    return all(torch.equal(weight, second[name]) for name, weight in first.items())


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_model_learns_a_pattern(fresh, cpu, training, optimizer):
    model = fresh()
    trained = trainer.train(model, objective(), training(epochs=40, optimizer=optimizer), cpu, name="t")
    losses = [evaluation.validation_loss for evaluation in trained.curve]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 2 * losses[-1] and losses[-1] < 0.5
    assert trained.curve[-1].validation_accuracy > 0.9
    assert trained.best is trained.curve[-1]


def test_evaluations_are_evenly_spaced_and_count_what_was_seen(fresh, cpu, training):
    seen = []
    task = objective()
    trained = trainer.train(
        fresh(),
        task,
        training(epochs=8, evaluations=4),
        cpu,
        name="t",
        on_evaluation=[lambda so_far: seen.append(so_far.curve[-1])],
    )
    assert task.steps == 3
    assert [evaluation.step for evaluation in trained.curve] == [6, 12, 18, 24]
    assert [evaluation.epoch for evaluation in trained.curve] == [2, 4, 6, 8]
    windows = (200 - 1) // 16
    assert [evaluation.targets for evaluation in trained.curve] == [windows * 16 * epochs for epochs in (2, 4, 6, 8)]
    assert seen == trained.curve
    assert trained.seconds > 0


def test_more_evaluations_than_steps_are_one_a_step(fresh, cpu, training):
    trained = trainer.train(fresh(), objective(), training(epochs=1, evaluations=50), cpu, name="t")
    assert [evaluation.step for evaluation in trained.curve] == [1, 2, 3]


@pytest.mark.parametrize("name", ["next_token", "instruction", "classification", "lora"])
def test_how_often_the_loss_is_measured_and_who_looks_on_do_not_change_what_is_learnt(
    task, cpu, training, make_checkpoints, name
):
    """Byte for byte: evaluations, checkpoints, the bar and what is logged draw nothing and touch nothing."""
    learn, finals = task(name, dropout=0.2), []

    def busy(so_far) -> None:
        torch.rand(len(so_far.curve))  # whoever draws at an evaluation does not change what a step draws

    for evaluations, watchers, kept in [(1, [], None), (3, [], None), (10, [], None), (10, [busy], make_checkpoints())]:
        model = learn.model()
        params = training(epochs=5, evaluations=evaluations, keep="last")
        trained = trainer.train(model, learn.objective, params, cpu, name="t", checkpoints=kept, on_evaluation=watchers)
        assert len(trained.curve) == evaluations and trained.selected is trained.curve[-1]
        finals.append(b"".join(weight.detach().numpy().tobytes() for weight in model.parameters()))
    assert len(set(finals)) == 1


def test_the_last_weights_or_the_best_are_kept(fresh, cpu, training):
    task = objective(
        [0, 1], validation=[0, 1, 2, 3, 0, 2, 1, 3]
    )  # the better the pattern is known, the worse the rest goes
    best, last = fresh(), fresh()
    params = {"epochs": 20, "evaluations": 10, "learning_rate": 0.02}
    first = trainer.train(best, task, training(**params, keep="best"), cpu, name="t")
    second = trainer.train(last, task, training(**params, keep="last"), cpu, name="t")
    assert first.curve == second.curve
    assert (
        first.selected is first.best
        and second.selected is second.curve[-1]
        and second.best == first.best != second.selected
    )
    assert first.best.validation_loss == min(evaluation.validation_loss for evaluation in first.curve)
    assert trainer.evaluate(best, task, cpu).loss == first.selected.validation_loss
    assert trainer.evaluate(last, task, cpu).loss == second.selected.validation_loss


def test_a_training_stops_early_when_patience_ends(fresh, cpu, training):
    task = objective([0, 1], validation=[0, 1, 2, 3, 0, 2, 1, 3])
    params = {"epochs": 20, "evaluations": 20, "learning_rate": 0.02}
    whole = trainer.train(fresh(), task, training(**params), cpu, name="t")
    best = whole.curve.index(whole.best)
    for patience in (1, 3):
        stopped = trainer.train(fresh(), task, training(**params, patience=patience), cpu, name="t")
        assert stopped.curve == whole.curve[: best + patience + 1]
        assert stopped.selected == whole.best
    assert len(whole.curve) == 20  # 0 is for ever


class OneStep:
    """An objective of a single step, which counts how often the loss is asked for."""

    steps = 1

    def __init__(self, objective) -> None:
        self._objective, self.losses = objective, 0

    def __getattr__(self, name: str):
        return getattr(self._objective, name)

    def loss(self, model, batch):
        self.losses += model.training
        return self._objective.loss(model, batch)


@pytest.mark.parametrize("name", ["next_token", "instruction", "classification"])
@pytest.mark.parametrize(("size", "parts"), [(1, 4), (3, 2), (4, 1), (9, 1)])
def test_the_parts_of_a_batch_add_up_to_its_gradient(task, cpu, training, monkeypatch, name, size, parts):
    found = []
    monkeypatch.setattr(
        trainer.Optimizer, "step", lambda self, rate: found.append([weight.grad.clone() for weight in self.weights])
    )
    for micro_batch_size in (0, size):
        learn = task(name, dropout=0.0)
        objective = OneStep(learn.objective)
        params = training(epochs=1, micro_batch_size=micro_batch_size, evaluations=1, gradient_clip=1e9)
        trained = trainer.train(learn.model(), objective, params, cpu, name="t")
        found += [objective.losses, trained.curve[0]]
    whole, _, first, gradients, passes, second = found
    assert passes == parts
    assert second.targets == first.targets
    assert second.train_loss == pytest.approx(first.train_loss, rel=1e-6)
    for one, other in zip(whole, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
    assert max(float(gradient.abs().max()) for gradient in whole) > 1e-3


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_same_seed_gives_the_same_bytes_and_another_one_others(fresh, cpu, training, optimizer):
    def weights(seed: int, order: int) -> dict:
        model = fresh(seed, dropout=0.1)
        trainer.train(model, objective(seed=order), training(epochs=2, optimizer=optimizer), cpu, name="t")
        return state(model)

    first = weights(0, 0)
    assert equal(first, weights(0, 0))
    assert not equal(first, weights(1, 0))
    assert not equal(first, weights(0, 1))


def test_a_loss_that_is_no_number_stops_the_training_and_says_what_to_do(fresh, cpu, training):
    model = fresh()
    with torch.no_grad():
        model.head.weight[3] = float("nan")
    with pytest.raises(
        FloatingPointError,
        match=r"the loss of pretrain is NaN or Inf at step 1: lower its learning_rate \(0.01\), or raise its warmup",
    ):
        trainer.train(model, objective(), training(), cpu, name="pretrain")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_frozen_weights_do_not_move(fresh, cpu, training, optimizer):
    model = GPTClassifier(fresh(n_layers=2).backbone, ["a", "b"])
    model.freeze_all_but("last_block")
    before = state(model)
    rows = [([n % 10 + 1] * (n % 5 + 1), n % 2) for n in range(24)]
    trainer.train(model, Classification(rows, rows, 16, 4, 0), training(epochs=3, optimizer=optimizer), cpu, name="t")
    moved = {name for name, weight in state(model).items() if not torch.equal(weight, before[name])}
    learns = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert moved == learns
    assert "head.weight" in moved and "backbone.token_embedding.weight" not in moved


def test_a_classifier_learns(fresh, cpu, training):
    rows = [([5 + n % 2, *[n % 5] * (n % 4)], n % 2) for n in range(40)]
    model = GPTClassifier(fresh(d_model=32).backbone, ["a", "b"])
    trained = trainer.train(
        model, Classification(rows, rows, 16, 8, 0), training(epochs=10, learning_rate=0.01), cpu, name="t"
    )
    assert trained.best.validation_accuracy == 1


def test_tied_weights_stay_tied(fresh, cpu, training):
    model = fresh()
    trainer.train(model, objective(), training(), cpu, name="t")
    assert model.head.weight is model.backbone.token_embedding.weight


def test_evaluation_draws_nothing_at_random_and_leaves_the_mode(fresh, cpu):
    model = fresh(dropout=0.5)
    for mode in (True, False):
        before = torch.random.get_rng_state()
        first, second = (trainer.evaluate(model.train(mode), objective(), cpu) for _ in range(2))
        assert first == second
        assert model.training is mode
        assert torch.equal(torch.random.get_rng_state(), before)


def test_the_mean_loss_weighs_every_target_alike(fresh, cpu):
    model, task = fresh(), objective(batch_size=2)
    batches = list(task.validation_batches())
    with torch.no_grad():
        losses = [model.eval().loss(*batch) for batch in batches]
    assert len({int(count) for _, count, _ in losses}) > 1  # the last window is shorter
    tally = trainer.evaluate(model, task, cpu)
    assert tally.loss == pytest.approx(sum(float(loss) for loss, _, _ in losses) / 59, rel=1e-6)
    assert tally.accuracy == pytest.approx(sum(int(correct) for _, _, correct in losses) / 59)


def test_a_batch_in_which_nothing_counts_teaches_nothing_and_breaks_nothing(fresh, cpu, training):
    # The prompts of the first two fill max_length: no token of their answers is left to predict.
    examples = [Example([1] * 12, [2]), Example([1] * 12, [2]), Example([3], [4, 5]), Example([3], [4, 5])]
    task = Instruction(examples, examples, max_length=8, batch_size=2, seed=0, loss_on_prompt=False)
    model = fresh()
    trained = trainer.train(model, task, training(epochs=3), cpu, name="t")
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())
    assert all(math.isfinite(evaluation.validation_loss) for evaluation in trained.curve)


def test_half_precision_trains_too(fresh, training):
    from gptmill.runtime.device import Runtime

    model = fresh()
    trained = trainer.train(model, objective(), training(epochs=20), Runtime(torch.device("cpu"), bf16=True), name="t")
    assert trained.best.validation_loss < 0.7
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_bf16_weights_learn_as_float32_weights_do(fresh, cpu, training, optimizer):
    from gptmill.runtime.device import Runtime

    random = np.random.default_rng(0)
    tokens = [0]
    for _ in range(
        7000
    ):  # a token mostly follows from the one before: there is something to learn, and no loss ever comes near zero
        tokens.append((5 * tokens[-1] + 1) % 12 if random.random() < 0.6 else int(random.integers(12)))
    task = NextToken(
        np.array(tokens[:6000], np.uint16), np.array(tokens[6000:], np.uint16), context_length=16, batch_size=4, seed=0
    )
    params = training(epochs=1, optimizer=optimizer, learning_rate=0.003)
    curves = []
    for runtime in (cpu, Runtime(torch.device("cpu"), bf16=True)):
        trained = trainer.train(fresh(n_layers=2, d_model=32), task, params, runtime, name="t")
        curves.append([evaluation.validation_loss for evaluation in trained.curve])
    assert curves[0][0] > 1.1 * curves[0][-1]
    assert curves[1] == pytest.approx(curves[0], rel=0.01)


def test_bf16_gives_the_same_bytes_twice(fresh, training):
    from gptmill.runtime.device import Runtime

    finals = []
    for _ in range(2):
        model = fresh()
        trainer.train(model, objective(), training(optimizer="muon"), Runtime(torch.device("cpu"), bf16=True), name="t")
        finals.append(state(model))
    assert equal(*finals)
