import resource

import pytest
import torch

from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.training import checkpoints

TENSORS = {
    "weight/a": torch.arange(6.0).reshape(2, 3),
    "optimizer/a.step": torch.tensor(3.0),
    "best/a": torch.tensor([1.5, float("nan")]),
}
NUMBERS = {"curve": [{"loss": 0.1 + 0.2, "rate": 1e-300}], "targets": 7}


def steps(kept: checkpoints.DiskCheckpoints) -> list[str]:
    return sorted(path.name for path in kept.folder.iterdir())


def test_what_is_read_is_what_was_written_to_the_last_bit(make_checkpoints):
    make_checkpoints().save(12, TENSORS, NUMBERS)
    found = make_checkpoints().latest()
    assert found.step == 12 and found.numbers == NUMBERS
    assert found.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found.tensors[name].dtype == tensor.dtype and found.tensors[name].shape == tensor.shape
        assert found.tensors[name].numpy().tobytes() == tensor.numpy().tobytes()


def test_there_is_none_before_the_first(make_checkpoints):
    assert make_checkpoints().latest() is None


def test_only_the_last_two_are_kept(make_checkpoints):
    kept = make_checkpoints()
    for step in (1, 99_999_999, 99_999_999, 100_000_000):
        kept.save(step, TENSORS, {"at": step})
    assert steps(kept) == ["step-100000000", "step-99999999"]
    assert make_checkpoints().latest().numbers == {"at": 100_000_000}


def test_a_finished_stage_leaves_nothing(make_checkpoints, tmp_path):
    kept = make_checkpoints()
    kept.save(1, TENSORS, NUMBERS)
    kept.clear()
    kept.clear()
    assert not any(tmp_path.iterdir())


def test_a_finished_stage_leaves_what_belongs_to_others(make_checkpoints):
    other = checkpoints.DiskCheckpoints(make_checkpoints().folder.parents[1] / "other" / "cache-key", 0)
    for kept in (other, make_checkpoints()):
        kept.save(1, TENSORS, NUMBERS)
    make_checkpoints().clear()
    assert other.latest().step == 1 and not make_checkpoints().folder.exists()


def test_checkpoints_are_due_by_the_clock_and_take_little_of_the_time(make_checkpoints, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    kept = make_checkpoints(minutes=2)
    now += 119
    assert not kept.due()
    now += 1
    assert kept.due()
    write = checkpoints.write_safetensors

    def slow(*args) -> None:
        nonlocal now
        now += 10
        write(*args)

    monkeypatch.setattr(checkpoints, "write_safetensors", slow)
    kept.save(1, TENSORS, NUMBERS)
    now += 10 / checkpoints.MAX_TIME_SHARE - 1
    assert not kept.due()
    now += 1
    assert kept.due()


def test_a_file_that_can_not_grow_is_told_of_and_the_checkpoint_before_stays(make_checkpoints):
    """The system's own refusal, as a full disk gives it: no file may grow beyond 20 kB."""
    kept = make_checkpoints()
    kept.save(1, TENSORS, NUMBERS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(
            GptmillError, match=r"checkpoint at step 2 \(0.1 MB\) could not be written to .*: File too large. Make room"
        ):
            kept.save(2, {"weight/a": torch.zeros(20_000)}, NUMBERS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert steps(kept) == ["step-00000001"]
    assert make_checkpoints().latest().step == 1


def test_what_was_half_written_when_a_process_was_killed_is_removed(project):
    sections = {"seed": 1}
    kept = checkpoints.of_stage("pretrain", sections, [], 5)
    kept.save(1, TENSORS, NUMBERS)
    half = kept.folder / ".step-00000002.77.part"
    half.mkdir()
    (half / "state.safetensors").write_bytes(b"half")
    assert checkpoints.of_stage("pretrain", sections, [], 5).latest().step == 1
    assert steps(kept) == ["step-00000001"]
    assert kept.folder.is_relative_to(paths.CHECKPOINTS / "pretrain")
    assert checkpoints.of_stage("pretrain", sections | {"seed": 2}, [], 5).latest() is None
