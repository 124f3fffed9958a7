"""Foreign tokenizers: an accepted one gives transformers' ids, any other is refused with what differs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gptmill.core.errors import GptmillError
from gptmill.inference import responses
from gptmill.inference.generation import generate
from gptmill.inference.models import Assistant, TextGenerator
from gptmill.inference.resumable import ResumableJsonl
from gptmill.inference.sampling import SamplingParams
from gptmill.model.folder import ModelFolder
from gptmill.model.gpt import GPT, GPTConfig
from gptmill.pretrained import convert
from gptmill.text.prompts import TEMPLATES
from gptmill.text.tokenizer import END_OF_TEXT, Tokenizer

TEXTS = ["the quick brown Fox, jumps over 12345 lazy dogs; it's naïve 猫 🐈\n\n  and they'll say: the The THE\t" * 3]
ODD = st.text(alphabet=st.sampled_from("theT quickFOX 0123'’.,!?;:\n\t £é猫🐈\u00a0\u3000<|>sdl")) | st.sampled_from(
    TEXTS
)


def trained(special: list[str], vocab_size: int = 400, steps: Callable = lambda hub: None) -> object:
    """A tokenizer of the `tokenizers` library, special tokens first as it has them; `steps` may change any step."""
    from tokenizers import Tokenizer as Hub
    from tokenizers import decoders, models, pre_tokenizers, trainers

    hub = Hub(models.BPE())
    hub.pre_tokenizer, hub.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    steps(hub)
    hub.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    return hub


def folder_of(
    path: Path, hub: object, eos: str = END_OF_TEXT, more: list[str] | None = None, padding: int = 0, **settings: object
) -> Path:
    """A folder as transformers saves it: that tokenizer, and a tiny GPT-2 with `padding` more rows than tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(tokenizer_object=hub, eos_token=eos, bos_token=eos, **settings)
    fast.add_special_tokens({"additional_special_tokens": more or []})
    torch.manual_seed(0)
    sizes = dict(vocab_size=len(fast) + padding, n_positions=64, n_embd=16, n_layer=1, n_head=2)
    GPT2LMHeadModel(
        GPT2Config(**sizes, eos_token_id=fast.eos_token_id, bos_token_id=fast.eos_token_id)
    ).save_pretrained(path)
    fast.save_pretrained(path)
    return path


def change(folder: Path, name: str, **values: object) -> None:
    """Set dotted keys in one of a folder's JSON files."""
    path = folder / name
    content = json.loads(path.read_text()) if path.exists() else {}
    for key, value in values.items():
        *outer, last = key.split("__")
        target = content
        for part in outer:
            target = target[part]
        target[last] = value
    path.write_text(json.dumps(content))


def refused(folder: Path, to: Path) -> str:
    """The error of both importing the folder and generating from it."""
    with pytest.raises(GptmillError) as error:
        convert.import_weights(str(folder), to)
    assert not to.exists()
    with pytest.raises(GptmillError) as raw:
        TextGenerator(folder)
    assert str(error.value).startswith(str(raw.value)[:200])
    return str(error.value)


# --- accepted ---

ACCEPTED = {
    "end of text first": lambda: trained([END_OF_TEXT]),
    "end of text added at the end": lambda: trained([]),
    "ours": lambda: None,
}


@pytest.fixture(scope="module", params=ACCEPTED)
def accepted(request, tmp_path_factory, tokenizer):
    """A folder with an accepted tokenizer, that of transformers, and ours after an import."""
    from transformers import AutoTokenizer

    path = tmp_path_factory.mktemp("accepted")
    if hub := ACCEPTED[request.param]():
        folder_of(path / "there", hub)
    else:
        ModelFolder(path / "there").save(GPT(GPTConfig(tokenizer.vocab_size, 64, 1, 2, 16)), tokenizer)
    convert.import_weights(str(path / "there"), path / "here")
    return path / "there", AutoTokenizer.from_pretrained(path / "there"), Tokenizer.load(path / "here")


@given(text=ODD)
def test_what_is_accepted_gives_the_ids_of_transformers(accepted, text):
    _, theirs, ours = accepted
    if END_OF_TEXT not in text:  # there it is special, here nothing in a text is
        assert ours.encode(text) == theirs.encode(text)
        assert ours.decode(ours.encode(text)) == theirs.decode(theirs.encode(text)) == text


def test_what_is_accepted_has_the_size_and_the_end_of_transformers(accepted):
    folder, theirs, ours = accepted
    assert (ours.vocab_size, ours.end_of_text) == (len(theirs), theirs.eos_token_id)
    assert json.loads((folder.parent / "here/config.json").read_text())["eos_token_id"] == theirs.eos_token_id
    stretch = ours.encode_documents(["the fox", "dogs"])
    assert stretch.tolist() == theirs.encode(f"the fox{END_OF_TEXT}dogs{END_OF_TEXT}")
    assert ours.decode(stretch) == "the foxdogs"


def test_what_was_imported_is_exported(accepted, tmp_path):
    folder, *_ = accepted
    convert.export_weights(folder.parent / "here", tmp_path / "out", "huggingface")
    came = {path.name: path.read_bytes() for path in folder.iterdir() if "token" in path.name}
    assert came and came == {name: (tmp_path / "out" / name).read_bytes() for name in came}


def test_a_tokenizer_whose_end_of_text_comes_first_is_saved_as_it_is(tmp_path):
    ours = Tokenizer({bytes([byte]): byte + 1 for byte in range(256)} | {b"th": 257, b"the": 258}, end_of_text=0)
    ours.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.is_equivalent(ours) and again.end_of_text == 0 and again.encode("the") == [258]


def test_a_vocabulary_and_merges_of_two_files_are_read_and_exported(tmp_path):
    """As transformers wrote them before there was a tokenizer.json."""
    folder = folder_of(tmp_path / "there", trained([END_OF_TEXT]))
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").rename(tmp_path / "whole.json")
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in model["merges"])
    (folder / "merges.txt").write_text(merges)
    convert.import_weights(str(folder), tmp_path / "here")
    (tmp_path / "whole.json").rename(folder / "tokenizer.json")
    assert Tokenizer.load(tmp_path / "here").is_equivalent(Tokenizer.load(folder))
    convert.export_weights(tmp_path / "here", tmp_path / "out", "huggingface")
    assert (tmp_path / "out/merges.txt").read_text() == merges
    (folder / "tokenizer.json").unlink()
    (folder / "merges.txt").write_text("\n".join(reversed(merges.splitlines())))
    with pytest.raises(GptmillError, match="its merges do not stand in the order"):
        convert.import_weights(str(folder), tmp_path / "other")


# --- refused ---


def with_step(**steps: object) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        def set_steps(hub: object) -> None:
            for name, step in steps.items():
                setattr(hub, name, step)

        return folder_of(path, trained([], steps=set_steps))

    return make


def edited(name: str, **values: object) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        folder_of(path, trained([]))
        change(path, name, **values)
        return path

    return make


def _refused_cases() -> dict[str, tuple[Callable[[Path], Path], str]]:
    from tokenizers import decoders, normalizers, pre_tokenizers, processors

    digits = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    end = ("<|endoftext|>", 0)
    template = processors.TemplateProcessing(single=f"{end[0]} $A", special_tokens=[end])
    files = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
    whole, settings, special, added = files
    return {
        "lowercase": (with_step(normalizer=normalizers.Lowercase()), "normalizer Lowercase"),
        "NFC": (with_step(normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Strip()])), "normalizer NFC"),
        "prefix space": (with_step(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)),
                         "ByteLevel with add_prefix_space"),
        "no regex": (with_step(pre_tokenizer=pre_tokenizers.ByteLevel(False, use_regex=False)),
                     "ByteLevel with use_regex false"),
        "digits": (with_step(pre_tokenizer=digits), "pre_tokenizer Digits, ByteLevel"),
        "template": (lambda path: folder_of(path, _processed(template)),
                     "post_processor TemplateProcessing, which adds tokens"),
        "roberta": (lambda path: folder_of(path, _processed(processors.RobertaProcessing(end, end))),
                    "post_processor RobertaProcessing, which adds tokens"),
        "decoder": (with_step(decoder=decoders.Metaspace()), "decoder Metaspace"),
        "special tokens first": (lambda path: folder_of(path, trained(["<s>", "</s>"]), eos="</s>"),
                                 "added token '<s>'"),
        "another end of text": (lambda path: folder_of(path, trained([]), eos="<|im_end|>"), "eos_token '<|im_end|>'"),
        "chat tokens": (lambda path: folder_of(path, trained([]), more=["<|user|>"]), "added token '<|user|>'"),
        "padding token": (lambda path: folder_of(path, trained([]), pad_token="[PAD]"), "pad_token '[PAD]'"),
        "no end of text": (lambda path: folder_of(path, trained([]), eos=None), "the tokenizer has"),
        "byte fallback": (edited(whole, model__byte_fallback=True), "model.byte_fallback"),
        "dropout": (edited(whole, model__dropout=0.1), "model.dropout 0.1"),
        "prefix of subwords": (edited(whole, model__continuing_subword_prefix="##"), "model.continuing_subword_prefix"),
        "wordpiece": (edited(whole, model__type="WordPiece"), "model WordPiece"),
        "unigram": (edited(whole, model={"type": "Unigram", "vocab": [["a", -1.5]]}), "model Unigram"),
        "a step of no kind": (edited(whole, pre_tokenizer=7), "pre_tokenizer 7"),
        "id of 2^31": (edited(whole, model__vocab__a=1 << 31), "ids have gaps"),
        "id as text": (edited(whole, model__vocab__a="64"), "ids have gaps"),
        "config: prefix space": (edited(settings, add_prefix_space=True), "add_prefix_space in tokenizer_config.json"),
        "config: bos": (edited(settings, add_bos_token=True), "add_bos_token in tokenizer_config.json"),
        "config: eos": (edited(settings, eos_token="</s>"), "eos_token '</s>'"),
        "config: eos of a table": (edited(settings, eos_token={"content": "</s>"}), "eos_token '</s>'"),
        "config: class": (edited(settings, tokenizer_class="LlamaTokenizer"), "tokenizer_class LlamaTokenizer"),
        "config: further tokens": (edited(settings, added_tokens_decoder={"9": {"content": "<x>"}}),
                                   "added token '<x>'"),
        "map: unk": (edited(special, unk_token="<unk>"), "unk_token '<unk>'"),
        "added tokens": (edited(added, **{"<x>": 9}), "added token '<x>'"),
        "config.json: eos": (edited("config.json", eos_token_id=5),
                             "config.json ends a text with id 5, the tokenizer with"),
        "generation config: eos": (edited("generation_config.json", eos_token_id=[5]),
                                   "generation_config.json ends a text with id 5"),
    }  # fmt: skip


def _processed(step: object) -> object:
    hub = trained([END_OF_TEXT])
    hub.post_processor = step
    return hub


REFUSED = _refused_cases()


@pytest.mark.parametrize("what", REFUSED)
def test_what_gptmill_has_not_is_refused_by_name(tmp_path, what):
    make, reason = REFUSED[what]
    assert reason in refused(make(tmp_path / "there"), tmp_path / "here")


def test_everything_that_differs_is_one_error(tmp_path):
    from tokenizers import normalizers

    folder = with_step(normalizer=normalizers.Lowercase())(tmp_path / "there")
    change(folder, "tokenizer_config.json", add_bos_token=True, pad_token="[PAD]")
    message = refused(folder, tmp_path / "here")
    assert (
        all(reason in message for reason in ("Lowercase", "add_bos_token", "pad_token '[PAD]'"))
        and "Weights alone can be imported" in message
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert "tokenizer   none" in convert.import_weights(str(folder), tmp_path / "here")


@pytest.mark.parametrize(
    "name", ["spiece.model", "tokenizer.model", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"]
)
def test_a_tokenizer_of_another_kind_is_not_taken_for_gpt2s(tmp_path, monkeypatch, name):
    folder = folder_of(tmp_path / "there", trained([]))
    for path in folder.glob("*token*"):
        path.unlink()
    monkeypatch.setattr(convert, "GPT2_VOCAB_SIZE", json.loads((folder / "config.json").read_text())["vocab_size"])
    (folder / name).write_text("{}")
    with pytest.raises(GptmillError, match=f"can't represent, in {name} without a tokenizer.json"):
        convert.import_weights(str(folder), tmp_path / "here")


def test_a_vocabulary_without_its_merges_is_refused(tmp_path):
    folder = folder_of(tmp_path / "there", trained([END_OF_TEXT]))
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(GptmillError, match="has no merges.txt next to it"):
        convert.import_weights(str(folder), tmp_path / "here")


def test_merges_in_another_order_or_of_other_pairs_are_refused(tmp_path):
    """tiktoken merges by ids alone: with these it would give other ids."""
    folder = folder_of(tmp_path / "there", trained([]))
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    merges = model["merges"]
    change(folder, "tokenizer.json", model__merges=[merges[1], merges[0], *merges[2:]])
    assert "its merges do not stand in the order" in refused(folder, tmp_path / "here")
    change(folder, "tokenizer.json", model__merges=merges[:-1])
    assert "its merges do not stand in the order" in refused(folder, tmp_path / "here")
    change(folder, "tokenizer.json", model__merges="abc")
    assert "its merges" in refused(folder, tmp_path / "here")
    pairs = [("q", "u"), ("u", "i"), ("q", "ui")]  # "qui" is what q and ui make, but qu is made first
    vocabulary = {
        token: i
        for i, token in enumerate([t for t in model["vocab"] if len(t) == 1] + [left + right for left, right in pairs])
    }
    assert len(vocabulary) == 259
    change(folder, "tokenizer.json", model__vocab=vocabulary, model__merges=pairs, added_tokens=[])
    with pytest.raises(GptmillError, match="nothing merges into 1 of its tokens, as 'qui'"):
        Tokenizer.load(folder)


# --- ids without a token ---


@pytest.fixture
def padded(tokenizer, tmp_path) -> Path:
    """A model with more rows than its tokenizer has tokens, whose top-1 token is always one of those."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(tokenizer.vocab_size + 20, 256, 1, 2, 16, tie_weights=False))
    with torch.no_grad():
        model.backbone.final_norm.bias.fill_(1.0)
        model.head.weight[tokenizer.vocab_size :] = 1.0
    ModelFolder(tmp_path / "model").save(model, tokenizer)
    return tmp_path / "model"


@pytest.mark.parametrize(
    "sampling", [{}, {"temperature": 5.0}, {"temperature": 1e-320}, {"repetition_penalty": 1.5}, {"min_new_tokens": 9}]
)
@pytest.mark.parametrize("bf16", [False, True])
def test_an_id_without_a_token_is_never_chosen(padded, tokenizer, sampling, bf16):
    from gptmill.inference.decoder import Decoder

    model, _ = ModelFolder(padded).load()
    prompts = [tokenizer.encode("the mill"), tokenizer.encode("a cat")]
    settings = SamplingParams(9, stop=tokenizer.end_of_text, vocab_size=tokenizer.vocab_size, **sampling)
    for completion in generate(Decoder(model, bf16=bf16), prompts, settings):
        assert all(token < tokenizer.vocab_size for token in completion.tokens)


def test_no_way_to_a_text_chooses_an_id_without_a_token(padded, tokenizer, cpu, tmp_path):
    from typer.testing import CliRunner

    from gptmill.cli import app
    from gptmill.config.schema import GenerateParams
    from gptmill.inference.samples import Samples
    from gptmill.training.trainer import Evaluation, TrainResult

    for verb in ("generate", "ask"):
        assert (
            CliRunner().invoke(app, [verb, "the mill", "--model", str(padded), "--max-new-tokens", "5"]).exit_code == 0
        )
    assert Assistant(padded).answers([("Say it.", "")], 5)
    model, _ = ModelFolder(padded).load()
    params = GenerateParams(max_new_tokens=5, temperature=0.0, top_k=0, batch_size=2, compare_base=False)
    template = TEMPLATES["alpaca"]
    assert responses.respond(
        model, tokenizer, template, ["a", "b"], params, 0, cpu, ResumableJsonl(tmp_path / "progress.jsonl")
    )
    trained = TrainResult(by_accuracy=False, keep_last=True)
    trained.curve.append(Evaluation(1, 1.0, 1, 0.1, 1.0, 1.0, 0.0, 0.0))
    logged = {}
    Samples(model, tokenizer, tokenizer.encode("the"), cpu, logged.__setitem__)(trained)
    assert list(logged) == ["samples/step-000001.txt"]


def test_a_model_of_its_tokenizers_size_gives_what_it_gave(make_gpt, tokenizer):
    model = make_gpt(vocab_size=tokenizer.vocab_size)
    prompts = [tokenizer.encode("the mill"), tokenizer.encode("cat")]
    for settings in (
        {},
        {"temperature": 0.9, "top_k": 20},
        {"temperature": 1.3, "top_p": 0.8, "repetition_penalty": 1.2},
    ):
        before = generate(model, prompts, SamplingParams(12, **settings))
        assert generate(model, prompts, SamplingParams(12, vocab_size=tokenizer.vocab_size, **settings)) == before
