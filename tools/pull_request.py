"""What a pull request changes, as Markdown: metrics and parameters by DVC, outputs by dvc.lock, and whether a run here agrees with them.

python -m tools.pull_request main         # this commit beside main; after `dvc repro`, what that gave is told too

metrics/ and dvc.lock are committed, so the comparison needs no run and no data. .github/workflows/pull-request.yaml posts it.
"""

import csv
import html
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.core.git import git
from gptmill.core.terminal import exit_on_error, say
from gptmill.registry.model_kinds import MODEL_KINDS
from gptmill.tracking import dvc_lock

MOST_POINTS = 20  # of a curve, that are drawn


@dataclass(frozen=True)
class Receipt:
    """A dvc.lock: the outputs with their hashes and sizes, and what decided each stage: command, parameters and code."""

    outputs: dict[str, tuple[str, int]] = field(default_factory=dict)
    causes: dict[str, tuple] = field(default_factory=dict)


def read_receipt(text: str) -> Receipt:
    stages = dvc_lock.parse(text)
    outputs = {path: out for stage in stages.values() for path, out in stage.outs.items()}

    def is_made(path: str) -> bool:
        """A stage may read one file of a folder that another one made."""
        return path in outputs or path.startswith(tuple(f"{output}/" for output in outputs))

    def causes(stage: dvc_lock.StageReceipt) -> tuple:
        return stage.command, stage.params, {path: md5 for path, md5 in stage.deps.items() if not is_made(path)}

    return Receipt(outputs, {name: causes(stage) for name, stage in stages.items()})


def comment(base: str) -> str:
    """The whole of it, for the repository in the working folder. Raises `GptmillError` when `base` is no commit of it."""
    base, head = _commit(base), _commit("HEAD")
    before, after = (read_receipt(git("show", f"{revision}:dvc.lock", default="")) for revision in (base, head))
    parts = [
        f"### What `{head[:9]}` changes, beside `{base[:9]}`",
        _section("Metrics", difference("metrics", base), "No metric differs."),
        _section("Parameters", difference("params", base), "No parameter differs."),
        _section("Outputs", changed_outputs(before, after), "Every output has the same bytes, says `dvc.lock`."),
    ]
    if paths.REPORT.exists():  # there was a run here
        parts += [run_beside(after, read_receipt(Path("dvc.lock").read_text(encoding="utf-8"))), *curves()]
    return "\n\n".join(parts) + "\n"


def difference(kind: str, base: str) -> str:
    """What `dvc metrics diff` or `dvc params diff` finds, as a table; "" when nothing differs. A revision that it can't read is named."""
    words = [kind, "diff", "--json", base, "HEAD"]
    run = subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=False)
    if run.returncode:
        raise GptmillError(f"dvc {' '.join(words)} failed: {run.stderr.strip() or run.stdout.strip()}")
    unread = [
        f"DVC: {_cell(line)}\n"
        for line in run.stderr.splitlines()
        if "failed to load" in line and "'workspace'" not in line
    ]
    rows = []
    for path, changes in sorted(json.loads(run.stdout or "{}").items()):
        for key, change in sorted(changes.items()):
            if change.get("old") != change.get("new"):
                cells = [f"{Path(path).stem}: {key}", change.get("old"), change.get("new"), _change(change)]
                rows.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join([*unread, *(["| | before | now | change |", "|---|--:|--:|--:|", *rows] if rows else [])])


def _cell(value: object) -> str:
    """As a cell of a table that can't end it, nor be taken for markup."""
    return (
        html.escape("–" if value is None else str(value), quote=False)
        .replace("|", "&#124;")
        .replace("\n", " ")
        .replace("`", "&#96;")
    )


def _change(change: dict) -> str:
    return f"{change['diff']:+g}" if isinstance(change.get("diff"), int | float) else ""


def changed_outputs(before: Receipt, after: Receipt) -> str:
    """A table of the outputs whose hashes differ; "" when none does."""
    one, other = before.outputs, after.outputs
    rows = [
        f"| `{path}` | {_size(one.get(path))} | {_size(other.get(path))} |"
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]
    if not rows:
        return ""
    table = "\n".join(["| output | bytes before | bytes now |", "|---|--:|--:|", *rows])
    return f"<details><summary>{len(rows)} of {len(one.keys() | other.keys())} outputs have other bytes</summary>\n\n{table}\n\n</details>"


def run_beside(committed: Receipt, run: Receipt) -> str:
    """Whether a run in this folder came to what the committed dvc.lock says."""
    differing = sorted(path for path, found in run.outputs.items() if committed.outputs.get(path) != found)
    stale = sorted(name for name, cause in run.causes.items() if committed.causes.get(name) != cause)
    if stale:
        verdict = (
            f"**The receipt is of other code or parameters** than this commit's, in {_list(stale)}, so the numbers above may be old. "
            "`dvc repro`, then commit `dvc.lock` and `metrics/`."
        )
    elif differing:
        verdict = (
            f"The run gave other bytes than `dvc.lock` has in {len(differing)} of {len(run.outputs)} outputs ({_list(differing)}). "
            "On another kind of machine the last digits of sums may differ; on the same kind they must not."
        )
    else:
        verdict = f"The run gave the bytes that `dvc.lock` has, in all {len(run.outputs)} outputs."
    return f"#### This commit, run here\n\n{verdict}"


def curves() -> list[str]:
    """The validation losses of the run as Mermaid charts, which GitHub draws in a comment; it shows no image that is not on the web."""
    return [
        chart(f"{kind.label.capitalize()}: validation loss", points)
        for kind in MODEL_KINDS.values()
        if (points := _losses(kind.curve))
    ]


def chart(title: str, points: Sequence[tuple[int, float]]) -> str:
    """`points`: (step, value). Some of them, evenly spaced, when they are many; the last one always."""
    stride = -(-len(points) // MOST_POINTS)
    shown = points[::-stride][::-1]
    steps = ", ".join(f'"{step}"' for step, _ in shown)  # quoted, they are names of places
    values = ", ".join(f"{value:g}" for _, value in shown)
    lines = [
        "```mermaid",
        "xychart-beta",
        f'    title "{title}"',
        f'    x-axis "step" [{steps}]',
        f"    line [{values}]",
        "```",
    ]
    return "\n".join(lines)


def _losses(path: Path) -> list[tuple[int, float]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(int(row["step"]), float(row["validation_loss"])) for row in csv.DictReader(file)]


def _section(title: str, found: str, otherwise: str) -> str:
    return f"#### {title}\n\n{found.strip() or otherwise}"


def _list(names: Sequence[str], most: int = 4) -> str:
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*(f"`{name}`" for name in names[:most]), *more])


def _size(output: tuple[str, int] | None) -> str:
    return f"{output[1]:,}" if output else "–"


def _commit(revision: str) -> str:
    try:
        return git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").strip()
    except GptmillError as error:
        advice = "In a shallow clone, `git fetch --unshallow` first."
        raise GptmillError(f"{revision} is not a commit here: {error}. {advice}") from None


def main(
    base: Annotated[str, typer.Argument(help="the commit to compare with: a branch, a tag, a hash")] = "main",
) -> None:
    """Print, as Markdown, what the last commit changes beside `base`."""
    with exit_on_error():
        say(comment(base), nl=False)


if __name__ == "__main__":
    typer.run(main)
