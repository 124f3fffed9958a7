"""Model folders: Hugging Face's config, weights and tokenizer; prompt template, adapter and lineage.

ModelFolder(path).save(model, tokenizer, lineage=lineage)
model, tokenizer = ModelFolder(path).load()
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from gptmill.core import files
from gptmill.core.errors import GptmillError, listing
from gptmill.model import hf_config
from gptmill.model.gpt import GPT, Backbone, GPTClassifier, GPTConfig, shapes_only
from gptmill.model.lineage import Lineage
from gptmill.model.lora import Adapter
from gptmill.model.tensor_files import Safetensors, TensorSpec, write_safetensors
from gptmill.model.tensor_names import (
    HEAD,
    HUGGINGFACE,
    Renamed,
    backbone_shapes,
    is_tied,
    mismatches,
    places,
    shape_there,
    to_ours,
    to_theirs,
)  # fmt: skip
from gptmill.text import prompts
from gptmill.text.prompts import PromptTemplate
from gptmill.text.tokenizer import END_OF_TEXT, TOKENIZER_FILES, Tokenizer

_LM_HEAD, _CLASSIFIER_HEAD = "lm_head.weight", "score.weight"


@dataclass(frozen=True)
class ModelFolder:
    """One model folder. It is replaced in one step; `load` methods read one version, also during a replacement.

    They raise `GptmillError` when the folder has another kind of model, or its parts do not fit each other.
    """

    WEIGHTS: ClassVar = Lineage.WEIGHTS
    # All that belongs to a model. Its adapter, if any, is merged into the weights.
    FILES: ClassVar = (
        hf_config.NAME, WEIGHTS, *TOKENIZER_FILES, prompts.STYLE_FILE, prompts.CHAT_TEMPLATE, "README.md", Lineage.FILE,
    )  # fmt: skip

    path: Path

    def save(
        self,
        model: GPT | GPTClassifier,
        tokenizer: Tokenizer,
        *,
        max_length: int | None = None,
        template: PromptTemplate | None = None,
        adapter: Adapter | None = None,
        lineage: Lineage | None = None,
    ) -> None:
        """Write the folder atomically. `max_length`: tokens of a text that the model reads; None: its context."""
        state = {**model.backbone.state_dict(), HEAD: model.head.weight}
        labels = model.labels if isinstance(model, GPTClassifier) else ()
        with files.atomic(self.path) as tmp:
            tmp.mkdir()
            write_model(tmp, model.config, state.__getitem__, tokenizer.end_of_text, labels)
            tokenizer.save(tmp, max_length or model.config.context_length)
            if template:
                prompts.save_template(tmp, template)
            if adapter:
                adapter.write(tmp / "adapter")
            if lineage:
                lineage.write(tmp)

    def load(self) -> tuple[GPT, Tokenizer]:
        """A language model and its tokenizer."""
        return files.read_snapshot(self.path, _load)

    def load_instruct(self) -> tuple[GPT, Tokenizer, PromptTemplate]:
        """A language model, its tokenizer and the prompt template that it was tuned with."""
        return files.read_snapshot(self.path, lambda path: (*_load(path), prompts.load_template(path)))

    def load_classifier(self) -> tuple[GPTClassifier, Tokenizer, int]:
        """A classifier, its tokenizer and the number of tokens of a text that it was trained to read."""

        def read(path: Path) -> tuple[GPTClassifier, Tokenizer, int]:
            model = _load_gpt_classifier(path)
            tokenizer = _load_tokenizer(path, model.config)
            return model, tokenizer, min(Tokenizer.max_length(path), model.config.context_length)

        return files.read_snapshot(self.path, read)

    def load_base(self, tokenizer: Tokenizer) -> GPT:
        """A language model to fine-tune. Raises `GptmillError` when it was trained with another tokenizer."""
        model, own = self.load()
        if not own.is_equivalent(tokenizer):
            raise GptmillError(
                f"{self.path} was trained with another tokenizer ({own.vocab_size:,} tokens) than the one that "
                f"encodes the data here ({tokenizer.vocab_size:,} tokens): run `dvc repro pretrain`, or set "
                "params.yaml to the tokenizer of this base"
            )
        return model

    def load_gpt(self) -> GPT:
        """A language model without its tokenizer."""
        return files.read_snapshot(self.path, _load_gpt)

    def load_gpt_classifier(self) -> GPTClassifier:
        """A classifier without its tokenizer."""
        return files.read_snapshot(self.path, _load_gpt_classifier)


def write_model(
    folder: Path,
    config: GPTConfig,
    read: Callable[[str], Tensor],
    end_of_text: int | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Write `config.json` and `model.safetensors` into a folder; `read` gives our tensors by name, one at a time."""
    shapes = backbone_shapes(config)
    specs: dict[str, TensorSpec] = {}
    reads: dict[str, Callable[[], Tensor]] = {}
    for place in places(HUGGINGFACE, config.n_layers):
        name = f"{HUGGINGFACE.prefix}{place.theirs[0]}"
        if place.ours in shapes:
            specs[name] = TensorSpec(shape_there(place, HUGGINGFACE, shapes[place.ours]), torch.float32)
            reads[name] = lambda place=place: to_theirs(place, HUGGINGFACE, read(place.ours))[0]
        else:  # Hugging Face's GPT-2 always has qkv biases; zeros are the same as none
            specs[name] = TensorSpec((3 * config.d_model,), torch.float32)
            reads[name] = lambda: torch.zeros(3 * config.d_model)
    if labels or not config.tie_weights:
        head = _CLASSIFIER_HEAD if labels else _LM_HEAD
        specs[head] = TensorSpec((len(labels) or config.vocab_size, config.d_model), torch.float32)
        reads[head] = lambda: read(HEAD)
    write_safetensors(folder / ModelFolder.WEIGHTS, specs, lambda name: reads[name]())
    hf_config.write(folder / hf_config.NAME, config, end_of_text, labels)


def load_gpt2(path: Path, config: GPTConfig) -> GPT:
    """OpenAI's GPT-2 from the safetensors file that Hugging Face publishes."""
    return _build(config, path, path)


def demand_fitting(tokenizer: Tokenizer, config: GPTConfig, folder: Path) -> None:
    """Raises `GptmillError` when the tokenizer has more ids than the model, or another end of text than the configs."""
    problems = []
    if tokenizer.vocab_size > config.vocab_size:
        problems.append(
            f"the tokenizer has {tokenizer.vocab_size:,} tokens, more than the model's {config.vocab_size:,}"
        )
    for name in (hf_config.NAME, "generation_config.json"):
        ends = hf_config.ends_of_text(folder / name) - {tokenizer.end_of_text}
        # transformers' default is GPT-2's id, whatever the vocabulary
        if ends := sorted(end for end in ends if end < config.vocab_size):
            problems.append(
                f"{name} ends a text with id {ends[0]}, the tokenizer with {tokenizer.end_of_text} ({END_OF_TEXT})"
            )
    if problems:
        raise GptmillError(f"the tokenizer in {folder} does not fit the model:\n" + listing(problems))


def _load(path: Path) -> tuple[GPT, Tokenizer]:
    model = _load_gpt(path)
    return model, _load_tokenizer(path, model.config)


def _load_tokenizer(path: Path, config: GPTConfig) -> Tokenizer:
    tokenizer = Tokenizer.load(path)
    demand_fitting(tokenizer, config, path)
    return tokenizer


def _load_gpt(path: Path) -> GPT:
    config, settings = hf_config.read(path / hf_config.NAME)
    if hf_config.is_classifier(settings):
        raise GptmillError(f"{path} holds a classifier, not a language model: use models/base or models/instruct")
    return _build(config, path / ModelFolder.WEIGHTS, path)


def _load_gpt_classifier(path: Path) -> GPTClassifier:
    config, settings = hf_config.read(path / hf_config.NAME)
    if not hf_config.is_classifier(settings):
        raise GptmillError(
            f"{path} holds a language model, not a classifier: run `dvc repro finetune_classifier` and use its folder"
        )
    labels = hf_config.labels(settings, path / hf_config.NAME)
    weights = path / ModelFolder.WEIGHTS
    tensors = Renamed(Safetensors(weights), HUGGINGFACE, weights)
    _refuse(mismatches(HUGGINGFACE, tensors.specs, config, {_CLASSIFIER_HEAD: (len(labels), config.d_model)}), path)
    with shapes_only():  # the tensors that are read take their place, none is held twice
        model = GPTClassifier(Backbone(config), labels)
    _fill_backbone(model.backbone, tensors)
    model.head.weight = nn.Parameter(tensors.read(_CLASSIFIER_HEAD).float())
    return model


def _build(config: GPTConfig, weights: Path, path: Path) -> GPT:
    tensors = Renamed(Safetensors(weights), HUGGINGFACE, weights)
    head = {} if config.tie_weights else {_LM_HEAD: (config.vocab_size, config.d_model)}
    problems = mismatches(HUGGINGFACE, tensors.specs, config, head, optional=[_LM_HEAD])
    if not problems and config.tie_weights and _LM_HEAD in tensors.specs and not is_tied(tensors, HUGGINGFACE):
        problems.append(
            "lm_head.weight is not wte.weight, but the config says they are tied: gptmill weights import keeps both"
        )
    _refuse(problems, path)
    with shapes_only():
        model = GPT(config)
    _fill_backbone(model.backbone, tensors)
    tied = model.backbone.token_embedding.weight
    model.head.weight = tied if config.tie_weights else nn.Parameter(tensors.read(_LM_HEAD).float())
    return model


def _fill_backbone(backbone: Backbone, tensors: Renamed) -> None:
    shapes = {name: parameter.shape for name, parameter in backbone.named_parameters()}
    needed = [place for place in places(HUGGINGFACE, backbone.config.n_layers) if place.ours in shapes]
    # The blocks' memory is allocated first: else it would land in the holes that temporary tensors leave in the heap.
    out = {place.ours: torch.empty(shapes[place.ours]) for place in needed if place.ours.startswith("blocks.")}
    state = {place.ours: to_ours(place, HUGGINGFACE, tensors.read, out.get(place.ours)) for place in needed}
    backbone.load_state_dict(state, assign=True)
    backbone.requires_grad_(True)


def _refuse(problems: Sequence[str], path: Path) -> None:
    if problems:
        raise GptmillError(
            f"the weights in {path} do not fit the model:\n{listing(problems)}\n"
            "Import the original again with `gptmill weights import`, or run the stage that makes it."
        )
