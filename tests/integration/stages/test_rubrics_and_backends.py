"""Each rubric with each backend through the whole stage and through `gptmill judge FILE`, and what is kept when a later step fails."""

import json
import sys
from types import SimpleNamespace

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from chats import RECORD, asked, reply
from gptmill.cli import app
from gptmill.core import files, paths
from gptmill.evaluation.judges import run
from gptmill.stages import judge_responses

RUBRICS = ["pairwise", "score-0-100", "score-1-5"]
ANSWERS = [
    RECORD | {"id": n, "response": f"Tom {n}", "base_response": f"Tim {n}", "tokens": 1, "stopped": "stop"}
    for n in range(4)
]
ANSWERS.append(ANSWERS[0] | {"id": 4, "base_response": "Tom 0"})  # as good as the base model's, to the letter


@pytest.fixture(autouse=True)
def answers(project, monkeypatch):
    """A project with answers to judge. MLflow is not there, which a stage survives: it takes longer to load than all the judging."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    files.write_jsonl(paths.RESPONSES, ANSWERS)


def test_every_rubric_is_tried_here():
    assert sorted(path.stem for path in paths.RUBRICS.glob("*.md")) == RUBRICS


def says(request) -> tuple[int, dict, bytes]:
    """A verdict of whatever kind is asked for: Tom is right, and Tim is wrong."""
    properties = json.loads(request.body)["response_format"]["json_schema"]["schema"]["properties"]
    if "winner" in properties:
        first, second = asked(request).index("Tom "), asked(request).index("Tim ")
        return reply(json.dumps({"reason": "Tom it is.", "winner": "first" if first < second else "second"}))
    score = properties["score"]["maximum" if "Tom " in asked(request) else "minimum"]
    return reply(json.dumps({"score": score} | ({"reason": "So it is."} if "reason" in properties else {})))


def configure(backend: str, rubric: str, *urls: str) -> None:
    """params.yaml with a judge at each address."""
    yaml = YAML(typ="safe")
    values = yaml.load(paths.PARAMS.read_text())
    [model] = values["judge"]["models"]
    models = [model | {"model": f"judge-{n}", "base_url": f"{url}/v1"} for n, url in enumerate(urls)]
    values["judge"] |= {"backend": backend, "rubric": rubric, "models": models or [model]}
    yaml.dump(values, paths.PARAMS)


def gptmill(*words: str):
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize(("rubric", "judges"), [*((rubric, 1) for rubric in RUBRICS), ("pairwise", 2)])
def test_a_stage_with_judges_behind_servers_runs_to_its_end_and_a_second_one_asks_nothing(serve, rubric, judges):
    servers = [serve(says) for _ in range(judges)]
    configure("openai", rubric, *(server.url for server in servers))
    result = gptmill("stage", "judge_responses")
    assert result.exit_code == 0, result.output
    compares = rubric == "pairwise"
    judgements, metrics = files.read_jsonl(paths.JUDGEMENTS), files.read_json(paths.METRICS / "judge.json")
    assert [judgement["score"] for judgement in judgements] == [100] * 4 + [50 if compares else 100]
    assert [judgement["base_score"] for judgement in judgements] == ([None] * 5 if compares else [0] * 4 + [100])
    assert (metrics["judged"], metrics["failed"], rubric in metrics["judge"]) == (5, 0, True)
    assert metrics["flip_rate"] == 0 if compares else metrics["gain"] == 80
    requests = [len(server.requests) for server in servers]
    assert requests == [8] * judges, "both answers, or both orders, and the same question never twice"
    before = paths.JUDGEMENTS.read_bytes()
    assert gptmill("stage", "judge_responses").exit_code == 0
    assert [len(server.requests) for server in servers] == requests and paths.JUDGEMENTS.read_bytes() == before


@pytest.mark.parametrize("rubric", RUBRICS)
def test_the_reference_judge_runs_to_its_end_whatever_the_rubric(rubric):
    configure("reference", rubric)
    result = gptmill("stage", "judge_responses")
    assert result.exit_code == 0, result.output
    assert all(judgement["base_score"] is not None for judgement in files.read_jsonl(paths.JUDGEMENTS))


@pytest.mark.parametrize("step", ["summarise", "write_jsonl", "write_json", "second judging"])
@pytest.mark.parametrize("rubric", RUBRICS)
def test_what_was_judged_is_kept_when_a_later_step_fails(serve, monkeypatch, rubric, step):
    if rubric == "pairwise" and step == "second judging":
        pytest.skip("a judge that compares judges once")
    server, failed = serve(says), []
    configure("openai", rubric, server.url)

    def fail(*_: object, **__: object) -> None:
        failed.append(step)
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        if step == "second judging":
            steps = iter([run._with_progress, fail])
            patch.setattr(run, "_with_progress", lambda *words: next(steps)(*words))
        elif step == "summarise":
            patch.setattr(judge_responses, step, fail)
        else:  # the replies' cache writes its files by the same functions, under a name of its own
            patch.setattr(judge_responses, "files", SimpleNamespace(**vars(files) | {step: fail}))
        assert gptmill("stage", "judge_responses").exit_code != 0 and failed == [step]
    assert not (paths.METRICS / "judge.json").exists()
    paid = {request.body for request in server.requests}
    assert paid
    assert gptmill("stage", "judge_responses").exit_code == 0
    assert not paid & {request.body for request in server.requests[len(paid) :]}, (
        "a reply that was paid for was asked for again"
    )
    assert len(server.requests) == 8


def test_a_comparison_without_the_base_models_answers_is_refused_before_any_request(serve):
    server = serve(says)
    configure("openai", "pairwise", server.url)
    files.write_jsonl(
        paths.RESPONSES, [{key: value for key, value in answer.items() if key != "base_response"} for answer in ANSWERS]
    )
    result = gptmill("stage", "judge_responses")
    assert result.exit_code == 1 and "generate.compare_base: true" in str(result.exception) and server.requests == []


@pytest.mark.parametrize("backend", ["reference", "openai"])
@pytest.mark.parametrize("rubric", RUBRICS)
def test_a_file_of_answers_is_judged_by_every_rubric(serve, rubric, backend):
    server = serve(says)
    configure("openai", rubric, server.url)
    files.write_json(paths.REPORTS / "mine.json", ANSWERS)
    result = gptmill("judge", str(paths.REPORTS / "mine.json"), "--backend", backend, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["judged"] == 5
    assert len(server.requests) == (8 if backend == "openai" else 0)


@pytest.mark.parametrize("rubric", RUBRICS)
def test_two_files_are_compared_by_every_rubric(serve, rubric):
    server = serve(says)
    configure("openai", rubric, server.url)
    theirs = [{**answer, "response": answer["base_response"]} for answer in ANSWERS[:4]]
    mine = [{key: value for key, value in answer.items() if key != "base_response"} for answer in ANSWERS[:4]]
    for name, records in (("mine", mine), ("theirs", theirs)):
        files.write_json(paths.REPORTS / f"{name}.json", records)
    words = (
        "judge",
        str(paths.REPORTS / "mine.json"),
        "--against-file",
        str(paths.REPORTS / "theirs.json"),
        "--backend",
        "openai",
    )
    result = gptmill(*words, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["mean_score"] == 100 and len(server.requests) == 8
    assert "compared_with" in found if rubric == "pairwise" else found["against_file"]["gain"] == 100
    assert "theirs.json" in gptmill(*words).stdout
