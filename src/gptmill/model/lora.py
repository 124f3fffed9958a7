"""LoRA (Hu et al. 2021): low-rank adapters of frozen linear layers.

    attach(model, settings)           freeze the model and add adapters to its layers
    merge(model)                      add the adapters to the weights; the model is a plain one again
    Adapter.of(model).write(folder)   adapters alone, for `PeftModel.from_pretrained(base, folder)`

An adapter changes a matrix W (out, in) by alpha / rank * B A, with A (rank, in) and B (out, rank). B starts at zero.
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
_UNSUPPORTED = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "layers_to_transform")


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
        """The layer with the adapter added to its weight."""
        self.layer.weight += self.alpha / self.rank * (self.B @ self.A)
        return self.layer


def attach(model: GPT | GPTClassifier, settings: LoRAParams) -> None:
    """Freeze the model and add an adapter to each target module. Adapters learn, and a classifier's new head."""
    model.requires_grad_(False)
    for block in model.backbone.blocks:
        for target in settings.target_modules:
            owner, name = _owner(block, target)
            setattr(owner, name, LoRALinear(getattr(owner, name), settings.rank, settings.alpha, settings.dropout))
    if isinstance(model, GPTClassifier):
        model.head.requires_grad_(True)


def merge(model: GPT | GPTClassifier) -> None:
    """Add every adapter to its layer's weight and remove it; all weights learn again."""
    for _, owner, name, adapted in list(_adapted(model)):
        setattr(owner, name, adapted.merged())
    model.requires_grad_(True)


def detach(model: GPT | GPTClassifier, base: str | None = None) -> "Adapter | None":
    """Merge a model's adapters, if it has any, and return them."""
    if not _by_hub_name(model):
        return None
    adapter = Adapter.of(model, base)
    merge(model)
    return adapter


@dataclass(frozen=True)
class Adapter:
    """Copies of a model's adapters, and of a classifier's head."""

    tensors: dict[str, Tensor]
    config: dict[str, object]

    @classmethod
    def of(cls, model: GPT | GPTClassifier, base: str | None = None) -> "Adapter":
        """Of a model that is not merged yet. `base`: path or name of the base model, for PEFT."""
        adapted = _by_hub_name(model)
        if not adapted:
            raise ValueError("the model has no adapters: call attach first, and this before merge")
        tensors = {name: p.detach().to("cpu", torch.float32).clone() for name, p in _parameters(model).items()}
        first = next(iter(adapted.values()))
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
        with files.atomic(folder) as tmp:
            tmp.mkdir()
            save_file(self.tensors, tmp / WEIGHTS, metadata={"format": "pt"})
            files.write_json(tmp / CONFIG, self.config)


def load(model: GPT | GPTClassifier, folder: Path) -> None:
    """Attach the adapters that `Adapter.write` or PEFT wrote. Raises `GptmillError` when they do not fit the model."""
    config, tensors = files.read_snapshot(folder, _read)
    try:
        rank, alpha, targets = config["r"], config["lora_alpha"], set(config["target_modules"])
        modules = [ours for ours, theirs in _TARGETS.items() if {theirs, theirs.split(".")[1]} & targets]
        dropout = float(config.get("lora_dropout", 0))
        settings = LoRAParams(rank=rank, alpha=float(alpha), dropout=dropout, target_modules=modules)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise _no_adapter(folder, error) from None
    if keys := ", ".join(key for key in _UNSUPPORTED if config.get(key)):
        raise GptmillError(f"{folder / CONFIG} uses {keys}, which gptmill does not: merge the adapter with PEFT first")
    ranks = {tensor.shape[0] for name, tensor in tensors.items() if name.endswith(".lora_A.weight")}
    if ranks - {rank}:  # before memory is allocated
        shown = ", ".join(map(str, sorted(ranks)))
        raise GptmillError(f"{folder / CONFIG} says r is {rank}, the weights {shown}: get the adapter again")
    attach(model, settings)
    own = _parameters(model)
    specs = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    if problems := differences({name: tensor.shape for name, tensor in own.items()}, specs):
        merge(model)  # adds nothing: the adapters are new
        raise GptmillError(f"the adapter in {folder} does not fit the model:\n" + listing(problems))
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def _read(folder: Path) -> tuple[Any, dict[str, Tensor]]:
    """An adapter's config and tensors. Raises `GptmillError` when they can't be read."""
    try:
        config = files.read_json(folder / CONFIG)
    except (OSError, ValueError) as error:
        raise _no_adapter(folder, error) from None
    file = Safetensors(folder / WEIGHTS)
    return config, {name: demand_finite(file.read(name), name, folder / WEIGHTS) for name in file.specs}


def _no_adapter(folder: Path, error: Exception) -> GptmillError:
    return GptmillError(
        f"{folder / CONFIG} is not a LoRA adapter of a GPT-2 ({error}): name a folder with {CONFIG} and {WEIGHTS}"
    )


# `lora.target_modules` as attributes of a block, and as Hugging Face's names.
_OURS = {
    "qkv": "attention.qkv",
    "out_proj": "attention.out_proj",
    "up_proj": "feed_forward.up_proj",
    "down_proj": "feed_forward.down_proj",
}
_HUGGINGFACE = {name.ours.removesuffix(".weight"): name.huggingface.removesuffix(".weight") for name in BLOCK}
_TARGETS = {target: _HUGGINGFACE[ours] for target, ours in _OURS.items()}


def _owner(block: Block, target: str) -> tuple[nn.Module, str]:
    module, _, name = _OURS[target].partition(".")
    return getattr(block, module), name


def _adapted(model: GPT | GPTClassifier) -> Iterator[tuple[str, nn.Module, str, LoRALinear]]:
    """(Hugging Face's name, owner, attribute, layer) of each adapted layer."""
    for i, block in enumerate(model.backbone.blocks):
        for target in _OURS:
            owner, name = _owner(block, target)
            if isinstance(layer := getattr(owner, name), LoRALinear):
                yield f"transformer.h.{i}.{_TARGETS[target]}", owner, name, layer


def _parameters(model: GPT | GPTClassifier) -> dict[str, nn.Parameter]:
    """Adapters, and a classifier's head, by their names in PEFT's file."""
    adapted = _by_hub_name(model).items()
    named = {f"{_PREFIX}{name}.lora_{part}.weight": getattr(layer, part) for name, layer in adapted for part in "AB"}
    return named | ({f"{_PREFIX}score.weight": model.head.weight} if isinstance(model, GPTClassifier) else {})


def _by_hub_name(model: GPT | GPTClassifier) -> dict[str, LoRALinear]:
    return {name: layer for name, *_, layer in _adapted(model)}
