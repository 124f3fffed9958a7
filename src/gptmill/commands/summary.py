"""What a person reads when a run has ended: its numbers, where its report is, and what to do next."""

from typing import TYPE_CHECKING, Any

from gptmill.core import files, paths, terminal
from gptmill.core.errors import GptmillError

if TYPE_CHECKING:
    from rich.table import Table

NEXT = [
    ("make ui", "see it in MLflow and Prefect"),
    ("dvc metrics diff", "what changed since the last commit"),
    ("", "and, in the environment (. .venv/bin/activate):"),
    ('gptmill generate "The policeman asked"', "the base model"),
    ('gptmill classify "Claim your prize now"', "the classifier"),
    ("gptmill ask \"What is the plural of 'goose'?\"", "the instruct model"),
]


def show() -> None:
    """Print it. Raises `GptmillError` when there was no run yet."""
    try:
        names = ("pretrain", "base", "classifier", "judge")
        pretrain, base, classifier, judge = (files.read_json(paths.METRICS / f"{name}.json") for name in names)
    except FileNotFoundError as error:
        raise GptmillError(f"{error.filename} is not here: there was no whole run yet. Do one: make run") from None
    try:
        table = _table(pretrain | base, classifier, judge)
    except (KeyError, TypeError, ValueError) as error:
        raise GptmillError(
            f"the files in {paths.METRICS}/ are not what the stages write ({error!r}). Make them anew: dvc repro"
        ) from None
    console = terminal.console()
    console.print(table)
    console.print(f"Report: {paths.REPORT}", f"Data cards: {paths.DATA_CARDS}/", "Next:", sep="\n", highlight=False)
    for command, what in NEXT:
        console.print(f"  {command:<46} {what}", highlight=False, soft_wrap=True)


def _table(base: dict[str, Any], classifier: dict[str, Any], judge: dict[str, Any]) -> "Table":
    from rich.table import Table

    test, tfidf = classifier["test"], classifier["tfidf"]
    theirs = "TF-IDF's" if (of := classifier.get("tfidf_of", "words")) == "words" else f"TF-IDF's of {of}"
    table = Table(
        "", "this run", "to compare with", title="What the models are worth", title_justify="left", title_style="bold"
    )
    table.add_row("base: parameters", f"{base['parameters']:,}", "")
    table.add_row(
        "base: validation perplexity",
        f"{base['validation_perplexity']:.2f}",
        f"{base['trigram_perplexity']:.2f}, a trigram model's",
    )
    table.add_row("classifier: test accuracy", f"{test['accuracy']:.1%}", f"{tfidf['accuracy']:.1%}, {theirs}")
    table.add_row(f"classifier: F1 of {classifier['scores_of']}", f"{test['f1']:.3f}", f"{tfidf['f1']:.3f}, {theirs}")
    table.add_row("instruct: answers exactly right", f"{judge['exactly_right']:.1%}", "")
    table.add_row("instruct: mean score", f"{judge['mean_score']:.1f} of 100", f"judge: {judge['judge']}")
    table.add_row("instruct: answers not judged", f"{judge['failed']} of {judge['judged'] + judge['failed']}", "")
    return table
