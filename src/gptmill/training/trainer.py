"""The training loop of all objectives: steps, evaluations, checkpoints, early stopping, selection of the best weights.

The result depends on parameters, data and seed alone. Each step seeds torch from the seed and its own number, so
evaluations, checkpoints and restarts do not change later random numbers.
"""

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from gptmill.config.schema import TrainingParams
from gptmill.core.errors import GptmillError, Interrupted
from gptmill.runtime.device import Runtime
from gptmill.runtime.distributed import SINGLE_PROCESS, Distributed, process_group
from gptmill.runtime.signals import SignalTrap
from gptmill.training.checkpoints import Checkpoint, Checkpoints
from gptmill.training.objectives import Objective
from gptmill.training.optim.optimizer import Optimizer
from gptmill.training.optim.schedule import learning_rate


@dataclass(frozen=True)
class Evaluation:
    """One point of the training curve. Losses are means per target, in nats."""

    step: int
    epoch: float
    targets: int  # predicted so far in training
    learning_rate: float
    train_loss: float  # mean since the evaluation before
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float


@dataclass
class TrainResult:
    by_accuracy: bool = (
        False  # the best evaluation has the highest accuracy, then the lowest loss; or the lowest loss alone
    )
    keep_last: bool = False  # the weights are those of the last step instead of the best ones
    curve: list[Evaluation] = field(default_factory=list)
    seconds: float = 0.0  # for MLflow only: tracked outputs hold no times

    @property
    def best(self) -> Evaluation:
        """The best evaluation on the validation split, the first of equals."""
        return min(self.curve, key=lambda e: (-e.validation_accuracy if self.by_accuracy else 0.0, e.validation_loss))

    @property
    def selected(self) -> Evaluation:
        """The evaluation of the weights that the model ends with."""
        return self.curve[-1] if self.keep_last else self.best


def train(
    model: nn.Module,
    objective: Objective,
    params: TrainingParams,
    runtime: Runtime,
    *,
    name: str,
    checkpoints: Checkpoints | None = None,
    on_evaluation: Sequence[Callable[[TrainResult], None]] = (),
) -> TrainResult:
    """Train the parameters of `model` that require a gradient, in place; `params.keep` says which weights it ends with.

    Resumes from the last of `checkpoints`, if there is one. `on_evaluation`: callbacks, called with the result so far.
    Raises `FloatingPointError` when the loss is NaN or Inf, and `Interrupted` after a signal, with a checkpoint saved.
    """
    with process_group(runtime.device) as distributed:
        state = TrainState(model, objective, params, runtime, distributed)
        _train(state, name, checkpoints or Checkpoints(), on_evaluation if distributed.is_main else ())
    state.finish()
    return state.result


def _train(state: "TrainState", name: str, checkpoints: Checkpoints, callbacks: Sequence[Callable]) -> None:
    """Run until finished or interrupted. All processes evaluate, save and stop at the same steps."""
    distributed = state.distributed
    checkpoint = checkpoints.latest()
    step = checkpoint.step if checkpoint else 0
    if distributed.all_reduce_max(step) != -distributed.all_reduce_max(-step):
        raise GptmillError(
            f"the processes of {name} found different checkpoints: their machines must share the project's folder"
        )
    if checkpoint:
        state.restore(checkpoint)
        if distributed.is_main:
            moved = checkpoint.numbers["machine"] != state.runtime.description()
            note = ", saved on another kind of machine: the last digits of sums may differ" if moved else ""
            tqdm.write(f"{name}: resumes from step {state.step} of {state.steps}{note}")
    started, seconds_before, tokens = time.perf_counter(), state.result.seconds, 0
    bar = tqdm(total=state.steps, initial=state.step, desc=name, unit="step", disable=None)
    with bar, SignalTrap() as trap:
        while not state.finished:
            if state.must_evaluate:
                with state.optimizer.full_precision():  # measured and shown are the weights that would be saved
                    state.evaluate()
                    for callback in callbacks:
                        callback(state.result)
            else:
                tokens += state.take_step(name)
                bar.update()
                speed = tokens / (time.perf_counter() - started)
                bar.set_postfix({"loss": f"{state.metrics.loss:.3f}", "tokens/s": f"{speed:,.0f}"}, refresh=False)
            state.result.seconds = seconds_before + time.perf_counter() - started
            received = distributed.all_reduce_max(trap.received or 0)  # a signal to one process stops all at this step
            if distributed.is_main and (received or checkpoints.due()):
                checkpoints.save(state.step, *state.state())
            if received:
                raise Interrupted(
                    f"{name}: stopped by {signal.Signals(received).name} at step {state.step} of {state.steps}. "
                    "Run it again, and it resumes there.",
                    signal.Signals(received),
                )


class TrainState:
    """Training state. `take_step` and `evaluate` are the only transitions; it can be saved between them."""

    def __init__(
        self, model: nn.Module, objective: Objective, params: TrainingParams, runtime: Runtime, distributed: Distributed
    ) -> None:
        self.model, self.objective, self.params = model.to(runtime.device).train(), objective, params
        self.runtime, self.distributed = runtime, distributed
        distributed.broadcast_parameters(model)
        self.optimizer = Optimizer(model, params, bf16=runtime.bf16)
        self.names = [name for name, weight in model.named_parameters() if weight.requires_grad]
        self.steps = objective.steps * params.epochs
        self.evaluation_steps = {
            round(self.steps * (i + 1) / params.evaluations) for i in range(params.evaluations)
        } - {0}
        self.result = TrainResult(objective.by_accuracy, params.keep == "last")
        self.step, self.targets = 0, 0
        self.metrics = Metrics()  # of the steps since the last evaluation
        self.best: list[Tensor] | None = None
        self.batches = self._remaining_batches()

    @property
    def must_evaluate(self) -> bool:
        curve = self.result.curve
        return self.step in self.evaluation_steps and not (curve and curve[-1].step == self.step)

    @property
    def finished(self) -> bool:
        return not self.must_evaluate and (self.step == self.steps or self._out_of_patience)

    @property
    def _out_of_patience(self) -> bool:
        curve, patience = self.result.curve, self.params.patience
        return 0 < patience < len(curve) and len(curve) - 1 - curve.index(self.result.best) >= patience

    def take_step(self, name: str) -> int:
        """One optimizer step on one batch, in micro batches if so set; returns the number of tokens read."""
        _seed(self.objective.seed, self.step, self.distributed.rank)
        rate = learning_rate(self.step, self.steps, self.params)
        rows = np.array(list(self.distributed.shard(next(self.batches))))  # may be none of a small batch's
        size = self.params.micro_batch_size or max(1, len(rows))
        batches = [self.objective.collate(rows[i : i + size]) for i in range(0, len(rows), size)]
        # Gradient of the mean over all targets of the batch, in whichever micro batch and process they are.
        own = sum(self.objective.targets(batch) for batch in batches), sum(batch[0].numel() for batch in batches)
        targets, tokens = (int(number) for number in self.distributed.all_reduce_sum(*own))
        step_metrics = Metrics()
        for batch in batches:
            # No autocast: in bf16 the weights themselves are bf16 while they learn.
            sums = self.objective.loss(self.model, tuple(tensor.to(self.runtime.device) for tensor in batch))
            (sums.loss / max(1, targets)).backward()
            step_metrics.add(sums.loss.detach(), sums.targets, sums.correct)
        step_metrics = step_metrics.all_reduce(self.distributed)
        if not step_metrics.finite:
            raise FloatingPointError(
                f"the loss of {name} is NaN or Inf at step {self.step + 1}: lower its learning_rate "
                f"({self.params.learning_rate:g}), or raise its warmup_steps ({self.params.warmup_steps})"
            )
        self.distributed.all_reduce_gradients(self.optimizer.parameters)
        self.optimizer.step(rate)
        self.step += 1
        self.targets += targets
        self.metrics.add(*astuple(step_metrics))
        return tokens

    def evaluate(self) -> None:
        """Measure the validation split, and copy the weights when they are the best so far."""
        validation = evaluate(self.model, self.objective, self.runtime, self.distributed)
        rate = learning_rate(self.step - 1, self.steps, self.params)
        epoch = self.step / self.objective.steps
        losses = (self.metrics.loss, validation.loss, self.metrics.accuracy, validation.accuracy)
        evaluation = Evaluation(self.step, epoch, self.targets, rate, *losses)
        self.result.curve.append(evaluation)
        if self.distributed.is_main and self.params.keep == "best" and self.result.best is evaluation:
            self.best = [weight.detach().clone() for weight in self.optimizer.weights]
        self.metrics = Metrics()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors (not copies) and numbers of a checkpoint: all that the rest of the training depends on."""
        tensors = {
            f"weight/{name}": weight.detach() for name, weight in zip(self.names, self.optimizer.weights, strict=True)
        }
        tensors |= {f"best/{name}": weight for name, weight in zip(self.names, self.best or [], strict=bool(self.best))}
        tensors |= {f"optimizer/{name}": tensor for name, tensor in self.optimizer.state().items()}
        curve = [asdict(evaluation) for evaluation in self.result.curve]
        numbers = {"targets": self.targets, "metrics": asdict(self.metrics), "curve": curve}
        return tensors, numbers | {"seconds": self.result.seconds, "machine": self.runtime.description()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume the state of a training with the same params, data and code."""
        parts: dict[str, dict[str, Tensor]] = {"weight": {}, "best": {}, "optimizer": {}}
        for name, tensor in checkpoint.tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = tensor
        with torch.no_grad():
            for name, weight in zip(self.names, self.optimizer.weights, strict=True):
                weight.copy_(parts["weight"][name])
        self.best = [parts["best"][name].to(self.runtime.device) for name in self.names] if parts["best"] else None
        self.optimizer.restore(parts["optimizer"])
        numbers: Mapping[str, Any] = checkpoint.numbers
        self.step, self.targets, self.metrics = checkpoint.step, numbers["targets"], Metrics(**numbers["metrics"])
        self.result.curve = [Evaluation(**values) for values in numbers["curve"]]
        self.result.seconds = numbers["seconds"]
        self.batches = self._remaining_batches()

    def finish(self) -> None:
        """Leave the model with the selected weights, in float32."""
        if self.best:
            with torch.no_grad():
                for weight, best in zip(self.optimizer.weights, self.best, strict=True):
                    weight.copy_(best)
        self.optimizer.release()

    def _remaining_batches(self) -> Iterator[np.ndarray]:
        """The rows of every batch from this step on, through all epochs."""
        first, done = divmod(self.step, self.objective.steps)
        for epoch in range(first, self.params.epochs):
            yield from islice(self.objective.epoch_batches(epoch), done if epoch == first else 0, None)


@torch.no_grad()
def evaluate(
    model: nn.Module, objective: Objective, runtime: Runtime, distributed: Distributed = SINGLE_PROCESS
) -> "Metrics":
    """Loss and accuracy on the validation split; draws nothing at random and leaves the model's mode as it was."""
    was_training = model.training
    model.to(runtime.device).eval()
    metrics = Metrics()
    for batch in distributed.shard(objective.validation_batches()):
        with runtime.autocast():
            metrics.add(*objective.loss(model, tuple(tensor.to(runtime.device) for tensor in batch)))
    model.train(was_training)
    return metrics.all_reduce(distributed)


def _seed(seed: int, step: int, rank: int) -> None:
    """Seed dropout from the seed, the step and, with several processes, the rank. CPU generators take only 32 bits."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, *([rank] if rank else [])]).generate_state(1)[0]))


@dataclass
class Metrics:
    """Sums over the targets of several batches; `loss` and `accuracy` are means per target."""

    loss_sum: float = 0.0
    targets: int = 0
    correct: int = 0

    def add(self, loss_sum: Tensor | float, targets: Tensor | int, correct: Tensor | int) -> None:
        self.loss_sum += float(loss_sum)
        self.targets += int(targets)
        self.correct += int(correct)

    def all_reduce(self, distributed: Distributed) -> "Metrics":
        """The sums over all processes."""
        loss_sum, targets, correct = distributed.all_reduce_sum(*astuple(self))
        return Metrics(loss_sum, int(targets), int(correct))

    @property
    def finite(self) -> bool:
        return abs(self.loss_sum) < float("inf")

    @property
    def loss(self) -> float:
        return self.loss_sum / max(1, self.targets)

    @property
    def accuracy(self) -> float:
        return self.correct / max(1, self.targets)
