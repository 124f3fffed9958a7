"""How weights move: AdamW, and a learning rate that warms up and then falls along a cosine."""

import math

import torch
from torch import nn

from gptmill.params import TrainingParams

BETAS = (0.9, 0.95)  # as GPT-3 (Brown et al. 2020, appendix B): a shorter memory of squares than the default, steadier for transformers


def adamw(model: nn.Module, params: TrainingParams) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2017) on what requires a gradient; only matrices decay, neither norms, biases nor embeddings."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    decays = [weight for weight in weights if weight.dim() > 1 and id(weight) not in embeddings]
    stays = [weight for weight in weights if weight.dim() <= 1 or id(weight) in embeddings]
    groups = [{"params": decays, "weight_decay": params.weight_decay}, {"params": stays, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=params.learning_rate, betas=BETAS, fused=True)


def learning_rate(step: int, steps: int, params: TrainingParams) -> float:
    """The rate of step 0 … steps - 1: linear warm-up, then half a cosine down to the smallest rate."""
    if step < params.warmup_steps:
        return params.learning_rate * (step + 1) / params.warmup_steps
    progress = (step - params.warmup_steps) / max(1, steps - params.warmup_steps)
    return params.min_learning_rate + (params.learning_rate - params.min_learning_rate) * (1 + math.cos(math.pi * progress)) / 2
