"""The model card, as Hugging Face has it: a YAML head for machines, then a page for people.

It is written when a model leaves the project: to MLflow, by `gptmill weights export`. No stage depends on its words.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

from gptmill.model.lineage import Lineage

NAME = "README.md"


_MEASURE, _OTHERS = re.compile(r"(accuracy|precision|recall|f1|loss|perplexity)$"), re.compile(r"tfidf|trigram")


@dataclass(frozen=True)
class Kind:
    """What is to be said of every model of a task."""

    title: str
    use: str
    pipeline_tag: str
    limits: tuple[str, ...]


_WRITES = (
    "It writes what is likely after what it read, true or not; it knows nothing of what happened after its data.",
    "What was in its data, good or bad, may come back in what it writes, word for word too.",
)
GENERATE = Kind(
    "A base language model",
    "A text in, its continuation out. It follows no instructions; it is there to be tuned.",
    "text-generation",
    _WRITES,
)
ASK = Kind(
    "A model that follows instructions",
    "An instruction in (Alpaca's form), an answer out.",
    "text-generation",
    (*_WRITES, "It was tuned on single questions: it keeps up no conversation, and refuses nothing."),
)
CLASSIFY = Kind(
    "A text classifier",
    "A text in; the likeliest class out, with the probability of each.",
    "text-classification",
    (
        "It knows its classes and nothing else: a text of none of them still gets one, perhaps with confidence.",
        "It reads the first tokens of a text, as many as `classifier.max_length` says; what comes after is not seen.",
        "Its probabilities belong to classes as common as in its training split; where they are spread otherwise, they are off.",
        "Messages of another language, time or kind than its data were not measured.",
    ),
)


KINDS = {"generate": GENERATE, "ask": ASK, "classify": CLASSIFY}


def of_folder(folder: Path, task: str, metrics: Mapping[str, Any], labels: Sequence[str] = ()) -> str:
    """The card of a model folder with these metrics. Raises `GptmillError` when its lineage can't be read."""
    lineage = Lineage.read(folder)
    if lineage is None:
        return (
            f"# {KINDS[task].title}\n\n{folder.name} has no {Lineage.FILE}: it is not known what it was trained on.\n"
        )
    return render(lineage, KINDS[task], metrics, labels)


def render(lineage: Lineage, kind: Kind, metrics: Mapping[str, Any], labels: Sequence[str] = ()) -> str:
    """The card's text. `metrics`: names and numbers, in groups or not; what is no number is left out."""
    sources = lineage.all_sources()
    figures = dict(_numbers(metrics))
    page = [
        f"# {kind.title}",
        f"{kind.use} Made by the stage `{lineage.stage}` of gptmill; weights SHA-256 `{lineage.weights}`.",
        *([f"Classes: {', '.join(_text(label) for label in labels)}."] if labels else []),
        "It is a GPT-2: `transformers` loads this folder, and so does `gptmill`.",
        "## How good it is",
        _table(
            ("measured", "value"),
            [(name, f"{value:,}" if type(value) is int else value) for name, value in figures.items()],
        ),
        "## Limits",
        "\n".join(f"- {limit}" for limit in kind.limits),
        "## What it learnt from",
        _table(
            ("data set", "origin", "licence", "SHA-256"),
            [
                (
                    f"{name}: {source.get('name', '')}",
                    source.get("origin", ""),
                    source.get("licence", ""),
                    source.get("sha256", ""),
                )
                for name, source in sources.items()
            ],
        ),
        "These files, as they were when it was trained and measured:",
        _table(("file", "MD5"), lineage.data.items()),
        "## How it was trained",
        _table(("parameter", "value"), lineage.params.items()),
    ]
    if lineage.base:
        page += [
            f"It began as the model of the stage `{lineage.base.stage}`, weights SHA-256 `{lineage.base.weights}`, which was made with:",
            _table(("parameter", "value"), lineage.base.params.items()),
            _table(("file", "MD5"), lineage.base.data.items()),
        ]
    page += ["## Licence", _licence(sources)]
    return f"---\n{_head(kind, sources, figures)}---\n\n" + "\n\n".join(page) + "\n"


def without_head(text: str) -> str:
    """The page for people alone."""
    return text.split("---\n", 2)[-1].lstrip("\n") if text.startswith("---\n") else text


def _head(kind: Kind, sources: Mapping[str, Mapping[str, Any]], figures: Mapping[str, float]) -> str:
    from ruamel.yaml import YAML

    data = ", ".join(str(source.get("name", name)) for name, source in sources.items())
    results = {
        "task": {"type": kind.pipeline_tag},
        "dataset": {"name": data, "type": "custom"},
        # Machines compare models by these: what is no measure, or another's, is for people alone.
        "metrics": [
            {"type": name, "value": value}
            for name, value in figures.items()
            if _MEASURE.search(name) and not _OTHERS.search(name)
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
        return "MIT, as all that it learnt from."
    known = sorted({_text(str(source["licence"])) for source in sources.values() if source.get("licence")})
    unknown = [_text(name) for name, source in sources.items() if not source.get("licence")]
    said = f"It learnt from data under: {'; '.join(known)}. " if known else ""
    said += f"Nobody said under which licence these are: {', '.join(unknown)}. " if unknown else ""
    return f"{said}Whether, and how, these bind the weights is for you to find out before you pass them on. gptmill's code is MIT."


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
    """Text that may be anybody's, as Markdown shows it: no markup, no cell's end, no new line."""
    text = escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{c}" if c in "\\`*_[]|#!" else c for c in text)
