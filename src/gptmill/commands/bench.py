"""How fast a corpus of a given size is tokenized, in how much memory, and what one core of tiktoken does with the same text.

    gptmill data bench --size 1GB

The corpus is the sample's stories, then the same stories shuffled, each from its middle to its end and then its start, until the size is
reached. A process of its own tokenizes it with the code of the tokenize stage, so that the peak of its memory is that of this work. One
core is measured on slices of the same text before and after.
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

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
VOCAB_SIZE, VALIDATION_SHARE, CONTEXT_LENGTH, SEED = 2048, 0.1, 256, 123  # as in profile sample
SLICES, SLICE_BYTES = 8, 1_000_000
DISK_SHARE = 1.8  # of the corpus' size: itself, its ids, and the tail of these twice for a moment


def parse_size(size: str) -> int:
    """Bytes of `100MB` or `1.5GB`. Raises `GptmillError` when it is no size, or one that has no windows to speak of."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]B)", size.strip().upper())
    count = round(float(found[1]) * UNITS[found[2]]) if found else 0
    if count < 100_000:
        raise GptmillError(f"{size} is no size: write 100MB or 1GB; the smallest is 100KB")
    return count


def run(size: int) -> str:
    """What was measured, in lines for people. Raises `GptmillError` when the temporary folder has no room."""
    workers = tokenize.cpu_count()
    with tempfile.TemporaryDirectory(prefix="gptmill-bench-") as name:
        folder = Path(name)
        free = shutil.disk_usage(folder).free
        if free < size * DISK_SHARE:
            raise GptmillError(
                f"{folder.parent} has {_bytes(free)} free, and {_bytes(size * DISK_SHARE)} are needed: make room, use a smaller --size, or "
                "set TMPDIR to another folder"
            )
        text = folder / "corpus.txt"
        _write_corpus(text, size)
        stories = (piece.text for piece, _ in zip(corpus.read(text), range(2_000), strict=False))
        tokenizer = Tokenizer.train(stories, VOCAB_SIZE)
        (folder / "tokenizer").mkdir()
        tokenizer.save(folder / "tokenizer")
        slices = list(_slices(text))
        rates = [_one_core(tokenizer, part) for part in slices]
        made = _in_a_child(folder, workers)
        rates += [_one_core(tokenizer, part) for part in slices]
        one, one_busy = (statistics.median(rate) for rate in zip(*rates, strict=True))
        all_of_them = text.stat().st_size / made["seconds"]
        efficiency = text.stat().st_size / made["busy"] / one_busy
        lines = [
            f"corpus: {_bytes(text.stat().st_size)}, {made['documents']:,} documents, {made['tokens']:,} tokens (a vocabulary of "
            f"{tokenizer.vocab_size:,}): the sample's stories, repeated and shuffled",
            f"one core, tiktoken's encode_ordinary: {_bytes(one)}/s, the median of {len(rates)} slices before and after",
            f"the tokenize stage's code, {workers} workers: {_bytes(all_of_them)}/s, {made['tokens'] / made['seconds'] / 1e6:.1f} million "
            f"tokens/s, {made['seconds']:.1f} s",
            f"share of {workers} times one core: {all_of_them / (workers * one):.0%}",
            f"it had {made['busy'] / made['seconds']:.2f} cores, and did {efficiency:.0%} of what one core does in the same time of a core",
            f"peak memory: {_bytes(made['peak'])}",
        ]
    return "\n".join(lines)


def _write_corpus(path: Path, size: int) -> None:
    from tqdm import tqdm

    own, rng, written = sample.stories(), random.Random(SEED), 0
    stories = own
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
            stories = [_turned(rng, story) for story in rng.sample(own, len(own))]


def _turned(rng: random.Random, story: str) -> str:
    """The story from the start of one of its sentences to the end, then what stood before."""
    middle = story.find(". ", rng.randrange(len(story))) + 2
    return f"{story[middle:]} {story[:middle].rstrip()}" if middle > 1 else story


def _slices(path: Path) -> Iterator[str]:
    """Evenly spaced parts of the corpus, without what stands between its documents."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for number in range(SLICES):
            file.seek(number * max(0, size - SLICE_BYTES) // SLICES)
            yield file.read(SLICE_BYTES).decode(errors="ignore").replace(corpus.SEPARATOR, "\n")


def _one_core(tokenizer: Tokenizer, text: str) -> tuple[float, float]:
    """Bytes in a second, and in a second of a core's time, which tells what other programs took."""
    start, busy = time.perf_counter(), time.thread_time()
    tokenizer.encode(text)
    return len(text.encode()) / (time.perf_counter() - start), len(text.encode()) / (time.thread_time() - busy)


def _in_a_child(folder: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "gptmill.commands.bench", str(folder), str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise GptmillError("tokenizing failed; the lines above say why")
    return json.loads(done.stdout)


def _tokenize(folder: Path, workers: int) -> dict[str, float]:
    """What the child does. Its peak counts all that Python and the libraries take, too."""
    tokenizer = Tokenizer.load(folder / "tokenizer")
    start, busy = time.perf_counter(), time.process_time()
    meta = tokenize.write(
        tokenizer, folder / "corpus.txt", folder / "tokens", VALIDATION_SHARE, CONTEXT_LENGTH, workers
    )
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    tokens = meta["train_tokens"] + meta["validation_tokens"]
    return {"seconds": seconds, "busy": busy, "peak": peak, "documents": meta["documents"], "tokens": tokens}


def _bytes(count: float) -> str:
    unit = next(unit for unit in ("GB", "MB", "KB") if count >= UNITS[unit] or unit == "KB")
    return f"{count / UNITS[unit]:.3g} {unit}"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_tokenize(Path(sys.argv[1]), int(sys.argv[2]))))
