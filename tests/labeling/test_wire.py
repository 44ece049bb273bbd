"""Both transports, asked of local servers that speak the providers' real wire formats."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import pytest

from consensus.cyclefile import load
from consensus.errors import UsageError
from consensus.nouns import Ballot, Failure, Pair, Shown, Verdict, Vote
from consensus.rule import Rule
from consensus.sections.endpoints import Price
from consensus.sequence import Seat
from consensus.shipped import shipped
from labeling.labeler import Labeler
from labeling.limits import Pace
from labeling.panel import Panel, PanelJudge
from labeling.plan import Work
from labeling.providers import wire
from labeling.providers.base import Allowed, Answer, CallError, Question, retry_after
from labeling.providers.routes import litellm, price
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of
from tests.labeling.servers import (
    HALF_BODY,
    HANG_UP,
    HTML,
    NO_CHOICES,
    NO_JSON,
    NO_REPLY,
    SILENCE,
    Received,
    Reply,
    Server,
    anthropic_error,
    anthropic_reply,
    gemini_error,
    gemini_reply,
    openai_error,
    openai_reply,
    vllm_error,
    vllm_reply,
)

VERDICT_A = '{"reasoning": "A answers.", "verdict": "A"}'
RUBRIC = Rubric("Say which completion is better.", ("clarity",))
QUESTION = Question(
    [{"role": "system", "content": "rubric"}, {"role": "user", "content": "question"}], key="b4110700d5a1e6f2"
)
PAIR = Pair("p1", "Name a prime.", "7", "9")
SCHEMA = {"name": "judgment", "strict": True, "schema": RUBRIC.schema}
ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-proj-openai-1234",
    "ANTHROPIC_API_KEY": "sk-ant-api03-1234",
    "GEMINI_API_KEY": "AIza-gemini-1234",
}
OF_THE_CALLER = (
    "OPENAI_API_BASE",
    "OPENAI_BASE_URL",
    "OPENAI_CUSTOM_HEADERS",
    "OPENAI_ORGANIZATION",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
)


@dataclass(frozen=True)
class Dialect:
    """How one kind of provider speaks.

    Attributes:
        base: where its API starts below a server's root; None where the address comes from OPENAI_BASE_URL.
        key: header and value that carry the key.
        reply: makes a reply's body.
        error: makes an error's body from status, message and the provider's word for the kind.
    """

    provider: str
    model: str
    base: str | None
    path: str
    key: tuple[str, str]
    reply: Callable[..., dict[str, Any]]
    error: Callable[[int, str, str], dict[str, Any]]
    served: str


DIALECTS = {
    "openai": Dialect(
        "openai",
        "gpt-4o",
        None,
        "/v1/chat/completions",
        ("authorization", "Bearer sk-proj-openai-1234"),
        openai_reply,
        lambda status, message, kind: openai_error(message, kind, kind),
        "gpt-4o-2024-11-20",
    ),
    "vllm": Dialect(
        "vllm",
        "Qwen/Qwen3-8B",
        "/v1",
        "/v1/chat/completions",
        ("authorization", "Bearer none"),
        vllm_reply,
        lambda status, message, kind: vllm_error(message, kind, status),
        "Qwen/Qwen3-8B",
    ),
    "anthropic": Dialect(
        "anthropic",
        "claude-sonnet-4-5",
        "",
        "/v1/messages",
        ("x-api-key", "sk-ant-api03-1234"),
        anthropic_reply,
        lambda status, message, kind: anthropic_error(message, kind),
        "claude-sonnet-4-5-20250929",
    ),
    "google": Dialect(
        "google",
        "gemini-2.5-pro",
        "/v1beta",
        "/v1beta/models/gemini-2.5-pro:generateContent",
        ("x-goog-api-key", "AIza-gemini-1234"),
        gemini_reply,
        lambda status, message, kind: gemini_error(message, status, kind),
        "gemini-2.5-pro",
    ),
}
FAST = ("openai", "vllm", "anthropic")
WAYS = [(name, transport) for name in FAST for transport in ("fast", "default")] + [("google", "default")]
every_way = pytest.mark.parametrize(("name", "transport"), WAYS)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Keys of no one, and nothing of the caller's accounts."""
    for variable in OF_THE_CALLER:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)


def not_equal(*_: object) -> None:
    """In the place of `wire.prepare`: what happens when litellm's requests are no longer ours."""
    raise wire.NotEqual("set so by the test")


@asynccontextmanager
async def opened(
    name: str, server: Server, *, transport: str | None = "fast", timeout_s: float = 10, **settings: Any
) -> AsyncIterator[PanelJudge]:
    """A judge of that dialect, alone on its panel, whose provider is the server; by the transport it finds if None."""
    dialect = DIALECTS[name]
    judge = {"provider": dialect.provider, "model": dialect.model, **settings}
    with pytest.MonkeyPatch.context() as patch:
        if dialect.base is None:
            patch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        else:
            judge = {"api_base": f"{server.url}{dialect.base}", **judge}
        if transport == "default":
            patch.setattr(wire, "prepare", not_equal)
        async with Panel(cycle_of([judge], limits={"timeout_s": timeout_s}), RUBRIC) as panel:
            (found,) = panel.judges.values()
            assert transport in (None, found.transport.name), found.why_default
            yield found


async def answered(name: str, transport: str, *script: Any, **settings: Any) -> tuple[Answer, list[Received]]:
    """One question's answer, without its latency, and what the server received."""
    async with Server(*script) as server, opened(name, server, transport=transport, **settings) as judge:
        answer = await judge.transport.send(QUESTION)
        assert answer.latency_s > 0
        return replace(answer, latency_s=0.0), server.received


async def errors(name: str, transport: str, *script: Any, **settings: Any) -> list[CallError]:
    """The errors with which questions end, one after the other; each is sent once."""
    found = []
    async with Server(*script) as server, opened(name, server, transport=transport, **settings) as judge:
        for asked_before, _ in enumerate(script):
            with pytest.raises(CallError) as caught:
                await judge.transport.send(QUESTION)
            assert len(server.received) == asked_before + 1
            found.append(caught.value)
    return found


async def asked(name: str, transport: str, *script: Any, **settings: Any) -> tuple[Vote | Failure, list[Received]]:
    """What becomes of one ballot, and what the server received."""
    async with Server(*script) as server, opened(name, server, transport=transport, **settings) as judge:
        return await judge.ask(PAIR, Ballot("p1", judge.name, Shown.AB)), server.received


# Log-probabilities


@pytest.mark.parametrize("transport", ["fast", "default"])
def test_log_probabilities_of_the_verdict_become_the_votes_margin(transport):
    listed = [{"token": "A", "logprob": -0.1, "bytes": None}, {"token": "B", "logprob": -2.1, "bytes": None}]
    parts = [('{"verdict": "', []), ("A", listed), ('"}', [])]
    tokens = [{"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": top} for text, top in parts]
    body = openai_reply('{"verdict": "A"}')
    body["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
    extra = {"logprobs": True, "top_logprobs": 5}
    vote, (received,) = asyncio.run(asked("openai", transport, body, extra=extra))
    assert isinstance(vote, Vote)
    assert vote.margin == pytest.approx(2.0)
    assert {name: received.body[name] for name in extra} == extra


# Limits


@pytest.mark.parametrize(
    ("settings", "limited"), [({}, True), ({"rpm": 90_000}, False), ({"tpm": 9_000_000}, False)], ids=str
)
def test_the_limits_that_a_reply_names_are_kept_where_the_cycle_file_names_none(settings, limited):
    headers = {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-tokens-limit": "1000"}

    async def found():
        script = Reply(anthropic_reply(VERDICT_A), headers=headers)
        async with Server(script) as server, opened("anthropic", server, **settings) as judge:
            labeler = Labeler({judge.name: judge}, lambda _: None, accounts={"anthropic": Pace(None, None)})
            ballots = [Ballot("p1", judge.name, Shown.AB)]
            outcome = await labeler.run([Work(PAIR, [Seat(judge.name, tuple(ballots))], Rule())])
            return outcome.votes, labeler.lanes[judge.name].allowed

    assert asyncio.run(found()) == (1, Allowed(50) if limited else None)


# Which transport


@pytest.mark.parametrize("name", FAST)
def test_judges_of_openai_anthropic_and_compatible_servers_take_the_fast_transport(name):
    async def found():
        async with Server() as server, opened(name, server) as judge:
            return judge.transport.name, judge.why_default, server.received

    assert asyncio.run(found()) == ("fast", "", [])


def test_the_shipped_panel_is_fast_but_for_google_which_says_why():
    """At the providers' own addresses; opening a panel calls none of them."""

    async def found():
        async with Panel(load(shipped("panel.yaml")), RUBRIC) as panel:
            return {judge.config.provider: (judge.transport.name, judge.why_default) for judge in panel.judges.values()}

    assert asyncio.run(found()) == {
        "anthropic": ("fast", ""),
        "openai": ("fast", ""),
        "google": ("default", "the headers differ from litellm's in: authorization, x-goog-api-key"),
    }


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize(
    ("method", "change", "why"),
    [
        ("transform_request", lambda body: body | {"top_k": 1}, "the body differs from litellm's in: top_k"),
        (
            "validate_environment",
            lambda headers: headers | {"X-Tier": "1"},
            "the headers differ from litellm's in: x-tier",
        ),
        ("get_complete_url", lambda url: f"{url}?v=2", "the address {url}?v=2 is not litellm's {told}"),
    ],
)
def test_a_judge_whose_requests_would_not_be_litellms_stays_on_the_default_transport(
    name, method, change, why, monkeypatch
):
    """A provider config that builds something else when it is used on its own, as the next litellm may do."""
    config = _config_class(DIALECTS[name])
    real = getattr(config, method)

    def changed(*args, **kwargs):
        """litellm gives its parameters, the fast transport none."""
        given = signature(real).bind(*args, **kwargs).arguments["litellm_params"]
        found = real(*args, **kwargs)
        return found if given else change(found)

    async def found():
        monkeypatch.setattr(config, method, changed)
        async with (
            Server(DIALECTS[name].reply(VERDICT_A)) as server,
            opened(name, server, transport=None) as judge,
        ):
            _, headers, body = await _request(judge, server)
            assert "top_k" not in body
            assert "x-tier" not in headers
            url = f"{server.url}{DIALECTS[name].path}"
            told = f"{server.url}/v1/" if name == "openai" else url
            return judge.transport.name, judge.why_default, why.format(url=url, told=told)

    transport, said, expected = asyncio.run(found())
    assert (transport, said) == ("default", expected)


def _config_class(dialect: Dialect) -> type:
    lib = litellm()
    provider = "hosted_vllm" if dialect.provider == "vllm" else dialect.provider
    of = lib.utils.ProviderConfigManager.get_provider_chat_config
    return type(of(dialect.model, lib.types.utils.LlmProviders(provider)))


async def _request(judge: PanelJudge, server: Server) -> tuple[Any, ...]:
    """Everything in a request that has a meaning to the provider."""
    await judge.transport.send(QUESTION)
    received = server.received[-1]
    named = {
        name: value
        for name, value in received.headers.items()
        if name.startswith(("anthropic-", "openai-", "x-goog-", "x-client-"))
        or name in ("authorization", "content-type", "x-api-key", "x-tier")
    }
    return received.path, named, received.body


# Same request


REQUESTS = {
    "plain": {},
    "no temperature": {"temperature": None},
    "extra": {"max_tokens": 64, "extra": {"top_p": 0.5, "stop": ["END"]}},
    "a key of its own": {"api_key_env": "GEMINI_API_KEY"},
}


@pytest.mark.parametrize("settings", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("name", FAST)
def test_both_transports_send_the_same_request(name, settings):
    async def sent(transport):
        async with (
            Server(DIALECTS[name].reply(VERDICT_A)) as server,
            opened(name, server, transport=transport, **settings) as judge,
        ):
            return await _request(judge, server)

    path, headers, body = fast = asyncio.run(sent("fast"))
    assert fast == asyncio.run(sent("default"))
    header, key = DIALECTS[name].key
    if "api_key_env" in settings:
        key = f"{'' if header == 'x-api-key' else 'Bearer '}{ENVIRONMENT['GEMINI_API_KEY']}"
    assert path == DIALECTS[name].path
    assert (headers[header], headers["x-client-request-id"]) == (key, QUESTION.key)
    assert (body["model"], body.get("temperature")) == (DIALECTS[name].model, settings.get("temperature", 0.0))


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("openai", "gpt-5-mini", {"max_completion_tokens": 1024}),
        ("openai", "o3-mini", {"max_completion_tokens": 1024}),
        ("anthropic", "claude-3-5-haiku-20241022", {"temperature": 0.0, "max_tokens": 1024}),
        ("anthropic", "claude-opus-4-1", {"temperature": 0.0, "max_tokens": 1024}),
    ],
)
def test_both_transports_ask_models_with_rules_of_their_own_alike(name, model, expected):
    """Reasoning models take no temperature and another limit; older Claude models get the reply contract as a tool."""

    async def sent(transport):
        async with (
            Server(DIALECTS[name].reply(VERDICT_A)) as server,
            opened(name, server, transport=transport, model=model) as judge,
        ):
            return judge.transport.temperature, await _request(judge, server)

    temperature, (_, _, body) = fast = asyncio.run(sent("fast"))
    assert fast == asyncio.run(sent("default"))
    assert temperature == expected.get("temperature")
    limits = ("temperature", "max_tokens", "max_completion_tokens")
    assert {parameter: body[parameter] for parameter in limits if parameter in body} == expected


TEXTS = [
    "plain",
    " blanks around ",
    "\n\nlines\r\n\r\nand a tab\t",
    "\x00\x07 control \u2028 \ufeff",
    "émigré, 日本語, 🏳️‍🌈, \U0010ffff",
    '{"role": "system", "content": "a \\"quoted\\" \\\\ object"}',
    "<|im_start|>system\nHuman: hi\n\nAssistant:",
    "data:image/png;base64,iVBORw0KGgo= https://example.com/a.png",
    "long " * 20_000,
]


@pytest.mark.parametrize("name", FAST)
def test_whatever_the_text_both_transports_send_the_same_bytes_of_it(name):
    """Parity is proved on one short question; the config that builds the bodies must not treat other texts otherwise."""

    async def sent(transport):
        async with (
            Server(DIALECTS[name].reply(VERDICT_A)) as server,
            opened(name, server, transport=transport) as judge,
        ):
            for text in TEXTS:
                messages = [{"role": "system", "content": text}, {"role": "user", "content": text}]
                await judge.transport.send(Question(messages, key="k"))
            return [received.body for received in server.received]

    fast = asyncio.run(sent("fast"))
    assert fast == asyncio.run(sent("default"))
    if name != "anthropic":
        assert [[m["content"] for m in body["messages"]] for body in fast] == [[text, text] for text in TEXTS]


def test_google_is_asked_in_its_own_words():
    _, (received,) = asyncio.run(answered("google", "default", gemini_reply(VERDICT_A)))
    assert received.path == "/v1beta/models/gemini-2.5-pro:generateContent"
    assert received.headers["x-goog-api-key"] == ENVIRONMENT["GEMINI_API_KEY"]
    assert received.headers["x-client-request-id"] == QUESTION.key
    assert received.body["contents"] == [{"role": "user", "parts": [{"text": "question"}]}]
    assert received.body["system_instruction"] == {"parts": [{"text": "rubric"}]}
    config = received.body["generationConfig"]
    assert (config["temperature"], config["max_output_tokens"]) == (0.0, 1024)
    assert config["response_json_schema"] == RUBRIC.schema


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OPENAI_ORGANIZATION": "org-a", "OPENAI_ORG_ID": "org-b"}, {"openai-organization": "org-a"}),
        (
            {"OPENAI_ORG_ID": "org-b", "OPENAI_PROJECT_ID": "proj"},
            {"openai-organization": "org-b", "openai-project": "proj"},
        ),
    ],
)
@pytest.mark.parametrize("transport", ["fast", "default"])
def test_the_account_that_pays_is_named_on_both_transports(transport, variables, expected, monkeypatch):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    _, (received,) = asyncio.run(answered("openai", transport, openai_reply(VERDICT_A)))
    assert {n: value for n, value in received.headers.items() if n.startswith("openai-")} == expected


def test_headers_that_only_the_openai_sdk_knows_keep_a_judge_on_the_default_transport(monkeypatch):
    async def found():
        async with Server(openai_reply(VERDICT_A)) as server, opened("openai", server, transport=None) as judge:
            await judge.transport.send(QUESTION)
            return judge.why_default, server.received[0].headers["x-team"]

    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: judges")
    assert asyncio.run(found()) == ("the OpenAI SDK sends OPENAI_CUSTOM_HEADERS", "judges")


@every_way
def test_a_line_break_behind_a_key_is_not_part_of_it(name, transport, monkeypatch):
    """Files and secret stores leave one; a header cannot hold it."""
    monkeypatch.setenv("BROKEN_KEY", "sk-1234\n")
    answer, (received,) = asyncio.run(
        answered(name, transport, DIALECTS[name].reply(VERDICT_A), api_key_env="BROKEN_KEY")
    )
    assert received.headers[DIALECTS[name].key[0]].removeprefix("Bearer ") == "sk-1234"
    assert answer.text == VERDICT_A


@pytest.mark.parametrize("key", ["sk-12\u2026", "sk-12\nsk-34"])
def test_a_key_that_no_header_can_hold_is_named_and_not_repeated(key, monkeypatch):
    monkeypatch.setenv("BROKEN_KEY", key)
    with pytest.raises(UsageError, match="BROKEN_KEY holds a character") as refused:
        asyncio.run(answered("openai", "fast", openai_reply(VERDICT_A), api_key_env="BROKEN_KEY"))
    assert "12" not in str(refused.value)


def test_a_header_that_cannot_be_sent_is_a_failure_of_the_judge():
    async def go():
        async with Server(openai_reply(VERDICT_A)) as server, opened("openai", server) as judge:
            judge.transport.call.headers["x-team"] = "\u4e16"
            return await judge.ask(PAIR, Ballot("p1", judge.name, Shown.AB))

    found = asyncio.run(go())
    assert (found.kind, found.retry, found.fatal) == ("bad_request", False, True)


# Same answer


def answer(**changes: Any) -> Answer:
    return replace(Answer(VERDICT_A, False, "stop", None, 1200, 80), **changes)


CALLED_OFF = answer(text="", refused=True, finish_reason="content_filter")
CUT, CUT_EMPTY = answer(text='{"reas', finish_reason="length"), answer(text="", finish_reason="length")
REPLIES: dict[str, list[tuple[str, dict[str, Any], Answer]]] = {
    "openai": [
        ("plain", openai_reply(VERDICT_A), answer()),
        ("cached", openai_reply(VERDICT_A, cached=1024), answer(cached_tokens=1024)),
        ("refusal", openai_reply(None, refusal="I can't help."), answer(text="I can't help.", refused=True)),
        ("filtered", openai_reply(None, finish="content_filter"), CALLED_OFF),
        ("filtered late", openai_reply('{"reas', finish="content_filter"), replace(CALLED_OFF, text='{"reas')),
        ("cut", openai_reply('{"reas', finish="length"), CUT),
        ("cut before any text", openai_reply("", finish="length"), CUT_EMPTY),
        ("empty", openai_reply(""), answer(text="")),
        ("null", openai_reply(None), answer(text="")),
    ],
    "vllm": [
        ("plain", vllm_reply(VERDICT_A), answer()),
        ("cached", vllm_reply(VERDICT_A, cached=1024), answer(cached_tokens=1024)),
        ("cut", vllm_reply('{"reas', finish="length"), CUT),
        ("cut before any text", vllm_reply(None, finish="length"), CUT_EMPTY),
        ("null", vllm_reply(None), answer(text="")),
    ],
    "anthropic": [
        ("plain", anthropic_reply(VERDICT_A), answer()),
        ("cached", anthropic_reply(VERDICT_A, cached=1024), answer(cached_tokens=1024)),
        ("refusal", anthropic_reply(None, stop="refusal"), CALLED_OFF),
        ("refusal with words", anthropic_reply("I can't", stop="refusal"), replace(CALLED_OFF, text="I can't")),
        ("cut", anthropic_reply('{"reas', stop="max_tokens"), CUT),
        ("cut before any text", anthropic_reply(None, stop="max_tokens"), CUT_EMPTY),
        ("empty", anthropic_reply(None), answer(text="")),
    ],
    "google": [
        ("plain", gemini_reply(VERDICT_A), answer()),
        ("cached", gemini_reply(VERDICT_A, cached=1024), answer(cached_tokens=1024)),
        ("unsafe", gemini_reply(None, finish="SAFETY"), CALLED_OFF),
        (
            "blocked prompt",
            gemini_reply(None, blocked="PROHIBITED_CONTENT", tokens=(1200, 0)),
            replace(CALLED_OFF, completion_tokens=0),
        ),
        ("cut", gemini_reply('{"reas', finish="MAX_TOKENS"), CUT),
        (
            "cut while thinking",
            gemini_reply(None, finish="MAX_TOKENS", tokens=(1200, 0)),
            replace(CUT_EMPTY, completion_tokens=0),
        ),
        ("empty", gemini_reply(None), answer(text="")),
    ],
}
ANSWERS = [
    pytest.param(
        name, transport, reply, replace(expected, model=DIALECTS[name].served), id=f"{name}-{transport}-{case}"
    )
    for name, transport in WAYS
    for case, reply, expected in REPLIES[name]
]


@pytest.mark.parametrize(("name", "transport", "reply", "expected"), ANSWERS)
def test_a_reply_becomes_the_same_answer_on_both_transports(name, transport, reply, expected):
    found, received = asyncio.run(answered(name, transport, reply))
    body = reply.body if isinstance(reply, Reply) else reply
    assert found == replace(expected, fingerprint=body.get("system_fingerprint"))
    assert len(received) == 1


@pytest.mark.parametrize("transport", ["fast", "default"])
def test_a_reply_through_claudes_tool_is_read_like_text(transport):
    """litellm enforces the reply contract by a tool where the model knows no other way."""
    reply = anthropic_reply(None, model="claude-opus-4-1", tool=("json_tool_call", {"reasoning": "x", "verdict": "B"}))
    vote, (received,) = asyncio.run(asked("anthropic", transport, reply, model="claude-opus-4-1"))
    assert received.body["tools"][0]["input_schema"] == RUBRIC.schema
    assert isinstance(vote, Vote)
    assert (vote.verdict, vote.raw) == (Verdict.B, '{"reasoning": "x", "verdict": "B"}')


@every_way
def test_many_at_once_get_each_its_own_answer(name, transport):
    def echo(received: Received) -> dict[str, Any]:
        return DIALECTS[name].reply(received.headers["x-client-request-id"])

    async def found():
        async with Server(echo) as server, opened(name, server, transport=transport) as judge:
            questions = [Question(QUESTION.messages, key=str(i)) for i in range(20)]
            return [answer.text for answer in await asyncio.gather(*map(judge.transport.send, questions))]

    assert asyncio.run(found()) == [str(i) for i in range(20)]


@every_way
def test_a_panel_may_be_opened_again_after_it_was_closed(name, transport):
    """Closing lets go of litellm's clients; the next panel in the same process must not find them closed."""

    async def found():
        async with Server(DIALECTS[name].reply(VERDICT_A)) as server:
            for _ in range(3):
                async with opened(name, server, transport=transport) as judge:
                    reply = await judge.transport.send(QUESTION)
            return reply.text, len(server.received)

    assert asyncio.run(found()) == (VERDICT_A, 3)


# What goes wrong


AUTH, GIVEN_UP = ("auth", False, True, None), ("bad_request", False, True, None)
REFUSED, BROKEN = ("bad_request", False, False, None), ("server_error", True, False, None)
QUOTA = "You exceeded your current quota, please check your plan and billing details."
PAY_FOR_MORE = "Rate limit reached. Visit https://platform.openai.com/account/billing to add a payment method."
ERRORS: list[tuple[int, Mapping[str, str], str, str, tuple[Any, ...]]] = [
    (400, {}, "max_tokens is too large: 99999.", "invalid_request_error", REFUSED),
    (401, {}, "Incorrect API key provided: sk-proj-***.", "invalid_api_key", AUTH),
    (402, {}, "Insufficient Balance", "unknown_error", AUTH),
    (403, {}, "Country, region, or territory not supported", "permission_error", AUTH),
    (404, {}, "The model `gpt-9` does not exist or you do not have access to it.", "model_not_found", GIVEN_UP),
    (408, {}, "Request timed out", "timeout", BROKEN),
    (409, {}, "Conflict", "conflict", BROKEN),
    (413, {}, "Request exceeds the maximum size", "request_too_large", REFUSED),
    (429, {"retry-after": "7"}, "Rate limit reached.", "rate_limit_error", ("rate_limit", True, False, 7.0)),
    (429, {"retry-after-ms": "250", "retry-after": "1"}, "Slow.", "tokens", ("rate_limit", True, False, 0.25)),
    (429, {}, "Number of requests has exceeded your limit", "rate_limit_error", ("rate_limit", True, False, None)),
    (429, {"retry-after": "20"}, PAY_FOR_MORE, "requests", ("rate_limit", True, False, 20.0)),
    (429, {}, QUOTA, "insufficient_quota", AUTH),
    (500, {}, "The server had an error while processing your request.", "server_error", BROKEN),
    (502, {}, "Bad gateway", "server_error", BROKEN),
    (503, {"retry-after": "3"}, "That model is overloaded.", "server_error", ("server_error", True, False, 3.0)),
    (504, {}, "Deadline exceeded", "server_error", BROKEN),
    (529, {}, "Overloaded", "overloaded_error", BROKEN),
]


def fate(error: CallError) -> tuple[Any, ...]:
    return error.kind, error.retry, error.fatal, error.retry_after_s


@every_way
def test_an_http_error_means_the_same_on_both_transports(name, transport):
    replies = [
        Reply(DIALECTS[name].error(status, message, kind), status, headers)
        for status, headers, message, kind, _ in ERRORS
    ]
    found = asyncio.run(errors(name, transport, *replies))
    assert [(error.status, *fate(error)) for error in found] == [(case[0], *case[4]) for case in ERRORS]
    for error, (status, _, message, *_) in zip(found, ERRORS, strict=True):
        assert error.message.startswith(f"HTTP {status}: {{")
        assert message in error.message
        assert error.latency_s > 0


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
INVALID_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}
SPECIAL = [
    pytest.param(
        "anthropic",
        400,
        anthropic_error("Your credit balance is too low to access the Anthropic API.", "invalid_request_error"),
        AUTH,
        id="anthropic says 400 when the money is gone",
    ),
    pytest.param(
        "google",
        400,
        gemini_error("API key not valid. Please pass a valid API key.", 400, "INVALID_ARGUMENT", INVALID_KEY),
        AUTH,
        id="google says 400 of a wrong key",
    ),
    pytest.param(
        "google",
        429,
        gemini_error(f"{QUOTA}\nPlease retry in 34.5s.", 429, "RESOURCE_EXHAUSTED", RETRY_INFO),
        ("rate_limit", True, False, 34.5),
        id="google names quota and billing in every rate limit, and the wait in the body",
    ),
]


@pytest.mark.parametrize(("name", "status", "body", "expected"), SPECIAL)
def test_what_providers_say_in_a_way_of_their_own_is_understood(name, status, body, expected):
    for transport in [way for dialect, way in WAYS if dialect == name]:
        (error,) = asyncio.run(errors(name, transport, Reply(body, status)))
        assert fate(error) == expected


def test_a_wait_may_be_given_as_a_date():
    assert 3000 < retry_after({"retry-after": _http_date(3600)}) <= 3600
    assert retry_after({"retry-after": _http_date(-3600)}) == 0
    assert retry_after({"retry-after": "soon"}) is None


def _http_date(seconds: float) -> str:
    from email.utils import formatdate

    return formatdate(time.time() + seconds, usegmt=True)


BROKEN_REPLIES = {
    "hang-up": (HANG_UP, "connection"),
    "half a body": (HALF_BODY, "connection"),
    "html": (HTML, "bad_reply"),
    "half a JSON object": (NO_JSON, "bad_reply"),
    "nothing": (Reply(b""), "bad_reply"),
    "a list": (Reply("[]"), "bad_reply"),
    "null": (Reply("null"), "bad_reply"),
    "no choices": (NO_CHOICES, "bad_reply"),
    "another object": (NO_REPLY, "bad_reply"),
    "an error with status 200": (Reply({"error": {"message": "Provider returned error", "code": 502}}), "bad_reply"),
    "not even text": (Reply(b"\xff\xfe\x00{"), "bad_reply"),
}


@every_way
def test_what_is_no_reply_is_a_call_error_and_asked_again(name, transport):
    found = asyncio.run(errors(name, transport, *(reply for reply, _ in BROKEN_REPLIES.values())))
    expected = {case: (kind, True, False, None) for case, (_, kind) in BROKEN_REPLIES.items()}
    assert dict(zip(BROKEN_REPLIES, map(fate, found), strict=True)) == expected


@every_way
def test_a_server_that_is_not_there_is_a_connection_error(name, transport):
    async def found():
        server = Server()
        async with server, opened(name, server, transport=transport) as judge:
            await server.__aexit__()
            with pytest.raises(CallError) as caught:
                await judge.transport.send(QUESTION)
            return fate(caught.value)

    assert asyncio.run(found()) == ("connection", True, False, None)


@every_way
@pytest.mark.parametrize("reply", [Reply({}, after_s=30), SILENCE], ids=["no answer", "half an answer"])
def test_a_call_is_given_up_when_its_time_is_over(name, transport, reply):
    (error,) = asyncio.run(errors(name, transport, reply, timeout_s=0.2))
    assert fate(error) == ("timeout", True, False, None)
    assert error.message == "no answer within 0.2 s"
    assert 0.15 < error.latency_s < 2


@pytest.mark.parametrize("transport", ["fast", "default"])
def test_a_request_that_openai_cannot_process_is_a_failure(transport):
    """litellm swallows what the OpenAI SDK raises for status 422, and returns nothing."""
    failure, _ = asyncio.run(asked("openai", transport, Reply(openai_error("No.", "invalid_request_error"), 422)))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retry, failure.fatal) == ("bad_request", False, False)


# What a provider refuses


NO_TEMPERATURE = {
    "openai": "Unsupported value: 'temperature' does not support 0 with this model. "
    "Only the default (1) value is supported.",
    "vllm": "temperature must be 1.0 for this model",
    "anthropic": "`temperature` is deprecated for this model.",
    "google": "Unable to submit request: temperature must be 1 for this model.",
}
NO_SCHEMA = {
    "openai": "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    "vllm": "response_format: guided decoding is not supported",
    "anthropic": "output_format: Extra inputs are not permitted",
    "google": "Invalid JSON payload received. Unknown name \"response_json_schema\" at 'generation_config'",
}


def parameters_of(received: Received) -> Mapping[str, Any]:
    body = received.body
    return body.get("generationConfig", body)


def has_schema(received: Received) -> bool:
    return any(name in parameters_of(received) for name in ("response_format", "output_format", "response_json_schema"))


def without_temperature(name: str) -> Callable[[Received], Reply]:
    """A provider that refuses every request with a temperature."""

    def reply(received: Received) -> Reply:
        if "temperature" in parameters_of(received):
            return Reply(DIALECTS[name].error(400, NO_TEMPERATURE[name], "invalid_request_error"), 400)
        return Reply(DIALECTS[name].reply(VERDICT_A))

    return reply


@every_way
def test_a_model_that_refuses_the_temperature_is_asked_again_without_it(name, transport):
    async def found():
        server = Server(without_temperature(name))
        async with server, opened(name, server, transport=transport) as judge:
            votes = [await judge.ask(PAIR, Ballot("p1", judge.name, Shown.AB, repeat)) for repeat in (0, 1)]
            return votes, ["temperature" in parameters_of(received) for received in server.received]

    votes, sent = asyncio.run(found())
    assert [(type(vote), vote.verdict, vote.temperature) for vote in votes] == [(Vote, Verdict.A, None)] * 2
    assert sent == [True, False, False]  # it is not tried a second time


@every_way
def test_a_model_that_refuses_the_schema_is_asked_again_without_it(name, transport):
    refusal = Reply(DIALECTS[name].error(400, NO_SCHEMA[name], "invalid_request_error"), 400)
    vote, received = asyncio.run(asked(name, transport, refusal, DIALECTS[name].reply(VERDICT_A)))
    assert (type(vote), vote.verdict, vote.temperature) == (Vote, Verdict.A, 0.0)
    assert [has_schema(request) for request in received] == [True, False]


@every_way
def test_calls_that_were_in_flight_together_are_all_asked_again(name, transport):
    """The first refusal changes the transport; the others, sent before it, must not become failures."""

    async def found():
        server = Server(without_temperature(name))
        async with server, opened(name, server, transport=transport) as judge:
            ballots = [Ballot("p1", judge.name, Shown.AB, repeat) for repeat in range(24)]
            return await asyncio.gather(*(judge.ask(PAIR, ballot) for ballot in ballots))

    votes = asyncio.run(found())
    assert [(type(vote), vote.temperature) for vote in votes] == [(Vote, None)] * 24


@pytest.mark.parametrize("name", FAST)
def test_a_parameter_is_given_up_once_however_many_calls_were_refused(name, monkeypatch):
    """To prove parity costs a judge's start its processor time, and would cost it again for every call in flight."""
    real, prepared = wire.prepare, []

    def prepare(route: Any, parameters: dict[str, Any]) -> wire.Call:
        prepared.append("temperature" in parameters)
        return real(route, parameters)

    async def found():
        async with Server(without_temperature(name)) as server, opened(name, server) as judge:
            await asyncio.gather(*(judge.ask(PAIR, Ballot("p1", judge.name, Shown.AB, i)) for i in range(8)))

    monkeypatch.setattr(wire, "prepare", prepare)
    asyncio.run(found())
    assert prepared == [True, False]


@pytest.mark.parametrize("transport", ["fast", "default"])
def test_a_vote_carries_the_temperature_it_was_asked_with(transport):
    """One call is answered only after another one has changed what the judge sends."""
    slow_key = ""

    def reply(received: Received) -> Reply:
        if received.headers["x-client-request-id"] == slow_key:
            return Reply(openai_reply(VERDICT_A), after_s=0.3)
        return without_temperature("openai")(received)

    async def found():
        nonlocal slow_key
        async with Server(reply) as server, opened("openai", server, transport=transport) as judge:
            slow, quick = (Ballot("p1", judge.name, Shown.AB, repeat) for repeat in (0, 1))
            slow_key = judge.key(slow)
            votes = await asyncio.gather(judge.ask(PAIR, slow), judge.ask(PAIR, quick))
            return [vote.temperature for vote in votes]

    assert asyncio.run(found()) == [0.0, None]


@every_way
def test_a_model_that_refuses_what_the_judge_cannot_do_without_is_a_failure(name, transport):
    body = DIALECTS[name].error(400, "messages: at least one message is required", "invalid_request_error")
    failure, received = asyncio.run(asked(name, transport, Reply(body, 400)))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retry, failure.fatal, len(received)) == ("bad_request", False, False, 1)


@pytest.mark.parametrize("name", FAST)
def test_a_judge_goes_on_by_the_default_transport_if_the_fast_one_fails_without_a_parameter(name, monkeypatch):
    async def found():
        server = Server(without_temperature(name))
        async with server, opened(name, server) as judge:
            monkeypatch.setattr(wire, "prepare", not_equal)
            vote = await judge.ask(PAIR, Ballot("p1", judge.name, Shown.AB))
            return type(vote), judge.transport.name, judge.transport.temperature

    assert asyncio.run(found()) == (Vote, "default", None)


# What becomes of an answer


@every_way
@pytest.mark.parametrize(
    ("cached_input", "expected"),
    [(0.25, (176 * 2.5 + 1024 * 0.25 + 80 * 10) / 1e6), (None, (1200 * 2.5 + 80 * 10) / 1e6)],
)
def test_tokens_from_the_providers_cache_cost_the_cached_price(name, transport, cached_input, expected):
    prices = {"input": 2.5, "output": 10, "cached_input": cached_input}
    vote, _ = asyncio.run(asked(name, transport, DIALECTS[name].reply(VERDICT_A, cached=1024), price=prices))
    assert vote.spent.cost_usd == pytest.approx(expected, rel=1e-12)
    assert (vote.spent.prompt_tokens, vote.spent.completion_tokens) == (1200, 80)


def test_litellms_prices_are_per_million_tokens_and_know_the_cache():
    (judge,) = cycle_of([{"provider": "openai", "model": "gpt-4o-2024-11-20"}]).judges
    assert price(judge) == Price(input=2.5, output=10, cached_input=1.25)


@every_way
def test_a_refusal_is_an_abstention_an_empty_reply_a_failure(name, transport):
    refusal = {
        "openai": openai_reply(None, refusal="I can't help with that."),
        "vllm": vllm_reply(None, finish="content_filter"),
        "anthropic": anthropic_reply(None, stop="refusal"),
        "google": gemini_reply(None, finish="SAFETY"),
    }[name]
    vote, _ = asyncio.run(asked(name, transport, refusal))
    empty, _ = asyncio.run(asked(name, transport, DIALECTS[name].reply(None)))
    length = {"anthropic": {"stop": "max_tokens"}, "google": {"finish": "MAX_TOKENS"}}.get(name, {"finish": "length"})
    cut, _ = asyncio.run(asked(name, transport, DIALECTS[name].reply(None, **length)))
    assert (type(vote), vote.verdict) == (Vote, Verdict.ABSTAIN)
    assert (empty.kind, empty.retry) == ("empty", True)
    assert (cut.kind, cut.retry) == ("empty", False)
    assert "raise max_tokens (1024)" in cut.message


@every_way
def test_another_models_answer_is_a_failure_that_names_both(name, transport):
    failure, _ = asyncio.run(asked(name, transport, DIALECTS[name].reply(VERDICT_A, model="small-model")))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retry, failure.fatal) == ("wrong_model", True, False)
    assert failure.spent.prompt_tokens == 1200  # it was paid for
    assert f"asked '{DIALECTS[name].model}', but 'small-model' answered" in failure.message


@pytest.mark.parametrize(
    "odd",
    [
        {"model": 7},
        {"usage": {"prompt_tokens": "100", "completion_tokens": -1}},
        {"usage": {"prompt_tokens": 1e300, "completion_tokens": True}},
        {"usage": [1]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": 5}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": 1}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": [{"type": "text", "text": "[[A]]"}]}}]},
    ],
)
def test_a_reply_of_odd_types_is_an_answer_or_a_bad_reply_and_never_ends_the_run(odd):
    from labeling.providers.base import Answer
    from labeling.providers.parity import plain_answer

    choice = {"index": 0, "message": {"role": "assistant", "content": "[[A]]"}, "finish_reason": "stop"}
    data = {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}, **odd}
    try:
        answer = plain_answer(data, {}, 0.1)
    except (CallError, AttributeError):  # the transport makes a bad reply of either
        return
    assert isinstance(answer, Answer)
    assert isinstance(answer.text, str)
    assert all(n is None or 0 <= n < 2**31 for n in (answer.prompt_tokens, answer.completion_tokens))
