import csv
import json
import re
from pathlib import Path

import pytest

from gptmill.commands import report as extended
from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.stages import report

EVIL = "<script>alert('x')</script>"
COUNTS = {
    "corpus": {"characters": 900},
    "spam": {
        "messages": 40,
        "classes": {"ham": 30, "spam": 10},
        "near_duplicates": 7,
        "leakage": {"exact": 0, "near": 0},
    },
    "instructions": {"records": 20, "leakage": {"exact": 8, "near": 12}},
}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder with everything that the report reads, as the stages write it."""
    monkeypatch.chdir(tmp_path)
    for name in COUNTS:
        put(
            paths.RAW / f"{name}.source.json",
            {"name": name, "origin": "a file", "licence": "MIT", "sha256": name * 9, "bytes": 900},
        )
    check = {
        "expectation": "no text is empty",
        "level": "row",
        "success": True,
        "observed": 0,
        "allowed": "at most 2% of the rows",
    }
    findings = {"kept": 9, "quarantined": 2, "duplicates": 3, "success": True, "expectations": [check]}
    put(
        paths.VALIDATION,
        {**{name: {"sha256": name * 9, **counts, **findings} for name, counts in COUNTS.items()}, "success": True},
    )
    put(paths.METRICS / "pretrain.json", {
        "parameters": 1234567, "tokens_trained_on": 46080,
    })  # fmt: skip
    put(paths.METRICS / "base.json", {
        "validation_loss": 2.0, "validation_perplexity": 7.389, "trigram_perplexity": 18.0, "perplexity_to_trigram": 0.4105,
    })  # fmt: skip
    put(paths.METRICS / "finetune_classifier.json", {})
    put(paths.METRICS / "classifier.json", {
        "test": {"accuracy": 0.75, "precision": 1.0, "recall": 0.5, "f1": 0.6667, "rows": 4},
        "tfidf": {"accuracy": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 4},
        "natural": {"accuracy": 0.875, "precision": 0.625, "recall": 0.5, "f1": 0.5556, "rows": 1234},
        "natural_tfidf": {"accuracy": 0.8125, "precision": 0.4375, "recall": 0.5, "f1": 0.4667, "rows": 1234},
        "scores_of": "spam",
    })  # fmt: skip
    put(
        paths.METRICS / "instruct.json",
        {"validation_loss": 1.5, "validation_perplexity": 4.482, "validation_token_accuracy": 0.6},
    )
    put_answers([answer("yes", "yes", 100), answer("no", "perhaps", 12)])
    put(paths.BASE_SAMPLES, {"prompt": "Once upon", "text": " a time"})
    for name in ("pretrain", "classifier", "instruct"):
        put_curve(name, [(10, 1, 3.0, 3.1, 0.4, 0.5), (20, 2, 1.5, 2.0, 0.8, 0.75)])
    put_predictions(
        [("ham", "ham", 0.9, "hi"), ("spam", "ham", 0.8, "WIN"), ("spam", "spam", 1, "£££"), ("ham", "ham", 0.7, "ok")]
    )


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def change(path: Path, **values: object) -> None:
    put(path, json.loads(path.read_text(encoding="utf-8")) | values)


def put_csv(path: Path, rows: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def put_curve(name: str, rows: list) -> None:
    header = [
        "step",
        "epoch",
        "targets",
        "learning_rate",
        "train_loss",
        "validation_loss",
        "train_accuracy",
        "validation_accuracy",
        "kept",
    ]
    lowest = min((row[3] for row in rows), default=0)
    put_csv(
        paths.PLOTS / f"{name}.csv",
        [header, *[(step, epoch, 0, 0.001, *rest, int(rest[1] == lowest)) for step, epoch, *rest in rows]],
    )


def put_predictions(rows: list) -> None:
    put_csv(paths.PLOTS / "classifier_predictions.csv", [["actual", "predicted", "probability", "text"], *rows])


def answer(output: str, response: str, score: int | None, **more: object) -> dict:
    record = {
        "instruction": "Agree.",
        "input": "",
        "output": output,
        "response": response,
        "tokens": 1,
        "stopped": "stop",
    }
    return {**record, "score": score, "failure": None, **more}


def put_answers(answers: list, judge: str = "reference (no LLM)") -> None:
    paths.JUDGEMENTS.parent.mkdir(parents=True, exist_ok=True)
    paths.JUDGEMENTS.write_text("".join(json.dumps(record) + "\n" for record in answers), encoding="utf-8")
    scores = [record["score"] for record in answers if record["score"] is not None]
    put(paths.METRICS / "judge.json", {
        "judge": judge, "mean_score": sum(scores) / len(scores), "median_score": scores[0], "judged": len(scores),
        "exactly_right": sum(record["response"] == record["output"] for record in answers) / len(answers),
        "failed": len(answers) - len(scores),
    })  # fmt: skip


def page() -> str:
    report.run(None)
    return paths.REPORT.read_text(encoding="utf-8")


def words(html: str) -> str:
    """The page as it reads: without tags, with single spaces."""
    body = re.sub(r"<(style|svg).*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_the_page_shows_the_numbers_of_every_stage():
    text = words(page())
    for expected in ("7.389 validation perplexity", "Better than a trigram model. Its perplexity is 0.41 times", "Parameters 1,234,567",
                 "Tokens trained on 46,080", "75.0% test accuracy", "F1 66.7% 50.0%", "50.0% exactly right", "Mean score, of 100 56",
                 "Judged / failed 2 / 0", "The judge is not an LLM", "in quarantine 9 / 2", "Class spam 10", "Near duplicates 7",
                 "across splits, exact / near 8 / 12", "Accuracy 87.5% 81.2%", "1,234 texts", "its precision 62.5%",
                 "1 of 1 expectations met", "prompt Once upon a time"):  # fmt: skip
        assert expected in text


def test_classes_that_are_not_spam_and_ham_are_called_by_their_names_and_no_other():
    per_class = {"poems": 0.5, "news": 1.0, "jokes": 0.25}
    scores = {"accuracy": 0.75, "precision": 0.5, "recall": 0.5, "f1": 0.5833, "rows": 4, "per_class": per_class}
    four = dict.fromkeys(["test", "tfidf", "natural", "natural_tfidf"], scores)
    change(paths.METRICS / "classifier.json", scores_of="3 classes, averaged", **four)
    change(paths.RAW / "spam.source.json", name="texts of mine")
    validation = json.loads(paths.VALIDATION.read_text())
    validation["spam"]["classes"] = {"poems": 9, "news": 8, "jokes": 7}
    put(paths.VALIDATION, validation)
    put_predictions(
        [
            ("poems", "poems", 0.9, "a"),
            ("news", "news", 0.8, "b"),
            ("jokes", "news", 0.7, "c"),
            ("jokes", "jokes", 0.6, "d"),
        ]
    )
    text = words(page())
    assert not re.search(r"\b(spam|ham)\b", text.casefold())
    for expected in (
        "those of 3 classes, averaged",
        "jokes 25.0% 25.0%",
        "Class poems 9",
        "Predicted news",
        "jokes of 2 1 1 0",
    ):
        assert expected in text
    assert "Natural classes" not in text  # nothing was balanced


def test_the_page_is_self_contained():
    html = page()
    assert "<script" not in html and '<link rel="stylesheet' not in html and "@import" not in html
    result = re.findall(r"""(?:src|href|action|poster|srcset)\s*=\s*["']([^"']*)|url\(["']?([^"')]*)""", html)
    assert {target for pair in result for target in pair if target and not target.startswith("#")} == {
        "data:,", "report-extended.html", "data_docs/index.html", "data/corpus.html", "data/spam.html", "data/instructions.html"
    }  # fmt: skip
    assert "default-src 'none'" in html
    assert len(html) < 400_000
    assert re.search(
        r"body \{[^}]*overflow-wrap: anywhere", html
    )  # or one long string would make the page scroll sideways


def test_the_same_inputs_give_the_same_bytes():
    assert page() == page()


def test_no_id_stands_twice_and_every_link_within_the_page_leads_somewhere():
    html = page()
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)|aria-labelledby="([^"]+)"', html)
    assert links and {target for link in links for target in link if target} <= set(ids)


def test_what_comes_from_data_or_a_model_is_shown_and_not_run():
    plain = page()
    change(paths.RAW / "spam.source.json", name=EVIL, origin=f"javascript:{EVIL}", licence=f'"onmouseover="{EVIL}')
    put_predictions([("ham", EVIL, 0.9, f"{EVIL}\x00\x1b[2J\u202e"), *[("spam", "spam", 1, "£")] * 3])
    put_answers([answer(EVIL, EVIL, 100, instruction=EVIL, input=f'"><img src=x onerror={EVIL}'),
                 answer("a", "b", None, failure=EVIL, instruction=f"{EVIL} \x07")], judge=f"{EVIL} (LLM)")  # fmt: skip
    html = page()
    assert (
        re.findall(r"<script|<img|<[^>]*\s(?:on\w+)\s*=", html)
        == re.findall(r"<script|<img|<[^>]*\s(?:on\w+)\s*=", plain)
        == []
    )
    assert html.count("&lt;script&gt;") >= 10
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", html)


def test_a_base_model_that_was_loaded_has_no_empty_chart():
    change(paths.METRICS / "pretrain.json", tokens_trained_on=0)
    put_curve("pretrain", [])
    html = page()
    assert words(html).count("loaded, not trained here") == 2
    assert "pretrain-loss" not in html and "classifier-loss" in html


def test_models_that_are_worse_than_simple_ones_are_said_to_be():
    change(paths.METRICS / "base.json", perplexity_to_trigram=2.4667)
    scores = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 100}
    change(
        paths.METRICS / "classifier.json", **{"test": {"accuracy": 0.8, **scores}, "tfidf": {"accuracy": 0.9, **scores}}
    )
    put_predictions([("ham", "ham", 0.9, "hi")] * 80 + [("spam", "ham", 0.9, "WIN")] * 20)
    put_answers([answer("yes", "no", 3)])
    text = words(page())
    for expected in (
        "Worse than a trigram model",
        "2.47 times",
        "this one ends above it",
        "Worse than TF-IDF",
        "No answer is exactly right",
    ):
        assert expected in text
    assert "Better than" not in text


def test_failed_judgements_are_counted_and_shown():
    put_answers([answer("a", "b", 40), answer("c", "d", None, failure="the judge timed out")], judge="llama3 (LLM)")
    text = words(page())
    assert "1 of 2 answers could not be judged" in text
    assert "the judge timed out" in text
    assert "not an LLM" not in text


def test_a_classifier_without_mistakes_has_none_to_show():
    put_predictions([("ham", "ham", 0.9, "hi"), ("spam", "spam", 1, "WIN")] * 2)
    assert "all 4 test texts were classified correctly" in words(page())


@pytest.mark.parametrize(("path", "stage"), [
    (paths.RAW / "spam.source.json", "download@spam"), (paths.VALIDATION, "validate"), (paths.METRICS / "judge.json", "judge_responses"),
    (paths.JUDGEMENTS, "judge_responses"), (paths.PLOTS / "instruct.csv", "finetune_instruct"),
])  # fmt: skip
def test_a_missing_or_malformed_input_says_what_to_run(path, stage):
    path.write_text("{ no", encoding="utf-8")
    with pytest.raises(GptmillError, match=f"{path} is not what {stage} writes .*dvc repro {stage}"):
        report.run(None)
    path.unlink()
    with pytest.raises(GptmillError, match=f"{path} not found.*dvc repro {stage}"):
        report.run(None)
    assert not paths.REPORT.exists()


def test_a_number_that_is_none_names_its_key():
    change(paths.METRICS / "base.json", validation_loss="much")
    with pytest.raises(GptmillError, match="validation_loss"):
        report.run(None)


def test_a_page_is_not_made_of_two_runs():
    change(paths.METRICS / "judge.json", judged=7)
    with pytest.raises(GptmillError, match="from different runs"):
        report.run(None)


def test_calibration_and_what_each_stage_cost_are_said():
    change(paths.METRICS / "instruct.json", parameters_trained=1000, tokens_read=2_000_000)
    text = words(page())
    for expected in ("mean confidence is 85.0%, its accuracy 75.0%", "Average precision 0.833; guessing has 0.500",
                 "pretrain 20 46,080 tokens read 1,234,567 341 GFLOP",
                 "finetune classifier 20 – – –",
                 "finetune instruct 20 2,000,000 tokens read 1,000 9.88 TFLOP", "2 tokens written"):  # fmt: skip
        assert expected in text


def test_what_newer_judges_measure_is_shown_where_it_is_there():
    plain = words(page())
    put_answers([
        answer("yes", "yes", 100, base_response="well", base_score=10, scores={"a": 100, "b": 90}, reason="It says yes."),
        answer("no", "perhaps", 12, base_response="no", base_score=100, scores={"a": 2, "b": 22}),
    ])  # fmt: skip
    more = {"mean": 56.0, "low": 12.0, "high": 100.0, "answers": 2}
    change(
        paths.METRICS / "judge.json", mean_score_low=12.0, mean_score_high=100.0, base_mean_score=55.0, gain=1.0, gain_low=-88.0,
        gain_high=90.0, win_rate=0.5, by_kind={"agreeing": more}, score_length_correlation=-1.0, judges={"a": 51.0, "b": 56.0},
        judges_agreement=0.9,
    )  # fmt: skip
    text = words(page())
    for expected in ("Mean score, of 100 56 (12.0 to 100.0)", "made no significant difference", "-88.0 to +90.0, paired",
                 "wins 50.0% of the pairs",
                 "agreeing 2 56.0 12 to 100", "score and length: -1.00", "the median of 2 judges", "rank correlation: 0.90",
                 "a 51.0", "Base, 100 no", "Judge It says yes.", "Worse than before tuning", "a 2, b 22"):  # fmt: skip
        assert expected.replace("a 51.0", "a mean 51.0") in text
        assert expected not in plain


def test_the_extended_report_shows_what_lies_outside_the_graph_and_the_report_does_not():
    before = page()
    put(paths.PROMOTIONS / "gptmill-classifier.json", {
        "model": "gptmill-classifier", "decision": "not promoted", "reasons": ["The interval reaches below the margin."], "version": "4",
        "champion": "3", "figures": {"challenger": 0.875, "difference": 0.125, "difference low": -0.05},
    })  # fmt: skip
    put(paths.AGREEMENT, {
        "judge": "reference (no LLM)", "against": "GPT4", "file": "scores.json", "judged": 100, "failed": 0, "cross_validated": True,
        "pearson": 0.81, "pearson_low": 0.7, "pearson_high": 0.88, "mae": None, "mae_low": None, "mae_high": None,
    })  # fmt: skip
    assert page() == before
    extended.report()
    text = words(paths.EXTENDED_REPORT.read_text(encoding="utf-8"))
    for expected in ("Not promoted version 4, compared with version 3 The interval reaches below the margin.", "Challenger 0.8750",
                 "Difference low -0.0500",
                 "against the scores GPT4 of 100 answers in scores.json ; 0 failed", "Pearson 0.810 (0.700 to 0.880)",
                 "Mean absolute error, in points not defined"):  # fmt: skip
        assert expected in text
    (paths.PROMOTIONS / "gptmill-base.json").write_text("{}", encoding="utf-8")
    with pytest.raises(GptmillError, match="gptmill promote"):
        extended.report()
