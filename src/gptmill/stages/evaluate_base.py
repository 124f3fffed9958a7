"""evaluate_base: the base model's perplexity on the validation split, a trigram model's on the same tokens, and sampled text."""

import math

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.run import Track, untracked
from gptmill.evaluation.baselines import LONGEST_TRIGRAM_TEXT, TrigramModel
from gptmill.inference.samples import continuation
from gptmill.model.folder import ModelFolder
from gptmill.runtime import device
from gptmill.text import token_files
from gptmill.training import trainer
from gptmill.training.objectives import NextToken

SAMPLES, PROMPT_TOKENS = 4, 16  # evenly spaced over the validation split


def run(params: Params, track: Track = untracked) -> None:
    runtime = device.setup(params.compute, params.seed)
    model, tokenizer = ModelFolder(paths.BASE_MODEL).load()
    train, validation = (token_files.read(paths.TOKENS, split) for split in ("train", "validation"))
    objective = NextToken(train, validation, model.config.context_length, params.base.batch_size, params.seed)
    sections = {"seed": params.seed, "base.batch_size": params.base.batch_size, **device.settings(params.compute)}
    with track("evaluate_base", sections, [paths.BASE_MODEL, paths.TOKENS]) as run:
        loss = trainer.evaluate(model, objective, runtime).loss
        trigram = TrigramModel(train, model.config.vocab_size).perplexity(validation)
        metrics = {
            "validation_loss": round(loss, 4),
            "validation_perplexity": round(math.exp(loss), 3),
            "trigram_perplexity": round(trigram, 3),
            "perplexity_to_trigram": round(math.exp(loss) / trigram, 4),
        }
        prompts = [validation[start : start + PROMPT_TOKENS].tolist() for start in _spaced(len(validation))]
        samples = [
            {"prompt": tokenizer.decode(prompt), "text": continuation(model, tokenizer, prompt, runtime)}
            for prompt in prompts
        ]
        files.write_jsonl(paths.BASE_SAMPLES, samples)
        files.write_json(paths.METRICS / "base.json", metrics)
        run.metrics(metrics)
        run.model(paths.BASE_MODEL, "generate", metrics)
    of_what = f" of the last {LONGEST_TRIGRAM_TEXT:,} training tokens" if len(train) > LONGEST_TRIGRAM_TEXT else ""
    print(
        f"base: validation perplexity {metrics['validation_perplexity']} (a trigram model's{of_what}: {metrics['trigram_perplexity']})"
    )


def _spaced(length: int) -> list[int]:
    """Where the prompts start; a split that is too short for all of them has fewer."""
    return sorted({i * max(0, length - PROMPT_TOKENS) // SAMPLES for i in range(SAMPLES)})
