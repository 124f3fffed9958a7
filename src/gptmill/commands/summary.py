"""`gptmill summary`: the metrics of the last run, its report, and next steps."""

from typing import TYPE_CHECKING, Any

import typer

from gptmill.core import files, paths, terminal
from gptmill.core.errors import GptmillError
from gptmill.registry.model_kinds import MODEL_KINDS

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer()

NEXT = [
    ("make ui", "see it in MLflow and Prefect"),
    ("dvc metrics diff", "what changed since the last commit"),
    ("", "and, in the environment (. .venv/bin/activate):"),
    ('gptmill generate "The policeman asked"', "the base model"),
    ('gptmill classify "Claim your prize now"', "the classifier"),
    ("gptmill ask \"What is the plural of 'goose'?\"", "the instruct model"),
]


@app.command()
def summary() -> None:
    """Print the metrics of the last run, the path of its report, and next steps."""
    paths.require_root()
    try:
        evaluations = [kind.metrics for kind in MODEL_KINDS.values()]
        pretrain, base, classifier, judge = map(files.read_json, [paths.METRICS / "pretrain.json", *evaluations])
    except FileNotFoundError as error:
        raise GptmillError(f"{error.filename} not found: no completed run yet. Run `make run`.") from None
    try:
        table = _table(pretrain | base, classifier, judge)
    except (KeyError, TypeError, ValueError) as error:
        raise GptmillError(f"{paths.METRICS}/ has invalid metrics ({error!r}). Run `dvc repro`.") from None
    console = terminal.console()
    console.print(table)
    console.print(f"Report: {paths.REPORT}", f"Data cards: {paths.DATA_CARDS}/", "Next:", sep="\n", highlight=False)
    for command, what in NEXT:
        console.print(f"  {command:<46} {what}", highlight=False, soft_wrap=True)


def _table(base: dict[str, Any], classifier: dict[str, Any], judge: dict[str, Any]) -> "Table":
    from rich.table import Table

    test, tfidf = classifier["test"], classifier["tfidf"]
    tfidf_name = "TF-IDF" if (of := classifier.get("tfidf_of", "words")) == "words" else f"TF-IDF of {of}"
    perplexity, trigram = f"{base['validation_perplexity']:.2f}", f"{base['trigram_perplexity']:.2f}, trigram model"
    answers = judge["judged"] + judge["failed"]
    table = Table("", "this run", "baseline", title="Metrics", title_justify="left", title_style="bold")
    for row in (
        ("base: parameters", f"{base['parameters']:,}", ""),
        ("base: validation perplexity", perplexity, trigram),
        ("classifier: test accuracy", f"{test['accuracy']:.1%}", f"{tfidf['accuracy']:.1%}, {tfidf_name}"),
        (f"classifier: F1 of {classifier['scores_of']}", f"{test['f1']:.3f}", f"{tfidf['f1']:.3f}, {tfidf_name}"),
        ("instruct: answers exactly right", f"{judge['exactly_right']:.1%}", ""),
        ("instruct: mean score", f"{judge['mean_score']:.1f} of 100", f"judge: {judge['judge']}"),
        ("instruct: answers not judged", f"{judge['failed']} of {answers}", ""),
    ):
        table.add_row(*row)
    return table
