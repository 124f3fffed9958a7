"""LoRA: adapters that start as nothing, merge without a trace, and are PEFT's."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel

from gptmill.config.schema import LoRAParams
from gptmill.core.errors import GptmillError
from gptmill.model import lora
from gptmill.model.folder import ModelFolder
from gptmill.model.gpt import GPT, GPTClassifier, GPTConfig
from gptmill.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["the quick brown fox jumps over the lazy dog " * 20], 280)
CONFIG = GPTConfig(TOKENIZER.vocab_size, 32, 3, 2, 24)
ALL = ["qkv", "out_proj", "up_proj", "down_proj"]
ROWS = torch.randint(TOKENIZER.vocab_size, (3, 20), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([20, 7, 13])
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def settings_of(layers: list[str] = ALL, rank: int = 4, dropout: float = 0.0) -> LoRAParams:
    return LoRAParams(rank=rank, alpha=12.0, dropout=dropout, target_modules=layers)


def adapted(model: GPT | GPTClassifier, settings: LoRAParams) -> GPT | GPTClassifier:
    """The model with adapters that add something."""
    lora.attach(model, settings)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(".B"):
                weight.normal_(std=0.1)
    return model.eval()


def language_model() -> GPT:
    torch.manual_seed(0)
    return GPT(CONFIG).eval()


def classifier() -> GPTClassifier:
    return GPTClassifier(language_model().backbone, ["ham", "spam"]).eval()


def test_an_adapter_starts_as_nothing():
    model = language_model()
    before = model(ROWS)
    lora.attach(model, settings_of())
    assert torch.equal(model(ROWS), before)


@pytest.mark.parametrize("layers", [ALL, ["qkv"], ["up_proj", "out_proj"]])
def test_merged_is_unmerged(layers):
    model = adapted(language_model(), settings_of(layers))
    plain, unmerged = language_model()(ROWS), model(ROWS)
    lora.merge(model)
    assert (unmerged - plain).abs().max() > 1e-3
    torch.testing.assert_close(model(ROWS), unmerged, **CLOSE)
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in language_model().named_parameters()]
    assert all(weight.requires_grad for weight in model.parameters())


def test_only_adapters_and_a_new_head_learn():
    model = classifier()
    lora.attach(model, settings_of(["qkv", "down_proj"], rank=2))
    learns = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert learns == {"head.weight"} | {
        f"backbone.blocks.{i}.{layer}.{part}"
        for i in range(3)
        for layer in ("attention.qkv", "feed_forward.down_proj")
        for part in "AB"
    }
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.5)
    for _ in range(2):  # the first step moves B alone: what A adds is still multiplied by zero
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(ROWS, LENGTHS), torch.tensor([0, 1, 1])).backward()
        optimizer.step()
    assert {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])} == learns


def test_dropout_is_of_training_alone():
    model = adapted(language_model(), settings_of(dropout=0.5))
    assert torch.equal(model(ROWS), model(ROWS))
    assert not torch.equal(model.train()(ROWS), model(ROWS))


@pytest.mark.parametrize("layers", [ALL, ["qkv"], ["out_proj"], ["down_proj", "up_proj"]])
def test_peft_reads_the_adapter_and_gives_the_same_logits(tmp_path: Path, layers):
    ModelFolder(tmp_path / "base").save(language_model(), TOKENIZER)
    model = adapted(language_model(), settings_of(layers))
    lora.Adapter.of(model, "models/base").write(tmp_path / "adapter")
    theirs = PeftModel.from_pretrained(GPT2LMHeadModel.from_pretrained(tmp_path / "base"), tmp_path / "adapter").eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(ROWS).logits, model(ROWS), atol=1e-4, rtol=0)
        merged = theirs.merge_and_unload()(ROWS).logits
    lora.merge(model)
    torch.testing.assert_close(merged, model(ROWS), atol=1e-4, rtol=0)


def test_peft_reads_a_classifiers_adapter_with_its_head(tmp_path: Path):
    ModelFolder(tmp_path / "base").save(classifier(), TOKENIZER)
    model = adapted(classifier(), settings_of())
    with torch.no_grad():
        model.head.weight.normal_()
    lora.Adapter.of(model).write(tmp_path / "adapter")
    theirs = PeftModel.from_pretrained(
        GPT2ForSequenceClassification.from_pretrained(tmp_path / "base"), tmp_path / "adapter"
    ).eval()
    mask = (torch.arange(20) < LENGTHS[:, None]).long()
    with torch.no_grad():
        logits = theirs(ROWS.masked_fill(mask == 0, TOKENIZER.end_of_text), attention_mask=mask).logits
    torch.testing.assert_close(logits, model(ROWS, LENGTHS), atol=1e-4, rtol=0)


def test_what_was_written_is_read_again(tmp_path: Path):
    model = adapted(language_model(), settings_of(["up_proj", "qkv"]))
    lora.Adapter.of(model).write(tmp_path / "adapter")
    again = language_model()
    lora.load(again, tmp_path / "adapter")
    assert torch.equal(again(ROWS), model(ROWS))


def test_an_adapter_that_peft_wrote_is_read(tmp_path: Path):
    ModelFolder(tmp_path / "base").save(language_model(), TOKENIZER)
    config = LoraConfig(
        r=3, lora_alpha=5, target_modules=["c_attn", "mlp.c_proj"], fan_in_fan_out=True, init_lora_weights=False
    )
    theirs = get_peft_model(GPT2LMHeadModel.from_pretrained(tmp_path / "base"), config).eval()
    theirs.save_pretrained(tmp_path / "adapter")
    ours = language_model()
    lora.load(ours, tmp_path / "adapter")
    with torch.no_grad():
        torch.testing.assert_close(ours(ROWS), theirs(ROWS).logits, atol=1e-4, rtol=0)


def test_an_adapter_that_does_not_fit_is_refused_and_leaves_the_model_alone(tmp_path: Path):
    torch.manual_seed(0)
    other = adapted(GPT(GPTConfig(TOKENIZER.vocab_size, 32, 2, 2, 16)), settings_of())
    lora.Adapter.of(other).write(tmp_path / "adapter")
    model = language_model()
    before = model(ROWS)
    with pytest.raises(GptmillError, match=r"h\.2\.attn\.c_attn\.lora_A\.weight is missing") as error:
        lora.load(model, tmp_path / "adapter")
    assert "is (4, 16), not (4, 24)" in str(error.value)
    assert torch.equal(model(ROWS), before) and all(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("change", [{"r": "four"}, {"target_modules": ["q_proj"]}, {"use_dora": True}])
def test_a_config_of_another_kind_is_refused(tmp_path: Path, change):
    lora.Adapter.of(adapted(language_model(), settings_of())).write(tmp_path / "adapter")
    path = tmp_path / "adapter/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(GptmillError, match="adapter_config.json"):
        lora.load(language_model(), tmp_path / "adapter")


def test_a_model_folder_has_the_merged_weights_and_the_adapter(tmp_path: Path):
    model = adapted(language_model(), settings_of())
    unmerged = model(ROWS)
    ModelFolder(tmp_path / "model").save(model, TOKENIZER, adapter=lora.detach(model, "models/base"))
    torch.testing.assert_close(ModelFolder(tmp_path / "model").load_gpt()(ROWS), unmerged, **CLOSE)
    again = language_model()
    lora.load(again, tmp_path / "model/adapter")
    torch.testing.assert_close(again(ROWS), unmerged, **CLOSE)
    ModelFolder(tmp_path / "plain").save(again := language_model(), TOKENIZER, adapter=lora.detach(again))
    assert not (tmp_path / "plain/adapter").exists()
