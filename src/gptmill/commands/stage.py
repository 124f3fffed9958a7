"""`gptmill stage`: gives a stage what it may not import: its run in MLflow, and what a training shows on the way."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gptmill import config, stages, tracking
from gptmill.commands import stage_process
from gptmill.config import schema
from gptmill.core.run import Run, untracked
from gptmill.core.terminal import visible_prints
from gptmill.runtime import ranks

if TYPE_CHECKING:
    from gptmill.model.gpt import GPT
    from gptmill.runtime.device import Runtime
    from gptmill.text.tokenizer import Tokenizer


def run(name: str, item: str | None = None, values: schema.Params | None = None) -> None:
    """Of several processes of one training, the first has the run in MLflow. `values`: else those of params.yaml."""
    values = values or config.load()
    with visible_prints(), stage_process.entered(name, item):
        stages.run(name, values, item, track=tracking.run if ranks.is_main_process() else untracked, watch=_samples)


def _samples(
    model: "GPT", words: "Tokenizer", prompt: Sequence[int], compute: "Runtime", run: Run
) -> list[Callable[[Any], None]]:
    from gptmill.inference.samples import Samples

    return [Samples(model, words, prompt, compute, run.text)]
