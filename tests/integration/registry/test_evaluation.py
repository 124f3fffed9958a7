import math

import pytest
import torch

from gptmill import config
from gptmill.core import paths
from gptmill.evaluation.judges.reference import ReferenceJudge
from gptmill.model.folder import ModelFolder
from gptmill.registry import evaluation
from gptmill.registry.evaluation import Ineligible, evaluate
from gptmill.registry.model_kinds import MODEL_KINDS
from gptmill.text.tokenizer import Tokenizer


@pytest.fixture
def values(in_built):
    return config.load()


def spoilt(folder, tmp_path):
    """A copy of a model whose weights are noise."""
    model, tokenizer = ModelFolder(folder).load_gpt(), Tokenizer.load(folder)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.5)
    ModelFolder(tmp_path / "noise").save(model, tokenizer)
    return tmp_path / "noise"


def test_a_classifiers_scores_are_those_of_its_stage(values, in_built):
    from gptmill.core import files

    measured, metrics = (
        evaluate(MODEL_KINDS["classifier"], paths.CLASSIFIER_MODEL, values),
        files.read_json(paths.METRICS / "classifier.json"),
    )
    assert (
        measured.mean == pytest.approx(metrics["test"]["accuracy"], abs=1e-4)
        and len(measured.scores) == metrics["test"]["rows"]
    )
    assert measured.figures["recall spam"] == pytest.approx(metrics["natural"]["recall"], abs=1e-4)


def test_a_base_models_score_is_its_loss_in_bits_a_byte_and_noise_has_a_lower_one(values, tmp_path):
    ours, noise = (
        evaluate(MODEL_KINDS["base"], folder, values)
        for folder in (paths.BASE_MODEL, spoilt(paths.BASE_MODEL, tmp_path))
    )
    assert len(ours.scores) == len(noise.scores) and all(score < 0 for score in ours.scores)
    assert ours.mean > noise.mean + 0.5
    assert -ours.mean < 8  # a uniform guess of a byte


def test_bits_are_those_of_the_likelihood_however_long_the_text_is(make_gpt, tokenizer, cpu):
    model = make_gpt(vocab_size=tokenizer.vocab_size, context_length=8)
    text = "the cat in the mill and the miller in the mill"
    ids = [tokenizer.end_of_text, *tokenizer.encode(text)]
    expected = 0.0
    for start in range(0, len(ids) - 1, 8):
        window = torch.tensor([ids[start : start + 9]])
        with torch.no_grad():
            logs = model(window[:, :-1])[0].log_softmax(-1)
        expected -= sum(float(logs[i, token]) for i, token in enumerate(window[0, 1:]))
    assert len(ids) > 9 and evaluation._bits(model, tokenizer, text, cpu) == pytest.approx(
        expected / math.log(2), rel=1e-4
    )


def test_a_base_model_with_another_tokenizer_is_measured_on_the_same_text(values, tmp_path):
    from gptmill.model.gpt import GPT, GPTConfig

    other = Tokenizer.train(["Once upon a time there was a miller."] * 3, 290)
    ModelFolder(tmp_path / "other").save(GPT(GPTConfig(290, 16, 1, 2, 16)), other)
    ours, theirs = (evaluate(MODEL_KINDS["base"], folder, values) for folder in (paths.BASE_MODEL, tmp_path / "other"))
    assert len(ours.scores) == len(theirs.scores)


def test_an_instruct_models_scores_are_the_judges(values, in_built):
    from gptmill.core import files

    measured = evaluate(MODEL_KINDS["instruct"], paths.INSTRUCT_MODEL, values)
    answers = files.read_jsonl(paths.RESPONSES)  # what the stage wrote with the same params
    assert [score * 100 for score in measured.scores] == pytest.approx(
        [j["score"] for j in ReferenceJudge().judge(answers)], abs=1e-6
    )


def test_a_tokenizer_of_another_model_is_refused(values, tmp_path):
    import shutil

    shutil.copytree(paths.BASE_MODEL, tmp_path / "odd")
    big = Tokenizer.train([f"word{i} " * 3 for i in range(2000)], 4000)
    big.save(tmp_path / "odd")
    with pytest.raises(Ineligible, match="the tokenizer has"):
        evaluate(MODEL_KINDS["base"], tmp_path / "odd", values)
