"""One contender on one task, in a process of its own: python -m benchmarks.contenders WORK-FILE CONTENDER TASK

Prints one line of JSON with the measurements and the peak memory of the process. The peers import nothing of gptmill's model.
"""

import itertools
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from gptmill.config import schema

WARM_UP = 2  # steps that are not counted: memory is allocated, kernels are built
RATE = 1e-4


def seconds_of(steps: Iterable[Callable[[], object]], warm_up: int = WARM_UP) -> list[float]:
    """Seconds of each step, without the first `warm_up`."""
    times = []
    for step in steps:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return times[warm_up:]


# --- ours ---


def ours_pretrain(work: SimpleNamespace) -> dict[str, object]:
    from gptmill.model.gpt import GPT, GPTConfig
    from gptmill.training.objectives import NextToken

    runtime = _runtime()
    count = WARM_UP + work.steps + 1
    tokens = (
        np.random.default_rng(0)
        .integers(0, work.model["vocab_size"], count * work.rows * work.tokens + 1)
        .astype(np.uint16)
    )
    task = NextToken(tokens, tokens[: work.tokens + 1], work.tokens, work.rows, 0)
    return {"seconds": _steps_of_the_loop(GPT(GPTConfig(**work.model)), task, runtime)}


def ours_instruct(work: SimpleNamespace) -> dict[str, object]:
    from gptmill.model.gpt import GPT, GPTConfig
    from gptmill.training.objectives import Example, Instruction

    runtime = _runtime()
    # One more row: the loop's last step is not timed.
    examples = [Example(prompt, answer) for prompt, answer in work.instructions[: 8 * (WARM_UP + 2 * work.steps) + 1]]
    task = Instruction(examples, examples[:1], work.model["context_length"], 8, 0, loss_on_prompt=True)
    order = list(task.epoch_batches(0))
    real = [sum(len(examples[row].prompt) + len(examples[row].answer) - 1 for row in rows) for rows in order]
    seconds = _steps_of_the_loop(GPT(GPTConfig(**work.model)), task, runtime)
    return {"seconds": seconds, "tokens": real[WARM_UP : WARM_UP + len(seconds)]}


def ours_classifier(work: SimpleNamespace) -> dict[str, object]:
    """The whole fine-tuning: the frozen backbone once, five epochs with validation, the test split."""
    import torch

    from gptmill.model.gpt import GPT, GPTClassifier, GPTConfig
    from gptmill.training import trainer
    from gptmill.training.feature_cache import FrozenClassification
    from gptmill.training.objectives import Classification

    runtime = _runtime()
    train, validation, test = (
        [*zip(texts, labels, strict=True)] for texts, labels in zip(work.messages, work.labels, strict=True)
    )
    model = GPTClassifier(GPT(GPTConfig(**work.model)).backbone, ["ham", "spam"])
    model.freeze_all_but("last_block")
    started = time.perf_counter()
    task = Classification(train, validation, work.model["context_length"], 8, 0)
    trainer.train(
        model,
        FrozenClassification.of(task, model, runtime, cache=True),
        _settings(work.epochs, work.epochs),
        runtime,
        name="classifier",
    )
    with torch.inference_mode():
        trainer.evaluate(model, Classification(train[:1], test, work.model["context_length"], 64, 0), runtime)
    return {"seconds": [time.perf_counter() - started]}


def ours_shakespeare(work: SimpleNamespace) -> dict[str, object]:
    """profiles/shakespeare.yaml, from the file's characters to the validation loss: training and evaluations, through the same loop."""
    from gptmill.config import profiles
    from gptmill.model.gpt import GPT, GPTConfig
    from gptmill.runtime import device
    from gptmill.training import trainer
    from gptmill.training.objectives import NextToken

    values = profiles.load("shakespeare")
    runtime = device.setup(values.compute, values.seed)
    text = np.frombuffer(Path(work.shakespeare).read_bytes(), np.uint8)
    cut = round(len(text) * (1 - values.split.corpus.validation))
    model = GPT(GPTConfig(vocab_size=values.tokenizer.vocab_size, **values.model.model_dump()))
    task = NextToken(text[:cut], text[cut:], values.model.context_length, values.base.batch_size, values.seed)
    trained = trainer.train(model, task, values.base, runtime, name="shakespeare")
    return {
        "seconds": [trained.seconds],
        "loss": trained.curve[-1].validation_loss,
        "targets": trained.curve[-1].targets,
    }


def ours_generation(work: SimpleNamespace) -> dict[str, object]:
    from gptmill.inference.decoder import Decoder
    from gptmill.inference.generation import generate
    from gptmill.inference.sampling import SamplingParams
    from gptmill.model.gpt import GPT, GPTConfig

    decoder = Decoder(GPT(GPTConfig(**work.model)), bf16=_runtime().bf16)
    return _generation(work, lambda prompts: generate(decoder, prompts, SamplingParams(work.new)))


def _runtime():
    from gptmill.config import profiles
    from gptmill.runtime import device

    return device.setup(profiles.load("book").compute, 0)


def _settings(epochs: int, evaluations: int):
    """The book profile's, at a fixed rate."""
    from gptmill.config import profiles

    changes = {
        "optimizer": "adamw",
        "epochs": epochs,
        "batch_size": 8,
        "evaluations": evaluations,
        "learning_rate": RATE,
    }
    changes |= {"min_learning_rate": RATE, "warmup_steps": 0}
    base = profiles.load("book").base
    return schema.TrainingParams(**{name: getattr(base, name) for name in schema.TrainingParams.model_fields} | changes)


def _steps_of_the_loop(model, task, runtime) -> list[float]:
    """Seconds between one batch's collation and the next one's: a whole turn of the loop."""
    from gptmill.training import trainer

    class Timed:
        def __init__(self) -> None:
            self.at: list[float] = []

        def __getattr__(self, name: str) -> object:
            return getattr(task, name)

        def collate(self, rows: np.ndarray):
            self.at.append(time.perf_counter())
            return task.collate(rows)

    timed = Timed()
    trainer.train(model, timed, _settings(1, 1), runtime, name="steps")
    return [after - before for before, after in itertools.pairwise(timed.at)][WARM_UP:]


def _generation(work: SimpleNamespace, write: Callable[[list[list[int]]], object]) -> dict[str, object]:
    """All prompts together, and the first one alone."""
    return {
        "seconds": seconds_of([lambda: write(work.prompts)] * 4, warm_up=1),
        "alone": seconds_of([lambda: write(work.prompts[:1])] * 6, warm_up=1),
    }


# --- transformers ---


def transformers_pretrain(work: SimpleNamespace) -> dict[str, object]:
    import torch

    step = _transformers(work)
    tokens = torch.randint(work.model["vocab_size"], (work.rows, work.tokens))
    return {"seconds": seconds_of([lambda: step(tokens, tokens, None)] * (WARM_UP + work.steps))}


def transformers_instruct(work: SimpleNamespace) -> dict[str, object]:
    step = _transformers(work)
    batches = list(_padded_instructions(work))
    return {
        "seconds": seconds_of([lambda b=b: step(b["inputs"], b["labels"], b["mask"]) for b in batches]),
        "tokens": [batch["real"] for batch in batches[WARM_UP:]],
    }


def transformers_generation(work: SimpleNamespace) -> dict[str, object]:
    """As fast as it goes: bf16 weights, the cache, one batch without padding."""
    import torch

    model = _hub_gpt2(work, use_cache=True).to(torch.bfloat16).eval()
    how = {"max_new_tokens": work.new, "min_new_tokens": work.new, "do_sample": False, "pad_token_id": 0}

    @torch.inference_mode()
    def write(prompts: list[list[int]]) -> None:
        tokens = torch.tensor(prompts)
        model.generate(input_ids=tokens, attention_mask=torch.ones_like(tokens), **how)

    return _generation(work, write)


def _hub_gpt2(work: SimpleNamespace, *, use_cache: bool):
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = work.model
    config = GPT2Config(
        vocab_size=sizes["vocab_size"], n_positions=sizes["context_length"], n_layer=sizes["n_layers"], n_head=sizes["n_heads"],
        n_embd=sizes["d_model"], resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation="sdpa", use_cache=use_cache,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def _transformers(work: SimpleNamespace):
    """A step of GPT-2 as transformers has it: torch's fused attention, bf16 autocast, fused AdamW."""
    import torch

    model = _hub_gpt2(work, use_cache=False).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)

    def step(tokens, labels, mask) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=tokens, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


# --- the textbook ---


def textbook_pretrain(work: SimpleNamespace) -> dict[str, object]:
    import torch

    from benchmarks import textbook

    model, optimizer = _textbook(work)
    tokens = torch.randint(work.model["vocab_size"], (work.rows, work.tokens + 1))
    steps = [lambda: textbook.language_step(model, optimizer, tokens[:, :-1], tokens[:, 1:])] * (
        WARM_UP + max(2, work.steps - 3)
    )
    return {"seconds": seconds_of(steps)}


def textbook_instruct(work: SimpleNamespace) -> dict[str, object]:
    from benchmarks import textbook

    model, optimizer = _textbook(work)
    batches = list(_padded_instructions(work))[: WARM_UP + max(2, work.steps - 1)]

    def step(batch: dict) -> None:
        textbook.language_step(model, optimizer, batch["inputs"][:, :-1], batch["labels"][:, 1:])

    return {
        "seconds": seconds_of([lambda b=b: step(b) for b in batches]),
        "tokens": [batch["real"] for batch in batches[WARM_UP:]],
    }


def textbook_classifier(work: SimpleNamespace) -> dict[str, object]:
    """Some steps and some evaluations, from which the whole follows: they all take as long, being padded to one length."""
    import torch

    from benchmarks import textbook
    from benchmarks.work import LENGTH

    model, optimizer = _textbook(work, outputs=2)
    model.freeze_for_a_classifier()
    (texts, *_), (labels, *_) = work.messages, work.labels
    length = min(LENGTH, work.model["context_length"])
    starts = [8 * (i % (len(texts) // 8)) for i in range(WARM_UP + work.steps)]
    batches = [(textbook.padded(texts[i : i + 8], length), torch.tensor(labels[i : i + 8])) for i in starts]
    step = seconds_of([lambda b=b: textbook.classifier_step(model, optimizer, *b) for b in batches])
    evaluation = seconds_of([lambda b=b: textbook.classifier_evaluation(model, *b) for b in batches])
    sizes = [-(-len(split) // 8) for split in work.messages]  # batches of 8
    steps, evaluations = work.epochs * sizes[0], work.epochs * sizes[1] + sizes[2]
    whole = steps * float(np.median(step)) + evaluations * float(np.median(evaluation))
    return {"seconds": [whole], "scaled": {"steps": steps, "evaluations": evaluations, "measured": len(step)}}


def textbook_generation(work: SimpleNamespace) -> dict[str, object]:
    """One prompt: the others would take as long each."""
    import torch

    from benchmarks import textbook

    model, _ = _textbook(work)
    prompt = torch.tensor(work.prompts[:1])
    textbook.generate(model, prompt, WARM_UP)
    return {"alone": seconds_of([lambda: textbook.generate(model, prompt, work.new)], warm_up=0)}


def _textbook(work: SimpleNamespace, outputs: int | None = None):
    import torch

    from benchmarks import textbook

    model = textbook.Model(**work.model, outputs=outputs)
    return model, torch.optim.AdamW(model.parameters(), lr=RATE)


def _padded_instructions(work: SimpleNamespace) -> Iterator[dict[str, object]]:
    """Batches of eight as they come, padded to their longest: token ids, labels that ignore the padding, and the mask."""
    import torch

    from benchmarks import textbook

    for i in range(0, 8 * (WARM_UP + 2 * work.steps), 8):
        rows = [[*prompt, *answer] for prompt, answer in work.instructions[i : i + 8]]
        if not rows:
            return
        inputs, labels = textbook.padded(rows), textbook.padded(rows, value=textbook.IGNORED)
        mask = (labels != textbook.IGNORED).to(torch.long)
        yield {"inputs": inputs, "labels": labels, "mask": mask, "real": sum(len(row) - 1 for row in rows)}


# --- the machine ---


def machine_peak(work: SimpleNamespace) -> dict[str, object]:
    """Products of bf16 matrices, GFLOP/s: of two large squares, and the fastest among those and the shapes of the model's own products."""
    import torch

    tokens, C = work.rows * work.tokens, work.model["d_model"]
    square = 4096 if C >= 768 else 128
    shapes = {
        (square, square, square),
        *((tokens, inner, outer) for inner, outer in ((C, C), (C, 3 * C), (C, 4 * C), (4 * C, C))),
    }
    found = {}
    for rows, inner, columns in shapes:
        a, b = torch.randn(rows, inner).bfloat16(), torch.randn(columns, inner).bfloat16()
        times = seconds_of([lambda a=a, b=b: a @ b.T] * (WARM_UP + (7 if rows == square else 15)))
        found[rows, inner, columns] = 2 * rows * inner * columns / float(np.median(times)) / 1e9
    return {"square": found[square, square, square], "best": max(found.values())}


def main(path: str, who: str, what: str) -> None:
    work = SimpleNamespace(**json.loads(Path(path).read_text(encoding="utf-8")))
    result = globals()[f"{who}_{what}"](work)
    result["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
