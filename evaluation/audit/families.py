"""Which family a model belongs to, by its name: whose words a judge may recognise as its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from consensus.statistics.clusters import Ints

_FAMILIES = {
    "anthropic": r"claude",
    "openai": r"(chat)?gpt|o[1-9]|davinci|text-davinci|codex",
    "google": r"gemini|gemma|palm|bard|bison",
    "meta": r"llama|meta",
    "mistral": r"mistral|mixtral|ministral|magistral|codestral",
    "qwen": r"qwen|qwq",
    "deepseek": r"deepseek",
    "cohere": r"command|cohere|aya",
    "xai": r"grok",
    "moonshot": r"kimi|moonshot",
    "zhipu": r"glm|chatglm",
    "microsoft": r"phi|wizardlm",
    "amazon": r"nova|titan",
}
_KNOWN = {name: re.compile(rf"(?:^|[^a-z0-9])(?:{pattern})(?![a-z])") for name, pattern in _FAMILIES.items()}


def family(model: str | None) -> str | None:
    """The family of a model; for one that is not known, its name up to the first digit; None without a name.

    The maker's own models count as one family (`gpt-4o` and `o3`), and so does what was trained from an open one by name
    (`vicuna-13b` does not say that it comes from LLaMA, and is a family of its own).
    """
    if not model or not model.strip():
        return None
    name = model.strip().lower()
    for found, pattern in _KNOWN.items():
        if pattern.search(name):
            return found
    return re.split(r"[\d:@]", name.rpartition("/")[2])[0].strip("-_. ") or name


def coded(*columns: Sequence[str | None]) -> list[Ints]:
    """Families of models as numbers that are the same over all columns, -1 where none is known."""
    found = {name: family(name) for column in columns for name in set(column)}
    codes = {name: code for code, name in enumerate(sorted({f for f in found.values() if f}))}
    number = {model: -1 if kin is None else codes[kin] for model, kin in found.items()}
    return [np.array([number[model] for model in column], dtype=np.int64) for column in columns]
