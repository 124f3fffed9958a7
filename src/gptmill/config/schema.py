"""The schema of `params.yaml`: sections as strict types, with defaults and limits.

A field's `description` is its comment in params.yaml and its help in `gptmill params show`.
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
        "corpus", description="corpus: BPE trained on the corpus; gpt2: GPT-2's BPE"
    )
    vocab_size: Annotated[int, Field(ge=257, le=65536)] = Field(
        2048, description="bytes, merges and the end-of-text token"
    )

    @model_validator(mode="after")
    def _gpt2_has_its_own_size(self) -> Self:
        if self.ranks == "gpt2" and self.vocab_size != GPT2_VOCAB_SIZE:
            raise ValueError(f"vocab_size must be {GPT2_VOCAB_SIZE} when ranks is gpt2")
        return self


class ModelParams(Section):
    n_layers: PositiveInt = Field(4, description="transformer blocks")
    n_heads: PositiveInt = Field(4, description="attention heads per block")
    d_model: PositiveInt = Field(192, description="width of the residual stream; a multiple of n_heads")
    context_length: Annotated[int, Field(ge=8)] = Field(256, description="longest input in tokens")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="of embeddings, attention weights and residuals"
    )
    qkv_bias: bool = Field(True, description="bias of the query, key and value projections (GPT-2: true)")
    tie_weights: bool = Field(True, description="share token embedding and output matrix (GPT-2: true)")

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model ({self.d_model}) must be a multiple of n_heads ({self.n_heads})")
        return self


class TrainingParams(Section):
    optimizer: Literal["adamw", "muon"] = Field("adamw", description="adamw; or muon for matrices, adamw for the rest")
    epochs: PositiveInt = Field(3, description="passes over the training split")
    batch_size: PositiveInt = Field(16, description="sequences per optimizer step")
    micro_batch_size: Annotated[int, Field(ge=0)] = Field(
        0, description="sequences per forward pass; gradients accumulate to batch_size; 0: batch_size"
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(0.0006, description="peak, after the warm-up")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(20, description="steps of linear warm-up from 0 to the peak")
    min_learning_rate: Annotated[float, Field(ge=0, le=1)] = Field(0.00001, description="end of the cosine decay")
    weight_decay: Annotated[float, Field(ge=0, le=10)] = Field(
        0.1, description="of matrices; not of embeddings, norms and biases"
    )
    gradient_clip: Annotated[float, Field(gt=0)] = Field(1.0, description="maximum gradient norm")
    evaluations: PositiveInt = Field(6, description="validations, evenly spaced, the last one at the end")
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="early stopping after this many evaluations without improvement; 0: off"
    )
    keep: Literal["best", "last"] = Field(
        "best", description="weights to save: best on validation, or of the last step"
    )

    @model_validator(mode="after")
    def _cosine_goes_down(self) -> Self:
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(
                f"min_learning_rate ({self.min_learning_rate}) must not exceed learning_rate ({self.learning_rate})"
            )
        return self


class LoRAParams(Section):
    rank: Annotated[int, Field(ge=0)] = Field(0, description="rank of the adapters; 0: no LoRA, full fine-tuning")
    alpha: Annotated[float, Field(gt=0)] = Field(16.0, description="adapters are scaled by alpha / rank")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="of the adapters' input")
    target_modules: Annotated[list[Literal["qkv", "out_proj", "up_proj", "down_proj"]], Field(min_length=1)] = Field(
        ["qkv", "out_proj", "up_proj", "down_proj"],
        description="adapted layers of each block: qkv, out_proj (attention), up_proj, down_proj (feed-forward)",
    )

    @model_validator(mode="after")
    def _each_module_once(self) -> Self:
        if len(set(self.target_modules)) < len(self.target_modules):
            raise ValueError(f"target_modules ({', '.join(self.target_modules)}) must name each layer once")
        return self


class BaseParams(TrainingParams):
    init: Literal["scratch", *GPT2_SIZES] = Field(
        "scratch", description="scratch: pretrain; gpt2-…: OpenAI's weights, no pretraining"
    )


class ClassifierParams(TrainingParams):
    trainable: Literal["head", "last_block", "all"] = Field(
        "all", description="layers trained besides the new head; the book: last_block"
    )
    max_length: PositiveInt = Field(128, description="tokens per message; longer ones are truncated")
    cache_activations: bool = Field(
        True, description="compute frozen layers once, not per epoch; same bits; not with model.dropout"
    )
    lora: LoRAParams = Field(LoRAParams(), description="with rank > 0, only adapters and head are trained")


class InstructParams(TrainingParams):
    max_length: PositiveInt = Field(256, description="tokens of prompt and answer; the rest is truncated")
    prompt_style: Literal["alpaca", "alpaca_model_header", "phi3"] = Field(
        "alpaca", description="alpaca; alpaca_model_header: the model writes the response header, as in the book; phi3"
    )
    loss_on: Literal["all", "response"] = Field(
        "response", description="response: tokens of the answer; all: of the prompt too, as in the book"
    )
    lora: LoRAParams = Field(LoRAParams(), description="with rank > 0, only adapters are trained")


class GenerateParams(Section):
    max_new_tokens: PositiveInt = Field(64, description="longest answer in tokens")
    temperature: Annotated[float, Field(ge=0, le=10)] = Field(0.0, description="0: greedy decoding")
    top_k: Annotated[int, Field(ge=0)] = Field(0, description="sample among the k most probable tokens; 0: among all")
    batch_size: PositiveInt = Field(32, description="prompts per batch")
    compare_base: bool = Field(True, description="the base model answers too, to show the effect of fine-tuning")

    @model_validator(mode="after")
    def _answers_fit_into_memory(self) -> Self:
        if problem := memory.new_tokens_problem(self.max_new_tokens, self.batch_size):
            raise ValueError(problem)
        return self


class PromotionParams(Section):
    margin: Annotated[float, Field(ge=0)] = Field(
        0.0, description="minimum gain over the champion: accuracy, judge's score / 100, bits per byte"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="of the interval of the gain, all of which must exceed margin"
    )
    min_recall: Share = Field(0.8, description="lower recall of any class: the classifier is rejected")
    max_calibration_error: Share = Field(0.1, description="higher expected calibration error: rejected")


class Params(Section):
    """All of `params.yaml`."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(123, description="of all random numbers")
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
            gpt2 = {"n_layers": layers, "n_heads": heads, "d_model": width, "context_length": GPT2_CONTEXT_LENGTH}
            gpt2 |= {"qkv_bias": True, "tie_weights": True}
            wrong = [f"{key}: {value}" for key, value in gpt2.items() if getattr(self.model, key) != value]
            if wrong:
                problems.append(f"base.init {self.base.init} needs, under model: {', '.join(wrong)}")
            if self.tokenizer.ranks != "gpt2":
                ranks = f"tokenizer.ranks: gpt2 and tokenizer.vocab_size: {GPT2_VOCAB_SIZE}"
                problems.append(f"base.init {self.base.init} needs {ranks}")
        for section in ("classifier", "instruct"):
            params = getattr(self, section)
            limits = (
                ("max_length", params.max_length, "context_length", self.model.context_length),
                ("lora.rank", params.lora.rank, "d_model", self.model.d_model),
            )
            for key, value, limit, most in limits:
                if value > most:
                    problems.append(f"{section}.{key} ({value}) must not exceed model.{limit} ({most})")
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
