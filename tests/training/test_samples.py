import torch

from gptmill.training import loop
from gptmill.training.loop import Evaluation
from gptmill.training.samples import Samples

CURVE = [Evaluation(step, 1.0, 1, 0.1, 1.0, 1.0, 0.0, 0.0) for step in (5, 10)]


def test_each_evaluation_adds_a_line_and_draws_nothing(make_gpt, words, cpu, capsys):
    model = make_gpt(vocab_size=words.vocab_size, context_length=64).train()
    kept, before = [], torch.random.get_rng_state()
    samples = Samples(model, words, words.encode("Once upon a time"), cpu, kept.append)
    for end in (1, 2):
        samples(CURVE[:end])
    assert [line.split(" → ")[0] for line in kept[-1].splitlines()] == [f"step {step}: … Once upon a time" for step in (5, 10)]
    assert kept[0].splitlines() == kept[1].splitlines()[:1]
    assert capsys.readouterr().out.splitlines() == [f"  {line}" for line in kept[-1].splitlines()]
    assert model.training and torch.equal(torch.random.get_rng_state(), before)


def test_what_was_said_before_a_kill_is_kept_and_what_was_said_after_the_checkpoint_is_said_again(make_gpt, words, cpu, tmp_path):
    memory = tmp_path / "samples.jsonl"

    def samples() -> Samples:
        model = make_gpt(vocab_size=words.vocab_size, context_length=64)
        return Samples(model, words, words.encode("Once upon a time"), cpu, lambda text: None, memory)

    alone = samples()
    for end in (1, 2):
        alone(CURVE[:end])
    again = samples()  # it was killed after step 10, and goes on from a checkpoint at step 5
    assert again.records == alone.records
    again([CURVE[0]])
    assert [record["step"] for record in again.records] == [5]
    again(CURVE)
    assert again.records == alone.records and len(alone.records) == 2


def test_what_a_model_says_moves_no_cursor(make_gpt, words, cpu, capsys):
    model = make_gpt(vocab_size=words.vocab_size, context_length=64)
    with torch.no_grad():  # it says nothing but the escape character
        for weight in model.parameters():
            weight.zero_()
        model.trunk.final_norm.bias.fill_(1)
        model.head.weight[words.encode("\x1b")[0]] = 1
    samples = Samples(model, words, words.encode("\x1b[2J\r\n"), cpu, lambda text: None)
    samples(CURVE)
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and not set(out[:-1]) & set("\x1b\r\n\x9b")


def test_samples_do_not_change_what_is_learnt(task, words, cpu, training):
    learn, finals = task("next_token"), []
    for asked in (True, False):
        model = learn.model()

        class Bytes:
            end_of_text = 0

            def decode(self, ids) -> str:
                return " ".join(map(str, ids))

        watchers = [Samples(model, Bytes(), [1, 2, 3], cpu, lambda text: None)] if asked else []
        loop.train(model, learn.objective, training(), cpu, name="t", on_evaluation=watchers)
        finals.append([weight.detach().numpy().tobytes() for weight in model.parameters()])
    assert finals[0] == finals[1]
