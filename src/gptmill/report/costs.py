"""What each stage cost, in what does not depend on the machine: steps, tokens, parameters, and floating point operations by a known rule.

Training takes about 6 operations a parameter and token: 2 forward, 4 backward; reading takes 2 (Kaplan et al. 2020, section 2.1). Backward,
half is for the activations and half for the weights, so weights that do not learn save a third. Attention over the window, and what is
not read again because it is remembered, are left out: it is an estimate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gptmill.report.inputs import Inputs, Point, TuningMetrics

FORWARD, BACKWARD, WEIGHTS = 2, 2, 2  # operations a parameter and token


@dataclass(frozen=True)
class Cost:
    """None: it is not known, or there is none."""

    stage: str
    what: str
    steps: int | None = None
    tokens: int | None = None
    learning: int | None = None  # parameters that learn
    operations: float | None = None


def of(inputs: Inputs) -> list[Cost]:
    parameters = inputs.pretrain.parameters
    read = inputs.pretrain.tokens_trained_on
    answers = inputs.judgements
    said = sum(record.tokens for record in answers)
    base = sum(record.base_tokens for record in answers)
    return [
        Cost(
            "pretrain",
            "tokens read",
            _steps(inputs.pretrain_curve),
            read or None,
            parameters if read else None,
            _trained(parameters, parameters, read),
        ),
        _tuned("finetune_classifier", inputs.classifier_training, inputs.classifier_curve, parameters),
        _tuned("finetune_instruct", inputs.instruct, inputs.instruct_curve, parameters),
        Cost(
            "generate_responses",
            "tokens written",
            tokens=said + base or None,
            operations=float(FORWARD * parameters * (said + base)) or None,
        ),
    ]


def _tuned(stage: str, metrics: TuningMetrics, curve: Sequence[Point], parameters: int) -> Cost:
    learning, tokens = metrics.parameters_trained, metrics.tokens_read
    return Cost(stage, "tokens read", _steps(curve), tokens, learning, _trained(parameters, learning, tokens))


def _trained(parameters: int, learning: int | None, tokens: int | None) -> float | None:
    if not tokens or learning is None:
        return None
    return float(tokens * (FORWARD * parameters + BACKWARD * parameters + WEIGHTS * learning))


def _steps(curve: Sequence[Point]) -> int | None:
    return curve[-1].step if curve else None
