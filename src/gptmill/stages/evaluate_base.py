"""evaluate_base: validation perplexity of the base model and of a trigram model, and sampled text."""

import math

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.tracked_run import Track, untracked
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
        prompts = [validation[start : start + PROMPT_TOKENS].tolist() for start in _prompt_starts(len(validation))]
        samples = [
            {"prompt": tokenizer.decode(prompt), "text": continuation(model, tokenizer, prompt, runtime)}
            for prompt in prompts
        ]
        files.write_jsonl(paths.BASE_SAMPLES, samples)
        files.write_json(paths.METRICS / "base.json", metrics)
        run.metrics(metrics)
        run.model(paths.BASE_MODEL, "generate", metrics)
    of_what = f" of the last {LONGEST_TRIGRAM_TEXT:,} training tokens" if len(train) > LONGEST_TRIGRAM_TEXT else ""
    ours, baseline = metrics["validation_perplexity"], metrics["trigram_perplexity"]
    print(f"base: validation perplexity {ours} (a trigram model's{of_what}: {baseline})")


def _prompt_starts(length: int) -> list[int]:
    """Evenly spaced positions; a short split has fewer."""
    return sorted({i * max(0, length - PROMPT_TOKENS) // SAMPLES for i in range(SAMPLES)})
