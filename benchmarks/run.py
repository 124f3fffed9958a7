"""Run all benchmarks and write benchmarks/RESULTS.md: python -m benchmarks.run [--rounds 1] [--out FILE]

Each contender runs in a fresh process with its own threads, memory and settings. Contenders take turns over several rounds,
for the speed of a machine varies: ratios are of medians over the rounds. Less than twenty minutes on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import orchestration
from benchmarks.table import Measured, report
from benchmarks.work import Work, prepare

OUT = Path(__file__).with_name("RESULTS.md")
ROUNDS = 3
PLAN = [  # who does what in each round, and in how many of them
    ("machine", "peak", 3), ("ours", "pretrain", 3), ("transformers", "pretrain", 3), ("textbook", "pretrain", 2),
    ("ours", "instruct", 3), ("transformers", "instruct", 3), ("textbook", "instruct", 2),
    ("ours", "classifier", 2), ("textbook", "classifier", 2), ("ours", "shakespeare", 3),
    ("ours", "generation", 3), ("transformers", "generation", 3), ("textbook", "generation", 2),
]  # fmt: skip


def measure(work: Work, rounds: int) -> dict[tuple[str, str], Measured]:
    """The measurements by (contender, task)."""
    results: dict[tuple[str, str], Measured] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "work.json"
        work.write(path)
        for turn in range(rounds):
            for who, what, times in PLAN:
                if turn >= times or (what == "shakespeare" and not work.shakespeare):
                    continue
                started = time.perf_counter()
                command = [sys.executable, "-m", "benchmarks.contenders", str(path), who, what]
                done = subprocess.run(command, check=False, capture_output=True, text=True, env=_environment(who))
                if done.returncode:
                    sys.exit(f"{who} {what} failed:\n{done.stderr}")
                results.setdefault((who, what), Measured()).runs.append(json.loads(done.stdout.splitlines()[-1]))
                print(
                    f"round {turn + 1}: {who} {what} ({time.perf_counter() - started:.0f} s)",
                    file=sys.stderr,
                    flush=True,
                )
    return results


def _environment(who: str) -> dict[str, str]:
    """Peers run without the variables that importing gptmill has set in this process."""
    own = {"GOMP_SPINCOUNT"} if who != "ours" else set()
    return {name: value for name, value in os.environ.items() if name not in own} | {
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="Measure speed against transformers and a textbook."
    )
    parser.add_argument("--small", action="store_true", help="a miniature for tests, whose speed is meaningless")
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="fewer are faster and less precise")
    options = parser.parse_args()
    work = prepare(small=options.small)
    rounds = 1 if options.small else options.rounds
    overhead = [] if options.small else orchestration.measure(Path.cwd()).rows()
    text = report(work, measure(work, rounds), rounds, overhead)
    options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
