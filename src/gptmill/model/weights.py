"""Model folders. Ours are Hugging Face's: `config.json`, `model.safetensors` and the tokenizer, so that whatever serves those serves ours.

One table pairs the names. Hugging Face's GPT-2 keeps its projections as (in, out), torch's `Linear` as (out, in): those are transposed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gptmill import files
from gptmill.errors import GptmillError
from gptmill.model.gpt import GPT, INIT_STD, NORM_EPSILON, GPTClassifier, GPTConfig, Trunk
from gptmill.tokenizer import Tokenizer

# ours, Hugging Face's, transposed
_TRUNK = [
    ("token_embedding.weight", "wte.weight", False),
    ("position_embedding.weight", "wpe.weight", False),
    ("final_norm.weight", "ln_f.weight", False),
    ("final_norm.bias", "ln_f.bias", False),
]
_BLOCK = [
    ("attention_norm.weight", "ln_1.weight", False),
    ("attention_norm.bias", "ln_1.bias", False),
    ("attention.qkv.weight", "attn.c_attn.weight", True),
    ("attention.qkv.bias", "attn.c_attn.bias", False),
    ("attention.projection.weight", "attn.c_proj.weight", True),
    ("attention.projection.bias", "attn.c_proj.bias", False),
    ("feed_forward_norm.weight", "ln_2.weight", False),
    ("feed_forward_norm.bias", "ln_2.bias", False),
    ("feed_forward.expand.weight", "mlp.c_fc.weight", True),
    ("feed_forward.expand.bias", "mlp.c_fc.bias", False),
    ("feed_forward.contract.weight", "mlp.c_proj.weight", True),
    ("feed_forward.contract.bias", "mlp.c_proj.bias", False),
]
_MASK_BUFFERS = (".attn.bias", ".attn.masked_bias")  # old checkpoints carry their causal masks; they are no weights


def names(n_layers: int) -> Iterator[tuple[str, str, bool]]:
    """(ours, Hugging Face's, transposed) for every weight of a trunk; neither name with the prefix of the whole model."""
    yield from _TRUNK
    for i in range(n_layers):
        for ours, theirs, transposed in _BLOCK:
            yield f"blocks.{i}.{ours}", f"h.{i}.{theirs}", transposed


def save(model: GPT | GPTClassifier, tokenizer: Tokenizer, folder: Path, max_length: int | None = None) -> None:
    """Write a model folder, whole or not at all. `max_length`: tokens of a text that it was trained to read, when not the whole context."""
    state = model.trunk.state_dict()
    weights = {}
    for ours, theirs, transposed in names(model.config.n_layers):
        # Hugging Face's GPT-2 always has the projections' biases; one of zeros is the same as none.
        weight = state[ours] if ours in state else torch.zeros(3 * model.config.d_model)
        weights[f"transformer.{theirs}"] = (weight.T if transposed else weight).to("cpu", torch.float32).contiguous()
    if isinstance(model, GPTClassifier):
        weights["score.weight"] = model.head.weight.detach().to("cpu", torch.float32).contiguous()
    elif not model.config.tie_weights:
        weights["lm_head.weight"] = model.head.weight.detach().to("cpu", torch.float32).contiguous()
    with files.atomic(folder) as beside:
        beside.mkdir()
        save_file(weights, beside / "model.safetensors", metadata={"format": "pt"})
        files.write_json(beside / "config.json", _config_json(model, tokenizer))
        tokenizer.save(beside, max_length or model.config.context_length)


def load(folder: Path) -> GPT:
    """The language model in a folder. Raises `GptmillError` when the folder is not one, or its weights do not fit its config."""
    config, settings = _read_config(folder)
    with torch.device("meta"):  # shapes only: the weights that are read take their place, nothing is held twice
        model = GPT(config)
    found = read_weights(folder / "model.safetensors")
    _fill(model.trunk, found, folder)
    if not config.tie_weights:
        model.head.weight = torch.nn.Parameter(_take(found, "lm_head.weight", model.head.weight.shape, folder))
    else:
        model.head.weight = model.trunk.token_embedding.weight
    return model


def load_classifier(folder: Path) -> GPTClassifier:
    """The classifier in a folder. Raises `GptmillError` as `load` does."""
    config, settings = _read_config(folder)
    if "id2label" not in settings:
        raise GptmillError(f"{folder} holds a language model, not a classifier: run `dvc repro finetune_classifier` and use its folder")
    labels = [settings["id2label"][str(i)] for i in range(len(settings["id2label"]))]
    with torch.device("meta"):
        model = GPTClassifier(Trunk(config), labels)
    found = read_weights(folder / "model.safetensors")
    _fill(model.trunk, found, folder)
    model.head.weight = torch.nn.Parameter(_take(found, "score.weight", model.head.weight.shape, folder))
    return model


def load_gpt2(path: Path, config: GPTConfig) -> GPT:
    """OpenAI's GPT-2 from the safetensors that Hugging Face publishes."""
    with torch.device("meta"):
        model = GPT(config)
    _fill(model.trunk, read_weights(path), path)
    model.head.weight = model.trunk.token_embedding.weight
    return model


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, without the `transformer.` prefix and without mask buffers."""
    try:
        with safe_open(path, framework="pt") as file:
            return {
                name.removeprefix("transformer."): file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118 - safe_open is no dict
                if not name.endswith(_MASK_BUFFERS)
            }
    except (FileNotFoundError, SafetensorError) as error:
        raise GptmillError(
            f"{path} has no readable weights ({error}): run the stage that makes it again, or download the file again"
        ) from None


def _fill(trunk: Trunk, found: Mapping[str, Tensor], where: Path) -> None:
    wanted = {name: parameter.shape for name, parameter in trunk.named_parameters()}
    state, problems = {}, []
    for ours, theirs, transposed in names(trunk.config.n_layers):
        if ours not in wanted:
            continue
        if theirs not in found:
            problems.append(f"{theirs} is missing")
            continue
        weight = found[theirs].T.contiguous() if transposed else found[theirs]
        if weight.shape != wanted[ours]:
            problems.append(f"{theirs} is {tuple(found[theirs].shape)}, which does not fit {ours} {tuple(wanted[ours])}")
        state[ours] = weight.float()
    if problems:
        raise GptmillError(f"the weights in {where} do not fit the model:\n" + "\n".join(f"  {problem}" for problem in problems))
    trunk.load_state_dict(state, assign=True)
    trunk.requires_grad_(True)


def _take(found: Mapping[str, Tensor], name: str, shape: torch.Size, where: Path) -> Tensor:
    if name not in found or found[name].shape != shape:
        raise GptmillError(f"the weights in {where} do not fit the model: {name} should be {tuple(shape)}")
    return found[name].float()


def _config_json(model: GPT | GPTClassifier, tokenizer: Tokenizer) -> dict[str, Any]:
    config = model.config
    settings = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_embd": config.d_model,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": NORM_EPSILON,
        "initializer_range": INIT_STD,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "tie_word_embeddings": config.tie_weights,
        "qkv_bias": config.qkv_bias,
        "bos_token_id": tokenizer.end_of_text,
        "eos_token_id": tokenizer.end_of_text,
        "pad_token_id": tokenizer.end_of_text,
        "dtype": "float32",
    }
    if isinstance(model, GPTClassifier):
        settings["architectures"] = ["GPT2ForSequenceClassification"]
        settings["id2label"] = {str(i): label for i, label in enumerate(model.labels)}
        settings["label2id"] = {label: i for i, label in enumerate(model.labels)}
    return settings


def _read_config(folder: Path) -> tuple[GPTConfig, dict[str, Any]]:
    try:
        settings = files.read_json(folder / "config.json")
        config = GPTConfig(
            vocab_size=settings["vocab_size"],
            context_length=settings["n_positions"],
            n_layers=settings["n_layer"],
            n_heads=settings["n_head"],
            d_model=settings["n_embd"],
            dropout=settings.get("resid_pdrop", 0.1),
            qkv_bias=settings.get("qkv_bias", True),
            tie_weights=settings.get("tie_word_embeddings", True),
        )
    except FileNotFoundError:
        raise GptmillError(f"there is no model in {folder}: run `make run` (or `dvc repro`) first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise GptmillError(f"{folder / 'config.json'} is not a GPT-2 config ({error!r})") from None
    return config, settings
