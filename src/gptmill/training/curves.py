"""What a training leaves to look at: its evaluations as points of a live curve, and as rows of a plot file."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from gptmill import files
from gptmill.training.loop import Evaluation


def log_to(log: Callable[[dict[str, float], int], None]) -> Callable[[Evaluation], None]:
    """For `loop.train`'s `on_evaluation`: hands each evaluation's figures and its step to `log`."""

    def on_evaluation(evaluation: Evaluation) -> None:
        values = asdict(evaluation)
        step = values.pop("step")
        log(values, step)

    return on_evaluation


def write(path: Path, curve: Sequence[Evaluation], kept: Evaluation | None = None) -> None:
    """A csv file with one row an evaluation, `kept` 1 where the weights are from; a header alone when nothing was trained."""
    with files.atomic(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(field.name for field in fields(Evaluation)), "kept"])
        for evaluation in curve:
            values = [f"{value:.6g}" if isinstance(value, float) else value for value in asdict(evaluation).values()]
            writer.writerow([*values, int(evaluation is kept)])
