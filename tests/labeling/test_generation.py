"""Drawing completions: asked once, whatever happens; and what becomes of them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from consensus.errors import UsageError
from consensus.prompt_store import Prompts
from consensus.store import Store
from labeling.generation_run import priced
from labeling.providers.server import serve
from labeling.providers.simulated_model import Habits, SimulatedModel
from labeling.trace_intake import ingest_traces, refuse_stale
from tests.labeling.generations import completions, generated, rows, traced
from tests.labeling.runs import label_cycle

PRICE = {"input": 1.0, "output": 2.0}


def over_http(folder, traces, generation, **options):
    """The completions of a cycle whose model is behind a real server."""

    async def main():
        habits = Habits.model_validate(generation.get("extra", {}))
        runner, port = await serve({"policy": SimulatedModel("policy", habits)})
        address = {"provider": "openai", "api_base": f"http://127.0.0.1:{port}/v1"}
        given = {k: v for k, v in generation.items() if k != "extra"}
        cycle = traced(folder, traces, given | address, limits={"max_attempts": 50})
        try:
            with Store(cycle.store) as store:
                await asyncio.to_thread(generated, store, cycle, **options)
                return completions(store, cycle.name), Prompts(store).drawn(cycle.name)
        finally:
            await runner.cleanup()

    return asyncio.run(main())


def test_neither_the_wire_nor_failures_change_what_is_drawn(tmp_path):
    """Every draw has an id of its own, and simulated models answer by it: in process and over HTTP they say the same."""
    extra = {"calls": 0.5, "same": 0.2}
    cycle = traced(tmp_path, rows(12), {"n": 4, "extra": extra})
    with Store() as store:
        assert generated(store, cycle).complete
        calm = completions(store, cycle.name)
    (tmp_path / "http").mkdir()
    rough, drawn = over_http(tmp_path / "http", rows(12), {"n": 4, "extra": {**extra, "failures": 0.1}})
    assert len(calm) == 48
    assert calm == rough
    assert sum("look_up" in said for said in calm.values()) > 5
    assert (drawn.completions, drawn.failures) == (48, 0)


def test_pairs_join_what_differs_and_carry_who_wrote_it_with_tools_and_weight(tmp_path):
    cycle = traced(tmp_path, rows(12), {"n": 3, "extra": {"same": 0.4}}, input={"prompts": {"by": ["route"]}})
    with Store() as store:
        generated(store, cycle)
        pairs = [pair for pair, _ in store.work(cycle.name, {})]
        prompts = {p.trace_id: p for p in Prompts(store).all(cycle.name)}
        drawn = Prompts(store).drawn(cycle.name)
    assert len(pairs) == drawn.pairs == store_sum(pairs, prompts)
    for pair in pairs:
        asked = prompts[pair.extra["trace_id"]]
        assert pair.prompt == asked.messages
        assert pair.extra.get("tools", []) == asked.tools
        assert pair.extra["weight"] == asked.weight == 1.0
        assert pair.category == asked.stratum["route"]
        for text, author in ((pair.completion_a, "model_a"), (pair.completion_b, "model_b")):
            assert pair.extra[author] == ("gpt-4o" if text == asked.production else "policy")


def store_sum(pairs, prompts):
    """Pairs, if every two different candidates of a prompt meet once."""
    by_prompt = {}
    for pair in pairs:
        texts = by_prompt.setdefault(pair.extra["trace_id"], set())
        texts |= {json.dumps(pair.completion_a), json.dumps(pair.completion_b)}
    return sum(len(texts) * (len(texts) - 1) // 2 for texts in by_prompt.values())


def test_prompts_whose_completions_are_all_the_same_give_no_pair_and_are_counted(tmp_path):
    cycle = traced(tmp_path, rows(8), {"n": 4, "production": False, "extra": {"same": 1.0}})
    with Store() as store:
        assert generated(store, cycle).complete
        drawn = Prompts(store).drawn(cycle.name)
    assert (drawn.completions, drawn.paired, drawn.few, drawn.pairs) == (32, 8, 8, 0)


def test_a_second_run_asks_nothing_and_a_larger_n_only_what_is_missing(tmp_path):
    cycle = traced(tmp_path, rows(10), {"n": 2})
    more = traced(tmp_path, rows(10), {"n": 5})
    with Store() as store:
        assert generated(store, cycle).votes == 20
        first, pairs = completions(store, cycle.name), store.pair_count(cycle.name)
        assert generated(store, cycle).votes == 0
        assert store.pair_count(cycle.name) == pairs
        assert generated(store, more).votes == 30
        again = completions(store, cycle.name)
        assert {key: again[key] for key in first} == first
        assert store.pair_count(cycle.name) > pairs


def test_a_budget_stops_it_and_the_next_run_goes_on_without_paying_twice(tmp_path):
    cycle = traced(tmp_path, rows(20), {"n": 2, "price": PRICE, "max_tokens": 100, "max_parallel": 2})
    with Store() as store:
        whole = priced(_registered(store, cycle), cycle)
        assert whole.calls == 40
        stopped = generated(store, cycle, max_cost=whole.most_dollars / 4)
        part = completions(store, cycle.name)
        assert stopped.out_of_budget
        assert 0 < len(part) < 40
        assert store.spent(cycle.name) <= whole.most_dollars / 4
        assert priced(store, cycle).calls == 40 - len(part)
        assert Prompts(store).drawn(cycle.name).paired == sum((p, 1) in part for p, s in part if s == 0)
        assert generated(store, cycle, max_cost=10.0).votes == 40 - len(part)
        assert store.spent(cycle.name) == pytest.approx(Prompts(store).drawn(cycle.name).cost_usd)


def _registered(store, cycle):
    store.register(cycle, "rubric")
    ingest_traces(store, cycle, cycle.input.traces)
    store.db.execute("DELETE FROM cycles")
    return store


def test_a_limit_in_dollars_needs_a_price(tmp_path):
    cycle = traced(tmp_path, rows(2), {})
    with Store() as store, pytest.raises(UsageError, match="--max-cost needs a price"):
        generated(store, cycle, max_cost=1.0)


def test_a_prompt_with_a_failed_draw_is_paired_if_the_others_differ_and_drawn_again_if_not(tmp_path):
    """An eighth of the calls fails, again and again."""
    rough = {"n": 3, "production": False, "extra": {"failures": 0.12, "same": 0.0}}
    cycle = traced(tmp_path, rows(60), rough, limits={"max_attempts": 1})
    with Store() as store:
        outcome = generated(store, cycle)
        there = completions(store, cycle.name)
        drawn = Prompts(store).drawn(cycle.name)
        answers = Counter(prompt for prompt, _ in there)
        assert outcome.complete
        assert outcome.votes == len(there) == drawn.completions
        assert drawn.failures == outcome.failures == 180 - len(there)
        assert drawn.paired == sum(n > 1 for n in answers.values()) < 60
        assert drawn.pairs == sum(n * (n - 1) // 2 for n in answers.values())
        again = generated(store, cycle)
        open_ = {p.prompt_id for p in Prompts(store).all(cycle.name)} - {p for p, n in answers.items() if n > 1}
        assert again.votes + again.failures == sum(3 - answers[p] for p in open_)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperature": 0.5}, "temperature: 1.0 before, 0.5 now"),
        ({"system_prompt": "x"}, "system_prompt: None before"),
    ],
)
def test_completions_drawn_differently_are_never_mixed(tmp_path, change, said):
    with Store() as store:
        generated(store, traced(tmp_path, rows(3), {"n": 2}))
        with pytest.raises(UsageError, match=said):
            generated(store, traced(tmp_path, rows(3), {"n": 2, **change}))


def test_another_sample_takes_the_place_of_the_first_until_completions_are_drawn(tmp_path):
    small, large = (traced(tmp_path, rows(20), {"n": 2}, input={"prompts": {"size": n}}) for n in (5, 9))
    with Store() as store:
        store.register(small, "rubric")
        assert ingest_traces(store, small, small.input.traces).new
        assert not ingest_traces(store, small, small.input.traces).new
        with pytest.raises(UsageError, match="size: 5 before, 9 now"):
            refuse_stale(store, large)
        ingest_traces(store, large, large.input.traces)
        assert Prompts(store).count(large.name) == 9
        refuse_stale(store, large)
    with Store() as store:
        generated(store, small)
        with pytest.raises(UsageError, match="sampled or masked differently"):
            ingest_traces(store, large, large.input.traces)


def test_what_is_masked_is_neither_stored_nor_sent_and_prompts_that_become_the_same_are_one(tmp_path):
    people = [
        {"id": f"t{k}", "messages": [{"role": "user", "content": f"I am jane{k}@example.org. My order?"}]}
        for k in range(6)
    ]
    cycle = traced(tmp_path, people, {"n": 2}, input={"redact": ["email"]})
    with Store(cycle.store) as store:
        store.register(cycle, "rubric")
        intake = ingest_traces(store, cycle, cycle.input.traces)
        generated(store, cycle)
        (prompt,) = Prompts(store).all(cycle.name)
    assert prompt.messages[0]["content"] == "I am [EMAIL_1]. My order?"
    assert (prompt.weight, prompt.alike) == (6.0, 6)
    assert intake.masked == {"email": 6}
    assert "5 of them are the same as another after masking" in "\n".join(intake.lines())
    assert b"jane" not in cycle.store.read_bytes()


def test_a_new_panel_judges_the_pairs_of_an_old_cycle_and_pays_for_no_completion_again(tmp_path):
    old = traced(tmp_path, rows(6), {"n": 2, "price": PRICE})
    new = old.model_copy(
        update={
            "cycle": old.cycle.model_copy(update={"name": "again"}),
            "judges": old.judges[:1],
            "input": old.input.model_copy(update={"cycle": old.name}),
        }
    )
    with Store() as store:
        generated(store, old)
        label_cycle(store, old)
        store.register(new, "rubric")
        assert store.share_pairs(old.name, new.name) == (store.pair_count(old.name),) * 2
        assert store.share_pairs(old.name, new.name)[1] == 0
        assert label_cycle(store, new).complete
        assert store.known_pairs(new.name) == store.known_pairs(old.name)
        assert store.spent(new.name) == 0 < store.spent(old.name)
        with pytest.raises(UsageError, match="no other cycle 'nobody' with pairs; there is"):
            store.share_pairs("nobody", new.name)


def test_masking_what_only_the_answers_hold_replaces_them_and_settings_that_change_nothing_are_no_hindrance(tmp_path):
    traces = rows(4)
    for row in traces:
        row["messages"][2]["content"] += " Ask jane@example.org."
    bare, masked, more = (
        traced(tmp_path, traces, {}, input={"redact": kinds}) for kinds in ([], ["email"], ["email", "phone"])
    )
    with Store() as store:
        store.register(bare, "rubric")
        ingest_traces(store, bare, bare.input.traces)
        assert ingest_traces(store, masked, masked.input.traces).new
        assert all("[EMAIL_1]" in p.production[0]["content"] for p in Prompts(store).all(masked.name))
        with pytest.raises(UsageError, match="redact: "):
            refuse_stale(store, more)
        assert not ingest_traces(store, more, more.input.traces).new
        refuse_stale(store, more)
