from collections import Counter

import numpy as np
import pytest
import torch

from gptmill.model.gpt import IGNORE_INDEX, GPTClassifier
from gptmill.training.objectives import Classification, Example, Instruction, NextToken, balancing_weights


def corpus(size: int) -> np.ndarray:
    return np.arange(size, dtype=np.uint16)  # each token is its own place


def next_token(train: int = 103, validation: int = 50, **changes) -> NextToken:
    return NextToken(corpus(train), corpus(validation), **({"context_length": 8, "batch_size": 3, "seed": 1} | changes))


def batches(objective, epoch: int) -> list:
    return [objective.collate(rows) for rows in objective.epoch_batches(epoch)]


def same(first, second) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)
    )


@pytest.mark.parametrize("size", [2, 5, 9, 10, 17, 50, 57])
def test_every_validation_token_is_predicted_exactly_once(size):
    targets = torch.cat(
        [targets[targets != IGNORE_INDEX] for _, targets in next_token(validation=size).validation_batches()]
    )
    assert targets.tolist() == list(range(1, size))


def test_targets_are_the_tokens_that_come_next():
    objective = next_token()
    for inputs, targets in [*batches(objective, 0), *objective.validation_batches()]:
        counted = targets != IGNORE_INDEX
        assert torch.equal(inputs[counted] + 1, targets[counted])


@pytest.mark.parametrize(("size", "context"), [(103, 8), (97, 8), (17, 8), (9, 8), (5, 8)])
def test_an_epoch_reads_windows_that_do_not_overlap_and_leaves_less_than_one_out(size, context):
    objective = next_token(train=size, context_length=context)
    for epoch in range(4):
        found = batches(objective, epoch)
        targets = Counter(token for _, batch in found for token in batch[batch != IGNORE_INDEX].tolist())
        assert len(found) == objective.steps
        assert set(targets.values()) == {1}
        assert size - 1 - len(targets) < context


def test_epochs_cut_the_corpus_at_other_places_in_another_order():
    objective = next_token()
    starts = [{int(row[0]) % 8 for inputs, _ in batches(objective, epoch) for row in inputs} for epoch in range(12)]
    assert all(len(offsets) == 1 for offsets in starts)  # one grid an epoch
    assert len(set.union(*starts)) > 3
    assert not same(batches(objective, 0), batches(objective, 1))


def test_the_same_seed_gives_the_same_batches():
    assert same(batches(next_token(), 3), batches(next_token(), 3))
    assert not same(batches(next_token(), 3), batches(next_token(seed=2), 3))


EXAMPLES = [Example([1] * n, [2] * (n % 4 + 1) + [9]) for n in range(1, 30)]


def instruction(examples=EXAMPLES, loss_on_prompt: bool = False, **changes) -> Instruction:
    settings = {"max_length": 64, "batch_size": 4, "seed": 1} | changes
    return Instruction(
        examples, examples, settings["max_length"], settings["batch_size"], settings["seed"], loss_on_prompt
    )


def test_the_answer_and_the_token_that_ends_it_count_and_nothing_else():
    for example, (inputs, targets) in zip(EXAMPLES, instruction(batch_size=1).validation_batches(), strict=True):
        assert targets[targets != IGNORE_INDEX].tolist() == example.answer
        assert inputs[0].tolist() == (example.prompt + example.answer)[:-1]


def test_the_prompt_counts_when_it_shall():
    for example, (_, targets) in zip(
        EXAMPLES, instruction(batch_size=1, loss_on_prompt=True).validation_batches(), strict=True
    ):
        assert targets[0].tolist() == (example.prompt + example.answer)[1:]


@pytest.mark.parametrize("loss_on_prompt", [True, False])
def test_padding_counts_for_nothing(make_gpt, loss_on_prompt):
    model = make_gpt(context_length=64)
    together, alone = (instruction(EXAMPLES[:4], loss_on_prompt, batch_size=size) for size in (4, 1))
    [batch] = together.validation_batches()
    loss, count, correct = together.loss(model, batch)
    parts = [alone.loss(model, batch) for batch in alone.validation_batches()]
    torch.testing.assert_close(loss, sum(part[0] for part in parts), rtol=1e-4, atol=1e-4)
    assert int(count) == sum(int(part[1]) for part in parts)
    assert int(correct) == sum(int(part[2]) for part in parts)


def test_what_is_too_long_is_cut():
    [(inputs, targets)] = instruction([Example([1] * 6, [2] * 6)], max_length=8).validation_batches()
    assert inputs.shape == targets.shape == (1, 8)
    assert (targets != IGNORE_INDEX).sum() == 3  # tokens 7, 8 and 9: the last input still has a target


ROWS = [([n + 1] * (n % 9 + 1), n % 2) for n in range(50)]


def classification(**changes) -> Classification:
    return Classification(ROWS, ROWS, **({"max_length": 16, "batch_size": 4, "seed": 1} | changes))


def rows_of(objective, epoch: int) -> list[int]:
    """What tells the rows of an epoch apart, in the order in which they come."""
    if isinstance(objective, Instruction):
        return [int((row != 0).sum()) for inputs, _ in batches(objective, epoch) for row in inputs]
    return [int(row[0]) for inputs, _ in batches(objective, epoch) for row in inputs]


@pytest.mark.parametrize("make", [instruction, classification])
def test_an_epoch_has_every_row_exactly_once_in_an_order_of_its_own(make):
    objective = make()
    first, second = rows_of(objective, 0), rows_of(objective, 1)
    if make is classification:
        assert sorted(first) == sorted(second) == list(range(1, 51))
    assert sorted(first) == sorted(second) and len(first) == len(objective.train)
    assert first != second
    assert len(batches(objective, 0)) == objective.steps
    assert same(batches(objective, 0), batches(make(), 0))
    assert not same(batches(objective, 0), batches(make(seed=2), 0))


def test_validation_has_every_row_in_its_order():
    batches = list(classification().validation_batches())
    assert [int(row[0]) for tokens, _ in batches for row in tokens] == [tokens[0] for tokens, _ in ROWS]
    assert [label for _, more in batches for label in more[:, 1].tolist()] == [label for _, label in ROWS]


def test_hardly_anything_of_an_instruction_batch_is_padding():
    lengths = np.random.default_rng(0).integers(20, 90, 400)
    task = instruction([Example([1] * int(n), [2] * 5) for n in lengths], batch_size=8, max_length=128)
    shares = [
        float((inputs == 0).float().mean()) for inputs in (task.collate(rows)[0] for rows in task.epoch_batches(0))
    ]
    assert sum(shares) / len(shares) < 0.05


def test_rows_that_share_a_batch_are_of_like_length():
    padding = sum(int((tokens == 0).sum()) for tokens, _ in batches(classification(), 0))
    assert padding < 0.1 * sum(len(tokens) for tokens, _ in ROWS)


@torch.no_grad()
def test_a_class_is_told_from_the_last_real_token_whatever_pads_the_row(make_gpt):
    model = GPTClassifier(make_gpt(vocab_size=60).backbone, ["a", "b"]).eval()
    model.head.weight.normal_()
    objective = classification(batch_size=50)
    [batch] = objective.validation_batches()
    loss, count, correct = objective.loss(model, batch)
    noisy = batch[0].clone()
    noisy[noisy == 0] = 59
    torch.testing.assert_close(objective.loss(model, (noisy, batch[1]))[0], loss, rtol=1e-5, atol=1e-4)
    alone = [model(torch.tensor([tokens]), torch.tensor([len(tokens)]))[0].log_softmax(0) for tokens, _ in ROWS]
    torch.testing.assert_close(
        loss, -sum(logs[label] for logs, (_, label) in zip(alone, ROWS, strict=True)), rtol=1e-4, atol=1e-3
    )
    assert int(count) == 50
    assert int(correct) == sum(int(logs.argmax()) == label for logs, (_, label) in zip(alone, ROWS, strict=True))


def test_a_message_that_is_too_long_is_read_from_its_start():
    objective = Classification([], [([*range(1, 31)], 1)], max_length=5, batch_size=2, seed=0)
    [(tokens, more)] = objective.validation_batches()
    assert tokens.tolist() == [[1, 2, 3, 4, 5]]
    assert more.tolist() == [[5, 1]]


@torch.no_grad()
def test_class_weights_multiply_each_texts_loss_and_weigh_every_class_the_same(make_gpt):
    assert balancing_weights([0, 0, 0, 1, 2, 2], 3) == pytest.approx((2 / 3, 2.0, 1.0))
    labels = [label for _, label in ROWS]
    weights = balancing_weights(labels, 2)
    assert sum(weights[label] for label in labels) == pytest.approx(
        len(labels)
    )  # a mean of 1: the loss keeps its scale
    model = GPTClassifier(make_gpt(vocab_size=60).backbone, ["a", "b"]).eval()
    model.head.weight.normal_()
    objective = classification(batch_size=50, class_weights=(0.25, 3.0))
    [batch] = objective.validation_batches()
    loss, count, correct = objective.loss(model, batch)
    each = [
        -model(torch.tensor([tokens]), torch.tensor([len(tokens)]))[0].log_softmax(0)[label] for tokens, label in ROWS
    ]
    expected = sum((0.25, 3.0)[label] * one for one, (_, label) in zip(each, ROWS, strict=True))
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-3)
    assert (int(count), correct) == (50, classification(batch_size=50).loss(model, batch)[2])
