"""`params.yaml` as strict types: every number of the pipeline, what it means and what is allowed.

An unknown key, a wrong type or a value out of range raises one `GptmillError` that lists each problem with its key, its value and what is
allowed, before any work is done. The `description` of a field is the help that `gptmill params show` prints.
"""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from gptmill import files, paths
from gptmill.errors import GptmillError
from gptmill.params import sources
from gptmill.params.base import PositiveInt, Section, Share
from gptmill.params.explaining import explain
from gptmill.params.judging import JudgeParams
from gptmill.params.sources import CorpusParams, InstructionsParams, SpamParams

# GPT-2's published sizes (Radford et al. 2019, table 2; parameter counts as released): layers, heads, width.
GPT2_SIZES = {"gpt2-124M": (12, 12, 768), "gpt2-355M": (24, 16, 1024), "gpt2-774M": (36, 20, 1280), "gpt2-1558M": (48, 25, 1600)}
GPT2_VOCAB_SIZE, GPT2_CONTEXT_LENGTH = 50257, 1024


class SampleParams(Section):
    corpus_characters: Annotated[int, Field(ge=20_000, le=1_300_000)] = Field(description="the first stories, as many as are that long")
    messages: Annotated[int, Field(ge=100, le=5574)] = Field(description="the first SMS messages; of all, 13.4% are spam")
    instructions: Annotated[int, Field(ge=60, le=1100)] = Field(description="the first instruction records")


class ExpectationParams(Section):
    min_corpus_characters: PositiveInt = Field(description="a shorter corpus stops the graph")
    max_unbroken_characters: PositiveInt = Field(description="a document with a longer run without white space goes to quarantine")
    max_repeated_line_share: Share = Field(description="more lines of the corpus that stood before, but for short ones, stop the graph")
    min_messages: PositiveInt = Field(description="fewer messages stop the graph")
    min_records: PositiveInt = Field(description="fewer instruction records stop the graph")
    min_class_share: Share = Field(description="a class with a smaller share of the kept messages stops the graph")
    max_text_characters: PositiveInt = Field(description="longest message, or field of a record; longer ones go to quarantine")
    max_duplicate_share: Share = Field(description="more rows that repeat another but for case and spacing stop the graph")
    max_near_duplicate_share: Share = Field(description="more rows that are nearly the same as another, but no repetition, stop the graph")
    # Below 0.75 MinHash would miss pairs: see data/similar.py.
    near_duplicate_similarity: Annotated[float, Field(ge=0.75, le=1)] = Field(
        description="texts whose runs of five letters or digits are as alike as this (Jaccard) are near-duplicates, which no split parts"
    )
    max_quarantined_share: Share = Field(description="more bad rows than this in one data set stop the graph")


class DataParams(Section):
    source: Literal["sample", "book", "custom"] = Field(
        description="sample: embedded, offline; book: the public files that the book uses; custom: what the urls below name"
    )
    sample: SampleParams = Field(description="how much of the embedded sample is taken")
    corpus: CorpusParams = Field(description="what the base model and the tokenizer learn from")
    spam: SpamParams = Field(description="the labelled texts that the classifier learns from; spam is the first use, any classes will do")
    instructions: InstructionsParams = Field(description="what the instruct model learns from")
    expectations: ExpectationParams = Field(description="what the data must meet before anything is trained on it")


class SharesParams(Section):
    train: Share = Field(description="share of the rows to train on")
    validation: Share = Field(description="share to choose the best epoch by; the rest is the test split")

    @model_validator(mode="after")
    def _leave_a_test_split(self) -> Self:
        if not self.train > 0 or not self.validation > 0 or self.train + self.validation >= 1:
            raise ValueError(
                f"train ({self.train}) and validation ({self.validation}) must be above 0 and leave something for the test split"
            )
        return self


METHOD = "groups: seeded, by class, no near-duplicate on two sides; book: the book's own split, to compare with it"


class SpamSplitParams(SharesParams):
    method: Literal["groups", "book"] = Field(description=METHOD)
    balance: Literal["undersample", "weights", "none"] = Field(
        description="undersample: as many of each class as the rarest has; weights: all, and rare classes weigh more; none: all"
    )

    @model_validator(mode="after")
    def _the_book_undersamples(self) -> Self:
        if self.method == "book" and self.balance != "undersample":
            raise ValueError(f"method book is the book's split, which undersamples: balance ({self.balance}) must be undersample")
        return self


class InstructionSplitParams(SharesParams):
    method: Literal["groups", "book"] = Field(description=METHOD)


class CorpusSplitParams(Section):
    validation: Annotated[float, Field(gt=0, lt=1)] = Field(description="end of the corpus that is kept for validation")


class SplitParams(Section):
    corpus: CorpusSplitParams = Field(description="how the corpus' tokens are divided")
    spam: SpamSplitParams = Field(description="how the messages are divided")
    instructions: InstructionSplitParams = Field(description="how the records are divided")


class TokenizerParams(Section):
    ranks: Literal["corpus", "gpt2"] = Field(description="corpus: byte pairs trained on the corpus; gpt2: GPT-2's own")
    vocab_size: Annotated[int, Field(ge=257, le=65536)] = Field(description="bytes, merges and the end-of-text token together")

    @model_validator(mode="after")
    def _gpt2_has_its_own_size(self) -> Self:
        if self.ranks == "gpt2" and self.vocab_size != GPT2_VOCAB_SIZE:
            raise ValueError(f"vocab_size must be {GPT2_VOCAB_SIZE} when ranks is gpt2")
        return self


class ModelParams(Section):
    n_layers: PositiveInt = Field(description="transformer blocks")
    n_heads: PositiveInt = Field(description="attention heads a block")
    d_model: PositiveInt = Field(description="width of the residual stream; a multiple of n_heads")
    context_length: Annotated[int, Field(ge=8)] = Field(description="tokens that the model can look back on, itself included")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(description="after the embeddings, in attention and before each residual sum")
    qkv_bias: bool = Field(description="bias of the query, key and value projections (GPT-2: true)")
    tie_weights: bool = Field(description="one matrix for token embedding and output (GPT-2: true)")

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model ({self.d_model}) must be a multiple of n_heads ({self.n_heads})")
        return self


class TrainingParams(Section):
    optimizer: Literal["adamw", "muon"] = Field(description="adamw; or muon for matrices and adamw for embeddings, norms and biases")
    epochs: PositiveInt = Field(description="passes over the training split")
    batch_size: PositiveInt = Field(description="sequences a step")
    micro_batch_size: Annotated[int, Field(ge=0)] = Field(
        description="of these, how many are in memory at once; their gradients add up to the batch's; 0: all"
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(description="peak, after the warm-up")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(description="steps in which the learning rate rises from 0 to its peak")
    min_learning_rate: Annotated[float, Field(ge=0, le=1)] = Field(description="where the cosine ends")
    weight_decay: Annotated[float, Field(ge=0, le=10)] = Field(description="on matrices only: not on embeddings, norms and biases")
    gradient_clip: Annotated[float, Field(gt=0)] = Field(description="largest norm of the gradient")
    evaluations: PositiveInt = Field(description="how many times a validation loss is measured, evenly spaced, the end included")
    patience: Annotated[int, Field(ge=0)] = Field(
        description="evaluations in a row that may bring nothing better before the training stops early; 0: it never does"
    )
    keep: Literal["best", "last"] = Field(description="best: the weights that did best on validation; last: those of the last step")

    @model_validator(mode="after")
    def _cosine_goes_down(self) -> Self:
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(f"min_learning_rate ({self.min_learning_rate}) must not exceed learning_rate ({self.learning_rate})")
        return self


class LoRAParams(Section):
    rank: Annotated[int, Field(ge=0)] = Field(description="width of the adapters, which alone learn then; 0: no LoRA, the weights learn")
    alpha: Annotated[float, Field(gt=0)] = Field(description="what an adapter adds is scaled by alpha / rank")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(description="of an adapter's input, in training")
    layers: Annotated[list[Literal["qkv", "projection", "expand", "contract"]], Field(min_length=1)] = Field(
        description="which layers of each block get an adapter: qkv and projection (attention), expand and contract (feed-forward)"
    )

    @model_validator(mode="after")
    def _each_layer_once(self) -> Self:
        if len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers ({', '.join(self.layers)}) must name each layer once")
        return self


class BaseParams(TrainingParams):
    init: Literal["scratch", *GPT2_SIZES] = Field(description="scratch: pretrain here; gpt2-…: load OpenAI's weights and pretrain nothing")


class ClassifierParams(TrainingParams):
    trainable: Literal["head", "last_block", "all"] = Field(description="what learns beside the new head; last_block is the book's choice")
    max_length: PositiveInt = Field(description="tokens of a message that are read; the rest is cut")
    cache_activations: bool = Field(
        description="true: what a frozen trunk makes of a text is worked out once, not once an epoch; same bits. Not with model.dropout"
    )
    lora: LoRAParams = Field(description="low-rank adapters in place of the weights; with a rank above 0 they and the head learn")


class InstructParams(TrainingParams):
    max_length: PositiveInt = Field(description="tokens of prompt and answer that are read; the rest is cut")
    prompt_style: Literal["alpaca", "alpaca_model_header", "phi3"] = Field(
        description="alpaca; alpaca_model_header: as the book does, the model learns to write the answer's header itself; phi3"
    )
    loss_on: Literal["all", "response"] = Field(description="all: prompt and answer, as the book does; response: the answer alone")
    lora: LoRAParams = Field(description="low-rank adapters in place of the weights; with a rank above 0 they alone learn")


class GenerateParams(Section):
    max_new_tokens: PositiveInt = Field(description="longest answer")
    temperature: Annotated[float, Field(ge=0, le=10)] = Field(description="0: always the likeliest token; higher: bolder")
    top_k: Annotated[int, Field(ge=0)] = Field(description="sample among the k likeliest tokens; 0: among all")
    batch_size: PositiveInt = Field(description="prompts decoded side by side")
    compare_base: bool = Field(description="true: the base model answers too, so that one sees what the tuning brought")


class PromotionParams(Section):
    margin: Annotated[float, Field(ge=0)] = Field(
        description="how much better than the champion, at least: a share of right answers, a share of the judge's 100, bits a byte"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(description="of the interval that must lie above the margin as a whole")
    min_recall: Share = Field(description="a classifier that finds a smaller share of any class is refused")
    max_calibration_error: Share = Field(
        description="a classifier whose probabilities are further than this from how often it is right, on average, is refused"
    )


class ComputeParams(Section):
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(description="auto: the fastest that is there")
    precision: Literal["auto", "float32", "bf16"] = Field(description="auto: bf16 where the device is known to be fast at it")
    threads: Annotated[int, Field(ge=0)] = Field(description="CPU threads of torch in each process and of tokenizing; 0: one a core")
    launcher: str = Field(
        description='"": a training is one process; or a command line such as torchrun --standalone --nproc-per-node 2, that starts several'
    )
    checkpoint_activations: bool = Field(description="true: train in less memory, a third slower, with the same result")
    checkpoint_minutes: Annotated[float, Field(ge=0)] = Field(
        description="a training that is killed loses no more than this; 0: a checkpoint after every step. No influence on the result"
    )

    @field_validator("launcher")
    @classmethod
    def _launcher_is_torchrun(cls, launcher: str) -> str:
        try:
            words = shlex.split(launcher)
        except ValueError as error:
            raise ValueError(f"{launcher!r} is no command line ({error})") from None
        if launcher and words[:1] != ["torchrun"]:
            raise ValueError(f'{launcher!r} must start with torchrun, or be "" for a single process')
        return launcher


class Params(Section):
    """The whole of `params.yaml`."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(description="every random choice comes from it")
    data: DataParams
    split: SplitParams
    tokenizer: TokenizerParams
    model: ModelParams
    base: BaseParams
    classifier: ClassifierParams
    instruct: InstructParams
    generate: GenerateParams
    judge: JudgeParams
    promotion: PromotionParams
    compute: ComputeParams

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        problems = sources.problems(self.data)
        if self.base.init != "scratch":
            layers, heads, width = GPT2_SIZES[self.base.init]
            wanted = {
                "n_layers": layers,
                "n_heads": heads,
                "d_model": width,
                "context_length": GPT2_CONTEXT_LENGTH,
                "qkv_bias": True,
                "tie_weights": True,
            }
            wrong = [f"{key}: {value}" for key, value in wanted.items() if getattr(self.model, key) != value]
            if wrong:
                problems.append(f"base.init {self.base.init} needs, under model: {', '.join(wrong)}")
            if self.tokenizer.ranks != "gpt2":
                problems.append(f"base.init {self.base.init} needs tokenizer.ranks: gpt2 and tokenizer.vocab_size: {GPT2_VOCAB_SIZE}")
        for section in ("classifier", "instruct"):
            max_length = getattr(self, section).max_length
            if max_length > self.model.context_length:
                problems.append(f"{section}.max_length ({max_length}) must not exceed model.context_length ({self.model.context_length})")
        classes, share = len(self.data.spam.labels), self.data.expectations.min_class_share
        if share * classes > 1:
            problems.append(f"data.expectations.min_class_share ({share}) is more than {classes} classes can have, all of them")
        if self.split.spam.method == "book" and classes != 2:
            problems.append(f"split.spam.method book is for two classes; data.spam.labels has {classes}: use groups")
        if problems:
            raise ValueError("; ".join(problems))
        return self


DEFAULT = "sample"  # the profile that params.yaml is a copy of in the repository


def load(path: Path = paths.PARAMS) -> Params:
    """Read and check a params file. Raises `GptmillError` with one line for each problem."""
    # ruamel reads YAML 1.2 as DVC does: 1e-4 is a number, a key that stands twice is an error. In Python alone, as what it writes is meant.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise GptmillError(
            f"{path} is not here. Run gptmill from the project's root, or bring it back: gptmill params use sample"
        ) from None
    except MarkedYAMLError as error:
        where = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise GptmillError(f"{path}{where} is not readable YAML: {error.problem}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise GptmillError(f"{path} is not readable YAML: {error}") from None
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise GptmillError(explain(Params, path, error)) from None


def describe(params: Params) -> Iterator[tuple[str, Any, str]]:
    """(dotted key, value, what it means) for every parameter."""

    def walk(section: BaseModel, prefix: str) -> Iterator[tuple[str, Any, str]]:
        for name, field in type(section).model_fields.items():
            value = getattr(section, name)
            if isinstance(value, BaseModel):
                yield from walk(value, f"{prefix}{name}.")
            elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
                for place, item in enumerate(value):
                    yield from walk(item, f"{prefix}{name}.{place}.")
            else:
                yield f"{prefix}{name}", value, field.description or ""

    yield from walk(params, "")


def flatten(sections: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of sections of params, or of single values by their names."""
    for name, section in sections.items():
        if isinstance(section, BaseModel):
            section = section.model_dump()
        if isinstance(section, Mapping):
            yield from flatten({f"{name}.{key}": value for key, value in section.items()})
        else:
            yield name, section


def use_profile(name: str, *, force: bool = False) -> str:
    """Copy `profiles/<name>.yaml` onto `params.yaml`; returns what to tell the person.

    Raises `GptmillError` when there is no such profile, when it is not in order, or when params.yaml holds changes that no profile has.
    """
    profiles = {path.stem: path.read_bytes() for path in sorted(paths.PROFILES.glob("*.yaml"))}
    if name not in profiles:
        raise GptmillError(f"there is no profile {name}; profiles/ has {', '.join(profiles) or 'nothing'}")
    load(paths.PROFILES / f"{name}.yaml")
    current = paths.PARAMS.read_bytes() if paths.PARAMS.exists() else None
    if current == profiles[name]:
        return f"{paths.PARAMS} is profile {name} already."
    if current is not None and current not in profiles.values() and not force:
        raise GptmillError(
            f"{paths.PARAMS} has changes of your own, which profile {name} would replace. Keep them: cp {paths.PARAMS} "
            f"{paths.PROFILES}/mine.yaml. Or drop them: gptmill params use {name} --force"
        )
    with files.atomic(paths.PARAMS) as beside:
        beside.write_bytes(profiles[name])
    told = f"{paths.PARAMS} is now a copy of profiles/{name}.yaml"
    if name == DEFAULT:
        return f"{told}, the default."
    return f"{told}; a run then rewrites dvc.lock and metrics/ too. Back to the default: gptmill params use {DEFAULT}"
