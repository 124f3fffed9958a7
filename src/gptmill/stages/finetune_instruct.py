"""finetune_instruct: fine-tune the base model to answer instructions."""

import math

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.tracked_run import Track, Watch, untracked, unwatched
from gptmill.model import lora
from gptmill.model.folder import ModelFolder
from gptmill.model.lineage import Lineage
from gptmill.runtime import device, torchrun
from gptmill.text import prompts
from gptmill.text.tokenizer import Tokenizer
from gptmill.training import callbacks, checkpoints, trainer
from gptmill.training.objectives import Example, Instruction

STAGE = "finetune_instruct"


def run(params: Params, track: Track = untracked, watch: Watch = unwatched) -> None:
    runtime = device.setup(params.compute, params.seed)
    tokenizer, template = Tokenizer.load(paths.TOKENIZER), prompts.TEMPLATES[params.instruct.prompt_style]
    files_of = {name: paths.INSTRUCTION_SPLITS / f"{name}.jsonl" for name in ("train", "validation")}

    def encode(name: str) -> list[Example]:
        return [
            Example(
                tokenizer.encode(template.prompt(record["instruction"], record["input"])),
                [*tokenizer.encode(template.target(record["output"])), tokenizer.end_of_text],
            )
            for record in files.read_jsonl(files_of[name])
        ]

    settings = params.instruct
    max_length, loss_on_prompt = settings.max_length, settings.loss_on == "all"
    train, validation = encode("train"), encode("validation")
    objective = Instruction(train, validation, max_length, settings.batch_size, params.seed, loss_on_prompt)
    for name, examples in (("train", train), ("validation", validation)):
        if not loss_on_prompt and all(len(example.prompt) > max_length for example in examples):
            shortest = min(len(example.prompt) for example in examples)
            raise GptmillError(
                f"instruct.max_length ({max_length}) cuts off every answer of the {name} split, "
                f"whose shortest prompt has {shortest} tokens: raise it"
            )
    tokens_per_epoch = sum(min(len(example.prompt + example.answer), max_length + 1) - 1 for example in train)
    model = ModelFolder(paths.BASE_MODEL).load_base(tokenizer)
    if settings.lora.rank:
        lora.attach(model, settings.lora)
    model.backbone.checkpoint_activations = params.compute.checkpoint_activations
    parameters_trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    sections = {"seed": params.seed, "instruct": settings, **device.settings(params.compute)}
    inputs = [*files_of.values(), paths.BASE_MODEL, paths.TOKENIZER]
    saved = checkpoints.of_stage(STAGE, sections, inputs, params.compute.checkpoint_minutes)
    with track(STAGE, sections, inputs, saved.folder.name) as run:
        samples = watch(model, tokenizer, validation[0].prompt, runtime, run)
        with callbacks.LiveCurve(run.curve) as live:
            result = trainer.train(
                model, objective, settings, runtime, name=STAGE, checkpoints=saved, on_evaluation=[live, *samples]
            )
        if not torchrun.is_main_process():
            return
        metrics = {
            "validation_loss": round(result.selected.validation_loss, 4),
            "validation_perplexity": round(math.exp(result.selected.validation_loss), 3),
            "validation_token_accuracy": round(result.selected.validation_accuracy, 4),
            "best_epoch": round(result.selected.epoch, 2),
            "parameters_trained": parameters_trained,
            "tokens_read": round(result.curve[-1].epoch * tokens_per_epoch),
        }
        lineage = Lineage.of_stage(STAGE, sections, files_of.values(), ["instructions"], paths.BASE_MODEL)
        adapter = lora.detach(model, str(paths.BASE_MODEL))
        ModelFolder(paths.INSTRUCT_MODEL).save(model, tokenizer, template=template, adapter=adapter, lineage=lineage)
        callbacks.write_curve(paths.PLOTS / "instruct.csv", result)
        files.write_json(paths.METRICS / "instruct.json", metrics)
        run.metrics({**metrics, "seconds": result.seconds})
    saved.clear()
    print(f"instruct: validation loss {metrics['validation_loss']} in epoch {metrics['best_epoch']:.0f}")
