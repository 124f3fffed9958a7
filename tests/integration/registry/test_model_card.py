from ruamel.yaml import YAML

from gptmill.core import files, paths
from gptmill.model.lineage import Lineage
from gptmill.registry import model_card
from gptmill.registry.model_kinds import MODEL_KINDS

LINEAGE = Lineage(
    stage="finetune_classifier",
    weights="ab" * 32,
    params={"seed": 1, "classifier.epochs": 2},
    data={"data/spam/train.parquet": "cd" * 16},
    sources={
        "spam": {"name": "SMS", "origin": "https://example.org/a.zip", "licence": "CC BY 4.0", "sha256": "ef" * 32}
    },
    base=Lineage(
        "pretrain",
        "12" * 32,
        {"base.epochs": 3},
        {"data/tokens/train.bin": "34" * 16},
        {"corpus": {"name": "tales", "licence": "MIT"}},
    ),
)
METRICS = {"test": {"accuracy": 0.98, "rows": 298}, "tfidf": {"accuracy": 0.99}, "scores_of": "spam", "best_epoch": 5.0}


def head(text: str) -> dict:
    return YAML(typ="safe").load(text.split("---\n")[1])


def test_a_card_has_hashes_params_metrics_limits_and_licence():
    text = model_card.render(LINEAGE, MODEL_KINDS["classifier"], METRICS, ["ham", "spam"])
    for part in (
        "ab" * 32, "cd" * 16, "ef" * 32, "12" * 32, "34" * 16, "| classifier.epochs | 2 |", "| base.epochs | 3 |",
        "| test accuracy | 0.98 |", "| test rows | 298 |", "## Limits", "Classes: ham, spam.", "CC BY 4.0; MIT", "https://example.org/a.zip",
    ):  # fmt: skip
        assert part in text
    assert "scores" not in text  # words are no figures
    assert head(text)["license"] == "other" and head(text)["pipeline_tag"] == "text-classification"
    [result] = head(text)["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "test accuracy", "value": 0.98}]
    assert model_card.without_head(text).startswith("# A text classifier")


def test_only_what_is_all_mit_is_mit():
    mit = Lineage("pretrain", "", {}, {}, {"corpus": {"name": "tales", "licence": "MIT"}})
    assert head(model_card.render(mit, MODEL_KINDS["base"], {}))["license"] == "mit"
    nobody = Lineage("pretrain", "", {}, {}, {"corpus": {"name": "tales", "licence": ""}})
    text = model_card.render(nobody, MODEL_KINDS["base"], {})
    assert head(text)["license"] == "other" and "The licence of these is not known: corpus" in text


def test_what_others_named_is_no_markup_in_a_card():
    odd = "<script>|x\n# [a](b) `c` *d* ---"
    sources = {"spam": {"name": odd, "origin": odd, "licence": odd}}
    text = model_card.render(
        Lineage("s", "", {odd: odd}, {odd: odd}, sources), MODEL_KINDS["classifier"], {odd: 1}, [odd]
    )
    assert (
        "<script>" not in model_card.without_head(text)
        and "\n# [" not in text
        and "[a](b)" not in model_card.without_head(text)
    )
    assert head(text)["model-index"][0]["results"][0]["dataset"]["name"] == odd
    rows = [line for line in text.splitlines() if line.startswith("| &lt;") or line.startswith("| spam")]
    assert rows and all(len(row.replace("\\|", "").split("|")) in (4, 6) for row in rows)


MODELS = {"generate": paths.BASE_MODEL, "classify": paths.CLASSIFIER_MODEL, "ask": paths.INSTRUCT_MODEL}


def test_every_model_folder_has_a_lineage_of_its_weights_and_a_card_of_that(in_built):
    for task, folder in MODELS.items():
        lineage = Lineage.read(folder)
        assert lineage.weights == files.digest(folder / Lineage.WEIGHTS)
        text = model_card.of_folder(folder, task, {"accuracy": 0.5})
        assert lineage.weights in text and all(md5 in text for md5 in lineage.data.values())
        assert head(text)["license"] == "mit"
        assert str(in_built.folder) not in text + (folder / Lineage.FILE).read_text()
    assert set(Lineage.read(paths.CLASSIFIER_MODEL).all_sources()) == {"spam", "corpus"}
    assert Lineage.read(paths.INSTRUCT_MODEL).base == Lineage.read(paths.BASE_MODEL)


def test_transformers_reads_a_card(in_built):
    from huggingface_hub import ModelCard

    card = ModelCard(model_card.of_folder(paths.CLASSIFIER_MODEL, "classify", METRICS, ["ham", "spam"]))
    assert card.data.license == "mit" and card.data.eval_results[0].metric_value is not None
