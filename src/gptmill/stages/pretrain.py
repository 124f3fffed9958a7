"""pretrain: train the base model on the corpus from scratch, or take GPT-2's weights."""

from pathlib import Path

from gptmill.config import memory
from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.tracked_run import Sections, Track, Watch, untracked, unwatched
from gptmill.model.folder import ModelFolder, load_gpt2
from gptmill.model.gpt import GPT, GPTConfig
from gptmill.model.lineage import Lineage
from gptmill.runtime import device, torchrun
from gptmill.text import token_files
from gptmill.text.tokenizer import Tokenizer
from gptmill.training import callbacks, checkpoints, trainer
from gptmill.training.objectives import NextToken
from gptmill.training.trainer import TrainResult

STAGE = "pretrain"
SAMPLE_PROMPT = 16  # tokens of the validation split, continued at each evaluation


def run(params: Params, track: Track = untracked, watch: Watch = unwatched) -> None:
    tokenizer = Tokenizer.load(paths.TOKENIZER)
    memory.require_memory(params.model, tokenizer.vocab_size)
    config = GPTConfig(vocab_size=tokenizer.vocab_size, **params.model.model_dump())
    sections = {"seed": params.seed, "model": params.model, "base": params.base, **device.settings(params.compute)}
    inputs = [paths.TOKENS, paths.TOKENIZER]
    if params.base.init != "scratch":
        model = load_gpt2(paths.BASE_WEIGHTS, config)
        with track(STAGE, sections, inputs):
            _save(model, tokenizer, sections, inputs, TrainResult())
        print(f"pretrain: the weights of {params.base.init}, as they are")
        return
    runtime = device.setup(params.compute, params.seed)
    train, validation = (token_files.read(paths.TOKENS, split) for split in ("train", "validation"))
    objective = NextToken(train, validation, config.context_length, params.base.batch_size, params.seed)
    saved = checkpoints.of_stage(STAGE, sections, inputs, params.compute.checkpoint_minutes)
    with track(STAGE, sections, inputs, saved.folder.name) as run:
        model = GPT(config)
        model.backbone.checkpoint_activations = params.compute.checkpoint_activations
        samples = watch(model, tokenizer, validation[:SAMPLE_PROMPT].tolist(), runtime, run)
        with callbacks.LiveCurve(run.curve) as live:
            result = trainer.train(
                model, objective, params.base, runtime, name=STAGE, checkpoints=saved, on_evaluation=[live, *samples]
            )
        if not torchrun.is_main_process():
            return
        run.metrics({"seconds": result.seconds, "tokens_per_second": result.curve[-1].targets / result.seconds})
        _save(model, tokenizer, sections, inputs, result)
    saved.clear()
    print(f"pretrain: validation loss {result.selected.validation_loss:.4f} in epoch {result.selected.epoch:.0f}")


def _save(model: GPT, tokenizer: Tokenizer, sections: Sections, inputs: list[Path], result: TrainResult) -> None:
    metrics = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "tokens_trained_on": result.curve[-1].targets if result.curve else 0,
    }
    downloaded = files.read_json(paths.source_record("base"))
    lineage = Lineage.of_stage(STAGE, sections, inputs, ["corpus"], downloaded=downloaded)
    ModelFolder(paths.BASE_MODEL).save(model, tokenizer, lineage=lineage)
    callbacks.write_curve(paths.PLOTS / "pretrain.csv", result)
    files.write_json(paths.METRICS / "pretrain.json", metrics)
