import torch

from gptmill.inference.samples import Samples
from gptmill.training.trainer import Evaluation, TrainResult

CURVE = [Evaluation(step, 1.0, 1, 0.1, 1.0, 1.0, 0.0, 0.0) for step in (5, 10)]


def test_each_evaluation_prints_a_line_logs_a_text_and_draws_nothing(make_gpt, tokenizer, cpu, capsys):
    model = make_gpt(vocab_size=tokenizer.vocab_size, context_length=64).train()
    logged, before = {}, torch.random.get_rng_state()
    samples = Samples(model, tokenizer, tokenizer.encode("Once upon a time"), cpu, logged.__setitem__)
    trained = TrainResult(by_accuracy=False, keep_last=True)
    for evaluation in CURVE:
        trained.curve.append(evaluation)
        samples(trained)
    assert list(logged) == ["samples/step-000005.txt", "samples/step-000010.txt"]
    assert all(text.startswith("Once upon a time\n→\n") for text in logged.values())
    assert [line.split(" → ")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"  step {n}: … Once upon a time" for n in (5, 10)
    ]
    assert model.training and torch.equal(torch.random.get_rng_state(), before)


def test_what_a_model_says_moves_no_cursor(make_gpt, tokenizer, cpu, capsys):
    model = make_gpt(vocab_size=tokenizer.vocab_size, context_length=64)
    with torch.no_grad():  # it says nothing but the escape character
        for weight in model.parameters():
            weight.zero_()
        model.backbone.final_norm.bias.fill_(1)
        model.head.weight[tokenizer.encode("\x1b")[0]] = 1
    samples = Samples(model, tokenizer, tokenizer.encode("\x1b[2J\r\n"), cpu, lambda name, text: None)
    samples(TrainResult(False, True, CURVE[:1]))
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and not set(out[:-1]) & set("\x1b\r\n\x9b")
