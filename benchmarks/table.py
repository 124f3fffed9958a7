"""RESULTS.md: a table of ratios, and how they were measured."""

import os
import platform
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.work import LENGTH, Work

NANOGPT_SECONDS = (
    119  # of 2,000 steps of 12 x 64 characters to 1.886, measured once on a machine of this kind: 12,900 tokens/s
)
SHAKESPEARE_LOSS = 1.88
IDLE_ROUNDS = 3  # of a flow with nothing to do


@dataclass
class Measured:
    """The measurements of one contender on one task, over all rounds."""

    runs: list[dict] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.median("seconds")

    def median(self, name: str) -> float:
        """Over every measurement of that name in every run."""
        return median(second for run in self.runs for second in run[name])

    @property
    def megabytes(self) -> float:
        return median(run["megabytes"] for run in self.runs)

    @property
    def tokens_per_second(self) -> float:
        """Where batches differ in size: of all the tokens of a run in all its time."""
        return median(sum(run["tokens"]) / sum(run["seconds"]) for run in self.runs)

    def figure(self, name: str) -> float:
        return median(run[name] for run in self.runs)


class Row(NamedTuple):
    """A row of the table. The ratio should exceed the target."""

    what: str
    ours: str
    beside: str
    theirs: str
    ratio: float
    target: float


def flops_per_token(model: dict[str, int], tokens: int) -> float:
    """Of the matrix products of a training step: forward, and twice that backward (Chowdhery et al. 2022, appendix B).

    Counted product by product: 12 C² weights a block and V C of the head take part, 6 operations each; embeddings, norms and biases do not.
    Attention's two products add 12 L C T, over all pairs of tokens, hidden ones too, as is customary.
    """
    L, C, V = model["n_layers"], model["d_model"], model["vocab_size"]
    return 6 * (12 * L * C * C + V * C) + 12 * L * C * tokens


def report(work: Work, results: dict[tuple[str, str], Measured], rounds: int, overhead: list[Row]) -> str:
    """RESULTS.md. `overhead`: the rows of what Prefect costs, if that was measured."""
    per_step = work.rows * work.tokens
    ours, theirs, textbook = (results[who, "pretrain"] for who in ("ours", "transformers", "textbook"))
    done = flops_per_token(work.model, work.tokens) * per_step / ours.seconds / 1e9
    best, square = (results["machine", "peak"].figure(name) for name in ("best", "square"))
    mine, hub, book = (results[who, "instruct"] for who in ("ours", "transformers", "textbook"))
    whole, scaled = results["ours", "classifier"], results["textbook", "classifier"]
    steps = scaled.runs[0]["scaled"]
    step = _speed(per_step / ours.seconds)
    answers = _speed(mine.tokens_per_second)
    rows = [
        Row(
            "pretraining step, tokens/s", step, "transformers, bf16 autocast", _speed(per_step / theirs.seconds),
            theirs.seconds / ours.seconds, 1.4,
        ),
        Row("the same", step, "textbook, float32", _speed(per_step / textbook.seconds), textbook.seconds / ours.seconds, 2.5),
        Row("the same, share of the bf16 peak", _rate(done), "a large square product", _rate(square), done / square, 0.6),
        Row("the same, share of the fastest product", _rate(done), "of the model's own shapes", _rate(best), done / best, 0.6),
        _memory(ours, theirs),
        Row(
            "classifier fine-tuning, seconds", f"{whole.seconds:.1f}", "textbook, float32, padded", f"{scaled.seconds:.1f}",
            scaled.seconds / whole.seconds, 10,
        ),
        Row(
            "instruction fine-tuning, real tokens/s", answers, "textbook, float32, padded", _speed(book.tokens_per_second),
            mine.tokens_per_second / book.tokens_per_second, 4,
        ),
        Row(
            "the same", answers, "transformers, bf16 autocast, padded", _speed(hub.tokens_per_second),
            mine.tokens_per_second / hub.tokens_per_second, 1.5,
        ),
        _memory(mine, hub),
        *_generation(work, results),
    ]  # fmt: skip
    notes = []
    if shakespeare := results.get(("ours", "shakespeare")):
        loss = shakespeare.figure("loss")
        reached = "" if loss <= SHAKESPEARE_LOSS else f" **{SHAKESPEARE_LOSS} was not reached.**"
        notes.append(
            f"tinyshakespeare: `profiles/shakespeare.yaml` ended at {loss:.3f} over the whole validation split, after reading "
            f"{shakespeare.figure('targets'):,.0f} characters.{reached} Beside it, a constant: nanoGPT's recipe for CPUs, 2,000 steps of "
            f"12×64 to 1.886, took {NANOGPT_SECONDS} s on a machine of this kind."
        )
        name, ratio = f"tinyshakespeare to {SHAKESPEARE_LOSS}, seconds", NANOGPT_SECONDS / shakespeare.seconds
        rows.append(Row(name, f"{shakespeare.seconds:.1f}", "nanoGPT's CPU recipe", f"{NANOGPT_SECONDS}", ratio, 2))
    else:
        notes.append("tinyshakespeare was not measured: it needs `GPTMILL_MIRROR` with `tinyshakespeare.txt`.")
    if overhead:
        rows += overhead
        notes.append(
            "The flow and `dvc repro` run profile mini in clones of the last commit, the flow against a Prefect server that is there "
            f"already: once whole, then {IDLE_ROUNDS} times with nothing to do, of which the medians count."
        )
    else:
        notes.append("What Prefect costs was not measured: a miniature of it would say nothing.")
    texts = (
        "the public ones, from `GPTMILL_MIRROR`"
        if work.real
        else "the sample's, as many of them: no `GPTMILL_MIRROR` was set"
    )
    sizes = work.model
    size = (
        f"{sizes['n_layers']} layers, {sizes['n_heads']} heads, {sizes['d_model']} wide, {sizes['vocab_size']:,} tokens"
    )
    text = [
        "# Benchmarks",
        "",
        "Written by `make bench` (`python -m benchmarks.run`); do not edit. A ratio above one says that gptmill is that many times better.",
        "",
        "| work | gptmill | beside | | ratio | target |",
        "|---|---:|---|---:|---:|---:|",
        *(
            f"| {row.what} | {row.ours} | {row.beside} | {row.theirs} | {row.ratio:.2f} | {row.target:g} |"
            for row in rows
        ),
        "",
        *_machine(),
        "",
        "## How",
        "",
        f"- Model: {size}, random weights, no dropout, gradients clipped to 1, AdamW.",
        f"- Pretraining: {work.rows}×{work.tokens} tokens a step, forward to optimizer; ours is a whole turn of",
        "  `training/trainer.py`, with the batches and the bookkeeping.",
        f"- Every contender runs in a fresh process; they take turns over {rounds} {'round' if rounds == 1 else 'rounds'}, and the",
        "  medians are compared. Peak memory is the largest resident size of the process.",
        f"- Operations: {flops_per_token(work.model, work.tokens) / 1e6:,.0f} million a token, counted matrix product by matrix product:",
        "  6 · (12 L C² + V C) + 12 L C T, the formula of Chowdhery et al. 2022 (appendix B), over all pairs of tokens. The peak is what",
        "  torch reaches in bf16 in the same rounds; large squares are what is usually quoted, the fastest shape is the sterner measure.",
        f"- Texts are {texts}. The textbook pads messages to {LENGTH} tokens; the last block learns, and the head.",
        f"- The textbook's classifier is too slow to run whole: {steps['measured']} steps and as many evaluation batches are measured, and",
        f"  scaled to {steps['steps']} and {steps['evaluations']}. Ours runs whole: the frozen trunk once, {work.epochs} epochs, the",
        "  validation split after each, the test split at the end.",
        "- Instructions: batches of 8; the peers pad shuffled batches to their longest, as their loaders do, ours puts records of like",
        "  length together.",
        f"- Generation: {len(work.prompts)} prompts of {len(work.prompts[0])} tokens, {work.new} new ones, the likeliest each time; then",
        "  the first prompt alone. transformers has bf16 weights, its cache, one batch and torch's fused attention; ours has bf16 weights",
        "  too, converted before the clock starts. The textbook, float32, reads the whole text again for each token, one prompt after the",
        "  other: one is measured, and counted as many times as there are.",
        *(f"- {note}" for note in notes),
        "",
    ]
    return "\n".join(text)


def _generation(work: Work, results: dict[tuple[str, str], Measured]) -> list[Row]:
    ours, theirs, textbook = (results[who, "generation"] for who in ("ours", "transformers", "textbook"))
    rows, together, alone = (
        len(work.prompts),
        len(work.prompts) * work.new / ours.seconds,
        work.new / ours.median("alone"),
    )
    return [
        Row(
            f"generation, {rows} prompts, tokens/s", _speed(together), "transformers, bf16", _speed(rows * work.new / theirs.seconds),
            theirs.seconds / ours.seconds, 1.5,
        ),
        Row(
            "the same", _speed(together), "textbook, float32, one by one, no cache", f"{work.new / textbook.median('alone'):,.1f}",
            rows * textbook.median("alone") / ours.seconds, 40,
        ),
        Row(
            "generation, one prompt, tokens/s", _speed(alone), "transformers, bf16", _speed(work.new / theirs.median("alone")),
            theirs.median("alone") / ours.median("alone"), 1.5,
        ),
    ]  # fmt: skip


def _memory(ours: Measured, theirs: Measured) -> Row:
    sizes = (f"{ours.megabytes:,.0f} MB", "transformers", f"{theirs.megabytes:,.0f} MB")
    return Row("the same, peak memory", *sizes, theirs.megabytes / ours.megabytes, 1)


def _rate(gigaflops: float) -> str:
    return f"{gigaflops:.0f} GFLOP/s"


def _speed(value: float) -> str:
    return f"{value:,.0f}"


def _machine() -> list[str]:
    """CPU, memory and versions, without the machine's name."""
    import torch

    names = [line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) / 1e6 for line in _read("/proc/meminfo") if line.startswith("MemTotal")]
    versions = ", ".join(f"{name} {metadata.version(name).split('+')[0]}" for name in ("torch", "transformers"))
    return [
        f"Machine: {names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{memory[0]:.0f} GB of memory. " if memory else "Machine: unknown memory. ",
        f"Software: Python {platform.python_version()}, {versions}, {torch.get_num_threads()} threads, {platform.system()}.",
    ]  # fmt: skip


def _read(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []
