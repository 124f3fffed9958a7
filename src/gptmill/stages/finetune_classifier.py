"""finetune_classifier: fine-tune the base model to classify texts."""

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.tracked_run import Track, untracked
from gptmill.model import lora
from gptmill.model.folder import ModelFolder
from gptmill.model.gpt import GPTClassifier
from gptmill.model.lineage import Lineage
from gptmill.runtime import device, torchrun
from gptmill.text.tokenizer import Tokenizer
from gptmill.training import callbacks, checkpoints, trainer
from gptmill.training.feature_cache import FrozenClassification
from gptmill.training.objectives import Classification, balancing_weights

STAGE, SPLITS = "finetune_classifier", ("train", "validation")


def run(params: Params, track: Track = untracked) -> None:
    import pandas as pd

    runtime = device.setup(params.compute, params.seed)
    tokenizer = Tokenizer.load(paths.TOKENIZER)
    classes = params.data.spam.labels
    files_of = {name: paths.SPAM_SPLITS / f"{name}.parquet" for name in SPLITS}

    def encode(path) -> list[tuple[list[int], int]]:
        split = pd.read_parquet(path)
        if unknown := sorted(set(split["label"]) - set(classes)):
            raise GptmillError(
                f"{path} has the label {unknown[0]!r}, which data.spam.labels has not: dvc repro split_spam"
            )
        rows = zip(split["text"], split["label"], strict=True)
        return [(tokenizer.encode(text), classes.index(label)) for text, label in rows]

    settings = params.classifier
    train, validation = (encode(path) for path in files_of.values())
    balanced = params.split.spam.balance == "weights"
    class_weights = balancing_weights([label for _, label in train], len(classes)) if balanced else None
    objective = Classification(train, validation, settings.max_length, settings.batch_size, params.seed, class_weights)
    model = GPTClassifier(ModelFolder(paths.BASE_MODEL).load_base(tokenizer).backbone, classes)
    if settings.lora.rank:
        lora.attach(model, settings.lora)
    else:
        model.freeze_all_but(settings.trainable)
    model.backbone.checkpoint_activations = params.compute.checkpoint_activations
    parameters_trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    if model.trainable_from() != "all" and not model.config.dropout:
        objective = FrozenClassification.of(objective, model, runtime, cache=settings.cache_activations)
    sections = {
        "seed": params.seed,
        "data.spam.labels": classes,
        "split.spam.balance": params.split.spam.balance,
        "classifier": settings,
        **device.settings(params.compute),
    }
    inputs = [*files_of.values(), paths.BASE_MODEL, paths.TOKENIZER]
    saved = checkpoints.of_stage(STAGE, sections, inputs, params.compute.checkpoint_minutes)
    with track(STAGE, sections, inputs, saved.folder.name) as run:
        with callbacks.LiveCurve(run.curve) as live:
            result = trainer.train(
                model, objective, settings, runtime, name=STAGE, checkpoints=saved, on_evaluation=[live]
            )
        if not torchrun.is_main_process():
            return
        lineage = Lineage.of_stage(STAGE, sections, files_of.values(), ["spam"], paths.BASE_MODEL)
        adapter = lora.detach(model, str(paths.BASE_MODEL))
        metrics = {
            "validation_accuracy": round(result.selected.validation_accuracy, 4),
            "best_epoch": round(result.selected.epoch, 2),
            "parameters_trained": parameters_trained,
            "tokens_read": round(result.curve[-1].epoch * sum(min(len(ids), settings.max_length) for ids, _ in train)),
        }
        ModelFolder(paths.CLASSIFIER_MODEL).save(
            model, tokenizer, max_length=settings.max_length, adapter=adapter, lineage=lineage
        )
        callbacks.write_curve(paths.PLOTS / "classifier.csv", result)
        files.write_json(paths.METRICS / "finetune_classifier.json", metrics)
        run.metrics({**metrics, "seconds": result.seconds})
    saved.clear()
    print(f"{STAGE}: validation accuracy {metrics['validation_accuracy']:.1%} in epoch {metrics['best_epoch']:.0f}")
