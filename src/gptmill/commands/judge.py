"""`gptmill judge FILE` scores a file of answers; `gptmill judge agreement FILE` tells how far a judge agrees with given scores."""

import json
from pathlib import Path
from typing import Annotated, Literal

import click
import typer
from typer.core import TyperGroup

from gptmill.core import paths
from gptmill.core.terminal import say

SCORE = "file"


class ScoresByDefault(TyperGroup):
    """`judge FILE` is `judge file FILE`: what is no verb of the group is what the default verb is about."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in context.help_option_names:
            args = [SCORE, *args]  # options may stand before the file
        return super().parse_args(context, args)


app = typer.Typer(
    cls=ScoresByDefault,
    help="Score a file of answers: `gptmill judge FILE`. Or tell how good a judge is: `gptmill judge agreement FILE --against COLUMN`.",
    no_args_is_help=True,
)

Backend = Annotated[
    Literal["reference", "openai"],
    typer.Option(
        help="reference: compares with the reference answer, no LLM; openai: the server of params.yaml's judge section"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there")]


@app.command(SCORE)
def judge_file(
    file: Annotated[
        Path, typer.Argument(help="a JSON list or JSON lines; the answer under response or model_response")
    ],
    backend: Backend = "reference",
    against_file: Annotated[
        Path | None, typer.Option(help="other answers to the same questions, to compare with")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="where to write the judged records, as JSON lines")] = None,
    as_json: AsJson = False,
) -> None:
    """Score the answers in FILE (the verb's name, `file`, may be left out)."""
    from gptmill.core import files
    from gptmill.evaluation.answer_files import read_answers, same_questions
    from gptmill.evaluation.judges.run import judge_all
    from gptmill.evaluation.judges.summary import summarise
    from gptmill.evaluation.statistics import compare

    records = read_answers(file)
    others = same_questions(records, read_answers(against_file), file, against_file) if against_file else []
    judge = _judge(backend)
    if against_file and judge.compares:
        records = [
            {**record, "base_response": other["response"]} for record, other in zip(records, others, strict=True)
        ]
    judgements = judge_all(judge, records)
    found = {"file": str(file), **summarise(judge.name, judgements), **judge.metrics(judgements)}
    if against_file and judge.compares:
        found["compared_with"] = str(against_file)
    elif against_file:
        other = judge_all(judge, others)
        compared = compare([record["score"] for record in judgements], [record["score"] for record in other])
        found["against_file"] = {"file": str(against_file), **summarise(judge.name, other), **compared}
    if out:
        files.write_jsonl(out, judgements)
    say(json.dumps(found, indent=2, ensure_ascii=False) if as_json else _told(found))
    if out:
        say(f"{len(judgements)} judged records written to {out}", err=as_json)


@app.command("agreement")
def judge_agreement(
    file: Annotated[Path, typer.Argument(help="a JSON list or JSON lines of answers with a column of given scores")],
    against: Annotated[str, typer.Option(help="the column of given scores, from 0 to 100")],
    backend: Backend = "reference",
    as_json: AsJson = False,
) -> None:
    """How far a judge's scores agree with the given ones. Written to reports/agreement.json and agreement.html as well."""
    from gptmill.core import files
    from gptmill.evaluation.agreement import measure
    from gptmill.report.agreement import render

    paths.require_root()
    found = measure(_judge(backend), file, against)
    files.write_json(paths.AGREEMENT, found)
    files.write_text(paths.AGREEMENT.with_suffix(".html"), render(found))
    say(json.dumps(found, indent=2, ensure_ascii=False) if as_json else _agreement_told(found))


def _judge(backend: str):
    from gptmill import config
    from gptmill.evaluation.judges import make_judge
    from gptmill.evaluation.judges.reference import ReferenceJudge

    if backend == "reference":  # needs no params.yaml: it judges any file anywhere
        return ReferenceJudge()
    return make_judge(config.load().judge.model_copy(update={"backend": backend}))


def _told(found: dict) -> str:
    """For people: a line for each figure."""
    lines = [
        f"{found['file']}: mean score {found['mean_score']} of 100 ({found['mean_score_low']} to {found['mean_score_high']}, 95% interval)",
        f"judge: {found['judge']}",
        f"judged {found['judged']}, failed {found['failed']}, exactly right {found['exactly_right']:.1%}, median {found['median_score']:g}",
    ]
    if "compared_with" in found:
        lines.append(f"compared with {found['compared_with']}: 100 is better, 50 a tie, 0 worse")
    if found["score_length_correlation"] is not None:
        lines.append(f"correlation of score with length (Spearman): {found['score_length_correlation']:+.2f}")
    if "gain" in found:
        lines.append(_compared("over the base model's", found))
    if other := found.get("against_file"):
        lines.append(f"{other['file']}: mean score {other['mean_score']} of 100, failed {other['failed']}")
        lines.append(_compared(f"over {other['file']}", other) if "gain" in other else "no question was judged in both")
    for title, name in (("by kind of task", "by_kind"), ("by length of the answer", "by_length")):
        lines.append(f"{title}:")
        lines += [
            f"  {group:<16} {figures['mean']:6.1f}  ({figures['low']:.1f} to {figures['high']:.1f}), {figures['answers']} answers"
            for group, figures in found[name].items()
        ]
    return "\n".join(lines)


def _compared(over: str, found: dict) -> str:
    within = f"{found['gain_low']:+} to {found['gain_high']:+}"
    return f"gain {over}: {found['gain']:+} ({within}), better in {found['win_rate']:.1%} (a tie counts half)"


def _agreement_told(found: dict) -> str:
    from gptmill.report.external import MEASURES

    lines = [
        f"{found['judge']} against {found['against']} of {found['file']}: {found['judged']} answers, {found['failed']} failed"
    ]
    if found["note"]:
        lines.append(found["note"])
    for name, title in MEASURES.items():
        value, low, high = (found[f"{name}{end}"] for end in ("", "_low", "_high"))
        within = "" if low is None else f"  ({low:.3f} to {high:.3f})"
        lines.append(f"  {title:<34} " + ("not defined" if value is None else f"{value:.3f}{within}"))
    if found["in_sample"]:
        flattered = ", ".join(f"{MEASURES[name]} {found['in_sample'][name]:.3f}" for name in ("pearson", "spearman"))
        lines.append(f"  without cross-validation, which flatters: {flattered}")
    return "\n".join([*lines, f"also in {paths.AGREEMENT} and {paths.AGREEMENT.with_suffix('.html')}"])
