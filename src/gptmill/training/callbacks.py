"""Training curves: a callback that logs evaluations while a training runs, and the plot file."""

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from gptmill.core import files
from gptmill.training.trainer import Evaluation, TrainResult


class LiveCurve:
    """A callback of `trainer.train`: passes evaluations to `log` as (step, metrics), in batches when they come fast.

    A resumed training logs earlier evaluations too. The rest is logged when the `with` block ends, also after an error.
    """

    def __init__(self, log: Callable[[Sequence[tuple[int, dict[str, float]]]], None], seconds: float = 10.0) -> None:
        self._log, self._seconds = log, seconds
        self._curve: Sequence[Evaluation] = ()
        self._logged, self._logged_at = 0, float("-inf")

    def __enter__(self) -> "LiveCurve":
        return self

    def __exit__(self, *error: object) -> None:
        self._flush()

    def __call__(self, result: TrainResult) -> None:
        self._curve = result.curve
        if time.monotonic() - self._logged_at >= self._seconds:
            self._flush()

    def _flush(self) -> None:
        if points := [asdict(evaluation) for evaluation in self._curve[self._logged :]]:
            self._log([(point.pop("step"), point) for point in points])
        self._logged, self._logged_at = len(self._curve), time.monotonic()


def write_curve(path: Path, result: TrainResult) -> None:
    """Write a CSV file with a row per evaluation; `kept` is 1 for the selected one. Untrained: a header alone."""
    selected = result.selected if result.curve else None
    with files.atomic(path) as tmp, tmp.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(field.name for field in fields(Evaluation)), "kept"])
        for evaluation in result.curve:
            values = [f"{value:.6g}" if isinstance(value, float) else value for value in asdict(evaluation).values()]
            writer.writerow([*values, int(evaluation is selected)])
