import pytest
import torch

from gptmill.training import loop
from gptmill.training.checkpoint import DiskCheckpoints
from gptmill.training.loop import Evaluation, Trained
from gptmill.training.samples import Samples

CURVE = [Evaluation(step, 1.0, 1, 0.1, 1.0, 1.0, 0.0, 0.0) for step in (5, 10)]


class Bytes:
    end_of_text, vocab_size = 0, 256

    def decode(self, ids) -> str:
        return " ".join(map(str, ids))


def test_each_evaluation_adds_a_line_and_draws_nothing(make_gpt, words, cpu, capsys):
    model = make_gpt(vocab_size=words.vocab_size, context_length=64).train()
    kept, before = [], torch.random.get_rng_state()
    samples = Samples(model, words, words.encode("Once upon a time"), cpu, kept.append)
    trained = Trained(by_accuracy=False, keep_last=True)
    for evaluation in CURVE:
        trained.curve.append(evaluation)
        samples(trained)
    assert [line.split(" → ")[0] for line in kept[-1].splitlines()] == [f"step {step}: … Once upon a time" for step in (5, 10)]
    assert kept[0].splitlines() == kept[1].splitlines()[:1]
    assert capsys.readouterr().out.splitlines() == [f"  {line}" for line in kept[-1].splitlines()]
    assert model.training and torch.equal(torch.random.get_rng_state(), before)


def test_what_was_said_before_a_kill_is_kept(task, cpu, training, tmp_path):
    """A training that goes on from its checkpoint ends with the samples of one that was left alone."""
    learn, given = task("next_token"), training(epochs=4, evaluations=4)

    def learnt(checkpoints: DiskCheckpoints, stop_at: int) -> list[dict]:
        model = learn.model()
        samples = Samples(model, Bytes(), [1, 2, 3], cpu, lambda text: None)

        def killed(trained: loop.Trained) -> None:
            if len(trained.curve) == stop_at:
                raise KeyboardInterrupt

        watchers = [killed, samples]
        trained = loop.train(model, learn.objective, given, cpu, name="t", checkpoints=checkpoints, on_evaluation=watchers)
        return samples.records(trained)

    alone = learnt(DiskCheckpoints(tmp_path / "alone", 0), 0)
    with pytest.raises(KeyboardInterrupt):
        learnt(DiskCheckpoints(tmp_path / "killed", 0), 3)
    assert learnt(DiskCheckpoints(tmp_path / "killed", 0), 0) == alone and len(alone) == 4


def test_what_a_model_says_moves_no_cursor(make_gpt, words, cpu, capsys):
    model = make_gpt(vocab_size=words.vocab_size, context_length=64)
    with torch.no_grad():  # it says nothing but the escape character
        for weight in model.parameters():
            weight.zero_()
        model.trunk.final_norm.bias.fill_(1)
        model.head.weight[words.encode("\x1b")[0]] = 1
    samples = Samples(model, words, words.encode("\x1b[2J\r\n"), cpu, lambda text: None)
    samples(Trained(False, True, CURVE[:1]))
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and not set(out[:-1]) & set("\x1b\r\n\x9b")


def test_samples_do_not_change_what_is_learnt(task, words, cpu, training):
    learn, finals = task("next_token"), []
    for asked in (True, False):
        model = learn.model()

        watchers = [Samples(model, Bytes(), [1, 2, 3], cpu, lambda text: None)] if asked else []
        loop.train(model, learn.objective, training(), cpu, name="t", on_evaluation=watchers)
        finals.append([weight.detach().numpy().tobytes() for weight in model.parameters()])
    assert finals[0] == finals[1]
