import csv

import pytest

from gptmill.inference.samples import Samples
from gptmill.training import callbacks, trainer
from gptmill.training.trainer import Evaluation, TrainResult

CURVE = [
    Evaluation(10, 0.5, 640, 0.001, 3.14159265, 3.5, 0.25, 0.2),
    Evaluation(20, 1.0, 1280, 1e-5, 2.0, 2.5, 1 / 3, 0.4),
]


def test_a_curve_is_a_table_with_a_row_an_evaluation(tmp_path):
    callbacks.write_curve(tmp_path / "plots" / "a.csv", TrainResult(curve=CURVE))
    with (tmp_path / "plots" / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "step",
        "epoch",
        "targets",
        "learning_rate",
        "train_loss",
        "validation_loss",
        "train_accuracy",
        "validation_accuracy",
        "kept",
    ]
    assert [row["kept"] for row in rows] == ["0", "1"]
    assert [(row["step"], row["targets"], row["train_loss"]) for row in rows] == [
        ("10", "640", "3.14159"),
        ("20", "1280", "2"),
    ]
    assert float(rows[1]["learning_rate"]) == 1e-5


def test_no_training_is_a_table_without_rows(tmp_path):
    callbacks.write_curve(tmp_path / "a.csv", TrainResult())
    assert (tmp_path / "a.csv").read_text().count("\n") == 1


def test_each_evaluation_is_logged_once_at_its_step_whole_after_an_error_too():
    calls = []
    trained = TrainResult(by_accuracy=False, keep_last=True)
    with pytest.raises(ZeroDivisionError), callbacks.LiveCurve(calls.append, seconds=3600) as live:
        for evaluation in CURVE:
            trained.curve.append(evaluation)
            live(trained)
        assert len(calls) == 1  # the first at once; what follows soon after waits for company
        raise ZeroDivisionError
    points = [point for call in calls for point in call]
    assert [step for step, _ in points] == [10, 20]
    assert points[0][1]["validation_loss"] == 3.5
    assert "step" not in points[0][1]


def test_what_was_evaluated_before_a_restart_is_logged_too():
    calls = []
    with callbacks.LiveCurve(calls.append) as live:
        live(TrainResult(False, True, CURVE))
    assert [[step for step, _ in call] for call in calls] == [[10, 20]]


class Bytes:
    end_of_text, vocab_size = 0, 256

    def decode(self, ids) -> str:
        return " ".join(map(str, ids))


def test_samples_do_not_change_what_is_learnt(task, tokenizer, cpu, training):
    learn, finals = task("next_token"), []
    for asked in (True, False):
        model = learn.model()

        watchers = [Samples(model, Bytes(), [1, 2, 3], cpu, lambda name, text: None)] if asked else []
        trainer.train(model, learn.objective, training(), cpu, name="t", on_evaluation=watchers)
        finals.append([weight.detach().numpy().tobytes() for weight in model.parameters()])
    assert finals[0] == finals[1]
