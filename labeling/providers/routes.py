"""How a judge is reached: litellm's name for it, address, key and price."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from consensus.errors import UsageError
from consensus.sections.endpoints import Endpoint, Gateway, Price

PROVIDERS = {"google": "gemini"}  # our word -> litellm's, where they differ
KEYS = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "mistral": ("MISTRAL_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY"),
    "openrouter": ("OPENROUTER_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "fireworks_ai": ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
}
OPENAI_COMPATIBLE = ("openai", "vllm", "hosted_vllm", "simulated")


@cache
def litellm() -> Any:
    """The litellm module, quiet and without its look-ups at import (offline they cost seconds of retries)."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True")
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    module: Any = importlib.import_module("litellm")
    module.suppress_debug_info = True
    module.telemetry = False
    module.drop_params = True  # a model that takes no temperature is asked without one
    return module


@dataclass(frozen=True, slots=True)
class Route:
    """Where a judge's calls go.

    Attributes:
        provider: litellm's.
        model: as the endpoint wants it named.
        key: None where litellm finds credentials itself (cloud accounts).
        uncached: through a gateway that is to answer from no response cache.
    """

    provider: str
    model: str
    api_base: str | None = None
    key: str | None = None
    uncached: bool = False

    @property
    def name(self) -> str:
        """litellm's name: provider/model."""
        return f"{self.provider}/{self.model}"

    def headers(self, key: str) -> dict[str, str]:
        """What a call says of itself beside its body, which a repeated call shares.

        Bifrost answers from its cache only under the same cache key, and keeps nothing where it is told so.
        """
        named = {"x-client-request-id": key}
        return named | {"x-bf-cache-key": key, "x-bf-cache-no-store": "true"} if self.uncached else named

    def fresh_extra(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """A judge's further request parameters, with the LiteLLM proxy's word for not answering from its cache."""
        if not self.uncached:
            return dict(extra)
        return {**extra, "extra_body": {**extra.get("extra_body", {}), "cache": {"no-cache": True}}}


def route(judge: Endpoint, gateway: Gateway | None = None) -> Route:
    """How to reach a judge, with its key from the environment.

    Raises:
        UsageError: the environment variable that holds the key is not set.
    """
    if gateway and judge.api_base is None:
        model = gateway.model.replace("{provider}", judge.provider).replace("{model}", judge.model)
        its_key = _named_key(gateway.api_key_env, "the gateway") or "none"
        return Route("hosted_vllm", model, gateway.api_base, its_key, uncached=gateway.fresh)
    provider = PROVIDERS.get(judge.provider, judge.provider)
    if provider in ("vllm", "hosted_vllm") and judge.api_base is None:
        raise UsageError(f"{judge.word} {judge.label!r} is on a server of its own: give its address in api_base")
    key = _named_key(judge.api_key_env, f"{judge.word} {judge.label!r}") or _default_key(provider)
    if judge.api_base and provider in OPENAI_COMPATIBLE:
        # litellm's route for OpenAI-compatible servers costs a third less than its openai one
        return Route("hosted_vllm", judge.model, judge.api_base, key or "none")
    if key is None and provider in KEYS and judge.api_base is None:
        raise UsageError(
            f"{judge.word} {judge.label!r} needs a key: set {KEYS[provider][0]}, or name another variable in api_key_env"
        )
    return Route(provider, judge.model, judge.api_base, key or ("none" if judge.api_base else None))


def _named_key(variable: str | None, whose: str) -> str | None:
    if variable is None:
        return None
    if not (key := _environment(variable)):
        raise UsageError(f"{whose} takes its key from {variable}, which is not set in the environment")
    return key


def _default_key(provider: str) -> str | None:
    return next((key for name in KEYS.get(provider, ()) if (key := _environment(name))), None)


def _environment(variable: str) -> str:
    """A variable's value without the line break that a file or a secret store left on it, which no header may hold.

    Raises:
        UsageError: it holds something else that no header may.
    """
    value = os.environ.get(variable, "").strip()
    if not (value.isascii() and value.isprintable()):
        raise UsageError(
            f"{variable} holds a character that no key has, such as a line break or '…'; copy the key again"
        )
    return value


def price(judge: Endpoint) -> Price | None:
    """The judge's own price, else litellm's for the model, else None."""
    if judge.price or not judge.called:
        return judge.price
    return _map_price(judge, "")


def batch_price(judge: Endpoint) -> Price | None:
    """What a judge costs in a batch: a share of its own price, else litellm's batch price for the model, else half of its price.

    Cached tokens count as others where litellm knows no batch price for them: OpenAI gives no discount on a discount.
    """
    if judge.price or not judge.called:
        return judge.price and judge.price.in_batch()
    known, online = _map_price(judge, "_batches"), _map_price(judge, "")
    return known or (online and online.in_batch())


def _map_price(judge: Endpoint, kind: str) -> Price | None:
    """The price that litellm's map has for a judge's model; `kind` is the end of its names for it."""
    if judge.provider in ("simulated", "local", "vllm", "hosted_vllm"):
        return None
    provider = PROVIDERS.get(judge.provider, judge.provider)
    try:
        info = litellm().get_model_info(judge.model, custom_llm_provider=provider)
    except Exception:  # noqa: BLE001 - litellm raises a bare Exception for a model that it does not know
        return None
    fresh, out, cached = (
        info.get(f"{name}{kind}")
        for name in ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
    )
    if fresh is None or out is None:
        return None
    return Price(input=fresh * 1e6, output=out * 1e6, cached_input=cached * 1e6 if cached is not None else None)
