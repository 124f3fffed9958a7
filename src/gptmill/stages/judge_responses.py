"""judge_responses: a score for each answer, from the judge that `judge.backend` names."""

from statistics import mean, median

from gptmill import files, paths, tracking
from gptmill.errors import GptmillError
from gptmill.evaluation.judges import make_judge
from gptmill.evaluation.judges.panel import Panel
from gptmill.params import Params


def run(params: Params) -> None:
    responses = files.read_jsonl(paths.RESPONSES)
    if not responses:
        raise GptmillError(f"{paths.RESPONSES} has no answers to judge: run `dvc repro --force --single-item generate_responses`")
    judge = make_judge(params.judge)
    with tracking.run("judge_responses", {"judge": params.judge}, [paths.RESPONSES]) as run:
        judgements = [{**record, **judgement} for record, judgement in zip(responses, judge.judge(responses), strict=True)]
        scores = [judgement["score"] for judgement in judgements if judgement["score"] is not None]
        if not scores:
            raise GptmillError(
                f"the judge {judge.name} could not score a single answer; the first failure: {judgements[0]['failure']}. "
                "Check base_url and model under judge.models, or set judge.backend to reference."
            )
        exact = sum(record["response"].strip() == record["output"].strip() for record in responses)
        metrics = {
            "judge": judge.name,
            "mean_score": round(mean(scores), 2),
            "median_score": median(scores),
            "exactly_right": round(exact / len(responses), 4),
            "judged": len(scores),
            "failed": len(judgements) - len(scores),
        }
        if isinstance(judge, Panel):
            metrics |= judge.metrics(judgements)
        files.write_jsonl(paths.JUDGEMENTS, judgements)
        files.write_json(paths.METRICS / "judge.json", metrics)
        run.metrics({name: value for name, value in metrics.items() if isinstance(value, int | float)})
        if isinstance(judge, Panel):
            run.metrics(judge.usage.metrics())
            print(f"judging took {judge.usage}")
        run.artifact(paths.JUDGEMENTS)
    print(
        f"judge {judge.name}: mean score {metrics['mean_score']} of 100, {metrics['exactly_right']:.1%} exactly right, "
        f"{metrics['failed']} failed"
    )
