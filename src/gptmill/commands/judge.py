"""`gptmill judge FILE` scores a file of answers; `gptmill judge agreement FILE` compares a judge with given scores."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click
import typer
from typer.core import TyperGroup

from gptmill.core import paths
from gptmill.core.terminal import say

if TYPE_CHECKING:
    from gptmill.evaluation.judges import Judge


class ScoresByDefault(TyperGroup):
    """`judge FILE` is `judge file FILE`: `file` is the default verb."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in context.help_option_names:
            args = ["file", *args]  # options may stand before the file
        return super().parse_args(context, args)


HELP = (
    "Score a file of answers: `gptmill judge FILE`. Evaluate a judge: `gptmill judge agreement FILE --against COLUMN`."
)
BACKENDS = "reference: compares with the reference answer, no LLM; openai: the server of params.yaml's judge section"

app = typer.Typer(cls=ScoresByDefault, help=HELP, no_args_is_help=True)

Answers = Annotated[Path, typer.Argument(help="JSON list or JSON lines; answers under response or model_response")]
Backend = Annotated[Literal["reference", "openai"], typer.Option(help=BACKENDS)]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON only")]


@app.command("file")
def score(
    file: Answers,
    backend: Backend = "reference",
    against_file: Annotated[Path | None, typer.Option(help="other answers to the same questions, to compare")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON lines file to write the judged records to")] = None,
    as_json: AsJson = False,
) -> None:
    """Score the answers in FILE. The verb `file` is optional."""
    from gptmill.core import files
    from gptmill.evaluation.answer_files import read_answers, same_questions
    from gptmill.evaluation.judges.run import judge_all
    from gptmill.evaluation.judges.summary import summarise
    from gptmill.evaluation.statistics import compare

    records = read_answers(file)
    others = same_questions(records, read_answers(against_file), file, against_file) if against_file else []
    judge = _judge(backend)
    if judge.compares and others:
        pairs = zip(records, others, strict=True)
        records = [{**record, "base_response": other["response"]} for record, other in pairs]
    judgements = judge_all(judge, records)
    result = {"file": str(file), **summarise(judge.name, judgements), **judge.metrics(judgements)}
    if judge.compares and others:
        result["compared_with"] = str(against_file)
    elif others:
        other = judge_all(judge, others)
        compared = compare([record["score"] for record in judgements], [record["score"] for record in other])
        result["against_file"] = {"file": str(against_file), **summarise(judge.name, other), **compared}
    if out:
        files.write_jsonl(out, judgements)
    _print(result, _score_lines(result), as_json)
    if out:
        say(f"{len(judgements)} judged records written to {out}", err=as_json)


@app.command()
def agreement(
    file: Answers,
    against: Annotated[str, typer.Option(help="the column of given scores, from 0 to 100")],
    backend: Backend = "reference",
    as_json: AsJson = False,
) -> None:
    """Measure the agreement of a judge with given scores. Also writes reports/agreement.json and agreement.html."""
    from gptmill.core import files
    from gptmill.evaluation.agreement import measure
    from gptmill.report.agreement import render

    paths.require_root()
    result = measure(_judge(backend), file, against)
    files.write_json(paths.AGREEMENT, result)
    files.write_text(paths.AGREEMENT.with_suffix(".html"), render(result))
    _print(result, _agreement_lines(result), as_json)


def _judge(backend: str) -> "Judge":
    from gptmill import config
    from gptmill.evaluation.judges import make_judge
    from gptmill.evaluation.judges.reference import ReferenceJudge

    if backend == "reference":  # works in any folder, without params.yaml
        return ReferenceJudge()
    return make_judge(config.load().judge.model_copy(update={"backend": backend}))


def _print(result: dict[str, Any], lines: list[str], as_json: bool) -> None:
    say(json.dumps(result, indent=2, ensure_ascii=False) if as_json else "\n".join(lines))


def _score_lines(result: dict[str, Any]) -> list[str]:
    interval = f"{result['mean_score_low']} to {result['mean_score_high']}, 95% interval"
    counts = f"judged {result['judged']}, failed {result['failed']}, exactly right {result['exactly_right']:.1%}"
    lines = [
        f"{result['file']}: mean score {result['mean_score']} of 100 ({interval})",
        f"judge: {result['judge']}",
        f"{counts}, median {result['median_score']:g}",
    ]
    if "compared_with" in result:
        lines.append(f"compared with {result['compared_with']}: 100 is better, 50 a tie, 0 worse")
    if result["score_length_correlation"] is not None:
        lines.append(f"correlation of score with length (Spearman): {result['score_length_correlation']:+.2f}")
    if "gain" in result:
        lines.append(_gain("over the base model's", result))
    if other := result.get("against_file"):
        lines.append(f"{other['file']}: mean score {other['mean_score']} of 100, failed {other['failed']}")
        lines.append(_gain(f"over {other['file']}", other) if "gain" in other else "no question was judged in both")
    for title, name in (("by kind of task", "by_kind"), ("by length of the answer", "by_length")):
        lines.append(f"{title}:")
        for group, of in result[name].items():
            interval = f"({of['low']:.1f} to {of['high']:.1f})"
            lines.append(f"  {group:<16} {of['mean']:6.1f}  {interval}, {of['answers']} answers")
    return lines


def _gain(over: str, result: dict[str, Any]) -> str:
    interval = f"{result['gain_low']:+} to {result['gain_high']:+}"
    return f"gain {over}: {result['gain']:+} ({interval}), better in {result['win_rate']:.1%} (a tie counts half)"


def _agreement_lines(result: dict[str, Any]) -> list[str]:
    from gptmill.report.external import MEASURES

    counts = f"{result['judged']} answers, {result['failed']} failed"
    lines = [f"{result['judge']} against {result['against']} of {result['file']}: {counts}"]
    lines += [result["note"]] * bool(result["note"])
    for name, title in MEASURES.items():
        value, low, high = (result[f"{name}{end}"] for end in ("", "_low", "_high"))
        interval = "" if low is None else f"  ({low:.3f} to {high:.3f})"
        lines.append(f"  {title:<34} " + ("not defined" if value is None else f"{value:.3f}{interval}"))
    if in_sample := result["in_sample"]:
        values = ", ".join(f"{MEASURES[name]} {in_sample[name]:.3f}" for name in ("pearson", "spearman"))
        lines.append(f"  without cross-validation (optimistic): {values}")
    return [*lines, f"also in {paths.AGREEMENT} and {paths.AGREEMENT.with_suffix('.html')}"]
