"""The model card, in Hugging Face's format: YAML metadata for machines, then a page for people.

It is written when a model leaves the project: to MLflow, and by `gptmill weights export`. No stage depends on it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

from gptmill.core import files
from gptmill.model.lineage import Lineage
from gptmill.registry.model_kinds import ModelKind, of_task

NAME = "README.md"
_MEASURE, _BASELINE = re.compile(r"(accuracy|precision|recall|f1|loss|perplexity)$"), re.compile(r"tfidf|trigram")


def of_workspace(kind: ModelKind) -> str:
    """The card of the model in models/, with the metrics of its evaluation."""
    try:
        metrics = files.read_json(kind.metrics)
    except (OSError, ValueError):
        metrics = {}
    return of_folder(kind.folder, kind.task, metrics)


def of_folder(folder: Path, task: str, metrics: Mapping[str, Any], labels: Sequence[str] = ()) -> str:
    """The card of a model folder with these metrics. Raises `GptmillError` when its lineage can't be read."""
    lineage = Lineage.read(folder)
    if lineage is None:
        title = of_task(task).title
        return f"# {title}\n\n{folder.name} has no {Lineage.FILE}: it is not known what it was trained on.\n"
    return render(lineage, of_task(task), metrics, labels)


def render(lineage: Lineage, kind: ModelKind, metrics: Mapping[str, Any], labels: Sequence[str] = ()) -> str:
    """The card's text. `metrics`: names and numbers, in groups or not; other values are left out."""
    sources = lineage.all_sources()
    figures = dict(_numbers(metrics))
    values = [(name, f"{value:,}" if type(value) is int else value) for name, value in figures.items()]
    origins = [
        (f"{name}: {source.get('name', '')}", *(source.get(key, "") for key in ("origin", "licence", "sha256")))
        for name, source in sources.items()
    ]
    page = [
        f"# {kind.title}",
        f"{kind.use} Made by the stage `{lineage.stage}` of gptmill; weights SHA-256 `{lineage.weights}`.",
        *([f"Classes: {', '.join(_text(label) for label in labels)}."] if labels else []),
        "It is a GPT-2: `transformers` loads this folder, and so does `gptmill`.",
        "## Evaluation",
        _table(("measured", "value"), values),
        "## Limits",
        "\n".join(f"- {limit}" for limit in kind.limits),
        "## Training data",
        _table(("data set", "origin", "licence", "SHA-256"), origins),
        "These files, as they were when it was trained and measured:",
        _table(("file", "MD5"), lineage.data.items()),
        "## Training",
        _table(("parameter", "value"), lineage.params.items()),
    ]
    if lineage.base:
        page += [
            f"It was tuned from the model of `{lineage.base.stage}` (weights SHA-256 `{lineage.base.weights}`):",
            _table(("parameter", "value"), lineage.base.params.items()),
            _table(("file", "MD5"), lineage.base.data.items()),
        ]
    page += ["## Licence", _licence(sources)]
    return f"---\n{_head(kind, sources, figures)}---\n\n" + "\n\n".join(page) + "\n"


def without_head(text: str) -> str:
    """The page without its metadata."""
    return text.split("---\n", 2)[-1].lstrip("\n") if text.startswith("---\n") else text


def _head(kind: ModelKind, sources: Mapping[str, Mapping[str, Any]], figures: Mapping[str, float]) -> str:
    from ruamel.yaml import YAML

    data = ", ".join(str(source.get("name", name)) for name, source in sources.items())
    results = {
        "task": {"type": kind.pipeline_tag},
        "dataset": {"name": data, "type": "custom"},
        # Machines compare models by these: other numbers, and those of baselines, stand on the page alone.
        "metrics": [
            {"type": name, "value": value}
            for name, value in figures.items()
            if _MEASURE.search(name) and not _BASELINE.search(name)
        ],
    }
    head = {
        "license": "mit" if _all_mit(sources) else "other",
        "library_name": "transformers",
        "pipeline_tag": kind.pipeline_tag,
        "tags": ["gpt2", "gptmill"],
        "model-index": [{"name": f"gptmill, {kind.title.lower()}", "results": [results]}],
    }
    yaml = YAML()
    yaml.width = 1000
    written = StringIO()
    yaml.dump(head, written)
    return written.getvalue()


def _all_mit(sources: Mapping[str, Mapping[str, Any]]) -> bool:
    return bool(sources) and all(source.get("licence") == "MIT" for source in sources.values())


def _licence(sources: Mapping[str, Mapping[str, Any]]) -> str:
    if _all_mit(sources):
        return "MIT, as all of its training data."
    known = sorted({_text(str(source["licence"])) for source in sources.values() if source.get("licence")})
    unknown = [_text(name) for name, source in sources.items() if not source.get("licence")]
    text = f"It was trained on data under: {'; '.join(known)}. " if known else ""
    text += f"The licence of these is not known: {', '.join(unknown)}. " if unknown else ""
    return f"{text}Find out whether these bind the weights before you pass them on. gptmill's code is MIT."


def _numbers(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name} ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", value


def _table(head: Sequence[str], rows: Any) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_text(str(cell)) for cell in line) + " |" for line in lines)


def _text(text: str) -> str:
    """Untrusted text for Markdown: without markup, ends of cells and new lines."""
    text = escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{c}" if c in "\\`*_[]|#!" else c for c in text)
