"""`gptmill data bench`: speed and memory of the tokenize stage, against one core of tiktoken on the same text.

The corpus is the sample's stories, then the same stories shuffled and rotated, up to the size asked for. A subprocess
tokenizes it with the stage's code, so that its peak memory is measured alone. One core is measured before and after.
"""

import json
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gptmill.core.errors import GptmillError
from gptmill.data import corpus, tokenize
from gptmill.ingest import sample
from gptmill.text.tokenizer import Tokenizer

UNITS = {"GB": 10**9, "MB": 10**6, "KB": 10**3}
VOCAB_SIZE, VALIDATION_SHARE, CONTEXT_LENGTH, SEED = 2048, 0.1, 256, 123  # as in profile sample
SLICES, SLICE_BYTES = 8, 1_000_000
DISK_SHARE = 1.8  # of the corpus size: the corpus, its ids, and temporarily two copies of the last ids


def parse_size(size: str) -> int:
    """Bytes of `100MB` or `1.5GB`. Raises `GptmillError` for an invalid size, or one below 100 KB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]B)", size.strip().upper())
    count = round(float(match[1]) * UNITS[match[2]]) if match else 0
    if count < 100_000:
        raise GptmillError(f"{size} is not a valid size: write 100MB or 1GB; the minimum is 100KB")
    return count


def run(size: int) -> str:
    """The results as lines of text. Raises `GptmillError` when the temporary folder has too little space."""
    workers = tokenize.cpu_count()
    with tempfile.TemporaryDirectory(prefix="gptmill-bench-") as name:
        folder = Path(name)
        free = shutil.disk_usage(folder).free
        if free < size * DISK_SHARE:
            raise GptmillError(
                f"{folder.parent} has {_bytes(free)} free, and {_bytes(size * DISK_SHARE)} are needed: make room, use "
                "a smaller --size, or set TMPDIR to another folder"
            )
        text = folder / "corpus.txt"
        _write_corpus(text, size)
        stories = (piece.text for piece, _ in zip(corpus.read(text), range(2_000), strict=False))
        tokenizer = Tokenizer.train(stories, VOCAB_SIZE)
        (folder / "tokenizer").mkdir()
        tokenizer.save(folder / "tokenizer")
        slices = list(_slices(text))
        rates = [_one_core(tokenizer, part) for part in slices]
        result = _tokenize_in_subprocess(folder, workers)
        rates += [_one_core(tokenizer, part) for part in slices]
        size = text.stat().st_size
    one_core, one_core_cpu = (statistics.median(rate) for rate in zip(*rates, strict=True))
    seconds, cpu_seconds, tokens = result["seconds"], result["busy"], result["tokens"]
    rate = size / seconds
    return "\n".join(
        [
            f"corpus: {_bytes(size)}, {result['documents']:,} documents, {tokens:,} tokens (vocabulary "
            f"{tokenizer.vocab_size:,}): the sample's stories, repeated and shuffled",
            f"one core, tiktoken's encode_ordinary: {_bytes(one_core)}/s, median of {len(rates)} slices",
            f"the tokenize stage's code, {workers} workers: {_bytes(rate)}/s, {tokens / seconds / 1e6:.1f} million "
            f"tokens/s, {seconds:.1f} s",
            f"share of {workers} times one core: {rate / (workers * one_core):.0%}",
            f"cores used: {cpu_seconds / seconds:.2f}; speed per CPU second, of one core's: "
            f"{size / cpu_seconds / one_core_cpu:.0%}",
            f"peak memory: {_bytes(result['peak'])}",
        ]
    )


def _write_corpus(path: Path, size: int) -> None:
    from tqdm import tqdm

    original, rng, written = sample.stories(), random.Random(SEED), 0
    stories = original
    with (
        path.open("w", encoding="utf-8", newline="\n") as file,
        tqdm(total=size, desc="corpus", unit="B", unit_scale=True, disable=None) as bar,
    ):
        while written < size:
            for story in stories:
                written += file.write(corpus.SEPARATOR * bool(written) + story)
                if written >= size:
                    break
            bar.update(written - bar.n)
            stories = [_rotated(rng, story) for story in rng.sample(original, len(original))]


def _rotated(rng: random.Random, story: str) -> str:
    """The story from the start of a random sentence to its end, then its beginning."""
    middle = story.find(". ", rng.randrange(len(story))) + 2
    return f"{story[middle:]} {story[:middle].rstrip()}" if middle > 1 else story


def _slices(path: Path) -> Iterator[str]:
    """Evenly spaced parts of the corpus, without separators."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for number in range(SLICES):
            file.seek(number * max(0, size - SLICE_BYTES) // SLICES)
            yield file.read(SLICE_BYTES).decode(errors="ignore").replace(corpus.SEPARATOR, "\n")


def _one_core(tokenizer: Tokenizer, text: str) -> tuple[float, float]:
    """Bytes per second, and per CPU second, which other processes do not change."""
    start, cpu_start = time.perf_counter(), time.thread_time()
    tokenizer.encode(text)
    return len(text.encode()) / (time.perf_counter() - start), len(text.encode()) / (time.thread_time() - cpu_start)


def _tokenize_in_subprocess(folder: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "gptmill.commands.bench", str(folder), str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise GptmillError("tokenizing failed; see the lines above")
    return json.loads(done.stdout)


def _tokenize(folder: Path, workers: int) -> dict[str, float]:
    """The subprocess. Its peak includes Python and the libraries."""
    tokenizer = Tokenizer.load(folder / "tokenizer")
    start, cpu_start = time.perf_counter(), time.process_time()
    meta = tokenize.write(
        tokenizer, folder / "corpus.txt", folder / "tokens", VALIDATION_SHARE, CONTEXT_LENGTH, workers
    )
    seconds, busy = time.perf_counter() - start, time.process_time() - cpu_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    tokens = meta["train_tokens"] + meta["validation_tokens"]
    return {"seconds": seconds, "busy": busy, "peak": peak, "documents": meta["documents"], "tokens": tokens}


def _bytes(count: float) -> str:
    unit = next((unit for unit in UNITS if count >= UNITS[unit]), "KB")
    return f"{count / UNITS[unit]:.3g} {unit}"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_tokenize(Path(sys.argv[1]), int(sys.argv[2]))))
