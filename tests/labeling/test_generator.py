"""What goes over the wire for a completion, what comes back as one, and how candidates become pairs."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.nouns import Failure
from consensus.prompts import Completion, Draw
from consensus.sections.generation import Generation
from labeling.candidates import candidate_pairs
from labeling.drawing import as_asked, completion_of, seed_of, sendable
from labeling.generator import Generator
from labeling.pairing import normalised
from labeling.providers.base import Answer
from tests.consensus.cycles import cycle_of
from tests.labeling.generations import JUDGES, TOOL, prompt
from tests.labeling.servers import Reply, Server, anthropic_reply, openai_error, openai_reply

CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"at": 1}'}}
PROVIDERS = {
    "openai": {"provider": "openai", "model": "gpt-4o-2024-11-20"},
    "anthropic": {"provider": "anthropic", "model": "claude-sonnet-4-5-20250929"},
}


def openai_call():
    body = openai_reply(None, finish="tool_calls")
    body["choices"][0]["message"]["tool_calls"] = [CALL]
    return body


def drawn(server_script, asked, draws=1, provider="openai", **generation):
    """Results of draws of one prompt from a server, and what the server received."""

    async def main():
        async with Server(*server_script) as server:
            base = server.url + ("/v1" if provider == "openai" else "")
            made = {**PROVIDERS[provider], "api_base": base, **generation}
            cycle = cycle_of(JUDGES, generation=made)
            async with Generator(cycle, cycle.generation) as generator:
                given = as_asked(asked, cycle.generation)
                results = [await generator.ask(given, Draw("p", generator.name, k)) for k in range(draws)]
            return results, server.received

    return asyncio.run(main())


def test_tools_system_prompt_temperature_and_a_seed_of_each_draw_are_sent():
    asked = prompt("Where is it?", tools=[TOOL])
    results, received = drawn([openai_reply("Here.")], asked, 3, system_prompt="Be brief.", temperature=0.7)
    for request in received:
        assert request.body["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Where is it?"},
        ]
        assert request.body["tools"] == [TOOL]
        assert request.body["temperature"] == 0.7
    assert len({request.body["seed"] for request in received}) == 3
    assert len({request.headers["x-client-request-id"] for request in received}) == 3
    assert [r.messages for r in results] == [[{"role": "assistant", "content": "Here."}]] * 3
    assert results[0].spent.prompt_tokens == 1200


def test_neither_tools_nor_seeds_are_sent_where_the_file_says_so():
    _, (request,) = drawn([openai_reply("Here.")], prompt(tools=[TOOL]), tools=False, seeds=False)
    assert request.body.keys().isdisjoint({"tools", "seed"})


@pytest.mark.parametrize(
    ("provider", "reply"),
    [("openai", openai_call()), ("anthropic", anthropic_reply(None, tool=("look_up", {"at": 1})))],
)
def test_a_call_of_a_tool_is_a_completion(provider, reply):
    (result,), (request,) = drawn([reply], prompt(tools=[TOOL]), provider=provider)
    assert isinstance(result, Completion), result
    ((call,),) = (message["tool_calls"] for message in result.messages)
    assert call["function"]["name"] == "look_up"
    assert call["function"]["arguments"].replace(" ", "") == '{"at":1}'
    assert request.body["tools"][0].get("name", TOOL["function"]["name"]) == "look_up"


def test_a_seed_that_is_refused_is_left_out():
    refusal = Reply(openai_error("Unsupported parameter: seed", "invalid_request_error", param="seed"), status=400)
    (result,), received = drawn([refusal, openai_reply("Here.")], prompt())
    assert isinstance(result, Completion)
    assert ["seed" in request.body for request in received] == [True, False]


def test_an_empty_answer_a_filtered_one_and_another_model_are_failures():
    empty = openai_reply("")
    filtered, other = openai_reply("", finish="content_filter"), openai_reply("Hi", model="gpt-3.5-turbo")
    found = [drawn([body], prompt())[0][0] for body in (empty, filtered, other)]
    assert all(isinstance(result, Failure) for result in found)
    assert [(result.kind, result.retry) for result in found] == [
        ("empty", True),
        ("empty", False),
        ("wrong_model", True),
    ]


def test_a_conversation_with_tools_reaches_both_providers():
    asked = prompt("Where?")
    asked.messages.extend(
        [
            {"role": "assistant", "content": None, "tool_calls": [{"function": CALL["function"]}]},
            {"role": "tool", "content": "in the house"},
            {"role": "user", "content": "Thanks. And now?"},
        ]
    )
    for provider, reply in (("openai", openai_reply("Here.")), ("anthropic", anthropic_reply("Here."))):
        asked_with = prompt("x", tools=[TOOL])
        asked_with.messages[:] = asked.messages
        (result,), _ = drawn([reply], asked_with, provider=provider)
        assert isinstance(result, Completion), result


MESSAGE = st.one_of(
    st.builds(lambda text: {"role": "user", "content": text}, st.text(max_size=5)),
    st.builds(
        lambda ids: {
            "role": "assistant",
            "content": None,
            "tool_calls": [{**({"id": i} if i else {}), "function": {"name": "f", "arguments": "{}"}} for i in ids],
            "reasoning_content": "hm",
        },
        st.lists(st.sampled_from(["", "x", "y"]), min_size=1, max_size=3),
    ),
)


@given(st.lists(MESSAGE, max_size=6))
def test_every_call_that_is_sent_has_an_id_and_every_result_answers_its_call(turns):
    said = []
    for turn in turns:
        said.append(turn)
        ids = [call.get("id") for call in turn.get("tool_calls", ())]
        said += [{"role": "tool", "content": "r"} | ({"tool_call_id": i} if i else {}) for i in ids]
    sent, waiting = sendable(said), []
    assert [(m["role"], m.get("content")) for m in sent] == [(m["role"], m["content"]) for m in said]
    for message in sent:
        assert "reasoning_content" not in message
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting
            waiting = [call["id"] for call in message.get("tool_calls", ())]


def test_seeds_differ_between_draws_and_cycles_and_stay_the_same():
    draws = [Draw(f"p{k}", "m", n) for k in range(50) for n in range(4)]
    seeds = [seed_of(0, draw) for draw in draws]
    assert len(set(seeds)) == 200
    assert seeds == [seed_of(0, draw) for draw in draws]
    assert set(seeds).isdisjoint(seed_of(1, draw) for draw in draws)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_what_no_table_takes_is_left_out_of_a_completion():
    assert completion_of(Answer("a\0b\ud800")) == [{"role": "assistant", "content": "ab?"}]
    assert completion_of(Answer(" \n")) == []


def generation(**more):
    return Generation.model_validate({"provider": "simulated", "model": "policy", **more})


TEXTS = st.lists(st.sampled_from(["one", "two", "three", "two ", "four"]), min_size=1, max_size=5)


@given(
    TEXTS, st.sampled_from([None, "one", "else"]), st.sampled_from(["all", "production", "round"]), st.integers(0, 9)
)
def test_who_wrote_a_completion_is_said_right_however_they_are_paired(texts, production, how, seed):
    drawn = {k: [{"role": "assistant", "content": text}] for k, text in enumerate(texts)}
    asked = prompt("q", production=production, model="gpt-4o", weight=2.5)
    pairs, paired = candidate_pairs(asked, drawn, generation(pairing=how), seed=seed)
    assert paired.pairs == len(pairs)
    assert paired.different == len({text.strip() for text in [*texts, *([production] if production else [])]})
    home = normalised(production) if production else None
    for pair in pairs:
        sides = {"a": normalised(pair.completion_a), "b": normalised(pair.completion_b)}
        assert sides["a"] != sides["b"]
        assert how != "production" or home in sides.values()
        assert all(pair.extra[f"model_{s}"] == ("gpt-4o" if text == home else "policy") for s, text in sides.items())
        assert pair.extra["weight"] == 2.5


def test_an_agents_whole_run_is_not_compared_with_single_replies():
    run = [{"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": "x"}]
    asked = prompt("q")
    asked.production.extend([*run, {"role": "assistant", "content": "done"}])
    drawn = {0: [{"role": "assistant", "content": "a"}], 1: [{"role": "assistant", "content": "b"}]}
    pairs, paired = candidate_pairs(asked, drawn, generation(), seed=0)
    assert (len(pairs), paired.candidates) == (1, 2)
    assert candidate_pairs(asked, drawn, generation(pairing="production"), seed=0)[0] == []
