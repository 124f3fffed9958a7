"""judge_responses: a score for each answer, from the judge that `judge.backend` names."""

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.tracked_run import Track, untracked
from gptmill.evaluation.judges import make_judge
from gptmill.evaluation.judges.run import judge_all
from gptmill.evaluation.judges.summary import summarise


def run(params: Params, track: Track = untracked) -> None:
    responses = files.read_jsonl(paths.RESPONSES)
    if not responses:
        raise GptmillError(
            f"{paths.RESPONSES} has no answers to judge: run `dvc repro --force --single-item generate_responses`"
        )
    judge = make_judge(params.judge)
    with track("judge_responses", {"judge": params.judge}, [paths.RESPONSES]) as run:
        try:
            judgements = judge_all(judge, responses)
        except GptmillError as error:
            raise type(error)(
                f"{error}. Check base_url and model under judge.models, or set judge.backend to reference."
            ) from None
        metrics = summarise(judge.name, judgements) | judge.metrics(judgements)
        files.write_jsonl(paths.JUDGEMENTS, judgements)
        files.write_json(paths.METRICS / "judge.json", metrics)
        run.metrics({name: value for name, value in metrics.items() if isinstance(value, int | float)})
        if judge.usage:
            run.metrics(judge.usage.metrics())
            print(f"judging took {judge.usage}")
        run.artifact(paths.JUDGEMENTS)
        run.model(paths.INSTRUCT_MODEL, "ask", metrics)
    low, high = metrics["mean_score_low"], metrics["mean_score_high"]
    print(
        f"judge {judge.name}: mean score {metrics['mean_score']} of 100 ({low} to {high}), "
        f"{metrics['exactly_right']:.1%} exactly right, {metrics['failed']} failed"
    )
