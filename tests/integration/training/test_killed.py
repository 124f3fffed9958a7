"""Real training processes, killed with SIGKILL at random moments and run again: their outputs are those of a run that was left alone."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gptmill import config, stages
from gptmill.core import paths

OUTPUTS = {
    "pretrain": ["models/base", "plots/pretrain.csv", "metrics/pretrain.json"],
    "finetune_classifier": ["models/classifier", "plots/classifier.csv", "metrics/finetune_classifier.json"],
    "finetune_instruct": ["models/instruct", "plots/instruct.csv", "metrics/instruct.json"],
}
CHANGES = {
    "model": {"dropout": 0.1},
    "base": {"epochs": 2, "evaluations": 8},
    "classifier": {"epochs": 3, "evaluations": 9, "optimizer": "muon", "micro_batch_size": 5},
    "instruct": {
        "epochs": 3,
        "evaluations": 9,
        "lora": {"rank": 4, "alpha": 8.0, "dropout": 0.1, "target_modules": ["qkv", "up_proj"]},
    },
    "compute": {"checkpoint_minutes": 0},
}
Start = Callable[[Path, str], subprocess.Popen]


def outputs(folder: Path, stage: str) -> dict[str, bytes]:
    found = [
        path
        for out in OUTPUTS[stage]
        for path in ([folder / out] if (folder / out).is_file() else (folder / out).rglob("*"))
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


def remove_outputs(folder: Path, stage: str) -> None:
    """As DVC does before it runs a stage."""
    for out in OUTPUTS[stage]:
        shutil.rmtree(folder / out) if (folder / out).is_dir() else (folder / out).unlink(missing_ok=True)


def reached(folder: Path, stage: str) -> int:
    """The step of the last checkpoint."""
    found = [re.fullmatch(r"step-(\d+)", path.name) for path in folder.glob(f".gptmill/checkpoints/{stage}/*/step-*")]
    return max((int(match[1]) for match in found if match), default=0)


def stop_at(
    start: Start, folder: Path, stage: str, step: int, wait: float, number: signal.Signals
) -> tuple[int, str, str]:
    """Run the stage until its checkpoints reach a step and a moment more, then send a signal: exit code, and what it printed."""
    process = start(folder, stage)
    while reached(folder, stage) < step and process.poll() is None:
        time.sleep(0.001)
    time.sleep(wait)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def steps_of(folder: Path, plot: str) -> int:
    return int((folder / plot).read_text().splitlines()[-1].split(",")[0])


def survive(start: Start, folder: Path, stage: str, steps: int, kills: int, seed: int) -> None:
    """Kill a stage at random moments, ask it to stop once, then let it finish."""
    draw = random.Random(seed)
    remove_outputs(folder, stage)
    moments = sorted(draw.sample(range(1, steps - 3), kills + 1))
    asked = draw.randrange(kills + 1)
    for i, step in enumerate(moments):
        number = signal.SIGKILL if i != asked else draw.choice([signal.SIGINT, signal.SIGTERM])
        before = reached(folder, stage)
        code, out, err = stop_at(start, folder, stage, step, draw.uniform(0, 0.01), number)
        assert (f"{stage}: resumes from step {before} of {steps}\n" in out) == (before > 0), (out, err)
        if number == signal.SIGKILL:
            assert code == -signal.SIGKILL, (code, out, err)
        else:
            assert code == 128 + number and "Traceback" not in err, (code, out, err)
            assert re.search(
                rf"^{stage}: stopped by {number.name} at step \d+ of {steps}. Run it again", err, re.MULTILINE
            ), err
        assert outputs(folder, stage) == {}
    process = start(folder, stage)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "resumes from step" in out


@pytest.fixture
def mini(copy_of_built) -> Path:
    """The project that was run, with dropout, several epochs, and a checkpoint after every step."""
    yaml = YAML(typ="safe")
    values = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    for section, changed in CHANGES.items():
        values[section] |= changed
    yaml.dump(values, paths.PARAMS)
    return copy_of_built


@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.long)])  # of each stage
def test_trainings_that_are_killed_end_with_the_bytes_of_those_that_are_not(mini, start_stage, tmp_path, kills):
    folders = {}
    for stage in OUTPUTS:  # each in a project of its own: the fine-tunings read what the pretraining writes
        folders[stage] = tmp_path / stage
        shutil.copytree(mini, folders[stage], ignore=shutil.ignore_patterns(".gptmill"))
    whole = {}
    for stage, folder in folders.items():
        os.chdir(folder)  # `mini` puts it back
        stages.run(stage, config.load())
        whole[stage] = outputs(folder, stage)
        assert not (folder / paths.CHECKPOINTS).exists()
    os.chdir(mini)
    with ThreadPoolExecutor() as pool:
        chains = [
            pool.submit(survive, start_stage, folder, stage, steps_of(folder, OUTPUTS[stage][1]), kills, seed)
            for seed, (stage, folder) in enumerate(folders.items())
        ]
        for chain in chains:
            chain.result()
    for stage, folder in folders.items():
        assert outputs(folder, stage).keys() == whole[stage].keys()
        assert [name for name, content in outputs(folder, stage).items() if content != whole[stage][name]] == [], stage
        assert not (folder / paths.CHECKPOINTS).exists()
