"""The loop: rows in, trained weights out, whatever the objective.

for each epoch, for each batch: loss, gradient, step; now and then: validation loss, and remember the best weights.

What it comes to depends on the parameters, the data and the seed alone. Each step seeds torch anew from the seed and its own number, so
neither evaluations nor checkpoints nor a restart in between change what is drawn afterwards.
"""

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from gptmill.config.schema import TrainingParams
from gptmill.core.errors import GptmillError, Interrupted
from gptmill.runtime import distributed
from gptmill.runtime.device import Runtime
from gptmill.runtime.distributed import SINGLE_PROCESS, Distributed
from gptmill.runtime.signals import SignalTrap
from gptmill.training.checkpoints import Checkpoint, Checkpoints, NoCheckpoints
from gptmill.training.objectives import Batch, Objective
from gptmill.training.optim.optimizer import Optimizer, learning_rate


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
class TrainResult:
    by_accuracy: bool  # what makes an evaluation the best: accuracy, and the loss between equals; or the loss alone
    keep_last: bool  # whether the weights are those of the last step instead of those that did best
    curve: list[Evaluation] = field(default_factory=list)
    seconds: float = 0.0  # for MLflow only: tracked outputs hold no times

    @property
    def best(self) -> Evaluation:
        """Where the validation split went best, the first of equals."""
        return min(self.curve, key=lambda e: (-e.validation_accuracy if self.by_accuracy else 0.0, e.validation_loss))

    @property
    def kept(self) -> Evaluation:
        """The evaluation of the weights that the model ends with."""
        return self.curve[-1] if self.keep_last else self.best


def train(
    model: nn.Module,
    objective: Objective,
    params: TrainingParams,
    compute: Runtime,
    *,
    name: str,
    checkpoints: Checkpoints | None = None,
    on_evaluation: Sequence[Callable[[TrainResult], None]] = (),
) -> TrainResult:
    """Train what requires a gradient in `model`, in place; it ends with the weights that `params.keep` says.

    It goes on from the last of `checkpoints`, if there is one. Each of `on_evaluation` is given what there is so far. Raises
    `FloatingPointError` when the loss is no longer a number, and `Interrupted` when the process is asked to stop, with a checkpoint left.
    """
    with distributed.process_group(compute.device) as team:
        training = TrainState(model, objective, params, compute, team)
        _train(training, name, checkpoints or NoCheckpoints(), on_evaluation if team.is_main else ())
    training.finish()
    return training.trained


def _train(training: "TrainState", name: str, checkpoints: Checkpoints, on_evaluation: Sequence[Callable]) -> None:
    """Until it is finished, or asked to stop. Evaluations, checkpoints and stops come at the same steps in all processes."""
    team = training.team
    found = checkpoints.latest()
    if len({team.all_reduce_max(sign * (found.step if found else 0)) * sign for sign in (1, -1)}) > 1:
        raise GptmillError(
            f"the processes of {name} found different checkpoints: their machines must share the project's folder"
        )
    if found:
        training.restore(found)
        if team.is_main:
            elsewhere = found.numbers["machine"] != training.compute.kind()
            moved = ", as computed elsewhere: the last digits of sums may differ" if elsewhere else ""
            tqdm.write(f"{name}: goes on from step {training.step} of {training.steps}{moved}")
    started, before, read = time.perf_counter(), training.trained.seconds, 0
    bar = tqdm(total=training.steps, initial=training.step, desc=name, unit="step", disable=None)
    with bar, SignalTrap() as interruption:
        while not training.finished:
            if training.must_evaluate:
                with training.optimizer.full_precision():  # what is measured and shown is what would be saved
                    training.evaluate()
                    for watcher in on_evaluation:
                        watcher(training.trained)
            else:
                read += training.take_step(name)
                bar.update()
                speed = read / (time.perf_counter() - started)
                bar.set_postfix({"loss": f"{training.tally.loss:.3f}", "tokens/s": f"{speed:,.0f}"}, refresh=False)
            training.trained.seconds = before + time.perf_counter() - started
            came = team.all_reduce_max(interruption.received or 0)  # the first to hear of it stops all at the same step
            if team.is_main and (came or checkpoints.due()):
                checkpoints.save(training.step, *training.state())
            if came:
                raise Interrupted(
                    f"{name}: stopped by {signal.Signals(came).name} at step {training.step} of {training.steps}. "
                    "Run it again, and it goes on from there.",
                    signal.Signals(came),
                )


class TrainState:
    """Where a training stands, and the two things that move it on: a step, and an evaluation. Between them it may stop and go on."""

    def __init__(
        self, model: nn.Module, objective: Objective, params: TrainingParams, compute: Runtime, team: Distributed
    ) -> None:
        self.model, self.objective, self.params, self.compute = (
            model.to(compute.device).train(),
            objective,
            params,
            compute,
        )
        self.team = team
        team.broadcast_parameters(model)
        self.optimizer = Optimizer(model, params, half=compute.bf16)
        self.names = [name for name, weight in model.named_parameters() if weight.requires_grad]
        self.steps = objective.steps * params.epochs
        self.due = {round(self.steps * (i + 1) / params.evaluations) for i in range(params.evaluations)} - {0}
        self.trained = TrainResult(objective.by_accuracy, params.keep == "last")
        self.step, self.targets, self.tally = 0, 0, Metrics()
        self.best: list[Tensor] | None = None
        self.rows = self._rows()

    @property
    def must_evaluate(self) -> bool:
        curve = self.trained.curve
        return self.step in self.due and not (curve and curve[-1].step == self.step)

    @property
    def finished(self) -> bool:
        return not self.must_evaluate and (self.step == self.steps or self._out_of_patience)

    @property
    def _out_of_patience(self) -> bool:
        curve, patience = self.trained.curve, self.params.patience
        return 0 < patience < len(curve) and len(curve) - 1 - curve.index(self.trained.best) >= patience

    def take_step(self, name: str) -> int:
        """One step on one batch, in parts when it is too large for the memory; returns how many tokens were read."""
        _seed(self.objective.seed, self.step, self.team.rank)
        rate = learning_rate(self.step, self.steps, self.params)
        rows = np.array(
            list(self.team.share(next(self.rows)))
        )  # none, when the batch has fewer rows than there are processes
        size = self.params.micro_batch_size or max(1, len(rows))
        batches = [self.objective.collate(rows[i : i + size]) for i in range(0, len(rows), size)]
        # The mean over the whole batch's targets, whichever part and process they are in: the parts' gradients add up to the batch's.
        own = sum(self.objective.targets(batch) for batch in batches), sum(batch[0].numel() for batch in batches)
        targets, read = (int(number) for number in self.team.all_reduce_sum(*own))
        taken = Metrics()
        for batch in batches:
            # In bf16 the weights are bf16 themselves while they learn: nothing is left to cast.
            loss, count, right = self.objective.loss(
                self.model, tuple(tensor.to(self.compute.device) for tensor in batch)
            )
            (loss / max(1, targets)).backward()
            taken.add(float(loss.detach()), int(count), int(right))
        taken = taken.over(self.team)
        if not taken.finite:
            raise FloatingPointError(
                f"the loss of {name} is not a number at step {self.step + 1}: lower its learning_rate ({self.params.learning_rate:g}), "
                f"or raise its warmup_steps ({self.params.warmup_steps})"
            )
        self.team.all_reduce_gradients(self.optimizer.parameters)
        self.optimizer.step(rate)
        self.step += 1
        self.targets += targets
        self.tally.add(taken.total, taken.count, taken.right)
        return read

    def evaluate(self) -> None:
        """Measure the validation split, and remember the weights when they are the best so far."""
        measured, tally = evaluate(self.model, self.objective, self.compute, self.team), self.tally
        rate = learning_rate(self.step - 1, self.steps, self.params)
        epoch = self.step / self.objective.steps
        losses = (tally.loss, measured.loss, tally.accuracy, measured.accuracy)
        evaluation = Evaluation(self.step, epoch, self.targets, rate, *losses)
        self.trained.curve.append(evaluation)
        if self.team.is_main and self.params.keep == "best" and self.trained.best is evaluation:
            self.best = [weight.detach().clone() for weight in self.optimizer.weights]
        self.tally = Metrics()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the rest of the training depends on, as tensors and as numbers. The tensors are no copies."""
        tensors = {
            f"weight/{name}": weight.detach() for name, weight in zip(self.names, self.optimizer.weights, strict=True)
        }
        tensors |= {f"best/{name}": weight for name, weight in zip(self.names, self.best or [], strict=bool(self.best))}
        tensors |= {f"optimizer/{name}": tensor for name, tensor in self.optimizer.state().items()}
        curve = [asdict(evaluation) for evaluation in self.trained.curve]
        numbers = {"targets": self.targets, "tally": asdict(self.tally), "curve": curve}
        return tensors, numbers | {"seconds": self.trained.seconds, "machine": self.compute.kind()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Stand where a training with the same params, data and code stood."""
        parts: dict[str, dict[str, Tensor]] = {"weight": {}, "best": {}, "optimizer": {}}
        for name, tensor in checkpoint.tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = tensor
        with torch.no_grad():
            for name, weight in zip(self.names, self.optimizer.weights, strict=True):
                weight.copy_(parts["weight"][name])
        self.best = [parts["best"][name].to(self.compute.device) for name in self.names] if parts["best"] else None
        self.optimizer.restore(parts["optimizer"])
        numbers: Mapping[str, Any] = checkpoint.numbers
        self.step, self.targets, self.tally = checkpoint.step, numbers["targets"], Metrics(**numbers["tally"])
        self.trained.curve = [Evaluation(**values) for values in numbers["curve"]]
        self.trained.seconds = numbers["seconds"]
        self.rows = self._rows()

    def finish(self) -> None:
        """Leave the model with the weights that are kept."""
        if self.best:
            with torch.no_grad():
                for weight, best in zip(self.optimizer.weights, self.best, strict=True):
                    weight.copy_(best)
        self.optimizer.release()

    def _rows(self) -> Iterator[np.ndarray]:
        """The rows of every batch from the next step on."""
        first, seen = divmod(self.step, self.objective.steps)
        for epoch in range(first, self.params.epochs):
            yield from islice(self.objective.order(epoch), seen if epoch == first else 0, None)


@torch.no_grad()
def evaluate(model: nn.Module, objective: Objective, compute: Runtime, team: Distributed = SINGLE_PROCESS) -> "Metrics":
    """Loss and accuracy on the validation split; draws nothing at random and leaves the model's mode as it was."""
    was_training = model.training
    model.to(compute.device).eval()
    tally = Metrics()
    for batch in team.share(objective.validation_batches()):
        loss, count, right = _forward(model, objective, batch, compute)
        tally.add(float(loss), int(count), int(right))
    model.train(was_training)
    return tally.over(team)


def _forward(model: nn.Module, objective: Objective, batch: Batch, compute: Runtime) -> tuple[Tensor, Tensor, Tensor]:
    with compute.autocast():
        return objective.loss(model, tuple(tensor.to(compute.device) for tensor in batch))


def _seed(seed: int, step: int, rank: int) -> None:
    """What is drawn in a step, dropout that is, depends on the seed and the step alone, and with several processes on which one it is.

    CPU generators keep no more than 32 bits.
    """
    torch.manual_seed(int(np.random.SeedSequence([seed, step, *([rank] if rank else [])]).generate_state(1)[0]))


@dataclass
class Metrics:
    """Sums over batches, and the means a target that they give."""

    total: float = 0.0
    count: int = 0
    right: int = 0

    def add(self, loss: float, count: int, right: int) -> None:
        self.total += loss
        self.count += count
        self.right += right

    def over(self, team: Distributed) -> "Metrics":
        """The sums of all processes."""
        total, count, right = team.all_reduce_sum(self.total, self.count, self.right)
        return Metrics(total, int(count), int(right))

    @property
    def finite(self) -> bool:
        return abs(self.total) < float("inf")

    @property
    def loss(self) -> float:
        return self.total / max(1, self.count)

    @property
    def accuracy(self) -> float:
        return self.right / max(1, self.count)
