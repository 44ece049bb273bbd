"""Log-probabilities of given tokens from hidden states, without a table of logits that outlives its tile.

With E = sum_j p_j w_j, the mean row of the head under the prediction p, the gradient of log p_t by the hidden state h is w_t - E.
So one product more in the forward pass gives the whole backward pass, and the entropy too: log Z - h E.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

TILE = 2**24  # logits at once; 64 MiB in float32


class Scores(NamedTuple):
    """What the head says of N tokens; each of shape [N].

    Attributes:
        log_probs: of the token that stands there, in nats, <= 0; the only one with a gradient.
        entropy: of the prediction, in nats, >= 0.
        mean_logits: mean over the vocabulary.
        is_top1: whether the token is the likeliest.
    """

    log_probs: Any
    entropy: Any
    mean_logits: Any
    is_top1: Any


def score(hidden: Any, weight: Any, targets: Any) -> Scores:
    """Score the tokens `targets` [N] by hidden states [N, H] and the head's weight [V, H], which gets no gradient."""
    return Scores(*_Score.apply(hidden, weight, targets))


class _Score(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, targets: Any) -> tuple[Any, ...]:
        ctx.set_materialize_grads(False)
        kind = hidden.device.type
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        n, learns = hidden.shape[0], ctx.needs_input_grad[0]
        log_probs, entropy = hidden.new_empty(2, n, dtype=torch.float32)
        is_top1 = torch.empty(n, dtype=torch.bool, device=hidden.device)
        with torch.autocast(kind, enabled=False):
            head, states = weight.to(low), hidden.to(low)
            slopes = torch.empty_like(states) if learns else states
            rows = max(1, TILE // head.shape[0])
            for tile in (slice(start, min(start + rows, n)) for start in range(0, n, rows)):
                logits = (states[tile] @ head.t()).float()
                said = logits.gather(1, targets[tile, None]).squeeze(1)
                top = logits.amax(1)
                is_top1[tile] = said >= top
                logits.sub_(top[:, None])
                weights = logits.exp_() if learns else logits.exp()
                total = weights.sum(1)
                log_z = top + total.log()
                log_probs[tile] = said - log_z
                if learns:
                    expected = (weights.to(low) @ head).float() / total[:, None]
                    slopes[tile] = (head[targets[tile]].float() - expected).to(low)
                    entropy[tile] = log_z - (hidden[tile].float() * expected).sum(1)
                else:
                    entropy[tile] = total.log() - (weights * logits).sum(1) / total
            mean_logits = hidden.float() @ weight.float().mean(0)
        ctx.save_for_backward(slopes)
        ctx.dtype = hidden.dtype
        ctx.mark_non_differentiable(entropy, mean_logits, is_top1)
        return log_probs, entropy, mean_logits, is_top1

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, None, None]:
        (slopes,) = ctx.saved_tensors
        by_log_probs = grads[0]
        if by_log_probs is None:
            return torch.zeros_like(slopes, dtype=ctx.dtype), None, None
        return (by_log_probs[:, None] * slopes).to(ctx.dtype), None, None
