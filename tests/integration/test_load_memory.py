"""How much memory loading takes, in a process of its own: a model of 124M parameters peaks below 1.3 times its weights."""

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
