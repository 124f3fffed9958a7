"""The params of LoRA: what is wrong in a list is told as any other key is."""

from pathlib import Path

import pytest

from gptmill import params
from gptmill.errors import GptmillError

SAMPLE = (Path(__file__).parents[1] / "profiles/sample.yaml").read_text()
LAYERS = "layers: [qkv, projection, expand, contract]"


@pytest.mark.parametrize(
    "layers, told",
    [
        ("[qkv, head]", "classifier.lora.layers.1: 'head' is not allowed"),
        ("[]", "classifier.lora.layers: [] is not allowed"),
        ("[qkv, qkv]", "classifier.lora: layers (qkv, qkv) must name each layer once"),
        ("qkv", "classifier.lora.layers: 'qkv' is not allowed"),
    ],
)
def test_wrong_layers_are_told(tmp_path, layers, told):
    path = tmp_path / "params.yaml"
    path.write_text(SAMPLE.replace(LAYERS, f"layers: {layers}", 1))
    with pytest.raises(GptmillError) as error:
        params.load(path)
    assert told in str(error.value)


def test_every_profile_says_whether_there_are_adapters():
    for path in (Path(__file__).parents[1] / "profiles").glob("*.yaml"):
        assert params.load(path).classifier.lora.rank == params.load(path).instruct.lora.rank == 0, path
