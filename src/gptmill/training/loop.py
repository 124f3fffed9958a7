"""The loop: batches in, better weights out, whatever the objective.

for each epoch, for each batch: loss, gradient, step; now and then: validation loss, and remember the best weights.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn
from tqdm import tqdm

from gptmill.compute import Compute
from gptmill.params import TrainingParams
from gptmill.training.objectives import Batch, Objective
from gptmill.training.optimizer import Optimizer, learning_rate


@dataclass(frozen=True)
class Evaluation:
    """A row of the curves: where training stood when the validation split was measured. Losses are means a target, in nats."""

    step: int
    epoch: float
    targets: int  # predicted so far in training
    learning_rate: float
    train_loss: float  # mean since the evaluation before
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float


@dataclass
class Trained:
    curve: list[Evaluation] = field(default_factory=list)
    seconds: float = 0.0  # for MLflow only: tracked outputs hold no times

    @property
    def best(self) -> Evaluation:
        """Where the validation loss was lowest; the model has the weights of that moment."""
        return min(self.curve, key=lambda evaluation: evaluation.validation_loss)


def train(
    model: nn.Module,
    objective: Objective,
    params: TrainingParams,
    compute: Compute,
    *,
    name: str,
    on_evaluation: Callable[[Evaluation], None] = lambda evaluation: None,
) -> Trained:
    """Train what requires a gradient in `model`, in place; it ends with the weights that did best on the validation split.

    Raises `FloatingPointError` when the loss is no longer a number.
    """
    model.to(compute.device).train()
    optimizer = Optimizer(model, params)
    steps = objective.steps * params.epochs
    due = {round(steps * (i + 1) / params.evaluations) for i in range(params.evaluations)}
    trained, best_weights = Trained(), None
    started, step, seen = time.perf_counter(), 0, 0
    tally = _Tally()
    with tqdm(total=steps, desc=name, unit="step", disable=None) as bar:
        for epoch in range(params.epochs):
            for batch in objective.batches(epoch):
                rate = learning_rate(step, steps, params)
                loss, count, right = _forward(model, objective, batch, compute)
                (loss / count).backward()
                nn.utils.clip_grad_norm_(optimizer.weights, params.gradient_clip)
                optimizer.step(rate)
                step += 1
                seen += int(count)
                tally.add(float(loss.detach()), int(count), int(right))
                if not tally.finite:
                    raise FloatingPointError(f"the loss of {name} is not a number at step {step}: lower its learning_rate")
                bar.update()
                bar.set_postfix(loss=f"{tally.loss:.3f}", refresh=False)
                if step in due:
                    validation = evaluate(model, objective, compute)
                    evaluation = Evaluation(
                        step, step / objective.steps, seen, rate, tally.loss, validation.loss, tally.accuracy, validation.accuracy
                    )
                    trained.curve.append(evaluation)
                    on_evaluation(evaluation)
                    if trained.best is evaluation:
                        best_weights = [weight.detach().clone() for weight in optimizer.weights]
                    tally = _Tally()
    with torch.no_grad():
        for weight, best in zip(optimizer.weights, best_weights or [], strict=True):
            weight.copy_(best)
    trained.seconds = time.perf_counter() - started
    return trained


@torch.no_grad()
def evaluate(model: nn.Module, objective: Objective, compute: Compute) -> "_Tally":
    """Loss and accuracy on the validation split; draws nothing at random and leaves the model's mode as it was."""
    was_training = model.training
    model.to(compute.device).eval()
    tally = _Tally()
    for batch in objective.validation_batches():
        loss, count, right = _forward(model, objective, batch, compute)
        tally.add(float(loss), int(count), int(right))
    model.train(was_training)
    return tally


def _forward(model: nn.Module, objective: Objective, batch: Batch, compute: Compute) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    with compute.autocast():
        return objective.loss(model, tuple(tensor.to(compute.device) for tensor in batch))


@dataclass
class _Tally:
    """Sums over batches, and the means a target that they give."""

    total: float = 0.0
    count: int = 0
    right: int = 0

    def add(self, loss: float, count: int, right: int) -> None:
        self.total += loss
        self.count += count
        self.right += right

    @property
    def finite(self) -> bool:
        return abs(self.total) < float("inf")

    @property
    def loss(self) -> float:
        return self.total / max(1, self.count)

    @property
    def accuracy(self) -> float:
        return self.right / max(1, self.count)
