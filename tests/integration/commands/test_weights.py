"""`gptmill weights` and `gptmill model`: what a person types, and reads."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gptmill.cli import app
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.model.folder import ModelFolder

FIXTURE = Path(__file__).parents[2] / "fixtures/gpt2-tiny"


def gptmill(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_weights_in_shown_and_out_again(tmp_path):
    message = gptmill("weights", "import", FIXTURE / "book/model.pth", "--to", tmp_path / "in", "--n-heads", 4)
    assert "book names" in message and "3 layers, 4 heads" in message and f"written to {tmp_path / 'in'}" in message
    assert "56,608" in gptmill("model", "show", tmp_path / "in")
    assert '"emb_dim": 32, "n_heads": 4' in gptmill(
        "weights", "export", tmp_path / "in", "--format", "book", "--to", tmp_path / "out.pth"
    )
    gptmill("weights", "import", tmp_path / "out.pth", "--to", tmp_path / "again", "--n-heads", 4)
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tmp_path / "in/model.safetensors").read_bytes()
    gptmill("weights", "export", tmp_path / "in", "--to", tmp_path / "hub")
    assert (tmp_path / "hub/config.json").read_bytes() == (tmp_path / "in/config.json").read_bytes()


def test_a_model_that_was_trained_here_is_exported_with_its_card(in_built, tmp_path):
    gptmill("weights", "export", paths.CLASSIFIER_MODEL, "--to", tmp_path / "hub")
    accuracy = files.read_json(paths.METRICS / "classifier.json")["test"]["accuracy"]
    card = (tmp_path / "hub/README.md").read_text()
    assert (
        card.startswith("---\n")
        and f"| test accuracy | {accuracy} |" in card
        and (tmp_path / "hub/lineage.json").exists()
    )


@pytest.mark.parametrize(
    ("name", "parameters"), [("gpt2", "124,439,808"), ("openai-community/gpt2-xl", "1,557,611,200")]
)
def test_published_sizes_are_shown_without_a_download(name, parameters):
    assert parameters in gptmill("model", "show", name)


def test_no_model_is_one_error(tmp_path):
    with pytest.raises(GptmillError, match="there is no model"):
        gptmill("model", "show", tmp_path)
    with pytest.raises(GptmillError, match="nor a model that gptmill downloads by name"):
        gptmill("weights", "import", "gpt5", "--to", tmp_path / "in")


@pytest.mark.parametrize("verb", ["generate", "ask"])
def test_more_tokens_than_any_machine_holds_are_refused_before_the_model_is_loaded(tmp_path, verb):
    with pytest.raises(GptmillError, match="max_new_tokens is 100,000,000.*10.0 GB of memory"):
        gptmill(verb, "Once", "--max-new-tokens", "100000000", "--model", tmp_path / "nowhere")


@pytest.mark.parametrize("options", [["--temperature", "1e-320"], ["--top-p", "1e-320"], ["--temperature", "1e300"]])
def test_odd_numbers_give_a_text(make_gpt, tokenizer, tmp_path, options):
    ModelFolder(tmp_path / "model").save(make_gpt(vocab_size=tokenizer.vocab_size), tokenizer)
    assert gptmill("generate", "the mill", "--max-new-tokens", "5", *options, "--model", tmp_path / "model").startswith(
        "the mill"
    )
