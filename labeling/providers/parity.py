"""What litellm would send and how it reads, resolved once per judge and proven equal.

litellm's provider config builds the body of each call and reads each reply. Where its request leaves the messages as they are,
and where it reads OpenAI's replies as they stand (both are tried on specimens), the two are done directly: the same bytes and
the same answer for a fraction of the processor time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from labeling.providers.base import Answer, read_answer
from labeling.providers.completion import answer_of, for_litellm, served_by, with_seed
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
    frame: dict[str, Any] | None = None  # the body around the messages, where litellm sends those as they are
    plain: bool = False  # replies are OpenAI's own, and litellm reads them as `plain_answer` does

    def body(self, messages: list[dict[str, Any]], seed: int | None = None) -> dict[str, Any]:
        """One request's body, as litellm's provider config builds it."""
        if self.frame is not None:
            return {**with_seed(self.frame, seed), "messages": messages}
        built: dict[str, Any] = self.config.transform_request(
            model=self.model,
            messages=[dict(message) for message in messages],
            optional_params=dict(with_seed(self.parameters, seed)),
            litellm_params={},
            headers=dict(self.headers),
        )
        return built

    def answer(self, body: Body, latency: float) -> Answer:
        """A reply, as litellm's provider config reads it."""
        data = body.json()
        if self.plain:
            return plain_answer(data, body.headers, latency)
        response = self.config.transform_response(
            model=self.model,
            raw_response=body,
            model_response=litellm().ModelResponse(),
            logging_obj=_NoLog(),
            request_data={},
            messages=[],
            optional_params=self.parameters,
            litellm_params={},
            encoding=None,
            api_key=None,
            json_mode=self.json_mode,
        )
        return answer_of(response, body.headers, data.get("extra_fields"), latency)


def plain_answer(data: Any, headers: Mapping[str, str], latency: float) -> Answer:
    """An OpenAI chat completion, read without building litellm's objects, which costs as much as the call.

    Raises:
        KeyError, IndexError, TypeError, AttributeError: it is none.
    """
    choice = data["choices"][0]
    message, usage = choice["message"], data.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"), details.get("cached_tokens"))
    model = served_by(data.get("model"), headers, data.get("extra_fields"))
    return read_answer(
        message.get("content"),
        message.get("refusal"),
        choice.get("finish_reason"),
        model,
        counts=counts,
        latency_s=latency,
        fingerprint=data.get("system_fingerprint"),
        tokens=(choice.get("logprobs") or {}).get("content"),
        tool_calls=message.get("tool_calls"),
    )


_CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}


def _specimens() -> list[bytes]:
    """OpenAI replies on which litellm's reading and ours must agree: an answer, a refusal, a cut or filtered one, a call."""
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    variants: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"content": "yes"}, "stop", {}),
        ({"content": None, "refusal": "no"}, "stop", {}),
        ({"content": ""}, "length", {"extra_fields": {"provider": "openai"}}),
        ({"content": "cut"}, "content_filter", {"system_fingerprint": "fp_1"}),
        ({"content": None, "tool_calls": [_CALL]}, "tool_calls", {}),
    ]
    return [
        orjson.dumps(
            {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": usage, **more}
            | {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]}
        )
        for message, finish, more in variants
    ]


def _reads_plainly(call: Call) -> bool:
    """Whether litellm's config reads OpenAI's replies exactly as `plain_answer` does."""
    try:
        bodies = [Body(200, {}, specimen) for specimen in _specimens()]
        return all(call.answer(body, 0.0) == plain_answer(body.json(), {}, 0.0) for body in bodies)
    except Exception:  # noqa: BLE001 - another wire format: litellm's own reading stays
        return False


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
    frame = (
        {name: value for name, value in body.items() if name != "messages"} if body.get("messages") == PROBE else None
    )
    return replace(call, frame=frame, plain=_reads_plainly(call))


def _litellm_request(route: Route, parameters: dict[str, Any]) -> dict[str, Any]:
    """What litellm itself would send; nothing is sent."""
    lib = litellm()
    kwargs = {"model": route.name, "messages": PROBE, "drop_params": True, **for_litellm(parameters)}
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
