"""Fused operations with their own backward passes, faster on CPUs than torch's.

Attention over short rows: in bf16, torch's CPU kernel takes three times as long as its matrix products.
Cross-entropy: the logits, a model's widest tensor, exist once, in the products' precision. They become their own
gradient in place, and are cast to float32 a few rows at a time, within the CPU's cache.
Tied weights: torch adds two gradients of the vocabulary's size, of head and embedding, a fifth of a fine-tuning step.
Here the embedding's few hundred rows are added to the head's gradient.
"""

import math

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

_LOGITS_AT_ONCE = 1 << 26  # logits of the rows that go through the head together: 128 MB in bf16
_WIDENED_AT_ONCE = 1 << 20  # logits in float32: 4 MB, which stay in cache
_COLUMNS = 64  # the weights' gradient is a third faster with rows aligned to this


class CausalAttention(torch.autograd.Function):
    """Causal attention without dropout: (B, T, 3 * C) queries, keys and values -> (B, T, C).

    Saves the (B * heads, T, T) attention weights for the backward pass, so it is for rows of some hundred tokens.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, qkv: Tensor, n_heads: int) -> Tensor:
        B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        D = C // n_heads
        with torch.autocast(qkv.device.type, enabled=False):
            q, k, v = qkv.view(B, T, 3, n_heads, D).permute(2, 0, 3, 1, 4).reshape(3, B * n_heads, T, D)
            mask = torch.full((T, T), -math.inf, dtype=qkv.dtype, device=qkv.device).triu_(1)
            weights = torch.baddbmm(mask, q, k.mT, alpha=D**-0.5).softmax(-1)
            heads = torch.bmm(weights, v)
        ctx.save_for_backward(q, k, v, weights)
        return heads.view(B, n_heads, T, D).transpose(1, 2).reshape(B, T, C)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        q, k, v, weights = ctx.saved_tensors
        (B, T, C), D = gradient.shape, q.shape[-1]
        n_heads = C // D
        gradient = gradient.view(B, T, n_heads, D).transpose(1, 2).reshape(B * n_heads, T, D)
        out = torch.empty(3, *q.shape, dtype=q.dtype, device=q.device)
        torch.bmm(weights.mT, gradient, out=out[2])
        scores = torch._softmax_backward_data(torch.bmm(gradient, v.mT), weights, -1, q.dtype)
        torch.baddbmm(out[0], scores, k, beta=0, alpha=D**-0.5, out=out[0])
        torch.baddbmm(out[1], scores.mT, q, beta=0, alpha=D**-0.5, out=out[1])
        return out.view(3, B, n_heads, T, D).permute(1, 3, 0, 2, 4).reshape(B, T, 3 * C), None


class TiedGradient:
    """The gradient of a tied embedding and head, for one backward pass. The head's part is computed first."""

    def __init__(self) -> None:
        self.gradient: Tensor | None = None


class Embedding(torch.autograd.Function):
    """Rows of a (V, C) weight by (…) token ids -> (…, C). Adds its gradient to the head's, which is in `tied`."""

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, tokens: Tensor, tied: TiedGradient) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.tied = tied
        return weight[tokens]

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[None, None, None]:
        (tokens,), tied = ctx.saved_tensors, ctx.tied
        ids, positions = tokens.flatten().unique(return_inverse=True)
        rows = torch.zeros(len(ids), gradient.shape[-1], device=gradient.device)  # float32 sums of repeated tokens
        rows.index_add_(0, positions, gradient.flatten(0, -2).float())
        tied.gradient[ids] += rows.to(tied.gradient.dtype)
        tied.gradient = None  # without another reference, autograd takes it over without a copy
        return None, None, None


class CrossEntropy(torch.autograd.Function):
    """(N, C) vectors, (V, C) head, (N,) targets -> summed loss in nats, number of top-1 targets. Products in `dtype`.

    Gradients are computed in the forward pass, from the logits at hand (after Wijmans et al. 2024, section 4).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden: Tensor,
        head: Tensor,
        targets: Tensor,
        dtype: torch.dtype,
        tied: TiedGradient | None = None,
    ) -> tuple[Tensor, Tensor]:
        N, V = len(hidden), len(head)
        learns = hidden.requires_grad, head.requires_grad
        loss = torch.zeros((), device=hidden.device)
        correct = torch.zeros((), dtype=torch.long, device=hidden.device)
        of_hidden = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device) if learns[0] else None
        of_head = torch.zeros_like(head) if learns[1] and N == 0 else None
        rows = max(1, _LOGITS_AT_ONCE // V)
        with torch.autocast(hidden.device.type, enabled=False):
            h, w = hidden.to(dtype), head.to(dtype)
            logits = torch.empty(min(N, rows), -(-V // _COLUMNS) * _COLUMNS, dtype=dtype, device=hidden.device)
            logits[:, V:] = 0
            for start in range(0, N, rows):
                part = slice(start, start + rows)
                whole = logits[: len(h[part])]
                z = whole[:, :V]
                torch.mm(h[part], w.T, out=z)
                part_loss, part_correct = _to_gradient(z, targets[part], any(learns))
                loss += part_loss
                correct += part_correct
                if learns[0]:
                    torch.mm(z, w, out=of_hidden[part])
                if learns[1]:
                    added = torch.mm(whole.T, h[part])[:V]
                    of_head = added.to(head.dtype) if of_head is None else of_head.add_(added)
        ctx.gradients, ctx.dtype, ctx.tied = (of_hidden, of_head), hidden.dtype, tied
        ctx.mark_non_differentiable(correct)
        return loss, correct

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        (of_hidden, of_head), ctx.gradients = ctx.gradients, None
        of_hidden = None if of_hidden is None else of_hidden.mul_(gradient).to(ctx.dtype)
        of_head = None if of_head is None else of_head.mul_(gradient)
        if ctx.tied is not None:
            ctx.tied.gradient = of_head
        return of_hidden, of_head, None, None, None


def _to_gradient(logits: Tensor, targets: Tensor, needs_gradient: bool) -> tuple[Tensor, Tensor]:
    """Summed loss and number of top-1 targets of (N, V) logits, which are overwritten by the loss's gradient.

    The loss comes from the largest logit and its probability; the target's probability may be too small for a float.
    """
    N, V = logits.shape
    rows = max(1, min(N, _WIDENED_AT_ONCE // V))
    wide = torch.empty(rows, V, device=logits.device)
    probabilities = torch.empty_like(wide)
    loss, correct = torch.zeros((), device=logits.device), torch.zeros((), dtype=torch.long, device=logits.device)
    for start in range(0, N, rows):
        part = logits[start : start + rows]
        target = targets[start : start + rows, None]
        z, p = wide[: len(part)].copy_(part), probabilities[: len(part)]
        torch.softmax(z, 1, out=p)
        top, own = z.amax(1, keepdim=True), z.gather(1, target)
        loss += (top - p.amax(1, keepdim=True).log() - own).sum()
        hit = (own == top).squeeze(1)
        # argmax takes as long as softmax: only rows whose target has the largest logit, maybe among equals.
        correct += (z[hit].argmax(1) == target[hit, 0]).sum()
        if needs_gradient:
            part.copy_(p.scatter_add_(1, target, torch.full(target.shape, -1.0, device=p.device)))
    return loss, correct
