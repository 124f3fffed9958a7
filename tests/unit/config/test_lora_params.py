"""The params of LoRA: what is wrong in a list is told as any other key is."""

import pytest

from gptmill import config
from gptmill.config import profiles, renamed, schema
from gptmill.config.rendering import render
from gptmill.core.errors import GptmillError
from pipelines.overrides import params_text

TARGET_MODULES = "target_modules: [qkv, out_proj, up_proj, down_proj]\n"


@pytest.fixture(autouse=True)
def _warn_again():
    renamed._warn.cache_clear()


@pytest.mark.parametrize(
    "target_modules, told",
    [
        ("[qkv, head]", "classifier.lora.target_modules.1: 'head' is not allowed"),
        ("[]", "classifier.lora.target_modules: [] is not allowed"),
        ("[qkv, qkv]", "classifier.lora: target_modules (qkv, qkv) must name each layer once"),
        ("qkv", "classifier.lora.target_modules: 'qkv' is not allowed"),
    ],
)
def test_wrong_target_modules_are_told(tmp_path, target_modules, told):
    path = tmp_path / "params.yaml"
    path.write_text(render(schema.Params(), "").replace(TARGET_MODULES, f"target_modules: {target_modules}\n", 1))
    with pytest.raises(GptmillError) as error:
        config.load(path)
    assert told in str(error.value)


def test_the_old_names_are_read_and_one_warning_says_what_to_write(tmp_path, caplog):
    path = tmp_path / "params.yaml"
    text = render(schema.Params(), "")
    path.write_text(text.replace(TARGET_MODULES, "layers: [qkv, expand]\n", 1))
    for _ in range(2):
        assert config.load(path).classifier.lora.target_modules == ["qkv", "up_proj"]
    assert config.parse(path.read_text()).classifier.lora.target_modules == ["qkv", "up_proj"]
    said = [record.message for record in caplog.records if str(path) in record.message]
    assert len(said) == 1 and "Write classifier.lora.target_modules: [qkv, up_proj];" in said[0]


def test_a_profile_may_have_the_old_names(tmp_path, caplog):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/mine.yaml").write_text("instruct: {lora: {rank: 2, layers: [projection, contract]}}\n")
    assert profiles.load("mine", tmp_path).instruct.lora.target_modules == ["out_proj", "down_proj"]
    assert "Write instruct.lora.target_modules: [out_proj, down_proj];" in caplog.text


def test_the_old_key_beside_the_new_one_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    text = render(schema.Params(), "")
    path.write_text(text.replace(f"    {TARGET_MODULES}", f"    {TARGET_MODULES}    layers: [qkv]\n", 1))
    with pytest.raises(GptmillError, match="classifier.lora.layers: unknown key"):
        config.load(path)


@pytest.mark.parametrize(
    "override", ["instruct.lora.layers=[qkv, expand]", "instruct.lora.target_modules=[qkv, expand]"]
)
@pytest.mark.parametrize("line", [TARGET_MODULES, "layers: [projection]\n"])
def test_an_override_may_have_the_old_names(tmp_path, caplog, override, line):
    (tmp_path / "params.yaml").write_text(render(schema.Params(), "").replace(TARGET_MODULES, line))
    text = params_text(tmp_path, None, [override])
    values = config.parse(text)
    assert values.instruct.lora.target_modules == ["qkv", "up_proj"]
    assert values.classifier.lora.target_modules[0] == ("qkv" if line == TARGET_MODULES else "out_proj")
    assert "Write " in caplog.text
