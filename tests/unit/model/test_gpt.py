import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from gptmill.model.gpt import GPT, IGNORE_INDEX, GPTClassifier, GPTConfig

CONFIG = GPTConfig(vocab_size=97, context_length=24, n_layers=3, n_heads=4, d_model=32)


def tokens(*shape: int, vocab_size: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def test_a_later_token_changes_no_earlier_logits(make_gpt):
    model, text = make_gpt(), tokens(2, 12)
    changed = text.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 40
    before, after = model(text), model(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=1e-5)
    assert ((before[:, 7:] - after[:, 7:]).abs().amax(2) > 1e-3).all()


def test_order_matters(make_gpt):
    model, text = make_gpt(), tokens(1, 8)
    assert (model(text)[:, -1] - model(text[:, [1, 0, *range(2, 8)]])[:, -1]).abs().max() > 1e-3


def test_a_row_does_not_depend_on_the_other_rows(make_gpt):
    model, text = make_gpt(), tokens(3, 9)
    torch.testing.assert_close(model(text)[1:2], model(text[1:2]), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("ignored", [[], [(0, 0), (1, 3), (1, 4)]])
def test_the_loss_is_the_cross_entropy_of_what_is_not_ignored(make_gpt, ignored):
    model, text, targets = make_gpt(), tokens(2, 6), tokens(2, 6, seed=1)
    for place in ignored:
        targets[place] = IGNORE_INDEX
    logits = model(text)
    loss, count, correct = model.loss(text, targets)
    torch.testing.assert_close(
        loss, cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX, reduction="sum")
    )
    assert int(count) == 12 - len(ignored)
    assert int(correct) == int(((logits.argmax(2) == targets) & (targets != IGNORE_INDEX)).sum())


def test_the_loss_has_the_gradient_of_the_plain_one(make_gpt):
    model, text, targets = make_gpt(), tokens(2, 6), tokens(2, 6, seed=1)
    targets[0, :3] = IGNORE_INDEX
    model.loss(text, targets)[0].backward()
    ours = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    cross_entropy(model(text).flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX, reduction="sum").backward()
    for mine, weight in zip(ours, model.parameters(), strict=True):
        torch.testing.assert_close(mine, weight.grad, rtol=1e-4, atol=1e-4)


def test_an_evaluation_makes_no_gradients(make_gpt, monkeypatch):
    from gptmill.model.ops import fused

    wanted, to_gradient = [], fused._to_gradient
    monkeypatch.setattr(
        fused, "_to_gradient", lambda logits, targets, want: wanted.append(want) or to_gradient(logits, targets, want)
    )
    model = make_gpt()
    with torch.no_grad():
        without = model.loss(tokens(2, 6), tokens(2, 6, seed=1))
    assert torch.equal(without[0], model.loss(tokens(2, 6), tokens(2, 6, seed=1))[0])
    assert wanted == [False, True]


def test_tied_weights_are_one_matrix():
    model = GPT(CONFIG)
    assert model.head.weight is model.backbone.token_embedding.weight
    untied = GPT(GPTConfig(**vars(CONFIG) | {"tie_weights": False}))
    assert untied.head.weight is not untied.backbone.token_embedding.weight
    assert not torch.equal(untied.head.weight, untied.backbone.token_embedding.weight)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_the_number_of_parameters_is_gpt2s(tied, bias):
    model = GPT(GPTConfig(**vars(CONFIG) | {"tie_weights": tied, "qkv_bias": bias}))
    C, V, T, L = CONFIG.d_model, CONFIG.vocab_size, CONFIG.context_length, CONFIG.n_layers
    block = 12 * C * C + 13 * C - (0 if bias else 3 * C)  # attention 4 C², feed-forward 8 C², their biases, two norms
    assert sum(weight.numel() for weight in model.parameters()) == V * C + T * C + L * block + 2 * C + (
        0 if tied else V * C
    )


def test_gpt2s_smallest_size_has_124_million_parameters():
    with torch.device("meta"):
        model = GPT(GPTConfig(vocab_size=50257, context_length=1024, n_layers=12, n_heads=12, d_model=768))
    assert sum(weight.numel() for weight in model.parameters()) == 124_439_808


def test_weights_start_as_gpt2s_do():
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=500, context_length=64, n_layers=8, n_heads=4, d_model=64))
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            assert not weight.any(), name
        elif "norm" in name:
            assert (weight == 1).all(), name
        else:
            into_residual = name.endswith(("out_proj.weight", "down_proj.weight"))
            assert weight.std().item() == pytest.approx(0.02 / math.sqrt(2 * 8) if into_residual else 0.02, rel=0.06), (
                name
            )


def test_an_untrained_model_knows_nothing():
    torch.manual_seed(0)
    loss, count, _ = GPT(CONFIG).loss(tokens(4, 24, vocab_size=97), tokens(4, 24, vocab_size=97, seed=1))
    assert float(loss / count) == pytest.approx(math.log(97), abs=0.1)


@pytest.mark.parametrize(("trainable", "moves"), [
    ("head", {"head.weight"}),
    ("last_block", {"head.weight", "backbone.final_norm.", "backbone.blocks.2."}),
    ("all", {"head.weight", "backbone."}),
])  # fmt: skip
def test_what_learns_is_what_was_asked_for(trainable, moves):
    model = GPTClassifier(GPT(CONFIG).backbone, ["ham", "spam"])
    model.freeze_all_but(trainable)
    for name, weight in model.named_parameters():
        assert weight.requires_grad == name.startswith(tuple(moves)), name


def test_freezing_can_be_undone():
    model = GPTClassifier(GPT(CONFIG).backbone, ["ham", "spam"])
    model.freeze_all_but("head")
    model.freeze_all_but("all")
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_text_that_is_too_long_is_an_error_that_says_so(make_gpt):
    model = make_gpt()
    assert model(tokens(1, 16)).shape == (1, 16, 40)
    with pytest.raises(ValueError, match="17 tokens do not fit into a context of 16"):
        model(tokens(1, 17))


def test_a_classifier_reads_each_row_at_its_last_real_token(make_gpt):
    model = GPTClassifier(make_gpt().backbone, ["a", "b", "c"]).eval()
    text, lengths = tokens(3, 10), torch.tensor([10, 4, 1])
    logits = model(text, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(
            logits[row : row + 1], model(text[row : row + 1, :length], lengths[row : row + 1]), rtol=1e-5, atol=1e-4
        )
    assert logits.shape == (3, 3)


def test_dropout_acts_in_training_alone(make_gpt):
    model, text = make_gpt(dropout=0.5), tokens(1, 8)
    assert torch.equal(model(text), model(text))
    model.train()
    assert not torch.equal(model(text), model(text))
