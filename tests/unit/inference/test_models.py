"""A tuned model keeps its prompt template: in answers, exports and imports."""

import pytest

from gptmill.inference.models import Assistant
from gptmill.inference.responses import complete
from gptmill.model.folder import ModelFolder
from gptmill.pretrained import convert
from gptmill.text import prompts
from gptmill.text.prompts import TEMPLATES


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tokenizer):
    """A folder of the same model per template, and one without, as older versions wrote."""
    import torch

    from gptmill.model.gpt import GPT, GPTConfig

    torch.manual_seed(0)
    model = GPT(GPTConfig(tokenizer.vocab_size, 256, 2, 2, 16))
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.4)
    paths = {}
    for name, template in {**TEMPLATES, "none": None}.items():
        paths[name] = tmp_path_factory.mktemp("templates") / name
        ModelFolder(paths[name]).save(model, tokenizer, template=template)
    return paths


@pytest.fixture
def asked(monkeypatch):
    """The prompts that the model gets, as text."""
    seen = []

    def recorded(model, tokenizer, template, encoded, sampling):
        seen.extend(tokenizer.decode(ids) for ids in encoded)
        return complete(model, tokenizer, template, encoded, sampling)

    monkeypatch.setattr("gptmill.inference.models.complete", recorded)
    return seen


@pytest.mark.parametrize("name", [*TEMPLATES, "none"])
def test_an_assistant_uses_the_template_that_its_folder_names(folders, asked, name):
    Assistant(folders[name]).answer("Name the cat.", "meow", 3)
    assert asked == [TEMPLATES["alpaca" if name == "none" else name].prompt("Name the cat.", "meow")]


def test_answers_to_many_are_the_answers_to_each(folders, monkeypatch):
    assistant = Assistant(folders["phi3"])
    questions = [(f"Say {'mill ' * i}", "" if i % 2 else "now") for i in range(7)]
    alone = [assistant.answer(*question, 8) for question in questions]
    monkeypatch.setattr("gptmill.inference.models.BATCH_SIZE", 3)
    assert assistant.answers(questions, 8) == alone and len(set(alone)) > 1
    assert assistant.answers([]) == []


@pytest.mark.parametrize("name", [*TEMPLATES, "none"])
def test_a_template_is_exported_and_imported_with_the_weights(folders, tmp_path, name):
    convert.export_weights(folders[name], tmp_path / "out", "huggingface")
    convert.import_weights(str(tmp_path / "out"), tmp_path / "back")
    for folder in ("out", "back"):
        assert prompts.load_template(tmp_path / folder) is prompts.load_template(folders[name])
        assert (tmp_path / folder / prompts.CHAT_TEMPLATE).exists() == (name != "none")
