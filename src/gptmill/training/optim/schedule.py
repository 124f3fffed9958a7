"""The learning rate schedule: linear warm-up, then cosine."""

import math

from gptmill.config.schema import TrainingParams


def learning_rate(step: int, steps: int, params: TrainingParams) -> float:
    """The rate of step 0 to steps - 1: linear warm-up, then half a cosine down to the minimum."""
    if step < params.warmup_steps:
        return params.learning_rate * (step + 1) / params.warmup_steps
    progress = (step - params.warmup_steps) / max(1, steps - params.warmup_steps)
    amplitude = params.learning_rate - params.min_learning_rate
    return params.min_learning_rate + amplitude * (1 + math.cos(math.pi * progress)) / 2
