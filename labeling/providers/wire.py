"""The fast transport: litellm translates, one pooled aiohttp session carries.

`litellm.acompletion` spends many times the processor time of the call itself on logging, callbacks and clients. Here litellm
resolves provider, address, headers and parameters once per judge; its provider config builds each body and reads each reply.
A judge takes this transport only if url, headers and body equal what litellm itself would send (`parity`); what signs
requests or fetches tokens per call does not, and stays on the default.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from labeling.providers.base import Answer, CallError, Question, Transport, error_of
from labeling.providers.completion import Completion, answer_of
from labeling.providers.routes import Route, litellm

FAKE_KEY = "my-fake-api-key"  # what litellm's return_raw_request puts in the place of the key
PROBE = [{"role": "system", "content": "rubric"}, {"role": "user", "content": "question"}]


@dataclass(frozen=True, slots=True)
class Call:
    """What is the same in every call to one judge."""

    config: Any
    model: str
    url: str
    headers: dict[str, str]
    parameters: dict[str, Any]
    json_mode: bool | None

    def body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        """One request's body, by litellm's provider config."""
        built: dict[str, Any] = self.config.transform_request(
            model=self.model,
            messages=[dict(message) for message in messages],
            optional_params=dict(self.parameters),
            litellm_params={},
            headers=dict(self.headers),
        )
        return built


class NotEqual(Exception):
    """The fast transport would not send what litellm sends; says what differs."""


def prepare(route: Route, parameters: dict[str, Any]) -> Call:
    """Resolve a judge once, and prove that its calls equal litellm's.

    Raises:
        NotEqual: url, headers or body differ, or litellm's provider config cannot be used on its own.
    """
    try:
        return _prepare(route, parameters)
    except NotEqual:
        raise
    except Exception as error:  # noqa: BLE001 - semi-internal interfaces may fail in any way; the default transport is there
        raise NotEqual(
            f"litellm's config for {route.provider} cannot be used alone: {type(error).__name__}: {error}"
        ) from None


def _prepare(route: Route, parameters: dict[str, Any]) -> Call:
    lib = litellm()
    raw = _litellm_request(route, parameters)
    model, provider, *_ = lib.get_llm_provider(model=route.name, api_base=route.api_base, api_key=FAKE_KEY)
    address = raw["raw_request_api_base"]
    config = lib.utils.ProviderConfigManager.get_provider_chat_config(model, lib.types.utils.LlmProviders(provider))
    resolved = lib.utils.get_optional_params(
        model=model, custom_llm_provider=provider, messages=PROBE, drop_params=True, **parameters
    )
    json_mode = resolved.pop("json_mode", None)
    extra_body = resolved.pop("extra_body", None) or {}
    resolved |= extra_body
    if resolved.get("stream") is False:
        del resolved["stream"]

    def headers_with(key: str | None) -> dict[str, str]:
        built = config.validate_environment(
            headers={},
            model=model,
            messages=PROBE,
            optional_params=dict(resolved),
            litellm_params={},
            api_key=key,
            api_base=address,
        )
        return {str(name).lower(): str(value) for name, value in built.items()}

    url = config.get_complete_url(
        api_base=address,
        api_key=FAKE_KEY,
        model=model,
        optional_params=dict(resolved),
        litellm_params={},
        stream=False,
    )
    _check_url(url, address)
    told = {str(name).lower(): str(value) for name, value in (raw.get("raw_request_headers") or {}).items()}
    told = told or _sdk_headers()
    clear = {name: value for name, value in told.items() if "****" not in value}  # a feature's beta header, for one
    _check_headers(headers_with(FAKE_KEY) | clear, told)
    headers = headers_with(route.key) | clear
    call = Call(config, model, url, {**headers, "content-type": "application/json"}, resolved, json_mode)
    body, expected = call.body(PROBE), dict(raw["raw_request_body"])
    for noise in ("extra_body", "stream"):
        if not expected.get(noise):
            expected.pop(noise, None)
    if orjson.dumps(body, option=orjson.OPT_SORT_KEYS) != orjson.dumps(expected, option=orjson.OPT_SORT_KEYS):
        names = sorted(k for k in body.keys() | expected.keys() if body.get(k) != expected.get(k))
        raise NotEqual(f"the body differs from litellm's in: {', '.join(names)}")
    return call


def _litellm_request(route: Route, parameters: dict[str, Any]) -> dict[str, Any]:
    """What litellm itself would send; nothing is sent."""
    lib = litellm()
    kwargs = {"model": route.name, "messages": PROBE, "drop_params": True, **parameters}
    if route.api_base:
        kwargs["api_base"] = route.api_base
    raw: dict[str, Any] = lib.utils.return_raw_request(lib.types.utils.CallTypes.completion, kwargs)
    if not raw.get("raw_request_body") or not raw.get("raw_request_api_base"):
        raise NotEqual(f"litellm does not show its request: {raw.get('error')}")
    return raw


def _check_url(url: str, told: str) -> None:
    # The OpenAI SDK is given a base and adds the path itself.
    if url != told and url != f"{told.rstrip('/')}/chat/completions":
        raise NotEqual(f"the address {url} is not litellm's {told}")


def _sdk_headers() -> dict[str, str]:
    """The headers that litellm does not show, since the OpenAI SDK makes them: with whose account pays, from the environment."""
    if os.environ.get("OPENAI_CUSTOM_HEADERS"):
        raise NotEqual("the OpenAI SDK sends OPENAI_CUSTOM_HEADERS")
    account = {
        "openai-organization": os.environ.get("OPENAI_ORGANIZATION") or os.environ.get("OPENAI_ORG_ID"),
        "openai-project": os.environ.get("OPENAI_PROJECT_ID"),
    }
    sent = {name: value for name, value in account.items() if value}
    return {"authorization": f"Be****{FAKE_KEY[-2:]}", "content-type": "application/json", **sent}


def _check_headers(ours: Mapping[str, str], told: Mapping[str, str]) -> None:
    """Equal names and values; litellm masks the key as its first and last two letters."""
    if ours.keys() != told.keys():
        raise NotEqual(f"the headers differ from litellm's in: {', '.join(sorted(ours.keys() ^ told.keys()))}")
    for name, value in told.items():
        same = ours[name] == value if "****" not in value else _masked(ours[name]) == value
        if not same:
            raise NotEqual(f"the header {name} differs from litellm's")


def _masked(value: str) -> str:
    return f"{value[:2]}****{value[-2:]}"


class Body:
    """As much of an HTTP response as litellm's provider configs read; building an httpx one costs more than reading it."""

    __slots__ = ("_json", "content", "headers", "status_code")

    def __init__(self, status_code: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status_code, self.headers, self.content = status_code, headers, content
        self._json: Any = None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON, parsed once."""
        if self._json is None:
            self._json = orjson.loads(self.content)
        return self._json


class _NoLog:
    """Stands where litellm's configs expect their logging object."""

    optional_params: dict[str, Any] = {}  # noqa: RUF012 - never written
    model_call_details: dict[str, Any] = {}  # noqa: RUF012 - never written

    def post_call(self, *_: Any, **__: Any) -> None:
        pass


class Wire:
    """Asks over a session that all fast judges share.

    Raises:
        NotEqual: see `prepare`.
    """

    name = "fast"

    def __init__(
        self, route: Route, parameters: dict[str, Any], timeout_s: float, session: aiohttp.ClientSession
    ) -> None:
        self._call = prepare(route, parameters)
        self._route, self._parameters, self._session = route, parameters, session
        self._timeout_s = timeout_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        sent = self._call.parameters.get("temperature")
        self.temperature = None if sent is None else float(sent)

    async def send(self, question: Question) -> Answer:
        call = self._call
        data = orjson.dumps(call.body(question.messages))
        headers = {**call.headers, "x-client-request-id": question.key}
        started = time.perf_counter()
        try:
            async with self._session.post(call.url, data=data, headers=headers, timeout=self._timeout) as response:
                content = await response.read()
                status, replied = response.status, response.headers
        except TimeoutError:
            raise CallError(
                "timeout", f"no answer within {self._timeout_s:g} s", latency_s=time.perf_counter() - started
            ) from None
        except aiohttp.ClientError as error:
            raise CallError(
                "connection", f"{type(error).__name__}: {error}", latency_s=time.perf_counter() - started
            ) from None
        latency = time.perf_counter() - started
        lower = {name.lower(): value for name, value in replied.items()}
        if status != 200:
            raise error_of(status, content.decode("utf-8", "replace"), lower, latency)
        return self._read(Body(status, lower, content), latency)

    def _read(self, body: Body, latency: float) -> Answer:
        call = self._call
        try:
            extra = body.json().get("extra_fields")
            response = call.config.transform_response(
                model=call.model,
                raw_response=body,
                model_response=litellm().ModelResponse(),
                logging_obj=_NoLog(),
                request_data={},
                messages=[],
                optional_params=call.parameters,
                litellm_params={},
                encoding=None,
                api_key=None,
                json_mode=call.json_mode,
            )
            return answer_of(response, body.headers, extra, latency)
        except CallError:
            raise
        except Exception as error:  # noqa: BLE001 - half bodies, HTML, other JSON: litellm's configs raise what they like
            message = f"HTTP 200, but not a reply ({type(error).__name__}): {body.text[:500]}"
            raise CallError("bad_reply", message, latency_s=latency) from None

    def without(self, parameter: str) -> Transport | None:
        if parameter not in self._parameters:
            return None
        kept = {name: value for name, value in self._parameters.items() if name != parameter}
        try:
            return Wire(self._route, kept, self._timeout_s, self._session)
        except NotEqual:
            return Completion(self._route, kept, self._timeout_s)

    async def close(self) -> None:
        """Nothing: the session belongs to the panel."""
