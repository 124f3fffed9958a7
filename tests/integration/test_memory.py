"""How much memory a process takes: a model of 124M parameters peaks below 1.3 times its weights, and no document is whole in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gptmill.model.folder import write_model
from gptmill.model.gpt import GPTConfig
from gptmill.model.size import measure
from gptmill.model.tensor_names import backbone_shapes

CONFIG = GPTConfig(50257, 1024, 12, 12, 768)
CHILD = """
import re, sys
from pathlib import Path
import pytest
import torch
from gptmill.config.compute import ComputeParams
from gptmill.runtime import device
from gptmill.model.folder import ModelFolder

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

machine = dict(device="cpu", precision="float32", threads=0, launcher="", checkpoint_activations=False, checkpoint_minutes=5)
device.setup(ComputeParams(**machine), seed=0)
torch.nn.Linear(8, 8, device="meta")
before = peak()
ModelFolder(Path(sys.argv[1])).load_gpt()
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_124m_peaks_below_1_3_times_its_weights(tmp_path: Path):
    zeros = {name: torch.zeros(1).expand(shape) for name, shape in backbone_shapes(CONFIG).items()}
    write_model(tmp_path, CONFIG, zeros.__getitem__)
    child = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+\n", child.stdout)
    assert int(child.stdout) < 1.3 * measure(CONFIG).weights


PROGRAM = """
import resource, sys, threading
from pathlib import Path
from gptmill.data import corpus, tokenize
from gptmill.data.validation import corpus_stats
from gptmill.text.tokenizer import Tokenizer

folder, before = Path(sys.argv[1]), None
tokenizer = Tokenizer.train(["the cat and the mill, and the miller"] * 3, 270)

def work(name):
    path = folder / name
    assert corpus_stats.measure(corpus.read(path))["text_characters"].sum() > 0
    corpus.write(corpus.read(path), {}, folder / "clean.txt", folder / "bad.parquet")
    tokenize.write(tokenizer, folder / "clean.txt", folder / "tokens", 0.1, 8, 2)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

small = work("small.txt")
print(small, work("large.txt"))
"""


def test_a_document_of_60_mb_is_never_whole_in_memory(tmp_path):
    line = "the miller and his cat went to the mill, and the mill went to sea " * 30
    for name, count in (("small.txt", 1_000), ("large.txt", 30_000)):  # 2 and 60 MB
        with (tmp_path / name).open("w") as file:
            file.writelines(f"{number} {line}\n" for number in range(count))
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True)
    small, large = map(float, done.stdout.split())
    assert large - small < 40, done.stdout
