"""What a run of the flow tells: a table on the terminal, one line for its state, and Prefect artifacts with numbers, places and answers."""

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gptmill.core import files, paths, terminal

RAISED = re.compile(r"[A-Za-z_][\w.]*(Error|Exception)(: |$)")  # the last line of a traceback
KILLED = re.compile(r"exited with (-9|137)\b")
ANSWERS = 5
CUT = 600  # characters of one text among the answers

States = Mapping[str, Any]  # stage -> its Prefect state


def summary(states: States) -> str:
    """One line: what ran, what was cached, what failed and why, and what could not run because of it."""
    kinds: dict[str, list[str]] = {"ran": [], "cached": [], "failed": [], "stopped": [], "not run": []}
    for name, state in states.items():
        kinds[kind(state)].append(name)
    if len(kinds["cached"]) == len(states):
        return f"Nothing has changed: all {len(states)} stages are cached."
    told = [f"{name} failed: {(states[name].message or '').removeprefix('error: ')}" for name in kinds["failed"]]
    counts = [f"{len(names)} {word}" for word, names in kinds.items() if names]
    told.append(f"{len(states)} stages: {', '.join(counts)}")
    told += [f"{word}: {', '.join(kinds[word])}" for word in ("stopped", "not run") if kinds[word]]
    return ". ".join(line.rstrip(".") for line in told) + "."


def kind(state: Any) -> str:
    if state.is_completed():
        return "cached" if state.name == "Cached" else "ran"
    if state.is_cancelled():
        return "stopped"
    return "failed" if state.is_failed() or state.is_crashed() else "not run"


def reason(said: Iterable[str]) -> str:
    """The line that tells why: our own error if there is one, else what Python raised, else DVC's."""
    lines = list(said)
    ours = [line for line in lines if line.startswith("error:")]
    raised = [line for line in lines if RAISED.match(line)]
    dvc = [line for line in lines if line.startswith("ERROR:")]
    if dvc and KILLED.search(dvc[0]) and not ours:
        return f"{dvc[0]}: it was killed; the machine may have run out of memory"
    return (ours[:1] or raised[-1:] or dvc[:1] or [""])[0]


def show(states: States) -> None:
    """The table at the end of what the flow prints."""
    from rich.table import Table
    from rich.text import Text

    colours = {"ran": "green", "cached": "green", "failed": "red"}
    table = Table("stage", "state", "why")
    for name, state in states.items():
        why = (
            ["what it depends on did not complete"]
            if kind(state) == "not run"
            else (state.message or "").splitlines()[:1]
        )
        table.add_row(name, Text(state.name or "", style=colours.get(kind(state), "yellow")), why[0] if why else "")
    terminal.console().print(table)


def publish(folder: Path, pages: Path, experiment: str) -> None:
    """Artifacts of a run that did something: `folder` is where it worked, `pages` where its pages are."""
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    if rows := metrics(folder):
        create_table_artifact(
            rows, key="metrics", description="The numbers of this run beside those of the last commit."
        )
    create_markdown_artifact(
        places(pages, experiment), key="places", description="Where the report, Data Docs and MLflow are."
    )
    if text := answers(folder):
        create_markdown_artifact(text, key="answers", description="What the instruct model answers to the test split.")


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Every number in metrics/, what it was at the last commit, and the change."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        diff = repo.metrics.diff(all=True).get("diff", {})
    rows = []
    for file, values in diff.items():
        for name, value in values.items():
            old, new = value.get("old"), value.get("new")
            numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (old, new))
            change = "" if not numbers else f"{new - old:+.4g}" if new != old else "0"
            rows.append(
                {
                    "of": Path(file).stem,
                    "metric": name,
                    "value": _shown(new),
                    "last commit": _shown(old),
                    "change": change,
                }
            )
    return sorted(rows, key=lambda row: (row["of"], row["metric"]))


def places(pages: Path, experiment: str) -> str:
    """Addresses of what people open. A browser opens a file's only when it is pasted: pages from a server may not lead to files."""
    lines = ["| what | where |", "|---|---|"]
    known = {"report": paths.REPORT, "data cards": paths.DATA_CARDS, "Data Docs": paths.DATA_DOCS / "index.html"}
    for what, where in known.items():
        if (there := pages / where.relative_to(paths.REPORTS)).exists():
            lines.append(f"| {what} | `{there.resolve().as_uri()}` |")
    store = os.environ.get("MLFLOW_TRACKING_URI", "")
    if store.startswith("http") and "@" not in store:
        lines.append(f"| MLflow | [{html.escape(store)}]({html.escape(store)}) |")
    else:
        lines.append("| MLflow | `make ui` shows it |")
    if experiment:
        lines += [
            "",
            f"Saved as the DVC experiment `{experiment}`: `dvc exp apply {experiment}` brings it into the workspace.",
        ]
    return "\n".join(lines)


def answers(folder: Path) -> str:
    """The first answers of the instruct model, with what was asked, what was wanted and the judge's score; "" when there are none."""
    judged = folder / paths.JUDGEMENTS
    source = judged if judged.exists() else folder / paths.RESPONSES
    if not source.exists():
        return ""
    return "\n\n".join(_answer(record) for record in files.read_jsonl(source)[:ANSWERS])


def _answer(record: Mapping[str, Any]) -> str:
    score = record.get("score")
    asked = "\n".join(str(record[part]) for part in ("instruction", "input") if record.get(part))
    said = {"asked": asked, "answered": str(record.get("response", "")), "wanted": str(record.get("output", ""))}
    title = "### An answer" + ("" if score is None else f": {score:g} of 100")
    return "\n\n".join([title, *(f"**{word}**\n\n{_quoted(text)}" for word, text in said.items())])


def _quoted(text: str) -> str:
    """Whatever a model says stays text: a block of code in which nothing is a mark."""
    cut = text[:CUT] + ("…" if len(text) > CUT else "")
    return "\n".join(f"    {line}" for line in cut.splitlines() or [""])


def _shown(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else "" if value is None else json.dumps(value)
