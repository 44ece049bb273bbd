"""A prompt is computed once for both of its completions, and the head only where completions are.

A pair's two sequences become a trunk (the tokens they share) and two branches, and all pairs of a batch stand behind one
another in a single row without padding: `[trunk 1][chosen 1][rejected 1][trunk 2]...`. A branch sees its own trunk and itself,
at the positions it would have alone. In exact arithmetic that is the same model; `differs` says whether it is here.
"""

from __future__ import annotations

import functools
import types
from typing import Any, NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from training.head import Scores, score

ATTENTION = "judge_consensus_shared_prefix"


class Span(NamedTuple):
    """Where a pair stands in the row: from `start`, tokens of trunk, chosen and rejected branch."""

    start: int
    trunk: int
    chosen: int
    rejected: int


class Packed(NamedTuple):
    """A batch of pairs in one row.

    Attributes:
        input_ids, position_ids: shape [1, T].
        spans: of each pair.
        places: for each token of the batch as it came, where it stands in the row, shape [2 B, L]; 0 for padding.
    """

    input_ids: Any
    position_ids: Any
    spans: tuple[Span, ...]
    places: Any


def pack(input_ids: Any, attention_mask: Any) -> Packed:
    """Pack a batch as TRL's collator makes it: chosen sequences, then rejected ones, padded on the right, shape [2 B, L]."""
    n, width = input_ids.shape
    pairs, device = n // 2, input_ids.device
    lengths = attention_mask.sum(1)
    chosen, rejected = input_ids.chunk(2)
    both = (attention_mask[:pairs] * attention_mask[pairs:]).bool()
    shared = ((chosen == rejected) & both).long().cumprod(1).sum(1)
    sizes = torch.stack([shared, lengths[:pairs] - shared, lengths[pairs:] - shared], 1)
    starts = sizes.sum(1).cumsum(0) - sizes.sum(1)
    spans = tuple(Span(*row) for row in torch.cat([starts[:, None], sizes], 1).tolist())

    column = torch.arange(width, device=device).expand(pairs, width)
    first = starts[:, None] + column
    second = torch.where(column < shared[:, None], first, first + sizes[:, 1, None])
    places = torch.cat([first, second]).masked_fill(attention_mask == 0, 0)
    real = attention_mask.bool()
    total = sum(sum(span[1:]) for span in spans)
    row = torch.zeros(2, total, dtype=input_ids.dtype, device=device)
    row[0, places[real]] = input_ids[real]
    row[1, places[real]] = column.repeat(2, 1)[real]
    return Packed(row[:1], row[1:], spans, places)


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    spans: tuple[Span, ...] | None = None,
    **settings: Any,
) -> tuple[Any, None]:
    """Attention within each pair, in transformers' form: [1, heads, T, D] to [1, T, heads, D]; without spans, plain SDPA."""
    if spans is None:
        plain: tuple[Any, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
        return plain
    window = settings.get("sliding_window")
    how = {"scale": settings.get("scaling"), "dropout_p": settings.get("dropout", 0.0)}
    # Heads that share keys get copies: with a mask, SDPA's fast kernels for GPUs know no groups.
    key, value = (each.repeat_interleave(query.shape[1] // each.shape[1], 1) for each in (key, value))
    parts = []
    for start, trunk, *branches in spans:
        stem = slice(start, start + trunk)
        parts.append(_causal(query[:, :, stem], key[:, :, stem], value[:, :, stem], window, how))
        at = start + trunk
        for length in branches:
            own, at = slice(at, at + length), at + length
            keys = torch.cat([key[:, :, stem], key[:, :, own]], 2)
            values = torch.cat([value[:, :, stem], value[:, :, own]], 2)
            parts.append(_causal(query[:, :, own], keys, values, window, how))
    return torch.cat(parts, 2).transpose(1, 2), None


def _causal(query: Any, key: Any, value: Any, window: int | None, how: dict[str, Any]) -> Any:
    """The queries are the last ones: each sees all keys up to its own, or so many of them."""
    n, seen = query.shape[2], key.shape[2]
    if n == seen and (window is None or seen <= window):
        return scaled_dot_product_attention(query, key, value, is_causal=True, **how)
    mask = torch.ones(n, seen, dtype=torch.bool, device=query.device).tril(seen - n)
    if window is not None:
        mask &= ~mask.tril(seen - n - window)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, **how)


def score_pairs(model: Any, input_ids: Any, attention_mask: Any, labels: Any) -> tuple[Scores, Any]:
    """Scores of the tokens of which labels are given (not -100), and where they stand: a mask of shape [2 B, L - 1]."""
    if model.config._attn_implementation != ATTENTION:
        raise RuntimeError("pairs that share a prompt need the attention that tells them apart; see `sharing`")
    packed = pack(input_ids, attention_mask)
    hidden = model.base_model(
        input_ids=packed.input_ids,
        position_ids=packed.position_ids,
        attention_mask=_OURS.to(input_ids.device),  # four dimensions: taken as it is, and no mask of T x T is built
        use_cache=False,
        spans=packed.spans,
    ).last_hidden_state[0]
    asked = labels[:, 1:] != -100
    return score(
        hidden[packed.places[:, :-1][asked]], model.get_output_embeddings().weight, labels[:, 1:][asked]
    ), asked


def share_prompts(model: Any) -> None:
    """Let `model(..., labels=..., fused_lm_head=True)`, TRL's way to ask for log-probabilities, compute each prompt once.

    To be called after TRL's `add_fused_lm_head`, on the model without PEFT's wrapper; its attention has to be `ATTENTION`.
    """
    from trl.trainer.utils import FusedCausalLMOutput

    before = model.forward

    def forward(self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **inputs: Any) -> Any:
        if not fused_lm_head:
            return before(*args, **inputs) if labels is None else before(*args, labels=labels, **inputs)
        scores, asked = score_pairs(self, inputs["input_ids"], inputs["attention_mask"], labels)
        spread = (values.new_zeros(asked.shape).masked_scatter(asked, values) for values in scores)
        return FusedCausalLMOutput(**dict(zip(Scores._fields, spread, strict=True)))

    model.forward = types.MethodType(functools.wraps(type(model).forward)(forward), model)


_OURS = torch.ones(1, 1, 1, 1, dtype=torch.bool)
AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
