"""How weights move: AdamW or Muon, and a learning rate that warms up and then falls along a cosine."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gptmill.params import TrainingParams

BETAS = (0.9, 0.95)  # as GPT-3 (Brown et al. 2020, appendix B): a shorter memory of squares than the default, steadier for transformers


class Optimizer:
    """One or two of torch's optimizers that share a learning rate and move as one."""

    def __init__(self, model: nn.Module, params: TrainingParams) -> None:
        """Over what requires a gradient in `model`. Only matrices decay: neither norms, biases nor embeddings (a tied head is one).

        `muon`: the matrices by Muon (Jordan et al. 2024), which makes all directions of a step equally long; at our sizes it halves the
        steps that a loss takes. Its steps are scaled to AdamW's (Liu et al. 2025, section 2.2), so one learning rate serves both.
        """
        apart = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
        self._names = {id(weight): name for name, weight in model.named_parameters() if weight.requires_grad}
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        matrices = [weight for weight in self.weights if weight.dim() == 2 and id(weight) not in apart]
        others = [weight for weight in self.weights if weight.dim() != 2 or id(weight) in apart]
        groups = [{"params": others, "weight_decay": 0.0}]
        self._optimizers: list[torch.optim.Optimizer] = []
        if params.optimizer == "muon" and matrices:
            muon = torch.optim.Muon(matrices, lr=params.learning_rate, weight_decay=params.weight_decay, adjust_lr_fn="match_rms_adamw")
            self._optimizers.append(muon)
        else:
            groups.append({"params": matrices, "weight_decay": params.weight_decay})
        groups = [group for group in groups if group["params"]]
        if groups:
            self._optimizers.append(torch.optim.AdamW(groups, lr=params.learning_rate, betas=BETAS, fused=True))

    def step(self, learning_rate: float) -> None:
        """One step with the gradients that are there, which are then forgotten."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """All that it remembers of the steps so far, as `<name of the weight>.<what>`: nothing before the first one. Not copies."""
        return {
            f"{self._names[id(weight)]}.{key}": tensor
            for optimizer in self._optimizers
            for weight, values in optimizer.state.items()
            for key, tensor in values.items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Stand where the optimizer stood whose `state` this is, one for the same weights and params; the tensors are copied."""
        found: dict[str, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            weight, _, key = name.rpartition(".")
            found.setdefault(weight, {})[key] = tensor
        for optimizer in self._optimizers:
            optimizer.state.clear()
            for weight in (weight for group in optimizer.param_groups for weight in group["params"]):
                if values := found.get(self._names[id(weight)]):
                    optimizer.state[weight] = {key: tensor.to(weight.device, copy=True) for key, tensor in values.items()}


def learning_rate(step: int, steps: int, params: TrainingParams) -> float:
    """The rate of step 0 … steps - 1: linear warm-up, then half a cosine down to the smallest rate."""
    if step < params.warmup_steps:
        return params.learning_rate * (step + 1) / params.warmup_steps
    progress = (step - params.warmup_steps) / max(1, steps - params.warmup_steps)
    return params.min_learning_rate + (params.learning_rate - params.min_learning_rate) * (1 + math.cos(math.pi * progress)) / 2
