"""Steps of the model with their gradients written out, because torch's own waste most of their time on CPUs.

Attention over short rows: torch's kernel for CPUs spends in bf16 three times what the products inside cost, on the way back above all.
Cross-entropy: the logits of a whole vocabulary are the widest tensor of a model. Here they exist once, in the precision of the products,
become their own gradient in place, and are widened to float32 only a few rows at a time, within the processor's cache.
Tied weights: the head's gradient is as large as the vocabulary, an embedding's is a few hundred rows. Torch makes two of the large kind
and adds them up, a fifth of a fine-tuning step; here the rows are added to the one that is there.
"""

import math

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

_LOGITS_AT_ONCE = 1 << 26  # of all rows that go through the head together: 128 MB in bf16
_WIDENED_AT_ONCE = 1 << 20  # of those that are float32 for a moment: 4 MB, which stay in cache
_COLUMNS = 64  # the gradient of the weights is a third faster when the logits' rows start at multiples of this


class CausalAttention(torch.autograd.Function):
    """Attention of each token to itself and all before it, no dropout: (B, T, 3 * C) queries, keys and values -> (B, T, C).

    Keeps the (B * heads, T, T) weights for the way back, so it is for rows of some hundred tokens.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, qkv: Tensor, n_heads: int) -> Tensor:
        B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        D = C // n_heads
        with torch.autocast(qkv.device.type, enabled=False):
            q, k, v = qkv.view(B, T, 3, n_heads, D).permute(2, 0, 3, 1, 4).reshape(3, B * n_heads, T, D)
            hidden = torch.full((T, T), -math.inf, dtype=qkv.dtype, device=qkv.device).triu_(1)
            weights = torch.baddbmm(hidden, q, k.mT, alpha=D**-0.5).softmax(-1)
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
    """One backward pass's handle on the gradient of a weight that is embedding and head at once. The head's is made first."""

    def __init__(self) -> None:
        self.gradient: Tensor | None = None


class Embedding(torch.autograd.Function):
    """Rows of a (V, C) weight by (…) token ids -> (…, C); their gradient goes into the head's, `tied` to it by `CrossEntropy`."""

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, tokens: Tensor, tied: TiedGradient) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.tied = tied
        return weight[tokens]

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[None, None, None]:
        (tokens,), tied = ctx.saved_tensors, ctx.tied
        ids, places = tokens.flatten().unique(return_inverse=True)
        # A token that stands in many places adds up in float32.
        rows = torch.zeros(len(ids), gradient.shape[-1], device=gradient.device).index_add_(
            0, places, gradient.flatten(0, -2).float()
        )
        tied.gradient[ids] += rows.to(tied.gradient.dtype)
        tied.gradient = None  # autograd takes it over uncopied only when nobody else holds it
        return None, None, None


class CrossEntropy(torch.autograd.Function):
    """Of (N, C) vectors, a (V, C) head and (N,) targets: the sum in nats, and how many targets were likeliest. Products in `dtype`.

    The gradients are made on the way forward, while the logits are at hand (Wijmans et al. 2024, section 4, have the idea).
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
        total = torch.zeros((), device=hidden.device)
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
                found, hits = _to_gradient(z, targets[part], any(learns))
                total += found
                correct += hits
                if learns[0]:
                    torch.mm(z, w, out=of_hidden[part])
                if learns[1]:
                    added = torch.mm(whole.T, h[part])[:V]
                    of_head = added.to(head.dtype) if of_head is None else of_head.add_(added)
        ctx.gradients, ctx.dtype, ctx.tied = (of_hidden, of_head), hidden.dtype, tied
        ctx.mark_non_differentiable(correct)
        return total, correct

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        (of_hidden, of_head), ctx.gradients = ctx.gradients, None
        of_hidden = None if of_hidden is None else of_hidden.mul_(gradient).to(ctx.dtype)
        of_head = None if of_head is None else of_head.mul_(gradient)
        if ctx.tied is not None:
            ctx.tied.gradient = of_head
        return of_hidden, of_head, None, None, None


def _to_gradient(logits: Tensor, targets: Tensor, wanted: bool) -> tuple[Tensor, Tensor]:
    """Summed loss and number of likeliest targets of (N, V) logits, which then hold the loss's gradient with respect to them.

    The loss comes from the largest logit and its probability, never from the target's, which may be too small for a float.
    """
    N, V = logits.shape
    rows = max(1, min(N, _WIDENED_AT_ONCE // V))
    wide = torch.empty(rows, V, device=logits.device)
    shares = torch.empty_like(wide)
    total, correct = torch.zeros((), device=logits.device), torch.zeros((), dtype=torch.long, device=logits.device)
    for start in range(0, N, rows):
        part = logits[start : start + rows]
        target = targets[start : start + rows, None]
        z, p = wide[: len(part)].copy_(part), shares[: len(part)]
        torch.softmax(z, 1, out=p)
        top, own = z.amax(1, keepdim=True), z.gather(1, target)
        total += (top - p.amax(1, keepdim=True).log() - own).sum()
        hit = (own == top).squeeze(1)
        # Finding where the largest one stands takes as long as the softmax: only where the target is among the largest.
        correct += (z[hit].argmax(1) == target[hit, 0]).sum()
        if wanted:
            part.copy_(p.scatter_add_(1, target, torch.full(target.shape, -1.0, device=p.device)))
    return total, correct
