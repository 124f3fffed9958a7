"""pretrain: the base model, trained from scratch on the corpus or loaded from GPT-2's weights, and what a trigram model reaches."""

import math

from gptmill import compute, files, paths, ranks, tokenizer, tracking
from gptmill.data import sources, tokens
from gptmill.evaluation.baselines import LONGEST_TRIGRAM_TEXT, TrigramModel
from gptmill.lineage import card, record
from gptmill.model import weights
from gptmill.model.gpt import GPT, GPTConfig
from gptmill.params import Params, memory
from gptmill.training import checkpoint, curves, loop
from gptmill.training.objectives import NextToken
from gptmill.training.samples import Samples

SAMPLE_PROMPT = 16  # tokens of the validation split that the model is asked to continue along the way


def run(params: Params) -> None:
    machine = compute.prepare(params.compute, params.seed)
    words = tokenizer.load(paths.TOKENIZER)
    train, validation = (tokens.read(paths.TOKENS, split) for split in ("train", "validation"))
    memory.demand_model(params.model, words.vocab_size)
    config = GPTConfig(vocab_size=words.vocab_size, **params.model.model_dump())
    objective = NextToken(train, validation, config.context_length, params.base.batch_size, params.seed)
    sections = {"seed": params.seed, "model": params.model, "base": params.base, "compute": params.compute}
    inputs = [paths.TOKENS, paths.TOKENIZER]
    checkpoints = checkpoint.of_stage("pretrain", sections, inputs, params.compute.checkpoint_minutes)
    with tracking.run("pretrain", sections, inputs, checkpoints.folder.name) as run:
        if params.base.init == "scratch":
            model = GPT(config)
            model.trunk.checkpoint_activations = params.compute.checkpoint_activations
            prompt = validation[:SAMPLE_PROMPT].tolist()
            samples = Samples(model, words, prompt, machine, lambda text: run.text("samples.txt", text))
            with curves.Live(run.curve) as live:
                trained = loop.train(
                    model, objective, params.base, machine, name="pretrain", checkpoints=checkpoints, on_evaluation=[live, samples]
                )
            run.metrics({"seconds": trained.seconds, "tokens_per_second": trained.curve[-1].targets / trained.seconds})
            curve, kept, targets, said = trained.curve, trained.kept, trained.curve[-1].targets, samples.records(trained)
            downloaded = {}
        else:
            path = sources.fetch(source := sources.GPT2_WEIGHTS[params.base.init])
            model = weights.load_gpt2(path, config)
            curve, kept, targets, said = [], None, 0, []
            downloaded = {params.base.init: sources.provenance(source.name, source.origin, source.licence, path)}
        if not ranks.leads():
            return
        loss = loop.evaluate(model, objective, machine).loss
        trigram = TrigramModel(train, config.vocab_size).perplexity(validation)
        metrics = {
            "validation_loss": round(loss, 4),
            "validation_perplexity": round(math.exp(loss), 3),
            "trigram_perplexity": round(trigram, 3),
            "perplexity_to_trigram": round(math.exp(loss) / trigram, 4),
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "tokens_trained_on": targets,
        }
        lineage = record.of_stage("pretrain", sections, inputs, ["corpus"], downloaded=downloaded)
        weights.save(model, words, paths.BASE_MODEL, also=[card.beside(lineage, card.GENERATE, metrics)])
        curves.write(paths.PLOTS / "pretrain.csv", curve, kept)
        files.write_jsonl(paths.BASE_SAMPLES, said)
        files.write_json(paths.METRICS / "pretrain.json", metrics)
        run.metrics(metrics)
        run.model(paths.BASE_MODEL, "generate")
    checkpoints.clear()
    of_what = f" of the last {LONGEST_TRIGRAM_TEXT:,} training tokens" if len(train) > LONGEST_TRIGRAM_TEXT else ""
    print(
        f"pretrain: {metrics['parameters']:,} parameters, validation perplexity {metrics['validation_perplexity']} "
        f"(a trigram model's{of_what}: {metrics['trigram_perplexity']})"
    )
