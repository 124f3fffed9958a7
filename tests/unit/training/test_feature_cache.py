from dataclasses import replace

import pytest
import torch

from gptmill.model.gpt import GPTClassifier
from gptmill.runtime.device import Runtime
from gptmill.training import feature_cache, trainer
from gptmill.training.feature_cache import FrozenClassification
from gptmill.training.objectives import Classification

ROWS = [([n % 7 + 1] * (n * 5 % 11 + 1), n % 2) for n in range(30)]
TASK = Classification(ROWS[:20], ROWS[20:], 9, 4, 0)
FROZEN = pytest.mark.parametrize("trainable", ["head", "last_block"])


def classifier(make_gpt, trainable: str, **changes) -> GPTClassifier:
    torch.manual_seed(1)
    model = GPTClassifier(make_gpt(**({"n_layers": 3} | changes)).backbone, ["a", "b"])
    model.freeze_all_but(trainable)
    return model


def trained(
    model: GPTClassifier, task: Classification, training, runtime: Runtime
) -> tuple[list, dict[str, torch.Tensor]]:
    result = trainer.train(model, task, training(epochs=3), runtime, name="t")
    return result.curve, {name: weight.detach().clone() for name, weight in model.named_parameters()}


@FROZEN
@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bf16"])
def test_what_is_kept_gives_what_working_it_out_again_gives_to_the_last_bit(make_gpt, training, cpu, trainable, bf16):
    runtime = replace(cpu, bf16=bf16)
    found = []
    for cache in (True, False):
        model = classifier(make_gpt, trainable)
        found.append(trained(model, FrozenClassification.of(TASK, model, runtime, cache=cache), training, runtime))
    (curve, weights), (other_curve, other_weights) = found
    assert curve == other_curve
    assert weights.keys() == other_weights.keys() and all(
        torch.equal(weights[name], weight) for name, weight in other_weights.items()
    )


@FROZEN
def test_what_is_kept_in_a_file_is_what_is_kept_in_memory(make_gpt, cpu, trainable, monkeypatch):
    model = classifier(make_gpt, trainable)
    inside = FrozenClassification.of(TASK, model, cpu, cache=True)
    monkeypatch.setattr(feature_cache, "IN_MEMORY", 0)
    outside = FrozenClassification.of(TASK, model, cpu, cache=True)
    for row in range(20):
        assert torch.equal(inside.features[0][row], outside.features[0][row])
        assert len(inside.features[0][row]) == (min(9, len(ROWS[row][0])) if trainable == "last_block" else 1)


@FROZEN
def test_each_text_goes_through_the_frozen_part_once(make_gpt, training, cpu, trainable, monkeypatch):
    model = classifier(make_gpt, trainable)
    calls = []
    monkeypatch.setattr(
        GPTClassifier,
        "features",
        lambda self, tokens, plain=GPTClassifier.features: calls.append(tokens) or plain(self, tokens),
    )
    trained(model, FrozenClassification.of(TASK, model, cpu, cache=True), training, cpu)
    assert len(calls) == len(ROWS)


@FROZEN
def test_the_loss_is_that_of_the_whole_model_on_padded_tokens(make_gpt, cpu, trainable):
    model = classifier(make_gpt, trainable)
    task = FrozenClassification.of(TASK, model, cpu, cache=True)
    assert [len(rows) for rows in task.epoch_batches(0)] == [len(rows) for rows in TASK.epoch_batches(0)]
    pairs = [(task.collate(rows), TASK.collate(rows)) for rows in TASK.epoch_batches(0)]
    pairs += zip(task.validation_batches(), TASK.validation_batches(), strict=True)
    for given, tokens in pairs:
        ours, theirs = task.loss(model, given), TASK.loss(model, tokens)
        torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5, atol=1e-4)
        assert [int(value) for value in ours[1:]] == [int(value) for value in theirs[1:]]
        assert task.targets(given) == TASK.targets(tokens)


def test_half_precision_learns_from_what_is_kept(make_gpt, training):
    rows = [([5 + n % 2, *[n % 5] * (n % 4)], n % 2) for n in range(40)]
    model = classifier(make_gpt, "last_block", d_model=32)
    runtime = Runtime(torch.device("cpu"), bf16=True)
    task = FrozenClassification.of(replace(TASK, train=rows, validation=rows), model, runtime, cache=True)
    result = trainer.train(model, task, training(epochs=10, learning_rate=0.01), runtime, name="t")
    assert result.best.validation_accuracy == 1
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("trainable", ["head", "last_block", "all"])
def test_what_is_frozen_is_known_from_the_weights(make_gpt, trainable):
    assert classifier(make_gpt, trainable).trainable_from() == trainable


def test_the_last_block_at_the_last_token_is_the_whole_block_there(make_gpt):
    model = classifier(make_gpt, "all").eval()
    block, x = model.backbone.blocks[-1], torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(0))
    last = torch.tensor([5, 0, 3])
    torch.testing.assert_close(block.forward_last_token(x, last), block(x)[torch.arange(3), last], rtol=1e-5, atol=1e-5)
