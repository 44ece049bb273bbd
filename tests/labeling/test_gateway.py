"""Judges behind a gateway: who really answered, by the gateway's own word. One part asks a real LiteLLM proxy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from consensus.nouns import Ballot, Failure, Pair, Shown, Verdict, Vote
from consensus.store import Store
from labeling.panel import Panel
from labeling.providers import wire
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of
from tests.labeling.runs import label_cycle, pairs
from tests.labeling.servers import Reply, Server, anthropic_reply, openai_error, openai_reply, vllm_reply

VERDICT_A = '{"reasoning": "A answers.", "verdict": "A"}'
RUBRIC = Rubric("Say which completion is better.")
PAIR = Pair("p1", "Name a prime.", "7", "9")
GPT = {"provider": "openai", "model": "gpt-4o"}
GPT_4_1 = {"provider": "openai", "model": "gpt-4.1"}
GEMINI = {"provider": "google", "model": "gemini-2.5-pro"}
CLAUDE = {"provider": "anthropic", "model": "claude-sonnet-4-5"}
OR_GEMINI = {"fallbacks": ["gemini-2.5-pro"]}
START_S, CALL_S = 120, 30  # the proxy starts in 12 s on two cores
both_transports = pytest.mark.parametrize("transport", ["fast", "default"])


def ask(address: str, judge: dict[str, Any], transport: str, **gateway: Any) -> Vote | Failure:
    """What becomes of one ballot that is sent to a gateway."""
    cycle = cycle_of([judge], gateway={"api_base": address, **gateway}, limits={"timeout_s": CALL_S})

    async def found() -> Vote | Failure:
        async with Panel(cycle, RUBRIC) as panel:
            (asked,) = panel.judges.values()
            assert asked.transport.name == transport, asked.why_default
            return await asked.ask(PAIR, Ballot("p1", asked.name, Shown.AB))

    with pytest.MonkeyPatch.context() as patch:
        if transport == "default":
            patch.setattr(wire, "prepare", not_equal)
        return asyncio.run(found())


def not_equal(*_: object) -> None:
    raise wire.NotEqual("set so by the test")


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Servers that answer from a thread of their own, as long as the test asks from another loop."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    def there(step: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(step, loop).result(10)

    try:
        for server in servers:
            there(server.__aenter__())
        yield
    finally:
        for server in servers:
            there(server.__aexit__())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


# What gateways say


def litellms(model: str, name: str) -> Reply:
    """As the LiteLLM proxy answers: the truth is in a header."""
    return Reply(openai_reply(VERDICT_A, model=model), headers={"x-litellm-model-name": name})


def bifrosts(model: str, provider: str, **fields: Any) -> Reply:
    """As Bifrost answers: the truth is in the body's `extra_fields`."""
    told = {"request_type": "chat_completion", "provider": provider, "model_requested": "gpt-4o", "latency": 812}
    return Reply(openai_reply(VERDICT_A, model=model, extra_fields=told | fields))


@both_transports
@pytest.mark.parametrize(
    ("reply", "served_by", "own"),
    [
        (litellms("openai/gpt-4o", "azure/gpt-4o-2024-11-20"), "azure/gpt-4o-2024-11-20", True),
        (litellms("openai/gpt-4o", "anthropic/claude-sonnet-4-5"), "anthropic/claude-sonnet-4-5", False),
        (bifrosts("gpt-4o-2024-11-20", "openai"), "openai/gpt-4o-2024-11-20", True),
        (bifrosts("gpt-4o", "openai", resolved_model_used="gpt-4o-mini"), "openai/gpt-4o-mini", False),
        (bifrosts("claude-sonnet-4-5", "anthropic"), "anthropic/claude-sonnet-4-5", False),
        (Reply(openai_reply(VERDICT_A, model="gpt-4o")), "gpt-4o", True),
        (Reply(openai_reply(VERDICT_A, model="openai/gpt-4o-mini")), "openai/gpt-4o-mini", False),
    ],
    ids=["litellm", "litellm-other", "bifrost", "bifrost-resolved", "bifrost-other", "silent", "silent-other"],
)
def test_who_answered_is_what_the_gateway_says(reply, served_by, own, transport):
    server = Server(reply)
    with running(server):
        alone = ask(f"{server.url}/v1", GPT, transport)
        listed = ask(f"{server.url}/v1", GPT | {"fallbacks": ["claude-sonnet-4-5", "gpt-4o-mini"]}, transport)
    assert (type(listed), listed.served_by) == (Vote, served_by)
    if own:
        assert (type(alone), alone.served_by) == (Vote, served_by)
    else:
        assert (type(alone), alone.kind, alone.retry) == (Failure, "wrong_model", True)
        assert f"asked 'gpt-4o', but '{served_by}' answered" in alone.message


@both_transports
@pytest.mark.parametrize(
    ("template", "model"), [("{provider}/{model}", "google/gemini-2.5-pro"), ("x-{model}", "x-gemini-2.5-pro")]
)
def test_a_gateway_is_asked_with_its_own_name_and_key(transport, template, model, monkeypatch):
    """And never with the provider's key, which here is not even set."""
    monkeypatch.setenv("GATEWAY_KEY", "sk-gateway")
    server = Server(openai_reply(VERDICT_A, model="gemini-2.5-pro"))
    with running(server):
        vote = ask(f"{server.url}/v1", GEMINI, transport, api_key_env="GATEWAY_KEY", model=template)
    (received,) = server.received
    assert vote.verdict is Verdict.A
    assert (received.path, received.body["model"]) == ("/v1/chat/completions", model)
    assert received.headers["authorization"] == "Bearer sk-gateway"


# Response caches


@both_transports
def test_a_gateway_is_told_to_answer_from_no_cache(transport):
    """The LiteLLM proxy in the body, Bifrost by a key that no other request has, under which it keeps nothing."""
    server = Server(openai_reply(VERDICT_A, model="gpt-4o"))
    with running(server):
        ask(f"{server.url}/v1", GPT, transport)
        ask(f"{server.url}/v1", GPT, transport, fresh=False)
    told, plain = server.received
    assert told.body == {**plain.body, "cache": {"no-cache": True}}
    assert told.headers["x-bf-cache-key"] == told.headers["x-client-request-id"]
    assert told.headers["x-bf-cache-no-store"] == "true"
    assert not [name for name in plain.headers if name.startswith("x-bf-")]


@both_transports
def test_what_a_judge_sends_of_its_own_stays(transport):
    server = Server(openai_reply(VERDICT_A, model="gpt-4o"))
    with running(server):
        ask(f"{server.url}/v1", GPT | {"extra": {"seed": 7, "extra_body": {"user_tier": "x"}}}, transport)
    (received,) = server.received
    assert (received.body["seed"], received.body["user_tier"]) == (7, "x")
    assert received.body["cache"] == {"no-cache": True}


@both_transports
def test_a_judge_with_an_address_of_its_own_is_asked_as_ever(transport):
    """Behind no gateway stands no cache, and a provider may refuse words that it does not know."""
    server = Server(openai_reply(VERDICT_A, model="gpt-4o"))
    with running(server):
        ask("http://127.0.0.1:9/v1", GPT | {"api_base": f"{server.url}/v1"}, transport)
    (received,) = server.received
    assert "cache" not in received.body
    assert not [name for name in received.headers if name.startswith("x-bf-")]


@pytest.mark.slow
def test_the_proxys_cache_answers_a_repeat_only_if_it_may(proxy, backends):
    """The same request three times: the second is served from the cache, unless it says that it wants none."""
    before = len(backends["claude"].received)
    asked = [ask(proxy, CLAUDE, "fast", fresh=fresh) for fresh in (False, False, True, True)]
    assert {type(vote) for vote in asked} == {Vote}
    assert len(backends["claude"].received) - before == 3
    assert all("cache" not in received.body for received in backends["claude"].received)


# The real proxy


@pytest.fixture(scope="module")
def backends() -> dict[str, Server]:
    """What stands behind the proxy and can be looked into."""
    return {"claude": Server(anthropic_reply(VERDICT_A))}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory, backends) -> Iterator[str]:
    """The address of a LiteLLM proxy with a cache: both GPTs behind it are broken and fall back to Gemini, Claude works."""
    broken = Server(Reply(openai_error("The server had an error", "server_error"), 500))
    limited = Server(Reply(openai_error("Rate limit reached", "tokens"), 429, {"retry-after": "7"}))
    gemini, mini = (
        Server(vllm_reply(VERDICT_A, model="gemini-2.5-pro")),
        Server(openai_reply(VERDICT_A, model="gpt-5-mini")),
    )
    claude = backends["claude"]
    executable = _executable()
    with running(broken, limited, gemini, mini, claude):
        config = {
            "model_list": [
                _deployment("openai/gpt-4o", "openai/gpt-4o", f"{broken.url}/v1"),
                _deployment("openai/gpt-4.1", "openai/gpt-4.1", f"{broken.url}/v1"),
                _deployment("openai/gpt-5-mini", "openai/gpt-5-mini", f"{mini.url}/v1"),
                _deployment("openai/o4-mini", "openai/o4-mini", f"{limited.url}/v1"),
                _deployment("google/gemini-2.5-pro", "hosted_vllm/gemini-2.5-pro", f"{gemini.url}/v1"),
                _deployment("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", claude.url),
            ],
            "litellm_settings": {
                "num_retries": 0,
                "cache": True,
                "cache_params": {"type": "local"},
                "request_timeout": CALL_S,
                "fallbacks": [
                    {"openai/gpt-4o": ["google/gemini-2.5-pro"]},
                    {"openai/gpt-4.1": ["google/gemini-2.5-pro"]},
                ],
            },
            # A deployment that failed is asked again, so that no test depends on the one before it.
            "router_settings": {"disable_cooldowns": True},
        }
        folder = tmp_path_factory.mktemp("proxy")
        (folder / "config.yaml").write_text(json.dumps(config))
        with _started(executable, folder) as address:
            yield address


def _executable() -> Path:
    given = os.environ.get("LITELLM_PROXY")
    found = Path(given) if given else Path(sys.executable).with_name("litellm")
    if not found.is_file():
        pytest.skip(f"there is no LiteLLM proxy at {found}; 'make test' sets one up and names it in LITELLM_PROXY")
    if not given and find_spec("fastapi") is None:
        pytest.skip("the LiteLLM proxy needs fastapi; 'make test' sets one up and names it in LITELLM_PROXY")
    return found


def _deployment(name: str, model: str, address: str) -> dict[str, Any]:
    params = {"model": model, "api_base": address, "api_key": "backend", "max_retries": 0}
    return {"model_name": name, "litellm_params": params}


@contextmanager
def _started(executable: Path, folder: Path) -> Iterator[str]:
    """The proxy as a process group of its own, in an environment that holds nothing of the caller's accounts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ} | {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    command = [str(executable), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "proxy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _wait_for(process, f"http://127.0.0.1:{port}/health/liveliness", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _end(process)


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(URLError, OSError), urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail(f"the LiteLLM proxy did not start within {START_S} s: {log.read_text('utf-8', 'replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)


@pytest.mark.slow
@both_transports
def test_a_vote_that_a_fallback_served_is_a_failure_until_the_judge_lists_it(proxy, transport):
    alone = ask(proxy, GPT, transport)
    assert (type(alone), alone.kind, alone.retry) == (Failure, "wrong_model", True)
    assert "asked 'gpt-4o', but 'hosted_vllm/gemini-2.5-pro' answered" in alone.message
    listed = ask(proxy, GPT | OR_GEMINI, transport)
    assert (type(listed), listed.verdict, listed.served_by) == (Vote, Verdict.A, "hosted_vllm/gemini-2.5-pro")


@pytest.mark.slow
def test_the_served_model_in_the_store_is_the_one_in_the_proxys_header(proxy, tmp_path):
    """The body names the judge's model as it was asked for, whoever answered; the header names the deployment."""
    stored, failures = labeled(proxy, tmp_path, GPT | OR_GEMINI, CLAUDE)
    assert failures == []
    assert stored == {
        ("pair-0", "gpt-4o"): "hosted_vllm/gemini-2.5-pro",
        ("pair-0", "claude-sonnet-4-5"): "anthropic/claude-sonnet-4-5",
    }


@pytest.mark.slow
@pytest.mark.parametrize("judges", [(GPT | OR_GEMINI, GEMINI, CLAUDE), (CLAUDE, GEMINI, GPT | OR_GEMINI)])
def test_a_fallback_that_sits_on_the_panel_itself_votes_once(proxy, judges, tmp_path):
    """Whichever of the two votes comes first, it is the judge's own that counts."""
    stored, ((judge, kind, message),) = labeled(proxy, tmp_path, *judges)
    assert stored == {
        ("pair-0", "gemini-2.5-pro"): "hosted_vllm/gemini-2.5-pro",
        ("pair-0", "claude-sonnet-4-5"): "anthropic/claude-sonnet-4-5",
    }
    assert (judge, kind) == ("gpt-4o", "wrong_model")
    assert "it votes on this pair as 'gemini-2.5-pro'" in message


@pytest.mark.slow
def test_a_fallback_that_two_judges_share_votes_once(proxy, tmp_path):
    stored, ((judge, kind, message),) = labeled(proxy, tmp_path, GPT | OR_GEMINI, GPT_4_1 | OR_GEMINI, CLAUDE)
    (voted,) = {"gpt-4o", "gpt-4.1"} - {judge}
    assert stored == {
        ("pair-0", voted): "hosted_vllm/gemini-2.5-pro",
        ("pair-0", "claude-sonnet-4-5"): "anthropic/claude-sonnet-4-5",
    }
    assert kind == "wrong_model"
    assert f"it votes on this pair as '{voted}'" in message


def labeled(
    address: str, folder: Path, *judges: dict[str, Any]
) -> tuple[dict[tuple[str, str], str], list[tuple[str, str, str]]]:
    """One pair, labeled through the gateway: who served each stored vote, and the failures (judge, kind, message)."""
    gateway, limits = {"api_base": address}, {"max_attempts": 1, "timeout_s": CALL_S}
    cycle = cycle_of(list(judges), store=folder / "cycle.duckdb", gateway=gateway, limits=limits)
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(1))
        served = {(vote["pair_id"], vote["judge"]): vote["served_by"] for vote in store.votes(cycle.name)}
        return served, [(judge, kind, said) for judge, kind, _, said in store.failure_kinds(cycle.name)]


@pytest.mark.slow
@both_transports
def test_a_temperature_that_the_proxy_refuses_is_left_out(proxy, transport):
    """The proxy itself, not the provider, refuses one for a reasoning model."""
    vote = ask(proxy, {"provider": "openai", "model": "gpt-5-mini"}, transport)
    assert (type(vote), vote.served_by, vote.temperature) == (Vote, "openai/gpt-5-mini", None)


@pytest.mark.slow
@both_transports
def test_the_wait_that_a_provider_asks_for_comes_through_the_proxy(proxy, transport):
    failure = ask(proxy, {"provider": "openai", "model": "o4-mini", "temperature": None}, transport)
    assert (failure.kind, failure.retry, failure.fatal, failure.retry_after_s) == ("rate_limit", True, False, 7.0)
