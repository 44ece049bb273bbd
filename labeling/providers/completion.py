"""The default transport: `litellm.acompletion`, for every provider litellm knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx  # litellm's

from labeling.providers.base import Allowed, Answer, CallError, Question, Transport, error_of, read_answer
from labeling.providers.routes import Route, litellm


@dataclass(frozen=True)
class Completion:
    """Asks through `litellm.acompletion`.

    Args:
        parameters: in OpenAI's words; litellm translates them and drops what the model does not take.
    """

    route: Route
    parameters: dict[str, Any]
    timeout_s: float
    name: str = "default"
    allowed: Allowed | None = None

    @property
    def temperature(self) -> float | None:
        return effective_temperature(self.route, self.parameters)

    async def send(self, question: Question) -> Answer:
        lib = litellm()
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.timeout_s):
                response = await lib.acompletion(
                    model=self.route.name,
                    messages=question.messages,
                    api_base=self.route.api_base,
                    api_key=self.route.key,
                    timeout=self.timeout_s,
                    num_retries=0,
                    max_retries=0,
                    extra_headers=self.route.headers(question.key),
                    **for_litellm(with_seed(self.parameters, question.seed)),
                )
        except TimeoutError:
            raise CallError("timeout", f"no answer within {self.timeout_s:g} s", latency_s=self.timeout_s) from None
        except Exception as error:  # noqa: BLE001 - litellm wraps every provider's errors, some in no class of its own
            raise _call_error(error, time.perf_counter() - started) from None
        if response is None:  # so litellm ends when the OpenAI SDK reports a 422 twice
            raise error_of(422, "the provider refuses the request", {}, time.perf_counter() - started)
        headers = (getattr(response, "_hidden_params", None) or {}).get("additional_headers") or {}
        plain = {key.removeprefix("llm_provider-"): value for key, value in headers.items()}
        return answer_of(response, plain, getattr(response, "extra_fields", None), time.perf_counter() - started)

    def without(self, parameter: str) -> Transport | None:
        if parameter not in self.parameters:
            return None
        return replace(self, parameters={k: v for k, v in self.parameters.items() if k != parameter})

    async def close(self) -> None:
        lib = litellm()
        await lib.close_litellm_async_clients()
        lib.in_memory_llm_clients_cache.flush_cache()  # else the next panel would be handed the closed clients


def with_seed(parameters: dict[str, Any], seed: int | None) -> dict[str, Any]:
    """Parameters with a question's own seed, if they have one at all."""
    return parameters if seed is None or "seed" not in parameters else {**parameters, "seed": seed}


def for_litellm(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as litellm's entry takes them: with tools it looks for those of its MCP gateway, and fails without `mcp`."""
    return {**parameters, "_skip_mcp_handler": True} if "tools" in parameters else parameters


def effective_temperature(route: Route, parameters: dict[str, Any]) -> float | None:
    """The temperature that litellm will send: None where the model does not take the one that was asked for."""
    if "temperature" not in parameters:
        return None
    lib = litellm()
    try:
        sent = lib.utils.get_optional_params(
            model=route.model,
            custom_llm_provider=route.provider,
            temperature=parameters["temperature"],
            drop_params=True,
        )
    except Exception:  # noqa: BLE001 - litellm raises whatever the provider's config raises
        return float(parameters["temperature"])
    found = sent.get("temperature", sent.get("inferenceConfig", {}).get("temperature"))
    return None if found is None else float(found)


def answer_of(response: Any, headers: Any, extra_fields: Any, latency_s: float) -> Answer:
    """litellm's ModelResponse as an answer.

    Raises:
        CallError: it has no choice in it, or no text where text belongs.
    """
    if not response.choices:
        raise CallError("bad_reply", "the reply has no choices", latency_s=latency_s)
    choice = response.choices[0]
    message, usage = choice.message, getattr(response, "usage", None)
    fields = getattr(message, "provider_specific_fields", None) or {}
    refusal = getattr(message, "refusal", None) or fields.get("refusal")
    details = getattr(usage, "prompt_tokens_details", None)
    counts = (
        getattr(usage, "prompt_tokens", None),
        getattr(usage, "completion_tokens", None),
        getattr(details, "cached_tokens", None),
    )
    model = served_by(response.model, headers, extra_fields)
    logprobs = getattr(choice, "logprobs", None)
    tokens = None if logprobs is None else logprobs.model_dump().get("content")
    calls = getattr(message, "tool_calls", None)
    return read_answer(
        message.content,
        refusal,
        choice.finish_reason,
        model,
        counts=counts,
        latency_s=latency_s,
        fingerprint=getattr(response, "system_fingerprint", None),
        tokens=tokens,
        tool_calls=[call.model_dump() for call in calls] if calls else None,
    )


def served_by(model: str | None, headers: Any, extra_fields: Any) -> str | None:
    """Who really answered: a gateway repeats the name that was asked for and tells the truth elsewhere.

    The LiteLLM proxy says it in a header; Bifrost in `extra_fields`.
    """
    if told := headers.get("x-litellm-model-name"):
        return str(told)
    if isinstance(extra_fields, dict) and extra_fields.get("provider"):
        resolved = extra_fields.get("resolved_model_used") or extra_fields.get("model_deployment") or model
        return f"{extra_fields['provider']}/{str(resolved).rpartition('/')[2]}"
    return model


def _call_error(error: Exception, latency_s: float) -> CallError:
    """What provider or network said, from below litellm's error, which changes the status and loses headers and body."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, httpx.HTTPStatusError):
            response = cause.response
            return error_of(response.status_code, response.text, response.headers, latency_s)
    message = f"{type(error).__name__}: {error}"[:500]
    if any("Timeout" in type(cause).__name__ for cause in causes):
        return CallError("timeout", message, latency_s=latency_s)
    if any(isinstance(cause, httpx.TransportError) for cause in causes):
        return CallError("connection", message, latency_s=latency_s)
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and 400 <= status < 500 and status != 422:  # litellm itself refuses the call
        return error_of(status, str(error), {}, latency_s)
    return CallError("bad_reply", message, latency_s=latency_s)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised from, outermost first."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__
