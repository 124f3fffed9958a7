"""Weights as other tools write them: each file is imported as the model that it is, or refused with its reason."""

import os
import signal
import socket
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

from gptmill.config.schema import LoRAParams
from gptmill.core.errors import GptmillError
from gptmill.inference.models import Assistant, TextClassifier, TextGenerator
from gptmill.model import lora
from gptmill.model.folder import ModelFolder
from gptmill.model.gpt import GPTClassifier
from gptmill.pretrained import convert, export

D, LAYERS, HEADS, VOCAB, CONTEXT = 32, 2, 2, 304, 64
TOKENS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6], [300, 0, 7, 7, 303, 8, 2, 1]])


@pytest.fixture(autouse=True)
def ends_in_time():
    """A read of a named pipe would wait forever."""

    def late(*_: object) -> None:
        raise TimeoutError("it still waits after a minute")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.fixture
def model(make_gpt):
    return make_gpt(vocab_size=VOCAB, context_length=CONTEXT, n_layers=LAYERS, n_heads=HEADS, d_model=D)


@pytest.fixture
def folder(make_gpt, tokenizer, tmp_path) -> Path:
    """A model folder, to be damaged."""
    ModelFolder(tmp_path / "model").save(make_gpt(vocab_size=tokenizer.vocab_size), tokenizer)
    return tmp_path / "model"


@torch.inference_mode()
def imported(source: object, tmp_path: Path, heads: int | None = HEADS) -> tuple[torch.Tensor, str]:
    """The logits of an imported `torch.save` file, and the import's message."""
    torch.save(source, tmp_path / "model.pth")
    message = convert.import_weights(str(tmp_path / "model.pth"), tmp_path / "in", heads)
    return ModelFolder(tmp_path / "in").load_gpt().eval()(TOKENS), message


def refused(source: object, tmp_path: Path, heads: int | None = HEADS) -> str:
    """The one error of an import that must write nothing."""
    if not isinstance(source, Path):
        torch.save(source, tmp_path / "model.pth")
    with pytest.raises(GptmillError) as error:
        convert.import_weights(
            str(source if isinstance(source, Path) else tmp_path / "model.pth"), tmp_path / "in", heads
        )
    assert not (tmp_path / "in").exists()
    return str(error.value)


# --- names and layouts ---


@pytest.mark.parametrize(
    "wrap",
    [
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"_orig_mod.module.{name}",
        lambda name: f"model.{name}",
        lambda name: f"_forward_module.model.{name}",
        lambda name: name.replace(".att.", "._orig_mod.att.").replace(
            "trf_blocks.0.", "trf_blocks.0._checkpoint_wrapped_module."
        ),
        lambda name: f"_fsdp_wrapped_module.{name}".replace("ff.", "_fsdp_wrapped_module.ff."),
    ],
    ids=["compiled", "DDP", "DDP compiled", "compiled DDP", "Lightning", "Fabric", "compiled blocks", "FSDP"],
)
@torch.inference_mode()
def test_wrappers_in_names_change_nothing(model, tmp_path, wrap):
    state = {wrap(name): tensor for name, tensor in export.book_state_dict(model).items()}
    logits, message = imported({"model_state_dict": state, "epoch": 3}, tmp_path)
    torch.testing.assert_close(logits, model(TOKENS))
    assert "names of wrappers" in message


def test_a_name_with_and_without_its_wrapper_is_refused(model, tmp_path):
    state = export.book_state_dict(model)
    assert "twice, as tok_emb.weight and as module.tok_emb" in refused(
        state | {"module.tok_emb.weight": torch.zeros(VOCAB, D)}, tmp_path
    )


@torch.inference_mode()
def test_query_key_and_value_of_the_book_in_one_matrix(model, tmp_path):
    state = {name: tensor for name, tensor in export.book_state_dict(model).items() if ".att." not in name}
    for i, block in enumerate(model.backbone.blocks):
        for ours, theirs in ((block.attention.qkv, "qkv"), (block.attention.out_proj, "proj")):
            state |= {f"trf_blocks.{i}.att.{theirs}.{name}": tensor for name, tensor in ours.state_dict().items()}
    logits, _ = imported(state, tmp_path)
    torch.testing.assert_close(logits, model(TOKENS))


def nanogpt(bias: bool) -> dict[str, torch.Tensor]:
    """A state dict of nanoGPT's model.py: torch's layout, no biases with `bias=False`, the tied output saved too."""
    torch.manual_seed(0)
    state = {"transformer.wte.weight": torch.randn(VOCAB, D), "transformer.wpe.weight": torch.randn(CONTEXT, D)}
    shapes = {
        "ln_1": (D,),
        "attn.c_attn": (3 * D, D),
        "attn.c_proj": (D, D),
        "ln_2": (D,),
        "mlp.c_fc": (4 * D, D),
        "mlp.c_proj": (D, 4 * D),
    }
    names = {f"h.{i}.{name}": shape for i in range(LAYERS) for name, shape in shapes.items()} | {"ln_f": (D,)}
    for name, shape in names.items():
        state[f"transformer.{name}.weight"] = torch.randn(shape) / 5
        if bias:
            state[f"transformer.{name}.bias"] = torch.randn(shape[0])
    return state | {"lm_head.weight": state["transformer.wte.weight"]}


def nanogpt_logits(state: dict[str, torch.Tensor]) -> torch.Tensor:
    """nanoGPT's logits."""

    def part(name: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        return state[f"transformer.{name}.weight"], state.get(f"transformer.{name}.bias")

    x = state["transformer.wte.weight"][TOKENS] + state["transformer.wpe.weight"][: TOKENS.shape[1]]
    for i in range(LAYERS):
        qkv = linear(layer_norm(x, (D,), *part(f"h.{i}.ln_1")), *part(f"h.{i}.attn.c_attn")).split(D, dim=2)
        heads = scaled_dot_product_attention(
            *(t.unflatten(2, (HEADS, -1)).transpose(1, 2) for t in qkv), is_causal=True
        )
        x = x + linear(heads.transpose(1, 2).flatten(2), *part(f"h.{i}.attn.c_proj"))
        x = x + linear(
            gelu(linear(layer_norm(x, (D,), *part(f"h.{i}.ln_2")), *part(f"h.{i}.mlp.c_fc"))),
            *part(f"h.{i}.mlp.c_proj"),
        )
    return linear(layer_norm(x, (D,), *part("ln_f")), state["lm_head.weight"])


ARGUMENTS = {
    "n_layer": LAYERS,
    "n_head": HEADS,
    "n_embd": D,
    "block_size": CONTEXT,
    "bias": False,
    "vocab_size": VOCAB,
    "dropout": 0.0,
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_nanogpt_computes_here_what_it_computes_there(tmp_path, bias, checkpoint):
    state = nanogpt(bias)
    source = {
        "model": {f"_orig_mod.{n}": t for n, t in state.items()},
        "optimizer": {"state": {}},
        "model_args": ARGUMENTS | {"bias": bias},
    }
    logits, message = imported(source if checkpoint else state, tmp_path, None if checkpoint else HEADS)
    torch.testing.assert_close(logits, nanogpt_logits(state), rtol=1e-4, atol=1e-4)
    assert "nanoGPT" in message and "GELU" in message and f"{HEADS} heads" in message


def test_nanogpts_model_opens_in_transformers_and_not_in_the_book(tmp_path):
    from transformers import GPT2LMHeadModel

    state = nanogpt(bias=True)
    imported(state, tmp_path)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path / "in").eval()(TOKENS).logits
    torch.testing.assert_close(theirs, nanogpt_logits(state), rtol=1e-4, atol=1e-4)
    with pytest.raises(GptmillError, match="GELU in its tanh form"):
        convert.export_weights(tmp_path / "in", tmp_path / "out.pth", "book")


@torch.inference_mode()
def test_exact_gelu_is_the_same_in_bf16_decoding(tmp_path):
    from gptmill.inference.decoder import Decoder

    imported(nanogpt(bias=True), tmp_path)
    model = ModelFolder(tmp_path / "in").load_gpt().eval()
    _, bf16 = Decoder(model, bf16=True).prefill(TOKENS.tolist(), 1)
    torch.testing.assert_close(bf16, model(TOKENS)[:, -1], rtol=0.05, atol=0.5)


def test_a_nanogpt_without_some_of_its_biases_is_not_whole(tmp_path):
    state = nanogpt(bias=True)
    del state["transformer.h.1.ln_2.bias"]
    assert "h.1.ln_2.bias is missing" in refused(state, tmp_path)


@pytest.mark.parametrize(
    "change", [{"n_head": 5}, {"n_layer": 100_000}, {"n_embd": "32"}, {"dropout": 7}, {"vocab_size": 10**30}]
)
def test_nanogpts_arguments_that_no_model_has_are_refused(tmp_path, change):
    message = refused({"model": nanogpt(bias=False), "model_args": ARGUMENTS | change}, tmp_path, None)
    assert "heads do not divide" in message or "model_args" in message


# --- what is no language model ---


def with_adapters(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As the book's appendix E replaces each linear layer."""
    return {name.replace("W_query.", "W_query.linear."): tensor for name, tensor in state.items()} | {
        f"trf_blocks.0.att.W_query.lora.{part}": torch.zeros(4, 4) for part in "AB"
    }


@pytest.mark.parametrize("heads", [HEADS, None])
def test_classifiers_and_adapters_are_refused_by_name(model, tmp_path, heads):
    state = export.book_state_dict(model)
    classifier = state | {"out_head.weight": torch.zeros(2, D), "out_head.bias": torch.zeros(2)}
    assert "it is a classifier (out_head.weight has 2 classes)" in refused(classifier, tmp_path, heads)
    assert "LoRA adapters (trf_blocks.0.att.W_query.lora.A)" in refused(with_adapters(state), tmp_path, heads)
    peft = {"base_model.model.transformer.h.0.attn.c_attn.lora_A.weight": torch.zeros(4, D)}
    assert "LoRA adapters" in refused(peft, tmp_path, heads)


# --- numbers ---


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "name", ["tok_emb.weight", "trf_blocks.1.att.W_key.weight", "final_norm.shift", "out_head.weight"]
)
def test_an_import_of_nan_or_infinity_is_refused(model, tmp_path, value, name):
    state = {n: tensor.clone() for n, tensor in export.book_state_dict(model).items()}
    state[name].view(-1)[-1] = value
    assert f"weights contain NaN or Inf: {name}" in refused(state, tmp_path)


def test_a_number_too_large_for_float32_is_refused(model, tmp_path):
    state = export.book_state_dict(model)
    state["pos_emb.weight"] = state["pos_emb.weight"].double() * 1e60
    assert "weights contain NaN or Inf: pos_emb.weight" in refused(state, tmp_path)


def test_loading_nan_or_infinity_is_refused(folder, make_gpt, tokenizer):
    path = folder / "model.safetensors"
    state = load_file(path)
    for name, value in (("transformer.wte.weight", float("nan")), ("transformer.h.1.mlp.c_fc.bias", float("inf"))):
        save_file(state | {name: torch.full_like(state[name], value)}, path)
        with pytest.raises(GptmillError, match=f"contain NaN or Inf: {name.removeprefix('transformer.')}"):
            ModelFolder(folder).load_gpt()
    classifier = GPTClassifier(make_gpt(vocab_size=tokenizer.vocab_size).backbone, ["ham", "spam"])
    with torch.no_grad():
        classifier.head.weight[0, 0] = float("nan")
    ModelFolder(folder).save(classifier, tokenizer)
    with pytest.raises(GptmillError, match="contain NaN or Inf: score.weight"):
        ModelFolder(folder).load_gpt_classifier()


def test_an_adapter_of_nan_or_of_a_rank_of_its_own_is_refused(make_gpt, tmp_path):
    import json

    settings = LoRAParams(rank=2, alpha=4.0, dropout=0.0, target_modules=["qkv"])
    model = make_gpt()
    lora.attach(model, settings)
    lora.Adapter.of(model).write(tmp_path)
    state = load_file(tmp_path / lora.WEIGHTS)
    save_file({name: tensor / 0 for name, tensor in state.items()}, tmp_path / lora.WEIGHTS)
    with pytest.raises(GptmillError, match="weights contain NaN or Inf"):
        lora.load(make_gpt(), tmp_path)
    save_file(state, tmp_path / lora.WEIGHTS)
    config = json.loads((tmp_path / lora.CONFIG).read_text())
    (tmp_path / lora.CONFIG).write_text(json.dumps(config | {"r": 10**9}))
    with pytest.raises(GptmillError, match="says r is 1000000000, the weights 2"):
        lora.load(make_gpt(), tmp_path)


# --- what is no file, and what no machine holds ---


def place(kind: str, path: Path) -> None:
    path.unlink(missing_ok=True)
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))  # an address has room for 100 characters


KINDS = ["a named pipe", "a folder", "a device", "a socket"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "prompt_style.json"]
)
def test_what_is_no_file_is_not_waited_for_in_a_model_folder(folder, tmp_path, kind, name, monkeypatch):
    monkeypatch.chdir(folder)
    place(kind, folder / name)
    with pytest.raises(GptmillError, match=name):
        Assistant(folder)
    with pytest.raises(GptmillError, match=name):
        convert.import_weights(str(folder), tmp_path / "in")
    assert not (tmp_path / "in").exists()


@pytest.mark.parametrize("kind", KINDS[:1] + KINDS[2:])
@pytest.mark.parametrize(
    "name", ["model.pth", "model.safetensors", "model.bin", "model.ckpt.index", "model.safetensors.index.json"]
)
def test_what_is_no_file_is_not_imported(tmp_path, kind, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place(kind, tmp_path / name)
    assert "is a pipe, a socket or a device" in refused(tmp_path / name, tmp_path)
    refused(tmp_path, tmp_path)


DEEP = "[" * 100_000 + "]" * 100_000
DIGITS = "9" * 5000


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "prompt_style.json", "generation_config.json"]
)
@pytest.mark.parametrize("content", [DEEP, f'{{"eos_token_id": {DIGITS}}}', '{"a": ' + DEEP + "}", "\xff\xfe", "7"])
def test_json_that_is_none_is_one_error(folder, tmp_path, name, content):
    (folder / name).write_text(content, encoding="latin-1")
    for read in (lambda: Assistant(folder), lambda: convert.import_weights(str(folder), tmp_path / "in")):
        with pytest.raises(GptmillError) as error:
            read()
        assert name in str(error.value) and len(str(error.value)) < 2000


SIZES = {
    "n_layer": [100_000, 10**30],
    "n_embd": [1 << 30, 1 << 40],
    "vocab_size": [1 << 31, 1 << 60],
    "n_positions": [1 << 31],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in SIZES.items() for value in values])
def test_a_config_of_a_size_that_no_machine_has_is_stated(folder, tmp_path, key, value):
    import json

    config = json.loads((folder / "config.json").read_text()) | {"n_embd": 1024, key: value}
    (folder / "config.json").write_text(json.dumps(config))
    for read in (lambda: ModelFolder(folder).load_gpt(), lambda: convert.import_weights(str(folder), tmp_path / "in")):
        with pytest.raises(GptmillError, match=r"which no model has|would take .* TB|takes .* for the weights alone"):
            read()
    assert not (tmp_path / "in").exists()


@pytest.mark.parametrize("length", [0, 7, 1 << 32, (1 << 63) + 5, (1 << 64) - 1])
def test_a_header_of_an_absurd_length_is_refused(folder, length):
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with pytest.raises(GptmillError, match="has no readable weights"):
        ModelFolder(folder).load_gpt()


def test_a_small_file_that_claims_a_large_model_is_refused(tmp_path):
    vast = torch.zeros(1).expand(1 << 30, 1 << 14)
    assert "would take" in refused(
        {"tok_emb.weight": vast, "pos_emb.weight": torch.zeros(1).expand(8, 1 << 14)}, tmp_path
    )


def test_a_model_that_this_machine_cannot_hold_is_stated(folder, monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=20_000))
    with pytest.raises(GptmillError, match="for the weights alone.*this machine has 20.0 kB"):
        ModelFolder(folder).load_gpt()


@pytest.mark.parametrize("make", [TextGenerator, Assistant, TextClassifier])
def test_a_tokenizer_larger_than_the_model_is_refused(make_gpt, tokenizer, tmp_path, make):
    model = make_gpt(vocab_size=tokenizer.vocab_size - 1)
    ModelFolder(tmp_path / "model").save(
        GPTClassifier(model.backbone, ["a", "b"]) if make is TextClassifier else model, tokenizer
    )
    with pytest.raises(GptmillError, match="the tokenizer has 300 tokens, more than the model's 299"):
        make(tmp_path / "model")


def test_a_base_of_another_tokenizer_is_not_tuned(make_gpt, tokenizer, tmp_path):
    from gptmill.text.tokenizer import Tokenizer

    ModelFolder(tmp_path / "model").save(make_gpt(vocab_size=tokenizer.vocab_size), tokenizer)
    ModelFolder(tmp_path / "model").load_base(tokenizer)
    alike = Tokenizer.train(
        ["wholly other words make other merges of other bytes, which have the same size"] * 9, tokenizer.vocab_size
    )
    assert alike.vocab_size == tokenizer.vocab_size
    for other in (alike, Tokenizer.train(["ab"], 257)):
        with pytest.raises(
            GptmillError, match=r"another tokenizer \(300 tokens\) than the one that encodes the data here"
        ):
            ModelFolder(tmp_path / "model").load_base(other)
