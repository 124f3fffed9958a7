"""The style that a model was tuned in goes with its folder: into answers, exports and imports."""

import pytest

from gptmill.inference.models import Assistant
from gptmill.inference.responses import complete
from gptmill.model.folder import ModelFolder
from gptmill.pretrained import convert
from gptmill.text import prompts
from gptmill.text.prompts import TEMPLATES


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tokenizer):
    """A folder of the same model for each style, and one that names none, as those that were made before."""
    import torch

    from gptmill.model.gpt import GPT, GPTConfig

    torch.manual_seed(0)
    model = GPT(GPTConfig(tokenizer.vocab_size, 256, 2, 2, 16))
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.4)
    made = {}
    for name, template in {**TEMPLATES, "none": None}.items():
        made[name] = tmp_path_factory.mktemp("styles") / name
        ModelFolder(made[name]).save(model, tokenizer, template=template)
    return made


@pytest.fixture
def given(monkeypatch):
    """The prompts, as text, that the model is asked."""
    seen = []

    def noted(model, tokenizer, template, encoded, sampling):
        seen.extend(tokenizer.decode(ids) for ids in encoded)
        return complete(model, tokenizer, template, encoded, sampling)

    monkeypatch.setattr("gptmill.inference.models.complete", noted)
    return seen


@pytest.mark.parametrize("name", [*TEMPLATES, "none"])
def test_an_assistant_asks_in_the_style_that_its_folder_names(folders, given, name):
    Assistant(folders[name]).answer("Name the cat.", "meow", 3)
    assert given == [TEMPLATES["alpaca" if name == "none" else name].prompt("Name the cat.", "meow")]


def test_answers_to_many_are_the_answers_to_each(folders, monkeypatch):
    assistant = Assistant(folders["phi3"])
    questions = [(f"Say {'mill ' * i}", "" if i % 2 else "now") for i in range(7)]
    alone = [assistant.answer(*question, 8) for question in questions]
    monkeypatch.setattr("gptmill.inference.models.BATCH_SIZE", 3)
    assert assistant.answers(questions, 8) == alone and len(set(alone)) > 1
    assert assistant.answers([]) == []


@pytest.mark.parametrize("name", [*TEMPLATES, "none"])
def test_a_style_goes_out_and_comes_back_with_the_weights(folders, tmp_path, name):
    convert.export_weights(folders[name], tmp_path / "out", "huggingface")
    convert.import_weights(str(tmp_path / "out"), tmp_path / "back")
    for folder in ("out", "back"):
        assert prompts.load_template(tmp_path / folder) is prompts.load_template(folders[name])
        assert (tmp_path / folder / prompts.CHAT_TEMPLATE).exists() == (name != "none")
