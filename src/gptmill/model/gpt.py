"""GPT-2 (Radford et al. 2019): embeddings, pre-norm blocks of attention and feed-forward, a final norm, and a head.

The head predicts the next token (`GPT`) or a class (`GPTClassifier`).
Shapes: B rows, T tokens, C channels, V tokens in the vocabulary.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from gptmill.model.attention import Attention
from gptmill.model.ops.fused import CrossEntropy, Embedding, TiedGradient

NORM_EPSILON = 1e-5
INIT_STD = 0.02
IGNORE_INDEX = -100  # a target that the loss leaves out


@dataclass(frozen=True)
class GPTConfig:
    vocab_size: int
    context_length: int
    n_layers: int
    n_heads: int
    d_model: int
    dropout: float = 0.0
    qkv_bias: bool = True
    tie_weights: bool = True
    exact_gelu: bool = False  # GELU by the error function, as in nanoGPT; else the tanh form, as in GPT-2


class LossSums(NamedTuple):
    """Sums over a batch, each a scalar: loss in nats, number of targets, number of targets that are top-1."""

    loss: Tensor
    targets: Tensor
    correct: Tensor


class FeedForward(nn.Module):
    """Two linear layers, 4 C wide inside, with GELU (Hendrycks & Gimpel 2016): GPT-2's tanh form, or exact."""

    def __init__(self, d_model: int, exact_gelu: bool = False) -> None:
        super().__init__()
        self.up_proj = nn.Linear(d_model, 4 * d_model)
        self.activation = nn.GELU(approximate="none" if exact_gelu else "tanh")
        self.down_proj = nn.Linear(4 * d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.activation(self.up_proj(x)))


class Block(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model, eps=NORM_EPSILON)
        self.attention = Attention(config.d_model, config.n_heads, config.dropout, config.qkv_bias)
        self.feed_forward_norm = nn.LayerNorm(config.d_model, eps=NORM_EPSILON)
        self.feed_forward = FeedForward(config.d_model, config.exact_gelu)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))

    def forward_last_token(self, x: Tensor, last: Tensor) -> Tensor:
        """(B, T, C) and (B,) positions -> (B, C): `forward` at these positions alone."""
        y = x[torch.arange(len(x), device=x.device), last].unsqueeze(1)
        y = y + self.dropout(self.attention.forward_last_token(self.attention_norm(x), last))
        return (y + self.dropout(self.feed_forward(self.feed_forward_norm(y)))).squeeze(1)


class Backbone(nn.Module):
    """Tokens to one vector per token: GPT-2 without its head."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.context_length, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.final_norm = nn.LayerNorm(config.d_model, eps=NORM_EPSILON)
        # Store only each block's input and recompute the rest in the backward pass (Chen et al. 2016): a third slower.
        self.checkpoint_activations = False
        self.apply(_initialise)
        # Each block adds to the residual stream twice: scaled to keep its variance at any depth (GPT-2, section 2.3).
        for block in self.blocks:
            for layer in (block.attention.out_proj, block.feed_forward.down_proj):
                nn.init.normal_(layer.weight, std=INIT_STD / (2 * config.n_layers) ** 0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) token ids -> (B, T, C). Raises `ValueError` when a row is longer than the context."""
        return self.final_norm(self.apply_blocks(self.embed(tokens), self.blocks))

    def embed(self, tokens: Tensor, tied: TiedGradient | None = None) -> Tensor:
        """(B, T) token ids -> (B, T, C), the first block's input. `tied`: of a head with the same weights."""
        T = tokens.shape[1]
        if self.config.context_length < T:
            raise ValueError(f"{T} tokens do not fit into a context of {self.config.context_length}")
        table = self.token_embedding
        rows = table(tokens) if tied is None else Embedding.apply(table.weight, tokens, tied)
        return self.dropout(rows + self.position_embedding(torch.arange(T, device=tokens.device)))

    def apply_blocks(self, x: Tensor, blocks: Iterable[Block]) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        recompute = self.checkpoint_activations and torch.is_grad_enabled()
        for block in blocks:
            x = checkpoint(block, x, use_reentrant=False) if recompute else block(x)
        return x


class GPT(nn.Module):
    """Language model: the backbone, and logits over the vocabulary for the next token."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.head.weight = self.backbone.token_embedding.weight
        else:
            _initialise(self.head)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) token ids -> (B, T, V) logits."""
        return self.head(self.backbone(tokens))

    def loss(self, tokens: Tensor, targets: Tensor) -> LossSums:
        """Cross-entropy over the targets that are not `IGNORE_INDEX`. Both inputs: (B, T)."""
        learns = torch.is_grad_enabled() and self.head.weight.requires_grad
        tied = TiedGradient() if learns and self.head.weight is self.backbone.token_embedding.weight else None
        x = self.backbone.apply_blocks(self.backbone.embed(tokens, tied=tied), self.backbone.blocks)
        hidden, targets = self.backbone.final_norm(x).flatten(0, 1), targets.flatten()
        counted = targets != IGNORE_INDEX
        if not counted.all():  # the head is a small model's widest product: it skips positions without a target
            hidden, targets = hidden[counted], targets[counted]
        half = torch.is_autocast_enabled(hidden.device.type)
        dtype = torch.get_autocast_dtype(hidden.device.type) if half else hidden.dtype
        # Detached where no gradient is wanted: `CrossEntropy` computes gradients in its forward pass.
        head = self.head.weight if torch.is_grad_enabled() else self.head.weight.detach()
        loss, correct = CrossEntropy.apply(hidden, head, targets, dtype, tied)
        return LossSums(loss, counted.sum(), correct)


class GPTClassifier(nn.Module):
    """Classifier: the backbone, and a logit per class at each row's last token, which attends to the whole text."""

    def __init__(self, backbone: Backbone, labels: Sequence[str]) -> None:
        super().__init__()
        self.config = backbone.config
        self.labels = tuple(labels)
        self.backbone = backbone
        self.head = nn.Linear(backbone.config.d_model, len(self.labels), bias=False)
        _initialise(self.head)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) token ids padded on the right, (B,) real lengths -> (B, classes) logits."""
        return self.head(self._last(self._before_last_block(tokens), lengths))

    def features(self, tokens: Tensor) -> Tensor:
        """(1, T) token ids -> input of the trainable part: (T, C) for the last block, (1, C) for the head."""
        x = self._before_last_block(tokens)
        if self.trainable_from() == "last_block":
            return x[0]
        return self._last(x, torch.tensor([tokens.shape[1]], device=tokens.device))

    def forward_from_features(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, C) rows of `features`, padded on the right, and (B,) their lengths -> (B, classes) logits."""
        features = features.to(self.head.weight.dtype)
        return self.head(self._last(features, lengths) if self.trainable_from() == "last_block" else features[:, 0])

    def trainable_from(self) -> Literal["head", "last_block", "all"]:
        """The first part that learns: the head, the last block, or an earlier one."""
        late = {id(w) for part in (self.backbone.blocks[-1], self.backbone.final_norm) for w in part.parameters()}
        learning = {id(w) for w in self.backbone.parameters() if w.requires_grad}
        if not learning <= late:
            return "all"
        return "last_block" if learning else "head"

    def _before_last_block(self, tokens: Tensor) -> Tensor:
        return self.backbone.apply_blocks(self.backbone.embed(tokens), self.backbone.blocks[:-1])

    def _last(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, C) before the last block -> (B, C), each row's last token after the final norm."""
        return self.backbone.final_norm(self.backbone.blocks[-1].forward_last_token(x, lengths - 1))

    def freeze_all_but(self, trainable: Literal["head", "last_block", "all"]) -> None:
        """Train only the head, or the last block and the final norm with it (the book's choice), or everything."""
        self.requires_grad_(trainable == "all")
        last_block = [self.backbone.blocks[-1], self.backbone.final_norm] if trainable == "last_block" else []
        for module in (self.head, *last_block):
            module.requires_grad_(True)


def _initialise(module: nn.Module) -> None:
    """Weights with std 0.02, biases zero, as in GPT-2's code."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INIT_STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class _SkipInit(TorchFunctionMode):
    def __torch_function__(self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs or {})


@contextmanager
def shapes_only() -> Iterator[None]:
    """Models made within have no memory and no initial values: on the meta device, torch would load its compiler for them."""
    with torch.device("meta"), _SkipInit():
        yield
