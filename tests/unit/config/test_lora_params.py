"""The params of LoRA: what is wrong in a list is told as any other key is."""

import pytest

from gptmill import config
from gptmill.config import schema
from gptmill.config.rendering import render
from gptmill.core.errors import GptmillError

LAYERS = "layers: [qkv, projection, expand, contract]\n"


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
    path.write_text(render(schema.Params(), "").replace(LAYERS, f"layers: {layers}\n", 1))
    with pytest.raises(GptmillError) as error:
        config.load(path)
    assert told in str(error.value)
