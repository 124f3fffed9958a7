"""Sections of `params.yaml` as strict types: every number of the pipeline, what it means and what is allowed.

The `description` of a field is the help that `gptmill params show` prints.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gptmill.config import memory, sources
from gptmill.config.compute import ComputeParams
from gptmill.config.data import DataParams, SplitParams
from gptmill.config.judge import JudgeParams
from gptmill.config.section import PositiveInt, Section, Share

# GPT-2's published sizes (Radford et al. 2019, table 2; parameter counts as released): layers, heads, width.
GPT2_SIZES = {
    "gpt2-124M": (12, 12, 768),
    "gpt2-355M": (24, 16, 1024),
    "gpt2-774M": (36, 20, 1280),
    "gpt2-1558M": (48, 25, 1600),
}
GPT2_VOCAB_SIZE, GPT2_CONTEXT_LENGTH = 50257, 1024


class TokenizerParams(Section):
    ranks: Literal["corpus", "gpt2"] = Field(
        "corpus", description="corpus: byte pairs trained on the corpus; gpt2: GPT-2's own"
    )
    vocab_size: Annotated[int, Field(ge=257, le=65536)] = Field(
        2048, description="bytes, merges and the end-of-text token together"
    )

    @model_validator(mode="after")
    def _gpt2_has_its_own_size(self) -> Self:
        if self.ranks == "gpt2" and self.vocab_size != GPT2_VOCAB_SIZE:
            raise ValueError(f"vocab_size must be {GPT2_VOCAB_SIZE} when ranks is gpt2")
        return self


class ModelParams(Section):
    n_layers: PositiveInt = Field(4, description="transformer blocks")
    n_heads: PositiveInt = Field(4, description="attention heads a block")
    d_model: PositiveInt = Field(192, description="width of the residual stream; a multiple of n_heads")
    context_length: Annotated[int, Field(ge=8)] = Field(
        256, description="tokens that the model can look back on, itself included"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="after the embeddings, in attention and before each residual sum"
    )
    qkv_bias: bool = Field(True, description="bias of the query, key and value projections (GPT-2: true)")
    tie_weights: bool = Field(True, description="one matrix for token embedding and output (GPT-2: true)")

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model ({self.d_model}) must be a multiple of n_heads ({self.n_heads})")
        return self


class TrainingParams(Section):
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="adamw; or muon for matrices and adamw for embeddings, norms and biases"
    )
    epochs: PositiveInt = Field(3, description="passes over the training split")
    batch_size: PositiveInt = Field(16, description="sequences a step")
    micro_batch_size: Annotated[int, Field(ge=0)] = Field(
        0, description="of these, how many are in memory at once; their gradients add up to the batch's; 0: all"
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(0.0006, description="peak, after the warm-up")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        20, description="steps in which the learning rate rises from 0 to its peak"
    )
    min_learning_rate: Annotated[float, Field(ge=0, le=1)] = Field(0.00001, description="where the cosine ends")
    weight_decay: Annotated[float, Field(ge=0, le=10)] = Field(
        0.1, description="on matrices only: not on embeddings, norms and biases"
    )
    gradient_clip: Annotated[float, Field(gt=0)] = Field(1.0, description="largest norm of the gradient")
    evaluations: PositiveInt = Field(
        6, description="how many times a validation loss is measured, evenly spaced, the end included"
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        0,
        description="evaluations in a row that may bring nothing better before the training stops early; 0: it never does",
    )
    keep: Literal["best", "last"] = Field(
        "best", description="best: the weights that did best on validation; last: those of the last step"
    )

    @model_validator(mode="after")
    def _cosine_goes_down(self) -> Self:
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(
                f"min_learning_rate ({self.min_learning_rate}) must not exceed learning_rate ({self.learning_rate})"
            )
        return self


class LoRAParams(Section):
    rank: Annotated[int, Field(ge=0)] = Field(
        0, description="width of the adapters, which alone learn then; 0: no LoRA, the weights learn"
    )
    alpha: Annotated[float, Field(gt=0)] = Field(16.0, description="what an adapter adds is scaled by alpha / rank")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="of an adapter's input, in training")
    target_modules: Annotated[list[Literal["qkv", "out_proj", "up_proj", "down_proj"]], Field(min_length=1)] = Field(
        ["qkv", "out_proj", "up_proj", "down_proj"],
        description="layers of each block that get an adapter: qkv, out_proj (attention), up_proj, down_proj (feed-forward)",
    )

    @model_validator(mode="after")
    def _each_module_once(self) -> Self:
        if len(set(self.target_modules)) < len(self.target_modules):
            raise ValueError(f"target_modules ({', '.join(self.target_modules)}) must name each layer once")
        return self


class BaseParams(TrainingParams):
    init: Literal["scratch", *GPT2_SIZES] = Field(
        "scratch", description="scratch: pretrain here; gpt2-…: load OpenAI's weights and pretrain nothing"
    )


class ClassifierParams(TrainingParams):
    trainable: Literal["head", "last_block", "all"] = Field(
        "all", description="what learns beside the new head; last_block is the book's choice"
    )
    max_length: PositiveInt = Field(128, description="tokens of a message that are read; the rest is cut")
    cache_activations: bool = Field(
        True,
        description="true: what a frozen trunk makes of a text is worked out once, not once an epoch; same bits. Not with model.dropout",
    )
    lora: LoRAParams = Field(
        LoRAParams(),
        description="low-rank adapters in place of the weights; with a rank above 0 they and the head learn",
    )


class InstructParams(TrainingParams):
    max_length: PositiveInt = Field(256, description="tokens of prompt and answer that are read; the rest is cut")
    prompt_style: Literal["alpaca", "alpaca_model_header", "phi3"] = Field(
        "alpaca",
        description="alpaca; alpaca_model_header: as the book does, the model learns to write the answer's header itself; phi3",
    )
    loss_on: Literal["all", "response"] = Field(
        "response", description="all: prompt and answer, as the book does; response: the answer alone"
    )
    lora: LoRAParams = Field(
        LoRAParams(), description="low-rank adapters in place of the weights; with a rank above 0 they alone learn"
    )


class GenerateParams(Section):
    max_new_tokens: PositiveInt = Field(64, description="longest answer")
    temperature: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0, description="0: always the likeliest token; higher: bolder"
    )
    top_k: Annotated[int, Field(ge=0)] = Field(0, description="sample among the k likeliest tokens; 0: among all")
    batch_size: PositiveInt = Field(32, description="prompts decoded side by side")
    compare_base: bool = Field(
        True, description="true: the base model answers too, so that one sees what the tuning brought"
    )

    @model_validator(mode="after")
    def _answers_fit_into_memory(self) -> Self:
        if problem := memory.new_tokens_problem(self.max_new_tokens, self.batch_size):
            raise ValueError(problem)
        return self


class PromotionParams(Section):
    margin: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="how much better than the champion, at least: a share of right answers, a share of the judge's 100, bits a byte",
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="of the interval that must lie above the margin as a whole"
    )
    min_recall: Share = Field(0.8, description="a classifier that finds a smaller share of any class is refused")
    max_calibration_error: Share = Field(
        0.1,
        description="a classifier whose probabilities are further than this from how often it is right, on average, is refused",
    )


class Params(Section):
    """The whole of `params.yaml`."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(123, description="every random choice comes from it")
    data: DataParams = DataParams()
    split: SplitParams = SplitParams()
    tokenizer: TokenizerParams = TokenizerParams()
    model: ModelParams = ModelParams()
    base: BaseParams = BaseParams(
        optimizer="muon", batch_size=8, learning_rate=0.009, warmup_steps=30, min_learning_rate=0.0001
    )
    classifier: ClassifierParams = ClassifierParams()
    instruct: InstructParams = InstructParams(epochs=6, batch_size=8, learning_rate=0.001, min_learning_rate=0.0001)
    generate: GenerateParams = GenerateParams()
    judge: JudgeParams = JudgeParams()
    promotion: PromotionParams = PromotionParams()
    compute: ComputeParams = ComputeParams()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        problems = sources.problems(self.data)
        if problem := memory.model_problem(self.model, self.tokenizer.vocab_size):
            problems.append(problem)
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
                problems.append(
                    f"base.init {self.base.init} needs tokenizer.ranks: gpt2 and tokenizer.vocab_size: {GPT2_VOCAB_SIZE}"
                )
        for section in ("classifier", "instruct"):
            max_length = getattr(self, section).max_length
            if max_length > self.model.context_length:
                problems.append(
                    f"{section}.max_length ({max_length}) must not exceed model.context_length ({self.model.context_length})"
                )
            rank = getattr(self, section).lora.rank
            if rank > self.model.d_model:
                problems.append(f"{section}.lora.rank ({rank}) must not exceed model.d_model ({self.model.d_model})")
        classes, share = len(self.data.spam.labels), self.data.expectations.min_class_share
        if share * classes > 1:
            problems.append(
                f"data.expectations.min_class_share ({share}) is more than {classes} classes can have, all of them"
            )
        if self.split.spam.method == "book" and classes != 2:
            problems.append(f"split.spam.method book is for two classes; data.spam.labels has {classes}: use groups")
        if problems:
            raise ValueError("; ".join(problems))
        return self
