"""A training that is stopped, wherever, and run again comes to the same bytes as one that was never stopped."""

import os
import signal
import threading

import pytest
import torch

from gptmill.core import files
from gptmill.core.errors import GptmillError, Interrupted
from gptmill.training import checkpoints, trainer

TASKS = [("next_token", "muon"), ("instruction", "adamw"), ("classification", "adamw"), ("lora", "muon")]


class Killed(BaseException):
    """What a SIGKILL is in one process: no code of ours gets to see it."""


class Mortal:
    """An objective whose process dies when the loss is asked for once more than so many times, in a step or in an evaluation."""

    def __init__(self, objective, losses: int) -> None:
        self.objective, self.left = objective, losses

    def __getattr__(self, name: str):
        return getattr(self.objective, name)

    def loss(self, model, batch):
        if self.left == 0:
            raise Killed
        self.left -= 1
        return self.objective.loss(model, batch)


def result(trained, model) -> tuple:
    """All that a stage writes of a training, as exactly as it was."""
    return trained.curve, trained.selected, [weight.detach().numpy().tobytes() for weight in model.parameters()]


def run(task, params, cpu, make_checkpoints, losses: int = -1) -> tuple:
    model = task.model()
    trained = trainer.train(model, Mortal(task.objective, losses), params, cpu, name="t", checkpoints=make_checkpoints)
    return result(trained, model)


def survives(task, params, cpu, make_checkpoints, losses: int) -> bool:
    try:
        run(task, params, cpu, make_checkpoints, losses)
    except Killed:
        return False
    return True


@pytest.mark.parametrize(("name", "optimizer"), TASKS)
def test_killed_at_any_step_or_evaluation_it_comes_to_the_same_bytes(
    task, training, cpu, make_checkpoints, name, optimizer
):
    learn = task(name)
    params = training(epochs=3, optimizer=optimizer, evaluations=3, learning_rate=0.05)
    whole = run(learn, params, cpu, None)
    assert len(whole[0]) == 3 and learn.objective.steps == 4  # 12 steps, evaluations where the epochs end
    for losses in range(100):
        if survives(learn, params, cpu, make_checkpoints(), losses):
            break
        assert run(learn, params, cpu, make_checkpoints()) == whole, f"killed after {losses} losses"
        make_checkpoints().clear()
    assert losses > 12 + 3


class Every(checkpoints.DiskCheckpoints):
    """A checkpoint after every third step or evaluation."""

    count = 0

    def due(self) -> bool:
        self.count += 1
        return self.count % 3 == 0


def test_killed_again_and_again_between_rare_checkpoints_it_comes_to_the_same_bytes(task, training, cpu, tmp_path):
    learn, params = task("next_token"), training(epochs=3, evaluations=5, optimizer="muon")
    whole = run(learn, params, cpu, None)
    lives = 0
    while not survives(learn, params, cpu, Every(tmp_path / "stage" / "f", 5), 9):
        lives += 1
        assert lives < 20
    assert lives >= 2
    assert run(learn, params, cpu, Every(tmp_path / "stage" / "f", 5)) == whole


def test_a_part_of_a_step_is_not_gone_on_with(task, training, cpu, make_checkpoints):
    learn, params = task("instruction"), training(epochs=2, micro_batch_size=1)
    whole = run(learn, params, cpu, None)
    for losses in (1, 5, 6, 7, 21):
        assert not survives(learn, params, cpu, make_checkpoints(), losses)
        assert run(learn, params, cpu, make_checkpoints()) == whole
        make_checkpoints().clear()


def test_killed_after_its_end_it_does_not_train_again(task, training, cpu, make_checkpoints):
    learn, params = task("classification"), training()
    whole = run(learn, params, cpu, make_checkpoints())  # and no clear(): the outputs were not written
    assert run(learn, params, cpu, make_checkpoints(), losses=0) == whole


def test_killed_after_it_stopped_early_it_stays_stopped(task, training, cpu, make_checkpoints):
    learn, params = task("next_token"), training(epochs=20, evaluations=20, patience=2, learning_rate=0.2)
    whole = run(learn, params, cpu, make_checkpoints())
    assert len(whole[0]) < 20
    assert run(learn, params, cpu, make_checkpoints(), losses=0) == whole


class Dies(checkpoints.DiskCheckpoints):
    """A process that dies while it writes its checkpoints: the third one is half there."""

    saved = 0

    def save(self, step, tensors, numbers) -> None:
        self.saved += 1
        if self.saved < 3:
            return super().save(step, tensors, numbers)
        half = self.folder / f".step-{step:08d}.1.part"
        half.mkdir()
        (half / checkpoints.TENSORS).write_bytes(b"half")
        raise Killed


def test_killed_while_a_checkpoint_is_written_it_goes_on_from_the_one_before(
    task, training, cpu, make_checkpoints, capsys
):
    learn, params = task("next_token"), training()
    whole = run(learn, params, cpu, None)
    with pytest.raises(Killed):
        run(learn, params, cpu, Dies(make_checkpoints().folder, 0))
    assert run(learn, params, cpu, make_checkpoints()) == whole
    assert "t: resumes from step 2 of 8\n" in capsys.readouterr().out


def cut(path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("name", [checkpoints.TENSORS, checkpoints.NUMBERS])
@pytest.mark.parametrize("damage", [cut, lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_a_damaged_checkpoint_is_left_out_with_a_sentence(
    task, training, cpu, make_checkpoints, name, damage, capsys, caplog
):
    learn, params = task("next_token"), training(evaluations=1)
    whole = run(learn, params, cpu, None)
    assert not survives(learn, params, cpu, make_checkpoints(), 3)
    found = sorted(make_checkpoints().folder.iterdir())
    assert [path.name for path in found] == ["step-00000002", "step-00000003"]
    damage(found[1] / name)
    assert run(learn, params, cpu, make_checkpoints()) == whole
    assert "resumes from step 2 of 8" in capsys.readouterr().out
    assert "ignoring the damaged checkpoint" in caplog.text and "step-00000003" in caplog.text


def test_when_all_are_damaged_it_starts_again(task, training, cpu, make_checkpoints, capsys):
    learn, params = task("next_token"), training(evaluations=1)
    whole = run(learn, params, cpu, None)
    assert not survives(learn, params, cpu, make_checkpoints(), 3)
    for path in make_checkpoints().folder.iterdir():
        cut(path / checkpoints.TENSORS)
    assert run(learn, params, cpu, make_checkpoints()) == whole
    assert "goes on" not in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_at_the_next_step_with_a_checkpoint(task, training, cpu, make_checkpoints, number, capsys):
    learn, params = task("next_token"), training(epochs=3)
    whole = run(learn, params, cpu, None)
    before = signal.getsignal(number)

    class Signalled(Mortal):
        def loss(self, model, batch):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), number)
            return self.objective.loss(model, batch)

    with pytest.raises(
        Interrupted, match=rf"t: stopped by {number.name} at step 2 of 12. Run it again, and it resumes"
    ) as stopped:
        trainer.train(
            learn.model(),
            Signalled(learn.objective, 2),
            params,
            cpu,
            name="t",
            checkpoints=make_checkpoints(minutes=60),
        )
    assert stopped.value.exit_code == 128 + number
    assert signal.getsignal(number) is before
    assert run(learn, params, cpu, make_checkpoints()) == whole
    assert "resumes from step 2 of 12" in capsys.readouterr().out


def test_a_training_may_move_to_another_machine_and_says_that_it_did(
    task, training, cpu, make_checkpoints, capsys, monkeypatch
):
    learn, params = task("next_token"), training(evaluations=1)
    assert not survives(learn, params, cpu, make_checkpoints(), 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    run(learn, params, cpu, make_checkpoints())
    assert (
        "t: resumes from step 3 of 8, saved on another kind of machine: the last digits of sums may differ\n"
        in capsys.readouterr().out
    )


def test_a_thread_trains_too_though_it_hears_no_signals(task, training, cpu, make_checkpoints):
    learn, params, done = task("next_token"), training(), []
    thread = threading.Thread(target=lambda: done.append(run(learn, params, cpu, make_checkpoints())))
    thread.start()
    thread.join()
    assert done == [run(learn, params, cpu, None)]


def test_a_full_disk_is_told_of_and_spoils_nothing(task, training, cpu, make_checkpoints, monkeypatch):
    learn, params = task("next_token"), training(evaluations=1)
    whole = run(learn, params, cpu, None)
    assert not survives(learn, params, cpu, make_checkpoints(), 2)
    left = {path: files.digest(path) for path in make_checkpoints().folder.rglob("*") if path.is_file()}

    def full(path, specs, read) -> None:
        path.write_bytes(b"what still had room")
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_safetensors", full)
        with pytest.raises(
            GptmillError, match=r"checkpoint at step 3 .* No space left on device. Make room .* resumes from step 2"
        ):
            run(learn, params, cpu, make_checkpoints())
    assert {path: files.digest(path) for path in make_checkpoints().folder.rglob("*") if path.is_file()} == left
    assert run(learn, params, cpu, make_checkpoints()) == whole
