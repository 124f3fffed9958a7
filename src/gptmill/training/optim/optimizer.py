"""How weights move: AdamW or Muon, and a learning rate that warms up and then falls along a cosine."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gptmill.config.schema import TrainingParams
from gptmill.training.optim.adamw import AdamW
from gptmill.training.optim.master_weights import MasterWeights
from gptmill.training.optim.muon import Muon

BETAS = (
    0.9,
    0.95,
)  # as GPT-3 (Brown et al. 2020, appendix B): a shorter memory of squares than the default, steadier for transformers


class Optimizer:
    """AdamW, or Muon with AdamW beside it: they share a learning rate and move as one. Owns the weights that learn, in float32."""

    def __init__(self, model: nn.Module, params: TrainingParams, *, half: bool = False) -> None:
        """Over what requires a gradient in `model`.

        Only matrices decay, not norms, biases and embeddings. A tied head is an embedding; an untied one, or a classifier's, is a matrix.
        With `params.optimizer: muon`, Muon moves the matrices (Jordan et al. 2024), all directions of a step equally far; at our sizes it
        halves the steps that a loss takes. Its steps are scaled to AdamW's (Liu et al. 2025, section 2.2): one learning rate serves both.

        `half`: the model computes with bf16 copies of its weights, which are float32 again within `in_full` and after `release`.
        """
        apart = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
        self._names = {id(weight): name for name, weight in model.named_parameters() if weight.requires_grad}
        self._copies = MasterWeights(model, half=half)
        pairs = self._copies.learning()
        self.parameters, self.weights = [weight for weight, _ in pairs], [master for _, master in pairs]
        self._clip = params.gradient_clip
        matrices = [(weight, master) for weight, master in pairs if weight.dim() == 2 and id(weight) not in apart]
        others = [(weight, master) for weight, master in pairs if weight.dim() != 2 or id(weight) in apart]
        muon = params.optimizer == "muon"
        decay, betas = params.weight_decay, BETAS
        groups = [(others, 0.0)] if muon else [(others, 0.0), (matrices, decay)]
        self._adamw = [AdamW(pairs, decay, betas) for pairs, decay in groups if pairs]
        self._muon = Muon(matrices, decay) if muon and matrices else None
        self.full_precision, self.release = self._copies.full_precision, self._copies.to_float32

    def step(self, learning_rate: float) -> None:
        """One step with the gradients that are there, clipped to `gradient_clip` together; they are then forgotten."""
        norms = [torch.linalg.vector_norm(weight.grad) for weight in self.parameters]
        norm = torch.linalg.vector_norm(torch.stack(norms).float())
        divisor = (norm / self._clip).clamp_(
            min=1.0
        )  # what divides the gradients by their norm divides by nothing below one
        for adamw in self._adamw:
            adamw.step(learning_rate, divisor)
        if self._muon:
            self._muon.step(learning_rate, divisor)
        for weight in self.parameters:
            weight.grad = None

    def state(self) -> dict[str, Tensor]:
        """All that it remembers of the steps so far, as `<name of the weight>.<what>`. Not copies."""
        parts = [*self._adamw, *([self._muon] if self._muon else [])]
        return {name: tensor for part in parts for name, tensor in part.state(self._names).items()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Stand where the optimizer stood whose `state` this is, one for the same weights and params; the tensors are copied."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
        self._copies.to_bf16()


def learning_rate(step: int, steps: int, params: TrainingParams) -> float:
    """The rate of step 0 … steps - 1: linear warm-up, then half a cosine down to the smallest rate."""
    if step < params.warmup_steps:
        return params.learning_rate * (step + 1) / params.warmup_steps
    progress = (step - params.warmup_steps) / max(1, steps - params.warmup_steps)
    return (
        params.min_learning_rate
        + (params.learning_rate - params.min_learning_rate) * (1 + math.cos(math.pi * progress)) / 2
    )
