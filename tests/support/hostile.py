"""Pages' inputs with texts that try to break them: markup, words without end, what turns the line round. test_browser.py looks at them."""

from gptmill.report import inputs
from gptmill.report.data_card_inputs import Card, Contents, Example, Limit, Quarantine, Row, ValidationResult
from gptmill.report.data_card_inputs import Source as CardSource
from gptmill.report.external import Agreement, External, Promotion
from gptmill.report.lengths import Lengths

SCRIPT = "<script>document.title = 'taken over'</script>"
HOSTILE = [
    SCRIPT,
    '"><img src="https://example.org/x.png" onerror="document.title = 1"><iframe src="https://example.org">',
    "unbroken" * 400,
    "\u05e9\u05dc\u05d5\u05dd \u202e evil \u2066 \u0645\u0631\u062d\u0628\u0627 " * 12,
    "bell\x07 escape\x1b[2J null\x00 back\x08\x08\x08 line\u2028end\r\nnext\ttab",
    "A long answer, ten thousand characters of it. " * 218,
    "Z\u0351\u036b\u0343\u036a\u0302algo" * 40 + " \U0001f468\u200d\U0001f469\u200d\U0001f467 \ufdfd",
    "\n" * 200 + "</section></main></body></html>",
    "{{ 7 * 7 }} {% raw %} &lt;b&gt; <style>* { display: none }</style> <!-- <svg onload=alert(1)>",
    "",
]  # fmt: skip


def judgement(place: int, text: str) -> inputs.Judgement:
    score = None if place == 4 else 100 * place / len(HOSTILE)
    return inputs.Judgement(
        instruction=text, input=text, output=text, response=HOSTILE[-1 - place], tokens=9, stopped="length" if place % 2 else "stop",
        score=score, failure=text if score is None else None, reason=text, base_response=text, base_tokens=7, base_score=50.0,
        scores={f"judge {text}"[:300]: score, "another": 3.0},
    )  # fmt: skip


def curve() -> list[inputs.Point]:
    figures = [(90, 4.6, 4.5, 0.1, 0.12), (180, 4.4, 4.49, 0.12, 0.12), (123456, 4.39, 4.48, 0.13, 0.121)]
    return [
        inputs.Point(
            step=step, epoch=i, train_loss=a, validation_loss=b, train_accuracy=c, validation_accuracy=d, kept=i == 2
        )
        for i, (step, a, b, c, d) in enumerate(figures, 1)
    ]


def samples() -> list[inputs.Sample]:
    return [inputs.Sample(step=123456 + place, prompt=HOSTILE[place], text=text) for place, text in enumerate(HOSTILE)]


def validation(kind: type = inputs.ValidationResult, **more: object) -> inputs.ValidationResult:
    checks = [
        {
            "expectation": text or "none",
            "level": "row",
            "success": bool(n % 2),
            "observed": text,
            "allowed": text or "all",
        }
        for n, text in enumerate(HOSTILE)
    ]
    classes = {text[:90]: 9 for text in HOSTILE}
    return kind(
        sha256="a" * 64, kept=1234567, quarantined=12, duplicates=3, classes=classes, expectations=checks, **more
    )


def report(classes: int = 2) -> inputs.Inputs:
    labels = ["ham", SCRIPT, "w" * 60, "مرحبا"][:classes]
    predictions = [
        inputs.Prediction(
            actual=labels[place % classes], predicted=labels[(place + place // 4) % classes], probability=0.5 + place / 81, text=text,
            probabilities={label: round(1 / classes, 4) for label in labels},
        )
        for place, text in enumerate(HOSTILE * 4)
    ]  # fmt: skip
    scores = inputs.Scores(
        accuracy=0.75,
        precision=0.5,
        recall=0.5,
        f1=0.5,
        rows=40,
        per_class=dict.fromkeys(labels, 0.5) if classes > 2 else {},
    )
    group = inputs.Group(mean=50.0, low=12.3, high=100.0, answers=12345)
    sources = {
        name: inputs.Source(name=text, origin=text, licence=text, sha256="b" * 64, bytes=9)
        for name, text in zip(inputs.DATA_SETS, HOSTILE[:3], strict=True)
    }
    return inputs.Inputs(
        sources=sources,
        validation=inputs.Validation(**dict.fromkeys(inputs.DATA_SETS, validation())),
        pretrain=inputs.PretrainMetrics(
            parameters=1557611200, tokens_trained_on=123456789012,
        ),
        base=inputs.BaseMetrics(validation_loss=4.481, validation_perplexity=88.3, trigram_perplexity=89.0, perplexity_to_trigram=0.99),
        classifier_training=inputs.TuningMetrics(parameters_trained=768, tokens_read=10**9),
        pretrain_curve=curve(),
        base_samples=samples(),
        classifier=inputs.ClassifierMetrics(
            test=scores, tfidf=scores, natural=scores, natural_tfidf=scores,
            scores_of=labels[-1] if classes == 2 else f"{classes} classes, averaged",
        ),
        classifier_curve=curve(),
        predictions=predictions,
        instruct=inputs.InstructMetrics(validation_loss=1.5, validation_perplexity=4.5, validation_token_accuracy=0.5),
        instruct_curve=curve(),
        judge=inputs.JudgeMetrics(
            judge=HOSTILE[2][:200], mean_score=45.55, mean_score_low=40.1, mean_score_high=51.2, median_score=50.0, exactly_right=0.1,
            judged=9, failed=1, score_length_correlation=-0.25, base_mean_score=50.0, gain=-4.4, gain_low=-9.0, gain_high=0.1, win_rate=0.4,
            by_kind={text[:99] or "none": group for text in HOSTILE}, by_length={"1 to 9": group, "10 to 99": group},
            judges={text[:200] or "none": 50.0 for text in HOSTILE}, judges_agreement=0.5,
        ),
        judgements=[judgement(place, text) for place, text in enumerate(HOSTILE)],
    )  # fmt: skip


def external() -> External:
    texts = HOSTILE[:3]
    figures = {"challenger": 0.75, "champion": 0.5, "difference": 0.25, **dict.fromkeys(texts, 0.5)}
    promotions = [
        Promotion(model=text, decision="refused", reasons=HOSTILE, figures=figures, version="13", champion="12")
        for text in texts
    ]
    kappa = {
        "kappa": 0.8123,
        "kappa_low": 0.7,
        "kappa_high": 0.9,
        "pearson": None,
        "pearson_low": None,
        "pearson_high": None,
    }
    agreement = Agreement(judge=texts[0], against=texts[2], file=texts[2], note=texts[0], judged=110, failed=0, **kappa)
    return External(promotions, agreement)


def card() -> Card:
    examples = [
        Example(place, {"label": text[:99], "text": text or None}, 9, [text or "none"])
        for place, text in enumerate(HOSTILE)
    ]
    columns = ["kept", "train", "validation", "test", "natural"]
    rows = [Row("Texts", [12345678] * 5, part=False), *(Row(text[:99] or "none", [123456] * 5) for text in HOSTILE)]
    contents = Contents(
        Limit("classifier.max_length", 128), Lengths([*range(1, 400)] * 999), columns, rows, examples, len(HOSTILE)
    )
    source = CardSource(
        name=HOSTILE[0], origin=HOSTILE[2], licence=HOSTILE[3], sha256="c" * 64, bytes=10**12, files=HOSTILE
    )
    result = validation(ValidationResult, leakage={"exact": 1, "near": 2})
    return Card("spam", source, result, contents, Quarantine([(text or "none", 9) for text in HOSTILE], examples))
