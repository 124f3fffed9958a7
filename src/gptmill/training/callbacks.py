"""What a training leaves to look at: its evaluations as points of a live curve, and as rows of a plot file."""

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from gptmill.core import files
from gptmill.training.trainer import Evaluation, TrainResult


class LiveCurve:
    """For `loop.train`'s `on_evaluation`: hands evaluations to `log` as (step, figures), several at once when they come fast.

    It looks at the whole curve, so that a training that goes on from a checkpoint shows what was before it too. What is left is handed over
    when its block ends, with an error as well.
    """

    def __init__(self, log: Callable[[Sequence[tuple[int, dict[str, float]]]], None], seconds: float = 10.0) -> None:
        self._log, self._seconds = log, seconds
        self._curve: Sequence[Evaluation] = ()
        self._logged, self._logged_at = 0, float("-inf")

    def __enter__(self) -> "LiveCurve":
        return self

    def __exit__(self, *error: object) -> None:
        self._flush()

    def __call__(self, trained: TrainResult) -> None:
        self._curve = trained.curve
        if time.monotonic() - self._logged_at >= self._seconds:
            self._flush()

    def _flush(self) -> None:
        if points := [asdict(evaluation) for evaluation in self._curve[self._logged :]]:
            self._log([(point.pop("step"), point) for point in points])
        self._logged, self._logged_at = len(self._curve), time.monotonic()


def write_curve(path: Path, curve: Sequence[Evaluation], kept: Evaluation | None = None) -> None:
    """A csv file with one row an evaluation, `kept` 1 where the weights are from; a header alone when nothing was trained."""
    with files.atomic(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(field.name for field in fields(Evaluation)), "kept"])
        for evaluation in curve:
            values = [f"{value:.6g}" if isinstance(value, float) else value for value in asdict(evaluation).values()]
            writer.writerow([*values, int(evaluation is kept)])
