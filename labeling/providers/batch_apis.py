"""Which judges can be asked in batches, and through which protocol."""

from __future__ import annotations

from urllib.request import getproxies

import aiohttp

from consensus.cycle import Cycle
from consensus.sections.endpoints import Judge
from labeling.providers.batch import BatchApi
from labeling.providers.batch_anthropic import AnthropicBatches
from labeling.providers.batch_openai import OpenAIBatches
from labeling.providers.routes import OPENAI_COMPATIBLE, PROVIDERS
from labeling.providers.wire import Wire

Session = aiohttp.ClientSession
FAMILIES: dict[str, type[OpenAIBatches] | type[AnthropicBatches]] = {
    "openai": OpenAIBatches,
    "hosted_vllm": OpenAIBatches,  # litellm's route for any OpenAI-compatible server
    "anthropic": AnthropicBatches,
}


def why_online(config: Judge, cycle: Cycle) -> str | None:
    """Why a judge cannot be asked in batches, as far as the cycle file tells; None if it can."""
    if config.provider == "simulated" and config.api_base is None:
        return "it is simulated in process; 'consensus simulate' serves it with a batch API, for an api_base"
    if config.provider == "local":
        return "it runs in this process, and is asked in batches of its own"
    if cycle.gateway and config.api_base is None:
        return "it is reached through the gateway, which has no batch API for all providers; give it an api_base"
    provider = PROVIDERS.get(config.provider, config.provider)
    if provider in FAMILIES or (config.api_base and provider in OPENAI_COMPATIBLE):
        return None
    return f"the batch API of provider {config.provider!r} is not spoken here"


def session() -> Session:
    """A connection for all of a run's batches."""
    return Session(trust_env=bool(getproxies()))


def api_of(wire: Wire, session: Session, timeout_s: float) -> BatchApi:
    """The batches of a judge, with the address, headers and key of its online calls.

    Raises:
        KeyError: its provider is none of `FAMILIES`.
    """
    return FAMILIES[wire.route.provider](wire.call, session, timeout_s)
