import json
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from gptmill.core.errors import GptmillError
from gptmill.model.folder import ModelFolder, load_gpt2
from gptmill.model.gpt import GPTClassifier
from gptmill.pretrained import export

KINDS = [
    {},
    {"tie_weights": False},
    {"qkv_bias": False},
    {"tie_weights": False, "qkv_bias": False, "n_layers": 1, "n_heads": 4},
]
TEXT = torch.tensor([[5, 9, 2, 7, 30, 1], [11, 3, 8, 8, 299, 299]])


def hub(kind: str, folder):
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(transformers, kind).from_pretrained(folder).eval()


@pytest.fixture
def model_of(make_gpt, tokenizer):
    """A model with the fixture tokenizer's vocabulary."""
    return lambda **changes: make_gpt(vocab_size=tokenizer.vocab_size, **changes)


@pytest.fixture
def saved(model_of, tokenizer, tmp_path):
    folder = tmp_path / "model"
    ModelFolder(folder).save(model_of(), tokenizer)
    return folder


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_model_comes_back_as_it_was_saved(model_of, tokenizer, tmp_path, kind):
    model = model_of(**kind)
    ModelFolder(tmp_path / "a").save(model, tokenizer)
    again = ModelFolder(tmp_path / "a").load_gpt()
    assert again.config == model.config
    assert list(again.state_dict()) == list(model.state_dict())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    assert all(weight.requires_grad and weight.device.type == "cpu" for weight in again.parameters())
    assert (again.head.weight is again.backbone.token_embedding.weight) == model.config.tie_weights
    ModelFolder(tmp_path / "b").save(again, tokenizer)
    for name in ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@torch.inference_mode()
def test_transformers_loads_a_language_model_and_gives_the_same_logits(model_of, tokenizer, tmp_path, kind):
    model = model_of(**kind)
    ModelFolder(tmp_path / "model").save(model, tokenizer)
    text = TEXT[:, :4]
    torch.testing.assert_close(
        hub("GPT2LMHeadModel", tmp_path / "model")(text).logits, model(text), rtol=1e-4, atol=1e-4
    )


@torch.inference_mode()
def test_transformers_gives_the_same_logits_for_a_padded_batch(model_of, tokenizer, tmp_path):
    model = model_of()
    ModelFolder(tmp_path / "model").save(model, tokenizer)
    mask = TEXT.ne(tokenizer.end_of_text).long()
    logits = hub("GPT2LMHeadModel", tmp_path / "model")(TEXT, attention_mask=mask).logits
    real = mask.bool()
    torch.testing.assert_close(logits[real], model(TEXT)[real], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_transformers_loads_a_classifier_and_gives_the_same_logits(model_of, tokenizer, tmp_path):
    model = GPTClassifier(model_of().backbone, ["ham", "spam"]).eval()
    model.head.weight.normal_()
    ModelFolder(tmp_path / "model").save(model, tokenizer, max_length=12)
    theirs = hub("GPT2ForSequenceClassification", tmp_path / "model")
    lengths = torch.tensor([6, 4])  # the second row is padded with the end-of-text token
    torch.testing.assert_close(theirs(TEXT).logits, model(TEXT, lengths), rtol=1e-4, atol=1e-4)
    assert theirs.config.id2label == {0: "ham", 1: "spam"}


def test_transformers_finds_every_weight_that_it_wants(model_of, tokenizer, tmp_path):
    from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel

    ModelFolder(tmp_path / "lm").save(model_of(), tokenizer)
    ModelFolder(tmp_path / "classifier").save(GPTClassifier(model_of().backbone, ["ham", "spam"]), tokenizer)
    for kind, name in ((GPT2LMHeadModel, "lm"), (GPT2ForSequenceClassification, "classifier")):
        _, info = kind.from_pretrained(tmp_path / name, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]


def test_transformers_generates_with_model_and_tokenizer_from_one_folder(saved, model_of):
    from transformers import AutoTokenizer

    from gptmill.inference.generation import generate
    from gptmill.inference.sampling import SamplingParams

    tokenizer, theirs = AutoTokenizer.from_pretrained(saved), hub("GPT2LMHeadModel", saved)
    prompt = tokenizer("the miller", return_tensors="pt")
    output = theirs.generate(**prompt, max_new_tokens=5, do_sample=False)[0, prompt["input_ids"].shape[1] :].tolist()
    [ours] = generate(model_of(), [prompt["input_ids"][0].tolist()], SamplingParams(5, stop=tokenizer.eos_token_id))
    assert ours.tokens == [token for token in output if token != tokenizer.eos_token_id]


def test_a_classifier_comes_back_with_its_labels(model_of, tokenizer, tmp_path):
    model = GPTClassifier(model_of().backbone, ["ham", "spam", "maybe"])
    ModelFolder(tmp_path / "model").save(model, tokenizer)
    again = ModelFolder(tmp_path / "model").load_gpt_classifier()
    assert again.labels == ("ham", "spam", "maybe")
    assert torch.equal(again.head.weight, model.head.weight)


def test_a_language_model_is_no_classifier(saved):
    with pytest.raises(GptmillError, match="holds a language model, not a classifier"):
        ModelFolder(saved).load_gpt_classifier()


def test_a_classifier_is_no_language_model(model_of, tokenizer, tmp_path):
    ModelFolder(tmp_path / "model").save(GPTClassifier(model_of().backbone, ["ham", "spam"]), tokenizer)
    with pytest.raises(
        GptmillError, match="holds a classifier, not a language model: use models/base or models/instruct"
    ):
        ModelFolder(tmp_path / "model").load_gpt()


def test_a_language_model_with_labels_in_its_config_is_none_the_less_one(saved, tmp_path):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}))
    assert ModelFolder(saved).load_gpt().config.n_layers == config["n_layer"]
    export.to_huggingface(saved, tmp_path / "out")
    with pytest.raises(GptmillError, match="holds a language model, not a classifier"):
        ModelFolder(saved).load_gpt_classifier()


@pytest.mark.parametrize(
    "labels", [{"a": "ham", "b": "spam"}, {"0": "ham", "2": "spam"}, {"0": 1}, {}, ["ham", "spam"], None]
)
def test_labels_that_do_not_name_each_class_are_one_error(model_of, tokenizer, tmp_path, labels):
    ModelFolder(tmp_path / "model").save(GPTClassifier(model_of().backbone, ["ham", "spam"]), tokenizer)
    config = json.loads((tmp_path / "model/config.json").read_text())
    (tmp_path / "model/config.json").write_text(json.dumps(config | {"id2label": labels}))
    with pytest.raises(GptmillError, match="not the name of each class under 0, 1 and so on"):
        ModelFolder(tmp_path / "model").load_gpt_classifier()


def test_gpt2s_published_weights_are_read_with_or_without_prefix_and_masks(saved, model_of, tmp_path):
    model = model_of()
    published = {
        name.removeprefix("transformer."): weight for name, weight in load_file(saved / "model.safetensors").items()
    }
    published |= {f"h.{i}.attn.bias": torch.ones(1, 1, 16, 16) for i in range(2)}
    save_file(published, tmp_path / "published.safetensors")
    again = load_gpt2(tmp_path / "published.safetensors", model.config)
    assert torch.equal(again(TEXT), model(TEXT))
    assert again.head.weight is again.backbone.token_embedding.weight


def test_weights_in_half_precision_are_read_as_float32(saved, model_of):
    path = saved / "model.safetensors"
    save_file({name: weight.to(torch.bfloat16) for name, weight in load_file(path).items()}, path)
    assert {weight.dtype for weight in ModelFolder(saved).load_gpt().parameters()} == {torch.float32}


def test_all_weights_that_do_not_fit_are_named_at_once(saved):
    path = saved / "model.safetensors"
    state = load_file(path)
    del state["transformer.h.1.ln_2.bias"]
    state["transformer.wpe.weight"] = torch.zeros(3, 16)
    save_file(state, path)
    with pytest.raises(GptmillError) as caught:
        ModelFolder(saved).load_gpt()
    assert "h.1.ln_2.bias is missing" in str(caught.value)
    assert "wpe.weight is (3, 16), not (16, 16)" in str(caught.value)


def test_a_head_that_is_missing_is_named(saved):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    with pytest.raises(GptmillError, match="lm_head.weight is missing"):
        ModelFolder(saved).load_gpt()
    classifier = {"architectures": ["GPT2ForSequenceClassification"], "id2label": {"0": "ham", "1": "spam"}}
    (saved / "config.json").write_text(json.dumps(config | classifier))
    with pytest.raises(GptmillError, match="score.weight is missing"):
        ModelFolder(saved).load_gpt_classifier()


@pytest.mark.parametrize("keep", [0, 7, 200, 5000])
def test_a_file_that_was_cut_is_one_error(saved, keep):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(GptmillError, match="has no readable weights"):
        ModelFolder(saved).load_gpt()


def test_missing_weights_are_one_error(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(GptmillError, match="has no readable weights"):
        ModelFolder(saved).load_gpt()


def test_a_folder_that_is_not_there_says_what_to_run(tmp_path):
    for load in (ModelFolder.load_gpt, ModelFolder.load_gpt_classifier):
        with pytest.raises(GptmillError, match="there is no model in .*make run"):
            load(ModelFolder(tmp_path / "nowhere"))


@pytest.mark.parametrize("content", ["", "{}", "[]", "7", '{"vocab_size": 3}'])
def test_a_config_that_is_not_gpt2s_is_one_error(saved, content):
    (saved / "config.json").write_text(content)
    with pytest.raises(GptmillError, match="is not a GPT-2 config"):
        ModelFolder(saved).load_gpt()


def test_a_save_that_fails_leaves_the_old_model(saved, model_of, tokenizer, monkeypatch):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full_disk(path, specs, read):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("gptmill.model.folder.write_safetensors", full_disk)
    with pytest.raises(OSError, match="No space"):
        ModelFolder(saved).save(model_of(seed=5), tokenizer)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert list(saved.parent.iterdir()) == [saved]


def test_nothing_is_pickled_and_the_file_names_what_made_it(saved):
    assert {path.name for path in saved.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
