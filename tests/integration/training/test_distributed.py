"""Several processes train what one does: real processes, started by real torchrun. This file is also the program that they run."""

import csv
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gptmill import config, stages
from gptmill.config import schema
from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.runtime import launcher
from gptmill.training import checkpoints

TWO = "torchrun --standalone --nproc-per-node 2"


# --- whole stages ---


def set_params(**values: object) -> None:
    """Write other values into params.yaml: `set_params(launcher=TWO, base__epochs=2)`."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    known = yaml.load(paths.PARAMS.read_text())
    for name, value in values.items():
        section, _, key = name.rpartition("__")
        assert key in known[section or "compute"]
        known[section or "compute"][key] = value
    yaml.dump(known, paths.PARAMS)


def curve(name: str) -> list[dict[str, float]]:
    with (paths.PLOTS / f"{name}.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def assert_same_curve(found: list[dict], wanted: list[dict]) -> None:
    assert len(wanted) > 1 and len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert {key: one[key] for key in ("step", "epoch", "targets")} == {
            key: other[key] for key in ("step", "epoch", "targets")
        }
        for key in ("train_loss", "validation_loss"):
            assert one[key] == pytest.approx(other[key], abs=1e-3), key


def last_step() -> int:
    return max((int(path.name.removeprefix("step-")) for path in paths.CHECKPOINTS.glob("*/*/step-*")), default=0)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(holds: Callable[[], bool], process: subprocess.Popen | None = None) -> None:
    for _ in range(10000):
        if holds():
            return
        if process and process.poll() is not None:
            pytest.fail(f"it ended before: {process.communicate()}")
        time.sleep(0.02)
    pytest.fail("it did not come in minutes")


@pytest.fixture
def longer(copy_of_built) -> list[dict[str, float]]:
    """A pretraining that is long enough to be stopped on the way; the curve of a single process that was not."""
    set_params(base__epochs=3, base__evaluations=3)
    shutil.rmtree(paths.BASE_MODEL)
    stages.run("pretrain", config.load())
    whole = curve("pretrain")
    for path in (paths.PLOTS / "pretrain.csv", paths.METRICS / "pretrain.json"):
        path.unlink()
    shutil.rmtree(paths.BASE_MODEL)
    return whole


def test_a_training_goes_on_with_another_number_of_processes(longer, start_stage, monkeypatch):
    set_params(launcher=TWO, checkpoint_minutes=0.0)
    process = start_stage(Path(), "pretrain")
    wait_for(lambda: last_step() > 0, process)
    ranks = [child.pid for child in psutil.Process(process.pid).children()]
    process.terminate()
    _, said = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    assert len(ranks) == 2 and not any(alive(pid) for pid in ranks)
    assert (
        re.findall(r"pretrain: stopped by SIGTERM at step \d+ of \d+\. Run it again", said) and "Traceback" not in said
    )
    assert not (paths.METRICS / "pretrain.json").exists()

    # From two to one, which is interrupted; and from one to two.
    set_params(launcher="")
    stop_at, save = last_step() + 10, checkpoints.DiskCheckpoints.save

    def save_and_fail(self, step, tensors, numbers):
        save(self, step, tensors, numbers)
        if step == stop_at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoints.DiskCheckpoints, "save", save_and_fail)
        stages.run("pretrain", config.load())
    assert last_step() == stop_at
    set_params(checkpoint_minutes=5.0)
    here = Path.cwd()
    shutil.copytree(here, here.with_name("two"))
    stages.run("pretrain", config.load())
    assert_same_curve(curve("pretrain"), longer)
    assert not paths.CHECKPOINTS.exists()

    monkeypatch.chdir(here.with_name("two"))
    set_params(launcher=TWO)
    process = start_stage(Path(), "pretrain")
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert printed.count(f"resumes from step {stop_at} of") == printed.count("pretrain: validation loss") == 1
    assert_same_curve(curve("pretrain"), longer)
    assert not paths.CHECKPOINTS.exists() and (paths.BASE_MODEL / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("stage", "name", "line"), [("pretrain", "pretrain", "loss"), ("finetune_instruct", "instruct", "loss")]
)
def test_two_processes_have_the_loss_curve_of_one(copy_of_built, start_stage, stage, name, line):
    one = curve(name)
    (paths.PLOTS / f"{name}.csv").unlink()
    set_params(launcher=TWO)
    process = start_stage(Path(), stage)
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert printed.count(f"validation {line}") == 1
    assert_same_curve(curve(name), one)


# --- every objective ---

CASES = [
    dict(name=name, batch_size=batch_size, micro_batch_size=micro_batch_size, optimizer=optimizer)
    for name, batch_size, micro_batch_size, optimizer in [
        ("next_token", 4, 0, "muon"),
        ("next_token", 3, 1, "adamw"),
        ("instruction", 5, 2, "adamw"),  # the last batch of an epoch has one row
        ("instruction", 1, 0, "muon"),
        ("classification", 4, 0, "adamw"),
        ("classification", 1, 0, "adamw"),
        ("lora", 3, 0, "adamw"),
    ]
]


def results() -> Iterator[dict]:
    """What each case comes to, in this process or in this one and others."""
    import torch

    from gptmill.runtime.device import Runtime
    from gptmill.training import trainer
    from tasks import make_task

    for case in CASES:
        task = make_task(case["name"], dropout=0.0)
        objective = dataclasses.replace(task.objective, batch_size=case["batch_size"])
        settings = dict(
            epochs=3,
            batch_size=case["batch_size"],
            learning_rate=0.01,
            warmup_steps=2,
            min_learning_rate=0.001,
            weight_decay=0.1,
        )
        settings |= dict(gradient_clip=0.5, evaluations=6, patience=0, keep="best", optimizer=case["optimizer"])
        settings |= dict(micro_batch_size=case["micro_batch_size"])
        model = task.model()
        trained = trainer.train(
            model, objective, schema.TrainingParams(**settings), Runtime(torch.device("cpu"), bf16=False), name="t"
        )
        moved = sum(float(weight.detach().double().abs().sum()) for weight in model.parameters())
        yield {
            "case": case,
            "curve": [dataclasses.asdict(evaluation) for evaluation in trained.curve],
            "weights": moved,
        }


def write_results(folder: Path) -> None:
    from torch import distributed

    from gptmill.runtime import torchrun

    distributed.init_process_group("gloo")  # one for all cases: it takes longer to make than to use
    found = list(results())
    if torchrun.is_main_process():
        (folder / "results.json").write_text(json.dumps(found))
    with pytest.raises(FloatingPointError, match="the loss of t is NaN or Inf at step 2: lower its learning_rate"):
        go_wrong("nan")  # in the second process: the first one hears of it too
    (folder / f"nan-{torchrun.rank()}").touch()
    distributed.destroy_process_group()


SUPPORT = {"PYTHONPATH": str(Path(__file__).parents[2] / "support")}


def run_here(mode: str, folder: Path) -> subprocess.CompletedProcess:
    """This file as a program that starts two processes of itself."""
    command = [sys.executable, __file__, mode, str(folder)]
    return subprocess.run(command, env=os.environ | SUPPORT, capture_output=True, text=True, timeout=300)


def test_two_processes_learn_what_one_learns_whatever_the_objective(tmp_path):
    done = run_here("results", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "nan-0").exists() and (tmp_path / "nan-1").exists()
    for found, wanted in zip(
        json.loads((tmp_path / "results.json").read_text()), json.loads(json.dumps(list(results()))), strict=True
    ):
        assert found["case"] == wanted["case"]
        assert found["weights"] == pytest.approx(wanted["weights"], rel=1e-4), found["case"]
        for one, other in zip(found["curve"], wanted["curve"], strict=True):
            assert one == pytest.approx(other, rel=1e-4), found["case"]


# --- when something goes wrong ---


@pytest.mark.parametrize(("mode", "said"), [
    ("fail", "error: the disk is full: make room"),
    ("die", "error: t: process 1 of those that compute.launcher started was killed. The machine may have run out of memory"),
])  # fmt: skip
def test_what_goes_wrong_in_one_process_ends_all_with_one_message(tmp_path, mode, said):
    done = run_here(mode, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(said) and done.stderr.count("\n") == 1, done.stderr
    ranks = [int(path.name) for path in tmp_path.glob("[0-9]*")]
    assert len(ranks) == 2 and not any(alive(pid) for pid in ranks)


def test_processes_whose_stage_was_killed_end_too(tmp_path):
    process = subprocess.Popen([sys.executable, __file__, "hang", str(tmp_path)], env=os.environ | SUPPORT)
    wait_for(lambda: len(list(tmp_path.glob("[0-9]*"))) == 2, process)
    ranks = [int(path.name) for path in tmp_path.glob("[0-9]*")]
    assert all(alive(pid) for pid in ranks)
    process.kill()
    process.wait()
    wait_for(lambda: not any(alive(pid) for pid in ranks))


@pytest.mark.parametrize(("command", "said"), [
    ("torchrun --nproc-per-nod 2x", r"compute.launcher: .*nproc"),
    ("torchrun --nproc-per-node many", r"compute.launcher: .*many"),
    ("torchrun --standalone --nproc-per-node 2 train.py", r"compute.launcher names a program"),
])  # fmt: skip
def test_options_that_torchrun_does_not_have_are_named(monkeypatch, command, said):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(GptmillError, match=said):
        launcher.launch(command, "pretrain", ["-m", "gptmill", "stage", "pretrain"])


def go_wrong(mode: str) -> None:
    """Train with a process that fails on the way, while the other waits for it."""
    import torch

    from gptmill.model.gpt import LossSums
    from gptmill.runtime import torchrun
    from gptmill.runtime.device import Runtime
    from gptmill.training import trainer
    from tasks import make_task

    task = make_task("next_token", dropout=0.0)

    class Wrong:
        steps, seen = 4, 0

        def __getattr__(self, name: str):
            return getattr(task.objective, name)

        def loss(self, model, batch):
            self.seen += model.training
            loss, targets, correct = task.objective.loss(model, batch)
            if self.seen == 2 and torchrun.rank() == 1:
                match mode:
                    case "fail":
                        raise GptmillError("the disk is full: make room")
                    case "nan":
                        return LossSums(loss * float("nan"), targets, correct)
                    case "die":
                        os.kill(os.getpid(), signal.SIGKILL)
                    case "hang":
                        time.sleep(600)
            return LossSums(loss, targets, correct)

    settings = dict(
        epochs=3,
        batch_size=4,
        learning_rate=0.01,
        warmup_steps=2,
        min_learning_rate=0.001,
        weight_decay=0.1,
        patience=0,
    )
    settings |= dict(gradient_clip=1.0, evaluations=1, keep="best", optimizer="adamw", micro_batch_size=0)
    trainer.train(
        task.model(), Wrong(), schema.TrainingParams(**settings), Runtime(torch.device("cpu"), bf16=False), name="t"
    )


def work(mode: str, folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    write_results(folder) if mode == "results" else go_wrong(mode)


def main(mode: str, folder: Path) -> None:
    from gptmill.runtime import torchrun

    if not torchrun.is_torchrun():
        try:
            launcher.launch(TWO, "t", [__file__, mode, str(folder)])
        except GptmillError as error:
            sys.exit(f"error: {error}")
    else:
        launcher.as_rank(lambda: work(mode, folder))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
