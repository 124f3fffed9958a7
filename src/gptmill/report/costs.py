"""Cost of each stage in machine-independent units: steps, tokens, parameters and estimated FLOPs.

Training takes about 6 FLOPs per parameter and token: 2 forward, 2 backward for activations, 2 for weights; inference 2
(Kaplan et al. 2020, section 2.1). Frozen weights save the last 2. Attention and the feature cache are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gptmill.report.inputs import Inputs, Point, TuningMetrics

FORWARD, BACKWARD, WEIGHTS = 2, 2, 2  # FLOPs per parameter and token


@dataclass(frozen=True)
class Cost:
    """None: unknown, or not applicable."""

    stage: str
    what: str
    steps: int | None = None
    tokens: int | None = None
    trainable: int | None = None  # parameters
    operations: float | None = None


def of(inputs: Inputs) -> list[Cost]:
    parameters = inputs.pretrain.parameters
    read = inputs.pretrain.tokens_trained_on
    written = sum(record.tokens + record.base_tokens for record in inputs.judgements)
    trainable = parameters if read else None
    operations = _training(parameters, parameters, read)
    return [
        Cost("pretrain", "tokens read", _steps(inputs.pretrain_curve), read or None, trainable, operations),
        _tuned("finetune_classifier", inputs.classifier_training, inputs.classifier_curve, parameters),
        _tuned("finetune_instruct", inputs.instruct, inputs.instruct_curve, parameters),
        Cost(
            "generate_responses",
            "tokens written",
            tokens=written or None,
            operations=float(FORWARD * parameters * written) or None,
        ),
    ]


def _tuned(stage: str, metrics: TuningMetrics, curve: Sequence[Point], parameters: int) -> Cost:
    trainable, tokens = metrics.parameters_trained, metrics.tokens_read
    return Cost(stage, "tokens read", _steps(curve), tokens, trainable, _training(parameters, trainable, tokens))


def _training(parameters: int, trainable: int | None, tokens: int | None) -> float | None:
    if not tokens or trainable is None:
        return None
    return float(tokens * (FORWARD * parameters + BACKWARD * parameters + WEIGHTS * trainable))


def _steps(curve: Sequence[Point]) -> int | None:
    return curve[-1].step if curve else None
