"""Real processes that generate answers, killed with SIGKILL at random moments and run again: the answers of a run that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gptmill import config, stages
from gptmill.core import files, paths

KILLS, BATCH = 5, 2
UNDER_WAY = ".gptmill/responses/*/*.jsonl"
# A process that has loaded torch and forks one for each run of the stage, so that a run starts at once. It notes each batch that a run
# begins in begun.jsonl, and prints a run's process id, then how it ended.
SERVER = """
import json, os, sys
from gptmill import config, stages
from gptmill.inference import responses
from gptmill.stages import generate_responses

complete = responses.complete

def noted(model, tokenizer, template, prompts, *rest):
    with open("begun.jsonl", "a") as file:
        file.write(json.dumps(prompts) + "\\n")
    return complete(model, tokenizer, template, prompts, *rest)

responses.complete = noted
for line in sys.stdin:
    if not (child := os.fork()):
        try:
            stages.run("generate_responses", config.load())
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def lines(pattern: str) -> int:
    """Whole ones, in all the files that match."""
    return sum(path.read_bytes().count(b"\n") for path in Path().glob(pattern))


@pytest.fixture
def mini(copy_of_built) -> Path:
    """The project that was run, with answers that take a moment: many small batches of longer answers, drawn at random."""
    yaml = YAML(typ="safe")
    values = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    values["generate"] |= {"max_new_tokens": 60, "temperature": 1.0, "batch_size": BATCH}
    yaml.dump(values, paths.PARAMS)
    return copy_of_built


@pytest.fixture
def run(mini):
    """`run(wait)`: start the stage, kill it once `wait()` returns, unless it is None; returns how the process ended."""
    environment = os.environ | {"PYTHONPATH": str(Path(stages.__file__).parents[2]), "TQDM_DISABLE": "1"}
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=mini,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(wait=None) -> int:
        paths.RESPONSES.unlink(missing_ok=True)  # as DVC does
        server.stdin.write("\n")
        server.stdin.flush()
        child = int(server.stdout.readline())
        if wait:
            wait()
            os.kill(child, signal.SIGKILL)
        while not (said := server.stdout.readline().strip()).lstrip("-").isdecimal():
            assert server.poll() is None  # what the stage prints is passed over
        return int(said)

    yield run
    server.stdin.close()
    server.wait(timeout=30)


def test_answers_that_were_killed_are_those_that_were_not_and_none_is_made_twice(run):
    assert run() == 0
    whole, begun = paths.RESPONSES.read_bytes(), Path("begun.jsonl")
    batches = begun.read_text().splitlines()
    assert len(batches) >= 2 * KILLS and not paths.PARTIAL_RESPONSES.exists()
    assert len(files.read_jsonl(paths.RESPONSES)) == len(files.read_jsonl(paths.INSTRUCTION_SPLITS / "test.jsonl"))

    draw = random.Random(4)
    moments = sorted(draw.sample(range(len(batches) - 1), KILLS))  # finished batches; the tuned model's come first
    finished = 0
    for moment in moments:
        begun.unlink(missing_ok=True)

        def wait(moment: int = moment) -> None:
            deadline = time.monotonic() + 60
            while lines(UNDER_WAY) < moment:
                assert time.monotonic() < deadline
                time.sleep(0.0005)
            time.sleep(draw.uniform(0, 0.02))

        assert run(wait) == -signal.SIGKILL
        assert not paths.RESPONSES.exists()
        made = begun.read_text().splitlines() if begun.exists() else []
        assert made == batches[finished : finished + len(made)]  # it went on with the first that was not finished
        finished = lines(UNDER_WAY)
        assert finished >= moment
    with max(Path().glob(UNDER_WAY), key=lambda path: path.name).open("ab") as file:
        file.write(b'["0", [{"respo')  # torn
    begun.unlink(missing_ok=True)
    assert run() == 0
    assert begun.read_text().splitlines() == batches[finished:]
    assert paths.RESPONSES.read_bytes() == whole
    assert not paths.PARTIAL_RESPONSES.exists()


def test_what_was_made_with_other_parameters_is_not_used(run):
    def wait() -> None:
        while lines(UNDER_WAY) < 2:
            time.sleep(0.0005)

    assert run(wait) == -signal.SIGKILL
    paths.PARAMS.write_text(paths.PARAMS.read_text().replace("temperature: 1.0", "temperature: 0.0"))
    assert config.load().generate.temperature == 0
    Path("begun.jsonl").unlink()
    assert run() == 0
    assert lines("begun.jsonl") == 2 * -(-len(files.read_jsonl(paths.RESPONSES)) // BATCH)
    assert not paths.PARTIAL_RESPONSES.exists()
