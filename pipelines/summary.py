"""The summary of a flow run: a line for its state, a table, and Prefect artifacts with metrics, links and answers."""

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gptmill.core import files, paths, terminal

EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception)(: |$)")  # the last line of a traceback
KILLED = re.compile(r"exited with (-9|137)\b")
MAX_ANSWERS = 5
MAX_CHARACTERS = 600  # of each text of an answer

States = Mapping[str, Any]  # stage -> its Prefect state


def one_line(states: States) -> str:
    """The stages that failed, with reasons, the number of stages by outcome, and those that did not run."""
    by_outcome: dict[str, list[str]] = {"ran": [], "cached": [], "failed": [], "stopped": [], "not run": []}
    for name, state in states.items():
        by_outcome[outcome(state)].append(name)
    if len(by_outcome["cached"]) == len(states):
        return f"Nothing has changed: all {len(states)} stages are cached."
    parts = [f"{name} failed: {(states[name].message or '').removeprefix('error: ')}" for name in by_outcome["failed"]]
    counts = [f"{len(names)} {word}" for word, names in by_outcome.items() if names]
    parts.append(f"{len(states)} stages: {', '.join(counts)}")
    parts += [f"{word}: {', '.join(by_outcome[word])}" for word in ("stopped", "not run") if by_outcome[word]]
    return ". ".join(part.rstrip(".") for part in parts) + "."


def outcome(state: Any) -> str:
    if state.is_completed():
        return "cached" if state.name == "Cached" else "ran"
    if state.is_cancelled():
        return "stopped"
    return "failed" if state.is_failed() or state.is_crashed() else "not run"


def failure_reason(output: Iterable[str]) -> str:
    """The line with the error: gptmill's own, else Python's exception, else DVC's; "" if there is none."""
    lines = list(output)
    own = [line for line in lines if line.startswith("error:")]
    exceptions = [line for line in lines if EXCEPTION.match(line)]
    dvc = [line for line in lines if line.startswith("ERROR:")]
    if dvc and KILLED.search(dvc[0]) and not own:
        return f"{dvc[0]}: it was killed; the machine may have run out of memory"
    return (own[:1] or exceptions[-1:] or dvc[:1] or [""])[0]


def print_table(states: States) -> None:
    from rich.table import Table
    from rich.text import Text

    colours = {"ran": "green", "cached": "green", "failed": "red"}
    table = Table("stage", "state", "why")
    for name, state in states.items():
        why = "a stage that it depends on did not complete"
        if outcome(state) != "not run":
            why = (state.message or "").partition("\n")[0]
        table.add_row(name, Text(state.name or "", style=colours.get(outcome(state), "yellow")), why)
    terminal.console().print(table)


def create_artifacts(folder: Path, reports: Path, experiment: str) -> None:
    """Prefect artifacts of a run in `folder`, whose reports are in `reports`."""
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    if rows := metrics(folder):
        create_table_artifact(rows, key="metrics", description="Metrics of this run and of the last commit.")
    create_markdown_artifact(
        links(reports, experiment), key="places", description="Where the report, Data Docs and MLflow are."
    )
    if text := answers(folder):
        create_markdown_artifact(text, key="answers", description="Answers of the instruct model to the test split.")


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Every metric of metrics/, its value at the last commit, and the change."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        diff = repo.metrics.diff(all=True).get("diff", {})
    rows = []
    for file, values in diff.items():
        for name, value in values.items():
            old, new = value.get("old"), value.get("new")
            numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (old, new))
            change = "" if not numbers else f"{new - old:+.4g}" if new != old else "0"
            row = {"of": Path(file).stem, "metric": name, "value": _cell(new), "last commit": _cell(old)}
            rows.append({**row, "change": change})
    return sorted(rows, key=lambda row: (row["of"], row["metric"]))


def links(reports: Path, experiment: str) -> str:
    """A table of addresses. Files are text to be pasted: browsers don't follow links from a server's page to files."""
    lines = ["| what | where |", "|---|---|"]
    pages = {"report": paths.REPORT, "data cards": paths.DATA_CARDS, "Data Docs": paths.DATA_DOCS / "index.html"}
    for what, where in pages.items():
        if (page := reports / where.relative_to(paths.REPORTS)).exists():
            lines.append(f"| {what} | `{page.resolve().as_uri()}` |")
    store = os.environ.get("MLFLOW_TRACKING_URI", "")
    if store.startswith("http") and "@" not in store:
        lines.append(f"| MLflow | [{html.escape(store)}]({html.escape(store)}) |")
    else:
        lines.append("| MLflow | `make ui` shows it |")
    if experiment:
        lines += ["", f"Saved as the DVC experiment `{experiment}`: `dvc exp apply {experiment}` applies it."]
    return "\n".join(lines)


def answers(folder: Path) -> str:
    """The first answers of the instruct model, with instruction, reference and score; "" if there are none."""
    judged = folder / paths.JUDGEMENTS
    source = judged if judged.exists() else folder / paths.RESPONSES
    if not source.exists():
        return ""
    return "\n\n".join(_answer(record) for record in files.read_jsonl(source)[:MAX_ANSWERS])


def _answer(record: Mapping[str, Any]) -> str:
    score = record.get("score")
    instruction = "\n".join(str(record[part]) for part in ("instruction", "input") if record.get(part))
    response, reference = (str(record.get(name, "")) for name in ("response", "output"))
    texts = {"instruction": instruction, "response": response, "reference": reference}
    title = "### Answer" + ("" if score is None else f": {score:g} of 100")
    return "\n\n".join([title, *(f"**{name}**\n\n{_code_block(text)}" for name, text in texts.items())])


def _code_block(text: str) -> str:
    """A model's text may contain markup: it is escaped as indented code."""
    cut = text[:MAX_CHARACTERS] + ("…" if len(text) > MAX_CHARACTERS else "")
    return "\n".join(f"    {line}" for line in cut.splitlines() or [""])


def _cell(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else "" if value is None else json.dumps(value)
