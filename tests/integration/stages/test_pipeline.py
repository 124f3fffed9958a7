"""The whole graph, run on profile mini: what its outputs are, that they are the same each time, and what a stage leaves when it fails."""

import csv
import datetime
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from gptmill import config, stages
from gptmill.config import schema
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.model.lineage import Lineage

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def outs() -> list[Path]:
    """Every output that dvc.yaml names."""
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        return [Path(out.def_path) for stage in repo.index.stages for out in stage.outs]


def output_files(folder: Path, outs: list[Path]) -> dict[str, bytes]:
    found = [
        path
        for out in outs
        for path in ([folder / out] if (folder / out).is_file() else sorted((folder / out).rglob("*")))
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


@pytest.fixture(scope="module")
def outputs(built, outs) -> dict[str, bytes]:
    return output_files(built.folder, outs)


PROGRAM = """
import sys
from gptmill import config, stages
values = config.load()
for stage in sys.argv[1:]:
    name, _, item = stage.partition("@")
    stages.run(name, values, item or None)
"""


@pytest.fixture(scope="module")
def second(built, outs, without_mlflow, tmp_path_factory) -> dict[str, bytes]:
    """The outputs of a second run: in another folder, in a process of its own with another hash seed, without MLflow."""
    folder = tmp_path_factory.mktemp("second")
    for name in ("profiles", "prompts", "params.yaml", "dvc.yaml"):
        (shutil.copytree if (built.folder / name).is_dir() else shutil.copy)(built.folder / name, folder / name)
    environment = {
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": os.pathsep.join([without_mlflow, str(ROOT / "src")]),
        "TZ": "Asia/Tokyo",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *built.read],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return output_files(folder, outs)


def test_every_output_that_the_graph_names_is_there(built, outs):
    assert [out for out in outs if not (built.folder / out).exists()] == []
    assert len(outs) > 20


def test_nothing_half_written_is_left(built):
    assert [path for path in built.folder.rglob("*") if path.name.endswith(".part")] == []


def test_a_second_run_gives_the_same_bytes(outputs, second):
    def hashes(found: dict[str, bytes]) -> dict[str, str]:
        return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}

    assert hashes(second) == hashes(outputs)


def test_outputs_hold_no_time_host_path_or_run_id(outputs, built):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{built.folder}/mlflow.db")
    ids = [
        run.info.run_id for run in client.search_runs([found.experiment_id for found in client.search_experiments()])
    ]
    assert len(ids) == 6
    today = datetime.datetime.now(tz=datetime.UTC).date()
    days = {str(today + datetime.timedelta(days=shift)) for shift in (-1, 0, 1)}
    forbidden = {str(built.folder), str(Path.home()) + "/", str(ROOT) + "/", *ids, *days}
    if len(socket.gethostname()) > 5:
        forbidden.add(socket.gethostname())
    assert {
        (name, word) for name, content in outputs.items() for word in forbidden if word.encode() in content
    } == set()


@pytest.mark.parametrize(("name", "keys"), [
    ("pretrain", {"parameters", "tokens_trained_on"}),
    ("base", {"validation_loss", "validation_perplexity", "trigram_perplexity", "perplexity_to_trigram"}),
    ("finetune_classifier", {"validation_accuracy", "best_epoch", "parameters_trained", "tokens_read"}),
    ("classifier", {"test", "tfidf", "natural", "natural_tfidf", "scores_of", "tfidf_of"}),
    ("instruct", {"validation_loss", "validation_perplexity", "validation_token_accuracy", "best_epoch", "parameters_trained",
                  "tokens_read"}),
    ("judge", {"judge", "mean_score", "mean_score_low", "mean_score_high", "median_score", "exactly_right", "judged", "failed",
               "score_length_correlation", "by_kind", "by_length"}),
])  # fmt: skip
def test_metrics_have_the_keys_that_people_compare(in_built, name, keys):
    with_base_answers = {"base_mean_score", "gain", "gain_low", "gain_high", "win_rate"}
    assert set(files.read_json(paths.METRICS / f"{name}.json")) - with_base_answers == keys


def test_metrics_lie_within_their_range(in_built):
    base, training, classifier, instruct, judge = (
        files.read_json(paths.METRICS / f"{name}.json")
        for name in ("base", "finetune_classifier", "classifier", "instruct", "judge")
    )
    assert 1 < base["validation_perplexity"] < config.load().tokenizer.vocab_size and base["trigram_perplexity"] > 1
    assert base["perplexity_to_trigram"] == pytest.approx(
        base["validation_perplexity"] / base["trigram_perplexity"], rel=1e-3
    )
    for group in ("test", "tfidf", "natural", "natural_tfidf"):
        assert all(0 <= classifier[group][share] <= 1 for share in ("accuracy", "precision", "recall", "f1"))
    assert classifier["test"]["rows"] == classifier["tfidf"]["rows"] > 0
    assert classifier["natural"]["rows"] == classifier["natural_tfidf"]["rows"] > classifier["test"]["rows"]
    for share in (training["validation_accuracy"], instruct["validation_token_accuracy"], judge["exactly_right"]):
        assert 0 <= share <= 1
    assert 0 <= judge["mean_score"] <= 100
    assert 0 < training["best_epoch"] <= config.load().classifier.epochs


def test_metrics_are_those_of_the_files_beside_them(in_built):
    judgements = files.read_jsonl(paths.JUDGEMENTS)
    judge = files.read_json(paths.METRICS / "judge.json")
    assert judge["judged"] == sum(record["score"] is not None for record in judgements)
    assert judge["failed"] == sum(record["score"] is None for record in judgements)
    assert judge["mean_score"] == pytest.approx(
        sum(record["score"] for record in judgements) / len(judgements), abs=0.01
    )
    assert judge["exactly_right"] == pytest.approx(
        sum(record["response"] == record["output"] for record in judgements) / len(judgements), abs=1e-4
    )
    with (paths.PLOTS / "classifier_predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    test = files.read_json(paths.METRICS / "classifier.json")["test"]
    assert len(rows) == test["rows"]
    assert sum(row["actual"] == row["predicted"] for row in rows) / len(rows) == pytest.approx(
        test["accuracy"], abs=1e-4
    )


def test_every_test_record_has_its_answer_and_its_judgement(in_built):
    test = files.read_jsonl(paths.INSTRUCTION_SPLITS / "test.jsonl")
    responses, judgements = files.read_jsonl(paths.RESPONSES), files.read_jsonl(paths.JUDGEMENTS)
    assert [{key: record[key] for key in test[0]} for record in responses] == test
    assert [{key: record[key] for key in responses[0]} for record in judgements] == responses
    assert [record["id"] for record in responses] == list(range(len(test)))
    for whose in ("", "base_"):  # the tuned model's and the base model's
        assert {record[f"{whose}stopped"] for record in responses} <= {"stop", "length"}
        assert all(
            0 <= record[f"{whose}tokens"] <= 16 and isinstance(record[f"{whose}response"], str) for record in responses
        )
    assert all(
        record["prompt"].endswith("### Response:\n") and record["instruction"] in record["prompt"]
        for record in responses
    )


def test_curves_have_as_many_points_as_were_asked_for(in_built):
    values = config.load()
    for name, section in (("pretrain", values.base), ("classifier", values.classifier), ("instruct", values.instruct)):
        with (paths.PLOTS / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == section.evaluations
        assert float(rows[-1]["epoch"]) == section.epochs


def test_tokens_are_the_corpus(in_built):
    from gptmill.data import corpus
    from gptmill.text import token_files
    from gptmill.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(paths.TOKENIZER)
    ids = [*token_files.read(paths.TOKENS, "train"), *token_files.read(paths.TOKENS, "validation")]
    documents = [text for _, text in corpus.documents(corpus.read(paths.CLEAN_CORPUS))]
    assert tokenizer.decode(ids) == "".join(documents)
    assert sum(i == tokenizer.end_of_text for i in ids) == len(documents)
    assert tokenizer.vocab_size == config.load().tokenizer.vocab_size


@pytest.mark.parametrize(("folder", "kind"), [
    (paths.BASE_MODEL, "GPT2LMHeadModel"), (paths.INSTRUCT_MODEL, "GPT2LMHeadModel"),
    (paths.CLASSIFIER_MODEL, "GPT2ForSequenceClassification"),
])  # fmt: skip
def test_model_folders_load_in_transformers_with_the_tokenizer_beside_them(in_built, folder, kind):
    import torch
    import transformers

    from gptmill.model.folder import ModelFolder
    from gptmill.text.tokenizer import Tokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(transformers, kind).from_pretrained(folder).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("Once upon a time, said the cat.", return_tensors="pt")["input_ids"]
    assert ids[0].tolist() == Tokenizer.load(folder).encode("Once upon a time, said the cat.")
    with torch.inference_mode():
        if folder == paths.CLASSIFIER_MODEL:
            ours = ModelFolder(folder).load_gpt_classifier().eval()(ids, torch.tensor([ids.shape[1]]))
        else:
            ours = ModelFolder(folder).load_gpt().eval()(ids)
        torch.testing.assert_close(theirs(ids).logits, ours, rtol=1e-4, atol=1e-4)


def test_the_provenance_of_the_sample_says_how_much_of_it_was_taken(in_built):
    origins = [files.read_json(paths.source_record(name))["origin"] for name in ("corpus", "spam", "instructions")]
    assert origins == [
        f"the sample in gptmill, the first {size}" for size in ("60,000 characters", "500 messages", "150 records")
    ]
    for name, file in (("corpus", "corpus.txt"), ("spam", "spam.tsv"), ("instructions", "instructions.json")):
        assert files.read_json(paths.source_record(name))["sha256"] == files.digest(paths.raw_file(name, file))


def test_the_books_data_comes_from_a_mirror(project, serve, monkeypatch):
    from gptmill.ingest import sources

    content = b"The Verdict, by nobody in particular\n" * 50
    source = sources.Source(
        "a text", "https://example.org/a.txt", hashlib.sha256(content).hexdigest(), "public domain", "a.txt"
    )
    monkeypatch.setitem(sources.BOOK, "corpus", source)
    monkeypatch.setenv("GPTMILL_MIRROR", serve(lambda request: (200, {}, content)).url)
    values = change("data", source="book")
    stages.run("download", values, "corpus")
    assert paths.raw_file("corpus", "corpus.txt").read_bytes() == content
    record = files.read_json(paths.RAW / "corpus.source.json")
    assert record == {
        "name": "a text",
        "origin": "https://example.org/a.txt",
        "licence": "public domain",
        "sha256": source.sha256,
        "bytes": len(content),
    }


# --- when a stage fails ---


def change(section: str, **values: object) -> schema.Params:
    """params.yaml with other values in one section."""
    loaded = config.load()
    return loaded.model_copy(update={section: getattr(loaded, section).model_copy(update=values)})


def change_judge(url: str, **values: object) -> schema.Params:
    """params.yaml with the LLM at that address as the judge."""
    [model] = config.load().judge.models
    return change("judge", backend="openai", models=[model.model_copy(update={"base_url": url})], **values)


def forget(*outs: Path) -> None:
    for out in outs:
        shutil.rmtree(out) if out.is_dir() else out.unlink()


def test_a_missing_input_says_what_to_run_and_leaves_nothing(copy_of_built):
    for stage, needed, made in (
        ("split_spam", paths.CLEAN_SPAM, [paths.SPAM_SPLITS]),
        ("tokenize", paths.CLEAN_CORPUS, [paths.TOKENIZER, paths.TOKENS]),
        ("data_cards", paths.QUARANTINE, [paths.DATA_CARDS]),
        ("pretrain", paths.TOKENS, [paths.BASE_MODEL, paths.METRICS / "pretrain.json", paths.PLOTS / "pretrain.csv"]),
        (
            "finetune_classifier",
            paths.SPAM_SPLITS,
            [paths.CLASSIFIER_MODEL, paths.METRICS / "finetune_classifier.json"],
        ),
        ("evaluate_base", paths.BASE_MODEL, [paths.METRICS / "base.json", paths.BASE_SAMPLES]),
        ("evaluate_classifier", paths.CLASSIFIER_MODEL, [paths.METRICS / "classifier.json"]),
        ("finetune_instruct", paths.BASE_MODEL, [paths.INSTRUCT_MODEL, paths.METRICS / "instruct.json"]),
        ("generate_responses", paths.INSTRUCT_MODEL, [paths.RESPONSES]),
        ("judge_responses", paths.RESPONSES, [paths.JUDGEMENTS, paths.METRICS / "judge.json"]),
    ):
        forget(*[path for path in {needed, *made} if path.exists()])
        with pytest.raises(GptmillError, match="dvc repro|make run"):
            stages.run(stage, config.load())
        assert [path for path in made if path.exists()] == [], stage
    assert [path for path in copy_of_built.rglob("*.part")] == []


def test_data_that_is_not_what_is_expected_stops_the_graph(copy_of_built):
    forget(paths.CLEAN, paths.QUARANTINE, paths.VALIDATION)
    values = config.load()
    data = values.data.model_copy(
        update={"expectations": values.data.expectations.model_copy(update={"min_messages": 100_000})}
    )
    with pytest.raises(GptmillError, match="min_messages|100,?000"):
        stages.run("validate", values.model_copy(update={"data": data}))
    assert not paths.CLEAN.exists() and not paths.QUARANTINE.exists() and not paths.VALIDATION.exists()


def test_a_disk_that_fills_up_leaves_no_model(copy_of_built, monkeypatch):

    def full_disk(path, specs, read):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("gptmill.model.folder.write_safetensors", full_disk)
    forget(paths.CLASSIFIER_MODEL, paths.METRICS / "finetune_classifier.json", paths.PLOTS / "classifier.csv")
    with pytest.raises(OSError, match="No space left"):
        stages.run("finetune_classifier", config.load())
    assert [
        path.name for path in paths.CLASSIFIER_MODEL.parent.iterdir() if path.name.startswith((".", "classifier"))
    ] == []
    assert not (paths.METRICS / "finetune_classifier.json").exists() and not (paths.PLOTS / "classifier.csv").exists()


def test_a_judge_that_is_not_there_gives_no_scores(copy_of_built, waits):
    forget(paths.JUDGEMENTS, paths.METRICS / "judge.json")
    with pytest.raises(
        GptmillError, match="could not score a single answer.*no connection.*base_url.*judge.models.*judge.backend"
    ):
        stages.run("judge_responses", change_judge("http://127.0.0.1:9/v1"))
    assert not paths.JUDGEMENTS.exists() and not (paths.METRICS / "judge.json").exists()


def test_the_base_models_answers_are_judged_beside_the_tuned_ones(copy_of_built):
    records = files.read_jsonl(paths.RESPONSES)
    for number, record in enumerate(records):
        record["response"], record["base_response"] = record["output"], "" if number else None
    files.write_jsonl(paths.RESPONSES, records)
    stages.run("judge_responses", config.load())
    metrics, judgements = files.read_json(paths.METRICS / "judge.json"), files.read_jsonl(paths.JUDGEMENTS)
    assert [record["base_score"] for record in judgements] == [None] + [0] * (len(records) - 1)
    assert (
        {record["scores"]["reference (no LLM)"] for record in judgements}
        == {record["score"] for record in judgements}
        == {100}
    )
    assert (metrics["base_mean_score"], metrics["gain"], metrics["gain_low"], metrics["win_rate"]) == (0, 100, 100, 1)
    stages.run("report", config.load())


def test_a_judge_that_is_killed_leaves_no_judgements(copy_of_built, monkeypatch):
    from gptmill.evaluation.judges.reference import ReferenceJudge

    def half(self, records):
        yield {"score": 1, "failure": None}
        raise KeyboardInterrupt

    before = paths.JUDGEMENTS.read_bytes()
    monkeypatch.setattr(ReferenceJudge, "judge", half)
    with pytest.raises(KeyboardInterrupt):
        stages.run("judge_responses", config.load())
    assert paths.JUDGEMENTS.read_bytes() == before


def test_an_llm_as_judge_is_counted_with_its_failures(copy_of_built, serve):
    def answer(request):
        question = json.loads(request.body)["messages"][-1]["content"].partition("\n\nYour last reply")[0]
        content = (
            "40" if hashlib.sha256(question.encode()).digest()[0] % 2 else "I cannot say."
        )  # nor when it is asked once more
        return 200, {}, json.dumps({"choices": [{"message": {"content": content}}]}).encode()

    server = serve(answer)
    stages.run("judge_responses", change_judge(server.url, concurrency=1))
    metrics, judgements = files.read_json(paths.METRICS / "judge.json"), files.read_jsonl(paths.JUDGEMENTS)
    assert metrics["judge"] == "llama3 (LLM, rubric score-0-100)"
    assert metrics["mean_score"] == metrics["median_score"] == 40
    assert metrics["judged"] + metrics["failed"] == len(judgements) and metrics["judged"] and metrics["failed"]
    assert [record["failure"] for record in judgements if record["score"] is None] == [
        "no score from 0 to 100 in 'I cannot say.'"
    ] * metrics["failed"]
    stages.run("report", config.load())
    assert "llama3" in paths.REPORT.read_text()


def test_gpt2s_weights_are_loaded_and_not_trained(copy_of_built, monkeypatch):
    """A small GPT-2 stands for the published one: the stage's own path, without 500 MB."""
    from gptmill.ingest import sources

    published = (paths.BASE_MODEL / "model.safetensors").read_bytes()
    Path("mirror").mkdir()
    Path("mirror/model.safetensors").write_bytes(published)
    source = sources.Source(
        "GPT-2", "https://example.org", hashlib.sha256(published).hexdigest(), "MIT", "model.safetensors"
    )
    monkeypatch.setitem(sources.GPT2_WEIGHTS, "gpt2-124M", source)
    monkeypatch.setenv("GPTMILL_MIRROR", "mirror")
    before = files.read_json(paths.METRICS / "pretrain.json")
    forget(paths.BASE_MODEL)
    stages.run("download_base", change("base", init="gpt2-124M"))
    monkeypatch.setenv("GPTMILL_MIRROR", "http://127.0.0.1:9")  # the stages that follow ask nobody
    stages.run("pretrain", change("base", init="gpt2-124M"))
    assert Lineage.read(paths.BASE_MODEL).sources["model.safetensors"]["origin"] == "https://example.org"
    assert (paths.BASE_MODEL / "model.safetensors").read_bytes() == published
    assert files.read_json(paths.METRICS / "pretrain.json") == before | {"tokens_trained_on": 0}
    assert (paths.PLOTS / "pretrain.csv").read_text().count("\n") == 1


def test_a_length_that_cuts_every_answer_off_is_an_error_and_no_perfect_score(copy_of_built):
    forget(paths.INSTRUCT_MODEL, paths.METRICS / "instruct.json")
    with pytest.raises(GptmillError, match="instruct.max_length"):
        stages.run("finetune_instruct", change("instruct", max_length=8))
    assert not paths.INSTRUCT_MODEL.exists() and not (paths.METRICS / "instruct.json").exists()
