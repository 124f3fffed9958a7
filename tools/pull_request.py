"""The pull request comment: changed metrics, parameters and outputs, and whether a run here reproduces dvc.lock.

python -m tools.pull_request main         # this commit against main; after `dvc repro`, compares its outputs too

metrics/ and dvc.lock are committed, so this needs no run and no data. .github/workflows/pull-request.yaml posts it.
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

MAX_POINTS = 20  # of a curve


@dataclass(frozen=True)
class Receipt:
    """A dvc.lock."""

    outputs: dict[str, tuple[str, int]] = field(default_factory=dict)  # path -> hash and size
    inputs: dict[str, tuple] = field(default_factory=dict)  # stage -> command, parameters and hashes of code


def read_receipt(text: str) -> Receipt:
    stages = dvc_lock.parse(text)
    outputs = {path: out for stage in stages.values() for path, out in stage.outs.items()}

    def is_output(path: str) -> bool:
        """Also one file of a folder that is an output."""
        return path in outputs or path.startswith(tuple(f"{output}/" for output in outputs))

    def inputs(stage: dvc_lock.StageReceipt) -> tuple:
        return stage.command, stage.params, {path: md5 for path, md5 in stage.deps.items() if not is_output(path)}

    return Receipt(outputs, {name: inputs(stage) for name, stage in stages.items()})


def comment(base: str) -> str:
    """The comment for the repository in the working folder. Raises `GptmillError` when `base` is not a commit of it."""
    base, head = _commit(base), _commit("HEAD")
    before, after = (read_receipt(git("show", f"{revision}:dvc.lock", default="")) for revision in (base, head))
    parts = [
        f"### Changes of `{head[:9]}` against `{base[:9]}`",
        _section("Metrics", difference("metrics", base), "No metric has changed."),
        _section("Parameters", difference("params", base), "No parameter has changed."),
        _section(
            "Outputs", changed_outputs(before, after), "All outputs have the same bytes, according to `dvc.lock`."
        ),
    ]
    if paths.REPORT.exists():  # after a run
        parts += [reproduced(after, read_receipt(Path("dvc.lock").read_text(encoding="utf-8"))), *curves()]
    return "\n\n".join(parts) + "\n"


def difference(kind: str, base: str) -> str:
    """`dvc metrics diff` or `dvc params diff` as a table, with revisions that DVC can't read; "" if nothing differs."""
    arguments = [kind, "diff", "--json", base, "HEAD"]
    run = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        raise GptmillError(f"dvc {' '.join(arguments)} failed: {run.stderr.strip() or run.stdout.strip()}")
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
    return "\n".join([*unread, *(["| | before | after | change |", "|---|--:|--:|--:|", *rows] if rows else [])])


def _cell(value: object) -> str:
    """A table cell, escaped."""
    return (
        html.escape("–" if value is None else str(value), quote=False)
        .replace("|", "&#124;")
        .replace("\n", " ")
        .replace("`", "&#96;")
    )


def _change(change: dict) -> str:
    return f"{change['diff']:+g}" if isinstance(change.get("diff"), int | float) else ""


def changed_outputs(before: Receipt, after: Receipt) -> str:
    """A table of the outputs with different hashes; "" if there are none."""
    old, new = before.outputs, after.outputs
    outputs = sorted(old.keys() | new.keys())
    rows = [
        f"| `{path}` | {_size(old.get(path))} | {_size(new.get(path))} |"
        for path in outputs
        if old.get(path) != new.get(path)
    ]
    if not rows:
        return ""
    table = "\n".join(["| output | bytes before | bytes after |", "|---|--:|--:|", *rows])
    summary = f"{len(rows)} of {len(outputs)} outputs have changed"
    return f"<details><summary>{summary}</summary>\n\n{table}\n\n</details>"


def reproduced(committed: Receipt, run: Receipt) -> str:
    """Whether a run in this folder gave the outputs of the committed dvc.lock."""
    differing = sorted(path for path, output in run.outputs.items() if committed.outputs.get(path) != output)
    stale = sorted(name for name, inputs in run.inputs.items() if committed.inputs.get(name) != inputs)
    if stale:
        verdict = (
            f"**`dvc.lock` is outdated**: the code or parameters of {_list(stale)} have changed, so the numbers above "
            "may be old. Run `dvc repro`, then commit `dvc.lock` and `metrics/`."
        )
    elif differing:
        verdict = (
            f"The run did not reproduce {len(differing)} of the {len(run.outputs)} outputs of `dvc.lock` "
            f"({_list(differing)}). "
            "On another type of CPU the last digits of sums may differ; on the same type they must not."
        )
    else:
        verdict = f"The run reproduced all {len(run.outputs)} outputs of `dvc.lock`, byte for byte."
    return f"#### Reproducibility\n\n{verdict}"


def curves() -> list[str]:
    """The validation losses of the run as Mermaid charts: GitHub renders those in comments, but no attached images."""
    return [
        chart(f"{kind.label.capitalize()}: validation loss", points)
        for kind in MODEL_KINDS.values()
        if (points := _losses(kind.curve))
    ]


def chart(title: str, points: Sequence[tuple[int, float]]) -> str:
    """`points`: (step, value), of which `MAX_POINTS` are drawn at most, evenly spaced, with the last one."""
    stride = -(-len(points) // MAX_POINTS)
    shown = points[::-stride][::-1]
    steps = ", ".join(f'"{step}"' for step, _ in shown)  # quoted: a categorical axis
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


def _section(title: str, body: str, default: str) -> str:
    return f"#### {title}\n\n{body.strip() or default}"


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
    """Print the changes of the last commit against `base` as Markdown."""
    with exit_on_error():
        say(comment(base), nl=False)


if __name__ == "__main__":
    typer.run(main)
