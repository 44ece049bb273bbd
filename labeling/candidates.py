"""A prompt's candidates into pairs: the completions that were drawn, and the answer that production gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from consensus.nouns import Pair
from consensus.prompts import Message, Paired, Prompt
from consensus.sections.generation import Generation
from labeling.drawing import as_asked
from labeling.pairing import Pairing, distinct, normalised, pair_up


def candidate_pairs(
    prompt: Prompt, completions: Mapping[int, list[Message]], generation: Generation, *, seed: int
) -> tuple[list[Pair], Paired]:
    """The pairs of one prompt, and what became of its candidates.

    Production's answer is one of them if it is one message: with an agent's whole run no single reply can be compared.
    Each pair carries the tools, known outcomes and weight of its prompt, and as `model_a` and `model_b` who wrote what.
    """
    production = prompt.production if generation.production and len(prompt.production) == 1 else None
    asked = as_asked(prompt, generation)
    drawn = [completions[sample] for sample in sorted(completions)]
    candidates = [*([production] if production else []), *drawn]
    how = Pairing(generation.pairing)
    pairs: list[Pair] = []
    if how is not Pairing.PRODUCTION or production:
        pairs = pair_up(
            asked.messages,
            drawn if how is Pairing.PRODUCTION else candidates,
            how,
            production=production,
            count=generation.pairs_per_prompt,
            seed=seed,
            category=", ".join(value or "-" for value in prompt.stratum.values()) or None,
            extra=_extra(asked),
        )
    authors = {normalised(text): generation.label for text in drawn}
    if production:
        authors[normalised(production)] = prompt.model or "production"
    signed = [
        replace(
            pair,
            extra={
                **pair.extra,
                "model_a": authors[normalised(pair.completion_a)],
                "model_b": authors[normalised(pair.completion_b)],
            },
        )
        for pair in pairs
    ]
    return signed, Paired(prompt.prompt_id, len(candidates), len(distinct(candidates)), len(pairs))


def _extra(prompt: Prompt) -> dict[str, object]:
    """What travels with every pair of the prompt; what there is not is left out."""
    known = {
        "tools": prompt.tools,
        "outcomes": list(prompt.outcomes),
        "weight": prompt.weight,
        "trace_id": prompt.trace_id,
    }
    return {name: value for name, value in known.items() if value not in (None, [])}
