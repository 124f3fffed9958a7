"""The optimizer: AdamW or Muon."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gptmill.config.schema import TrainingParams
from gptmill.training.optim.adamw import AdamW
from gptmill.training.optim.master_weights import MasterWeights
from gptmill.training.optim.muon import Muon

BETAS = (0.9, 0.95)  # as GPT-3 (Brown et al. 2020, appendix B)


class Optimizer:
    """AdamW, or Muon for matrices and AdamW for the rest, with one learning rate. Owns the float32 master weights."""

    def __init__(self, model: nn.Module, params: TrainingParams, *, bf16: bool = False) -> None:
        """Optimizes the parameters of `model` that require a gradient.

        Weight decay is for matrices, not for norms, biases and embeddings. A tied head is an embedding, another head a
        matrix. Muon takes half the steps at our sizes; its updates are scaled to AdamW's (Liu et al. 2025, 2.2).

        `bf16`: the model computes with bf16 copies of its weights, except inside `full_precision` and after `release`.
        """
        embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
        self._names = {id(weight): name for name, weight in model.named_parameters() if weight.requires_grad}
        self._copies = MasterWeights(model, bf16=bf16)
        pairs = self._copies.learning()
        self.parameters, self.weights = [weight for weight, _ in pairs], [master for _, master in pairs]
        self._clip = params.gradient_clip
        matrices = [(weight, master) for weight, master in pairs if weight.dim() == 2 and id(weight) not in embeddings]
        others = [(weight, master) for weight, master in pairs if weight.dim() != 2 or id(weight) in embeddings]
        muon = params.optimizer == "muon"
        decay, betas = params.weight_decay, BETAS
        groups = [(others, 0.0)] if muon else [(others, 0.0), (matrices, decay)]
        self._adamw = [AdamW(pairs, decay, betas) for pairs, decay in groups if pairs]
        self._muon = Muon(matrices, decay) if muon and matrices else None
        self.full_precision, self.release = self._copies.full_precision, self._copies.to_float32

    def step(self, learning_rate: float) -> None:
        """One step with the current gradients, clipped to a total norm of `gradient_clip`; then they are cleared."""
        norms = [torch.linalg.vector_norm(weight.grad) for weight in self.parameters]
        norm = torch.linalg.vector_norm(torch.stack(norms).float())
        divisor = (norm / self._clip).clamp_(min=1.0)
        for adamw in self._adamw:
            adamw.step(learning_rate, divisor)
        if self._muon:
            self._muon.step(learning_rate, divisor)
        for weight in self.parameters:
            weight.grad = None

    def state(self) -> dict[str, Tensor]:
        """Its state as `<name of the weight>.<kind>`. Not copies."""
        parts = [*self._adamw, *([self._muon] if self._muon else [])]
        return {name: tensor for part in parts for name, tensor in part.state(self._names).items()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Copy the `state` of an optimizer of the same weights and params."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
        self._copies.to_bf16()
