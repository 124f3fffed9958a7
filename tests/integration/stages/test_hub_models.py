"""The models of a run, in Hugging Face's tools: the same logits there as here, in one padded batch; and LoRA's adapters in PEFT."""

import warnings

import pytest
import torch

from gptmill import config, stages
from gptmill.core import paths
from gptmill.model.folder import ModelFolder
from gptmill.model.gpt import GPT, GPTClassifier
from gptmill.text.tokenizer import Tokenizer

TEXT = "Once upon a time there was a miller who had a mill, a cat and three sons. “I shall win £100!” said the cat. "
TEXTS = [TEXT[: 3 + 5 * i] for i in range(20)]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def padded() -> tuple[torch.Tensor, torch.Tensor]:
    """The texts' ids, padded on the right, and their lengths."""
    tokenizer = Tokenizer.load(paths.BASE_MODEL)
    rows = [tokenizer.encode(text) for text in TEXTS]
    ids = torch.full((len(rows), max(map(len, rows))), tokenizer.end_of_text)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    return ids, torch.tensor([len(row) for row in rows])


@torch.inference_mode()
def assert_same_logits(ours: GPT | GPTClassifier, theirs: torch.nn.Module) -> None:
    ids, lengths = padded()
    mask = torch.arange(ids.shape[1]) < lengths[:, None]
    logits = theirs.eval()(ids, attention_mask=mask.long()).logits
    if isinstance(ours, GPTClassifier):
        torch.testing.assert_close(logits, ours.eval()(ids, lengths), atol=1e-4, rtol=0)
    else:
        torch.testing.assert_close(logits[mask], ours.eval()(ids)[mask], atol=1e-4, rtol=0)


@pytest.mark.usefixtures("in_built")
def test_transformers_gives_our_logits_on_20_texts_in_one_padded_batch():
    from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel

    for folder in (paths.BASE_MODEL, paths.INSTRUCT_MODEL):
        assert_same_logits(ModelFolder(folder).load_gpt(), GPT2LMHeadModel.from_pretrained(folder))
    assert_same_logits(
        ModelFolder(paths.CLASSIFIER_MODEL).load_gpt_classifier(),
        GPT2ForSequenceClassification.from_pretrained(paths.CLASSIFIER_MODEL),
    )


@pytest.mark.parametrize("stage", ["finetune_instruct", "finetune_classifier"])
def test_a_stage_with_lora_saves_merged_weights_and_an_adapter_that_peft_reads(copy_of_built, stage):
    from peft import PeftModel
    from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel

    section = stage.removeprefix("finetune_")
    loaded = config.load()
    settings = getattr(loaded, section)
    tuned = settings.model_copy(update={"lora": settings.lora.model_copy(update={"rank": 4}), "learning_rate": 0.01})
    stages.run(stage, loaded.model_copy(update={section: tuned}))
    if section == "classifier":
        base = GPT2ForSequenceClassification.from_pretrained(paths.BASE_MODEL, num_labels=2)
        ours, folder = ModelFolder(paths.CLASSIFIER_MODEL).load_gpt_classifier(), paths.CLASSIFIER_MODEL
    else:
        base = GPT2LMHeadModel.from_pretrained(paths.BASE_MODEL)
        ours, folder = ModelFolder(paths.INSTRUCT_MODEL).load_gpt(), paths.INSTRUCT_MODEL
    assert not torch.equal(
        ours.backbone.blocks[0].attention.qkv.weight,
        ModelFolder(paths.BASE_MODEL).load_gpt().backbone.blocks[0].attention.qkv.weight,
    )
    assert_same_logits(ours, PeftModel.from_pretrained(base, folder / "adapter"))


def test_checkpointed_activations_train_the_same_model(copy_of_built):
    loaded = config.load()
    before = (paths.INSTRUCT_MODEL / "model.safetensors").read_bytes()
    stages.run(
        "finetune_instruct",
        loaded.model_copy(update={"compute": loaded.compute.model_copy(update={"checkpoint_activations": True})}),
    )
    assert (paths.INSTRUCT_MODEL / "model.safetensors").read_bytes() == before
