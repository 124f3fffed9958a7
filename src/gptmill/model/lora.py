"""LoRA (Hu et al. 2021): the weights stay as they are, and beside each chosen matrix two thin ones learn what to add to it.

    attach(model, settings)     freezes the model and puts adapters beside its layers
    merge(model)                adds them into the weights; the model is a plain one again
    Adapter.of(model).write(folder)   the adapters alone, in PEFT's format: `PeftModel.from_pretrained(base, folder)` reads them

An adapter's change of a matrix W (out, in) is alpha / rank * B A, with A (rank, in) and B (out, rank). B starts at zero, so that nothing
changes before the first step.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gptmill.config.schema import LoRAParams
from gptmill.core import files
from gptmill.core.errors import GptmillError, listing
from gptmill.model.gpt import GPT, Block, GPTClassifier
from gptmill.model.tensor_files import Safetensors, TensorSpec, demand_finite
from gptmill.model.tensor_names import BLOCK, differences

CONFIG, WEIGHTS, _PREFIX = "adapter_config.json", "adapter_model.safetensors", "base_model.model."
_NO_ADAPTER = "no LoRA adapter of a GPT-2"


class LoRALinear(nn.Module):
    """A frozen linear layer and its adapter."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.layer = layer
        self.alpha, self.rank = alpha, rank
        self.dropout = nn.Dropout(dropout)
        self.A = nn.Parameter(torch.empty(rank, layer.in_features, device=layer.weight.device))
        self.B = nn.Parameter(torch.zeros(layer.out_features, rank, device=layer.weight.device))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return self.layer(x) + self.alpha / self.rank * (self.dropout(x) @ self.A.T @ self.B.T)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The layer, with what the adapter adds in its weight."""
        self.layer.weight += self.alpha / self.rank * (self.B @ self.A)
        return self.layer


def attach(model: GPT | GPTClassifier, settings: LoRAParams) -> None:
    """Freeze the model and put an adapter beside each layer that the settings name; those learn, and a classifier's new head with them."""
    model.requires_grad_(False)
    for block in model.backbone.blocks:
        for layer in settings.target_modules:
            owner, name = _owner(block, layer)
            setattr(owner, name, LoRALinear(getattr(owner, name), settings.rank, settings.alpha, settings.dropout))
    if isinstance(model, GPTClassifier):
        model.head.requires_grad_(True)


def merge(model: GPT | GPTClassifier) -> None:
    """Add every adapter into its layer's weight, take it away, and let everything learn again."""
    for _, owner, name, adapted in list(_adapted(model)):
        setattr(owner, name, adapted.merged())
    model.requires_grad_(True)


def detach(model: GPT | GPTClassifier, base: str | None = None) -> "Adapter | None":
    """Merge a model's adapters, if it has any, and return them as they were before."""
    if not _by_hub_name(model):
        return None
    adapter = Adapter.of(model, base)
    merge(model)
    return adapter


@dataclass(frozen=True)
class Adapter:
    """The adapters of a model, and a classifier's head, apart from it."""

    tensors: dict[str, Tensor]
    config: dict[str, object]

    @classmethod
    def of(cls, model: GPT | GPTClassifier, base: str | None = None) -> "Adapter":
        """Of a model that was not merged yet. `base`: where whoever reads the adapter may find what it belongs to."""
        adapted = _by_hub_name(model)
        if not adapted:
            raise ValueError("the model has no adapters: attach them first, and take them before merging")
        tensors = {
            f"{_PREFIX}{name}.lora_{part}.weight": getattr(found, part).detach().to("cpu", torch.float32).clone()
            for name, found in adapted.items()
            for part in "AB"
        }
        first = next(iter(adapted.values()))
        if isinstance(model, GPTClassifier):
            tensors[f"{_PREFIX}score.weight"] = model.head.weight.detach().to("cpu", torch.float32).clone()
        config = {
            "peft_type": "LORA",
            "task_type": "SEQ_CLS" if isinstance(model, GPTClassifier) else "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": first.rank,
            "lora_alpha": first.alpha,
            "lora_dropout": first.dropout.p,
            "target_modules": list(dict.fromkeys(".".join(name.split(".")[-2:]) for name in adapted)),
            "fan_in_fan_out": True,  # Hugging Face's GPT-2 keeps its matrices as (in, out)
            "bias": "none",
            "modules_to_save": ["score"] if isinstance(model, GPTClassifier) else None,
            "inference_mode": True,
        }
        return cls(tensors, config)

    def write(self, folder: Path) -> None:
        """Write a folder that PEFT reads, whole or not at all."""
        with files.atomic(folder) as beside:
            beside.mkdir()
            save_file(self.tensors, beside / WEIGHTS, metadata={"format": "pt"})
            files.write_json(beside / CONFIG, self.config)


def load(model: GPT | GPTClassifier, folder: Path) -> None:
    """Attach the adapters in a folder that `Adapter.write` or PEFT wrote. Raises `GptmillError` when they do not fit the model."""
    config, tensors = files.read_snapshot(folder, _read)
    try:
        rank, alpha, targets = config["r"], config["lora_alpha"], set(config["target_modules"])
        layers = [layer for layer, target in _TARGETS.items() if {target, target.split(".")[1]} & targets]
        settings = LoRAParams(
            rank=rank, alpha=float(alpha), dropout=float(config.get("lora_dropout", 0)), target_modules=layers
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise GptmillError(
            f"{folder / CONFIG} is {_NO_ADAPTER} ({error}): name a folder with {CONFIG} and {WEIGHTS}"
        ) from None
    odd = [
        key
        for key in ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "layers_to_transform")
        if config.get(key)
    ]
    if odd:
        raise GptmillError(
            f"{folder / CONFIG} uses {', '.join(odd)}, which gptmill does not: merge the adapter with PEFT first"
        )
    ranks = {tensor.shape[0] for name, tensor in tensors.items() if name.endswith(".lora_A.weight")}
    if ranks - {rank}:  # before room is made for them
        raise GptmillError(
            f"{folder / CONFIG} says r is {rank}, the weights {', '.join(map(str, sorted(ranks)))}: get the adapter again"
        )
    attach(model, settings)
    wanted = {
        f"{_PREFIX}{name}.lora_{part}.weight": getattr(to, part)
        for name, to in _by_hub_name(model).items()
        for part in "AB"
    }
    if isinstance(model, GPTClassifier):
        wanted[f"{_PREFIX}score.weight"] = model.head.weight
    specs = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    if problems := differences({name: to.shape for name, to in wanted.items()}, specs):
        merge(model)  # adds nothing: the adapters are new
        raise GptmillError(f"the adapter in {folder} does not fit the model:\n" + listing(problems))
    with torch.no_grad():
        for name, to in wanted.items():
            to.copy_(tensors[name])


def _read(folder: Path) -> tuple[Any, dict[str, Tensor]]:
    """What an adapter's folder holds. Raises `GptmillError` when it can't be read."""
    try:
        config = files.read_json(folder / CONFIG)
    except (OSError, ValueError) as error:
        raise GptmillError(
            f"{folder / CONFIG} is {_NO_ADAPTER} ({error}): name a folder with {CONFIG} and {WEIGHTS}"
        ) from None
    found = Safetensors(folder / WEIGHTS)
    return config, {name: demand_finite(found.read(name), name, folder / WEIGHTS) for name in found.specs}


# What our params call a layer, and Hugging Face.
_OURS = {
    "qkv": "attention.qkv",
    "out_proj": "attention.out_proj",
    "up_proj": "feed_forward.up_proj",
    "down_proj": "feed_forward.down_proj",
}
_TARGETS = {
    layer: next(name.huggingface for name in BLOCK if name.ours == f"{ours}.weight").removesuffix(".weight")
    for layer, ours in _OURS.items()
}


def _owner(block: Block, layer: str) -> tuple[nn.Module, str]:
    module, _, name = _OURS[layer].partition(".")
    return getattr(block, module), name


def _adapted(model: GPT | GPTClassifier) -> Iterator[tuple[str, nn.Module, str, LoRALinear]]:
    """Each adapted layer: the name that it has in Hugging Face's model, who owns it here, under which name, and the layer."""
    for i, block in enumerate(model.backbone.blocks):
        for layer in _OURS:
            owner, name = _owner(block, layer)
            if isinstance(found := getattr(owner, name), LoRALinear):
                yield f"transformer.h.{i}.{_TARGETS[layer]}", owner, name, found


def _by_hub_name(model: GPT | GPTClassifier) -> dict[str, LoRALinear]:
    return {name: found for name, *_, found in _adapted(model)}
