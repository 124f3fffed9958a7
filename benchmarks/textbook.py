"""The baseline: a GPT-2 as a textbook writes it, which is also how most people write their first one.

Queries, keys and values by three matrices; the mask added, the softmax taken and the product made one after the other; layer norm and GELU
spelt out; float32; batches padded to one length; AdamW as it comes. Correct, and nothing in it is slow on purpose. It imports nothing of
gptmill, so that no setting of gptmill's helps it or stands in its way.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

PAD, IGNORED = 50256, -100


class LayerNorm(nn.Module):
    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(d_model)), nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        return self.scale * (x - mean) / torch.sqrt(variance + 1e-5) + self.shift


class GELU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


class Attention(nn.Module):
    def __init__(self, d_model: int, n_heads: int, context_length: int) -> None:
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_model // n_heads
        self.query, self.key, self.value, self.out = (nn.Linear(d_model, d_model) for _ in range(4))
        self.register_buffer("mask", torch.triu(torch.ones(context_length, context_length), diagonal=1).bool())

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = (
            layer(x).view(B, T, self.n_heads, self.d_head).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = (q @ k.transpose(2, 3) / math.sqrt(self.d_head)).masked_fill(self.mask[:T, :T], -torch.inf)
        return self.out((torch.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, d_model: int, n_heads: int, context_length: int) -> None:
        super().__init__()
        self.attention = Attention(d_model, n_heads, context_length)
        self.feed_forward = nn.Sequential(nn.Linear(d_model, 4 * d_model), GELU(), nn.Linear(4 * d_model, d_model))
        self.norm1, self.norm2 = LayerNorm(d_model), LayerNorm(d_model)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class Model(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        context_length: int,
        n_layers: int,
        n_heads: int,
        d_model: int,
        outputs: int | None = None,
    ) -> None:
        """`outputs`: classes, for a classifier; without it, a language model."""
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, d_model), nn.Embedding(context_length, d_model)
        self.blocks = nn.Sequential(*(Block(d_model, n_heads, context_length) for _ in range(n_layers)))
        self.norm = LayerNorm(d_model)
        self.head = nn.Linear(d_model, outputs or vocab_size, bias=False)
        for weight in self.parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02)
        if outputs is None:
            self.head.weight = self.tokens.weight  # as GPT-2's: without it the model would be a third larger

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, outputs)."""
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        return self.head(self.norm(self.blocks(x)))

    def freeze_for_a_classifier(self) -> None:
        """Only the last block, the last norm and the head learn."""
        self.requires_grad_(False)
        for module in (self.blocks[-1], self.norm, self.head):
            module.requires_grad_(True)


def language_step(model: Model, optimizer: torch.optim.Optimizer, inputs: Tensor, targets: Tensor) -> None:
    _step(model, optimizer, lambda: cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=IGNORED))


def classifier_step(model: Model, optimizer: torch.optim.Optimizer, tokens: Tensor, labels: Tensor) -> None:
    """The class is read at the last position, padding or not."""
    _step(model, optimizer, lambda: cross_entropy(model(tokens)[:, -1], labels))


@torch.no_grad()
def classifier_evaluation(model: Model, tokens: Tensor, labels: Tensor) -> int:
    """How many are right."""
    model.eval()
    right = int((model(tokens)[:, -1].argmax(1) == labels).sum())
    model.train()
    return right


@torch.no_grad()
def generate(model: Model, tokens: Tensor, new: int) -> Tensor:
    """(1, T) -> (1, T + new): the likeliest token each time, and the whole text read again for the next."""
    model.eval()
    for _ in range(new):
        logits = model(tokens)[:, -1]
        tokens = torch.cat([tokens, logits.argmax(dim=-1, keepdim=True)], dim=1)
    return tokens


def padded(rows: Sequence[Sequence[int]], length: int | None = None, value: int = PAD) -> Tensor:
    """Rows side by side, as long as the longest or as `length`."""
    length = length or max(map(len, rows))
    return torch.tensor([[*row[:length], *[value] * (length - len(row))] for row in rows])


def _step(model: Model, optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> None:
    optimizer.zero_grad()
    loss().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
