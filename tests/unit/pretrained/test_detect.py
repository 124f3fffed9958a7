"""Import from Hugging Face, OpenAI and the book: the same model from every source; nothing written for a broken one."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import GPT2LMHeadModel

from gptmill.core.errors import GptmillError
from gptmill.inference.generation import generate
from gptmill.inference.sampling import SamplingParams
from gptmill.ingest import sources
from gptmill.model.folder import ModelFolder
from gptmill.model.gpt import GPT, GPTConfig
from gptmill.model.lineage import Lineage
from gptmill.pretrained import convert, detect, export, infer_config
from gptmill.registry import model_card

FIXTURE = Path(__file__).parents[2] / "fixtures/gpt2-tiny"
HEADS = 4
SOURCES = {
    "huggingface": (FIXTURE / "huggingface", None),
    "openai": (FIXTURE / "openai", None),
    "book": (FIXTURE / "book/model.pth", HEADS),
    "book with optimizer": (FIXTURE / "book/model_and_optimizer.pth", HEADS),
}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the fixture, to be damaged."""
    shutil.copytree(FIXTURE, tmp_path / "fixture", copy_function=shutil.copyfile)
    return tmp_path / "fixture"


def refused(source: Path, tmp_path: Path, heads: int | None = None) -> str:
    """The one error of an import that must fail and leave nothing."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(GptmillError) as error:
        convert.import_weights(str(source), tmp_path / "to/there", heads)
    assert sorted(tmp_path.rglob("*")) == before
    return str(error.value)


def rewrite(path: Path, change) -> None:
    """Edit the dict in a JSON or safetensors file by `change`."""
    content = json.loads(path.read_text()) if path.suffix == ".json" else load_file(path)
    change(content)
    path.write_text(json.dumps(content)) if path.suffix == ".json" else save_file(
        content, path, metadata={"format": "pt"}
    )


def test_every_format_gives_the_same_bytes(tmp_path):
    for name, (source, heads) in SOURCES.items():
        convert.import_weights(str(source), tmp_path / name, heads)
    assert len({(tmp_path / name / "model.safetensors").read_bytes() for name in SOURCES}) == 1


@pytest.mark.parametrize("name", SOURCES)
def test_an_import_computes_what_transformers_computed(tmp_path, name):
    source, heads = SOURCES[name]
    convert.import_weights(str(source), tmp_path / "model", heads)
    model, golden = ModelFolder(tmp_path / "model").load_gpt().eval(), load_file(FIXTURE / "golden.safetensors")
    with torch.no_grad():
        logits = model(golden["input_ids"])
    torch.testing.assert_close(logits, golden["logits"], atol=1e-4, rtol=0)
    loss = cross_entropy(logits[:, :-1].flatten(0, 1), golden["input_ids"][:, 1:].flatten()).item()
    assert loss == pytest.approx(json.loads((FIXTURE / "golden.json").read_text())["loss_next_token"], abs=1e-5)
    prompts = golden["greedy"][:, :8].tolist()
    greedy = generate(model, prompts, SamplingParams(max_new_tokens=16))
    assert [prompt + row.tokens for prompt, row in zip(prompts, greedy, strict=True)] == golden["greedy"].tolist()


def test_an_import_opens_in_transformers(tmp_path):
    convert.import_weights(str(FIXTURE / "openai"), tmp_path / "model")
    golden = load_file(FIXTURE / "golden.safetensors")
    with torch.no_grad():
        logits = GPT2LMHeadModel.from_pretrained(tmp_path / "model").eval()(golden["input_ids"]).logits
    torch.testing.assert_close(logits, golden["logits"], atol=1e-4, rtol=0)


def test_what_was_found_is_told(tmp_path):
    message = convert.import_weights(str(FIXTURE / "huggingface"), tmp_path / "model")
    for fact in (
        "Hugging Face",
        "safetensors",
        "56,608",
        "float32",
        "tied",
        "3 layers, 4 heads",
        "3 causal masks",
        "tokenizer   none",
    ):
        assert fact in message


def test_the_prefix_of_the_whole_model_changes_nothing(broken, tmp_path):
    path = broken / "huggingface/model.safetensors"
    state = {f"transformer.{name}": tensor for name, tensor in load_file(path).items()}
    save_file(state | {"lm_head.weight": state["transformer.wte.weight"].clone()}, path)
    assert "prefix transformer." in convert.import_weights(str(broken / "huggingface"), tmp_path / "a")
    convert.import_weights(str(FIXTURE / "huggingface"), tmp_path / "b")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_shards_are_read_as_one(broken, tmp_path, suffix):
    folder = broken / "huggingface"
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    shards = [f"{stem}-0000{i}-of-00002.{suffix}" for i in (1, 2)]
    place = {name: shards[i % 2] for i, name in enumerate(state)}
    for shard in shards:
        part = {name: tensor for name, tensor in state.items() if place[name] == shard}
        save_file(part, folder / shard) if suffix == "safetensors" else torch.save(part, folder / shard)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": place}))
    convert.import_weights(str(folder), tmp_path / "a")
    convert.import_weights(str(FIXTURE / "huggingface"), tmp_path / "b")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    (folder / shards[1]).unlink()
    assert shards[1] in refused(folder, tmp_path)


def test_half_precision_is_read_and_told(broken, tmp_path):
    path = broken / "huggingface/model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path)
    assert "bfloat16, written as float32" in convert.import_weights(str(broken / "huggingface"), tmp_path / "model")
    assert load_file(tmp_path / "model/model.safetensors")["transformer.wte.weight"].dtype == torch.float32


def test_a_head_of_its_own_stays_one(tmp_path):
    state = torch.load(FIXTURE / "book/model.pth", weights_only=True)
    state["out_head.weight"] = state["out_head.weight"] + 1
    torch.save(state, tmp_path / "model.pth")
    assert "not tied" in convert.import_weights(str(tmp_path / "model.pth"), tmp_path / "model", HEADS)
    assert torch.equal(ModelFolder(tmp_path / "model").load_gpt().head.weight, state["out_head.weight"])


def test_a_book_model_without_qkv_bias_stays_one(tmp_path):
    state = torch.load(FIXTURE / "book/model.pth", weights_only=True)
    bare = {
        name: tensor for name, tensor in state.items() if not name.endswith(("query.bias", "key.bias", "value.bias"))
    }
    torch.save(bare, tmp_path / "model.pth")
    convert.import_weights(str(tmp_path / "model.pth"), tmp_path / "model", HEADS)
    assert not ModelFolder(tmp_path / "model").load_gpt().config.qkv_bias
    torch.save(bare | {"trf_blocks.1.att.W_key.bias": torch.zeros(32)}, tmp_path / "model.pth")
    problems = refused(tmp_path / "model.pth", tmp_path, HEADS)
    assert problems.count("is missing") == 8


def test_what_is_exported_to_the_book_is_what_came_from_it(tmp_path):
    convert.import_weights(str(FIXTURE / "huggingface"), tmp_path / "model")
    convert.export_weights(tmp_path / "model", tmp_path / "book.pth", "book")
    ours, theirs = (torch.load(path, weights_only=True) for path in (tmp_path / "book.pth", FIXTURE / "book/model.pth"))
    assert set(ours) == set(theirs)
    for name in theirs:
        assert torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype


@pytest.mark.parametrize("tie, bias", [(True, True), (False, True), (True, False), (False, False)])
def test_out_to_the_book_and_back_is_the_same_model(tmp_path, tie, bias):
    torch.manual_seed(0)
    model = GPT(GPTConfig(90, 24, 2, 3, 12, tie_weights=tie, qkv_bias=bias))
    export.to_book(model, tmp_path / "model.pth")
    checkpoint = detect.detect_format(tmp_path / "model.pth", n_heads=3)
    checkpoint.write(tmp_path)
    again = ModelFolder(tmp_path).load_gpt()
    assert again.config.tie_weights == tie and again.config.qkv_bias == bias
    for (name, left), right in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(left, right), name


def test_export_to_huggingface_is_a_copy_that_was_checked(broken, tmp_path):
    convert.import_weights(str(FIXTURE / "huggingface"), tmp_path / "model")
    for name in (model_card.NAME, Lineage.FILE):
        (tmp_path / "model" / name).write_text("where it comes from")
    convert.export_weights(tmp_path / "model", tmp_path / "out", "huggingface")
    for name in (model_card.NAME, Lineage.FILE):
        assert (tmp_path / "out" / name).read_text() == "where it comes from"
    assert (tmp_path / "out/model.safetensors").read_bytes() == (tmp_path / "model/model.safetensors").read_bytes()
    with pytest.raises(GptmillError, match="there already"):
        convert.export_weights(tmp_path / "model", tmp_path / "out", "huggingface")


def test_nothing_that_is_there_is_replaced(tmp_path):
    (tmp_path / "to/there").mkdir(parents=True)
    (tmp_path / "to/there/thesis.txt").write_text("mine")
    assert "there already" in refused(FIXTURE / "huggingface", tmp_path)


@pytest.mark.parametrize("at", [0, 1000, 113_216, 226_431])
def test_a_flipped_byte_in_tensorflows_data_is_found(broken, tmp_path, at):
    path = broken / "openai/model.ckpt.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)
    assert "checksum of model/" in refused(broken / "openai", tmp_path)


def test_a_flipped_byte_anywhere_in_tensorflows_index_is_found(broken, tmp_path):
    path = broken / "openai/model.ckpt.index"
    whole = path.read_bytes()
    padding = {at for at in range(len(whole) - 48, len(whole) - 8) if not whole[at]}  # zeros that mean nothing
    for at in sorted({*range(0, len(whole), 7), *range(len(whole) - 64, len(whole))} - padding):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :])
        refused(broken / "openai", tmp_path)


@pytest.mark.parametrize(
    "name", ["openai/model.ckpt.index", "openai/model.ckpt.data-00000-of-00001", "huggingface/model.safetensors"]
)
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_cut_file_is_found(broken, tmp_path, name, share):
    path = broken / name
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert path.name.split(".data")[0] in refused(path.parent, tmp_path)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("name", ["model.pth", "model_and_optimizer.pth"])
def test_a_cut_pth_is_found(broken, tmp_path, share, name):
    path = broken / "book" / name
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert name in refused(path, tmp_path, HEADS)


def test_a_pth_with_objects_is_not_run(tmp_path):
    torch.save({"model": Path("x")}, tmp_path / "model.pth")
    assert "other objects, which gptmill does not load" in refused(tmp_path / "model.pth", tmp_path)


@pytest.mark.parametrize("heads", [5, 0, -4, 64, "4", None, 4.0, True])
@pytest.mark.parametrize("name", ["huggingface/config.json", "openai/hparams.json"])
def test_a_wrong_number_of_heads_is_found(broken, tmp_path, heads, name):
    rewrite(broken / name, lambda config: config.update(n_head=heads))
    if heads is None and name.startswith("openai"):
        rewrite(broken / name, lambda config: config.pop("n_head"))
    assert "head" in refused((broken / name).parent, tmp_path)


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path):
    assert "do not divide" in refused(FIXTURE / "book/model.pth", tmp_path, 5)


def test_heads_that_nothing_speaks_for_are_asked_for(tmp_path):
    export.to_book(GPT(GPTConfig(20, 8, 1, 3, 33)), tmp_path / "model.pth")
    assert "--n-heads" in refused(tmp_path / "model.pth", tmp_path)


def test_heads_are_assumed_of_a_published_size_alone_and_said(tmp_path, monkeypatch):
    torch.manual_seed(0)
    export.to_book(GPT(GPTConfig(20, 8, 2, 3, 48)), tmp_path / "model.pth")
    message = refused(tmp_path / "model.pth", tmp_path)
    assert "--n-heads" in message and "possible are 1, 2, 3, 4, 6, 8, 12, 16, 24, 48" in message
    monkeypatch.setattr(infer_config, "GPT2_SIZES", {"gpt2-tiny": (2, 3, 48)})
    assert "3 heads assumed, as gpt2-tiny has" in convert.import_weights(
        str(tmp_path / "model.pth"), tmp_path / "model"
    )
    assert ModelFolder(tmp_path / "model").load_gpt().config.n_heads == 3


def test_heads_that_contradict_the_config_are_refused(tmp_path):
    assert "contradicts" in refused(FIXTURE / "huggingface", tmp_path, heads=8)


@pytest.mark.parametrize(
    "change", [{"n_layer": 4}, {"n_layer": 2}, {"n_embd": 48, "n_head": 4}, {"vocab_size": 513}, {"n_positions": 128}]
)
def test_a_config_of_another_size_is_refused(broken, tmp_path, change):
    rewrite(broken / "huggingface/config.json", lambda config: config.update(change))
    assert "make no model" in refused(broken / "huggingface", tmp_path)


@pytest.mark.parametrize(
    "change", [{"activation_function": "relu"}, {"n_inner": 64}, {"layer_norm_epsilon": 1e-6}, {"model_type": "gptj"}]
)
def test_a_config_that_we_do_not_build_is_refused(broken, tmp_path, change):
    rewrite(broken / "huggingface/config.json", lambda config: config.update(change))
    assert next(iter(change)) in refused(broken / "huggingface", tmp_path)


@pytest.mark.parametrize("dropout", ["x", None, 2, [1], -0.1, True])
@pytest.mark.parametrize("name", ["huggingface/config.json", "openai/hparams.json"])
def test_a_dropout_that_is_no_share_is_refused(broken, tmp_path, dropout, name):
    rewrite(broken / name, lambda config: config.update(resid_pdrop=dropout))
    assert f"resid_pdrop is {dropout!r}, not a share" in refused((broken / name).parent, tmp_path)


@pytest.mark.parametrize("content", ["[]", "7", '["n_head"]'])
def test_sizes_that_are_no_object_are_refused(broken, tmp_path, content):
    (broken / "openai/hparams.json").write_text(content)
    assert "hparams.json is not readable" in refused(broken / "openai", tmp_path)


@pytest.mark.parametrize(
    "index", [{"weight_map": {"a": 5}}, {"weight_map": {"a": None, "b": "x"}}, {"weight_map": 5}, []]
)
def test_an_index_that_names_no_files_is_refused(broken, tmp_path, index):
    (broken / "huggingface/model.safetensors").unlink()
    (broken / "huggingface/model.safetensors.index.json").write_text(json.dumps(index))
    assert "is no index of shards" in refused(broken / "huggingface", tmp_path)


def test_a_pth_whose_names_are_no_text_is_refused(tmp_path):
    torch.save({0: torch.zeros(2)}, tmp_path / "model.pth")
    assert "holds no state dict" in refused(tmp_path / "model.pth", tmp_path)


@pytest.mark.parametrize("vocabulary", [[["a", 0.5]], {"a": "x"}, {"a": None}, {"猫": 1}])
def test_a_vocabulary_of_another_kind_is_refused(broken, tmp_path, vocabulary):
    (broken / "huggingface/tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    assert "is not a byte-level vocabulary" in refused(broken / "huggingface", tmp_path)


def test_everything_that_is_wrong_is_listed_at_once(broken, tmp_path):
    def damage(state: dict) -> None:
        del state["h.1.ln_1.weight"], state["wpe.weight"]
        state["h.0.mlp.c_fc.weight"] = torch.zeros(128, 32)
        state["h.2.attn.c_attn.bias"] = torch.zeros(96, dtype=torch.int32)
        state["score.weight"] = torch.zeros(2, 32)

    rewrite(broken / "huggingface/model.safetensors", damage)
    message = refused(broken / "huggingface", tmp_path)
    for problem in (
        "h.1.ln_1.weight is missing",
        "wpe.weight is missing",
        "h.0.mlp.c_fc.weight is (128, 32), not (32, 128)",
        "h.2.attn.c_attn.bias is torch.int32",
        "score.weight is surplus",
    ):
        assert problem in message


@pytest.mark.parametrize("layers", [0, 10**9, "3"])
def test_a_number_of_layers_that_no_model_has_is_not_tried(broken, tmp_path, layers):
    rewrite(broken / "openai/hparams.json", lambda config: config.update(n_layer=layers))
    assert "n_layers is" in refused(broken / "openai", tmp_path)
    rewrite(broken / "huggingface/config.json", lambda config: config.update(n_layer=layers))
    assert "n_layer is" in refused(broken / "huggingface", tmp_path)


def test_a_book_file_without_tables_is_refused(tmp_path):
    state = torch.load(FIXTURE / "book/model.pth", weights_only=True)
    del state["tok_emb.weight"]
    torch.save(state, tmp_path / "model.pth")
    assert "vocab_size, d_model are not known" in refused(tmp_path / "model.pth", tmp_path, HEADS)
    torch.save(
        state | {"tok_emb.weight": torch.zeros(512, 32), "trf_blocks.99999999.norm1.scale": torch.zeros(32)},
        tmp_path / "model.pth",
    )
    assert "no GPT-2 has so many" in refused(tmp_path / "model.pth", tmp_path, HEADS)


def test_names_of_nothing_known_are_refused(tmp_path):
    save_file({"encoder.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    assert "encoder.weight" in refused(tmp_path / "model.safetensors", tmp_path)
    assert "gpt2-xl" in refused(Path("gpt2-huge"), tmp_path)


def test_a_published_name_is_fetched_checked_and_imported(tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    monkeypatch.setattr(sources, "fetch", lambda source: fetched.append(source) or path)
    fetched: list[sources.Source] = []
    save_file(load_file(FIXTURE / "huggingface/model.safetensors"), path)
    monkeypatch.setattr(convert, "gpt2_config", lambda size: GPTConfig(512, 64, 3, 4, 32))
    for name in ("gpt2", "openai-community/gpt2", "gpt2-124M"):
        convert.import_weights(name, tmp_path / name)
    assert fetched == [sources.GPT2_WEIGHTS["gpt2-124M"]] * 3
    assert [convert.gpt2_size(f"gpt2-{size}") for size in ("medium", "large", "xl")] == [
        "gpt2-355M",
        "gpt2-774M",
        "gpt2-1558M",
    ]


def test_every_published_size_has_its_hash():
    for source in sources.GPT2_WEIGHTS.values():
        assert len(source.sha256) == 64 and len(source.url.split("/")[-2]) == 40


def test_a_tokenizer_beside_the_weights_comes_along(broken, tmp_path):
    from gptmill.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.train(["the quick brown fox jumps over the lazy dog " * 20], 300)
    tokenizer.save(broken / "huggingface")
    message = convert.import_weights(str(broken / "huggingface"), tmp_path / "model")
    assert (
        f"tokenizer.json from the weights' folder; {512 - tokenizer.vocab_size} ids of the model have no token"
        in message
    )
    assert Tokenizer.load(tmp_path / "model").encode("the fox") == tokenizer.encode("the fox")
    assert json.loads((tmp_path / "model/config.json").read_text())["eos_token_id"] == tokenizer.end_of_text
