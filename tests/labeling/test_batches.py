"""Cycles asked in batches, of local servers that speak both protocols: what they ask, in what rounds, for how much."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import asynccontextmanager

import orjson
import pytest
from rich.console import Console

from consensus.batches import Batches
from consensus.cli import main
from consensus.errors import UsageError
from consensus.sections.endpoints import Judge, Price
from consensus.store import Store
from labeling.batches.judges import batch_judges
from labeling.batches.run import run_batches
from labeling.cycle_run import run
from labeling.panel import Panel
from labeling.providers.batch import Draft
from labeling.providers.batch_apis import session
from labeling.providers.batch_openai import OpenAIBatches
from labeling.providers.routes import batch_price, price
from labeling.providers.server import serve
from labeling.providers.simulated import Faults, SimulatedJudge, World
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of
from tests.labeling.batch_runs import NEVER, N, at
from tests.labeling.batch_servers import OpenAI
from tests.labeling.runs import labels, pairs

pytestmark = pytest.mark.usefixtures("keys", "proven_once")


# -- what it is ------------------------------------------------------------------------------------------------------


def test_a_batch_asks_and_hears_what_online_calls_do_for_half_the_price(protocol, tmp_path):
    provider = protocol()

    async def story(asked):
        assert (await asked.run()).submitted == N
        assert (await asked.run()).complete
        with Store() as other:
            batch, asked.store = asked.store, other
            other.register(asked.cycle, asked.rubric.system)
            other.add_pairs(asked.cycle.name, pairs(N))
            await asked.online()
            online = asked.votes
            asked.store = batch
        sent = list(provider.made[0].rows.values())
        assert sorted(map(orjson.dumps, sent)) == sorted(map(orjson.dumps, provider.online))
        differ = {"latency_s", "cost_usd", "created_at"}
        same = [
            sorted(str({k: v for k, v in vote.items() if k not in differ}) for vote in votes)
            for votes in (asked.votes, online)
        ]
        assert same[0] == same[1]
        assert {vote["latency_s"] for vote in asked.votes} == {None}
        assert asked.store.spent(asked.cycle.name) == pytest.approx(sum(vote["cost_usd"] for vote in online) / 2)

    at(provider, tmp_path, story)


def test_one_run_submits_another_collects_and_between_them_nobody_else_asks(protocol, tmp_path):
    provider = protocol(ended=False)

    async def story(asked):
        first = await asked.run()
        assert (first.submitted, first.waiting, first.complete) == (N, N, False)
        assert not (await asked.run()).submitted
        outcome = await asked.online()
        assert (outcome.votes, provider.online) == (0, [])
        provider.ended = True
        last = await asked.run()
        assert (last.votes, last.waiting, last.complete) == (N, 0, True)
        assert len(provider.made) == 1

    at(provider, tmp_path, story)


def test_waiting_goes_on_until_every_round_has_ended(tmp_path):
    async def story():
        judges = {
            f"sim-{k}": SimulatedJudge(f"sim-{k}", Faults(accuracy=0.7, failures=0.1), World({})) for k in range(3)
        }
        runner, port = await serve(judges, batch_s=0.05)
        settings = {"provider": "simulated", "api_base": f"http://127.0.0.1:{port}/v1"}
        found = []
        for name in ("batches", "online"):
            cycle = cycle_of([{**settings, "model": model} for model in judges], store=tmp_path / f"{name}.duckdb")
            rubric = Rubric.of(cycle)
            with Store(cycle.store) as store:
                store.register(cycle, rubric.system)
                store.add_pairs(cycle.name, pairs(60))
                if name == "batches":
                    first = await run_batches(store, cycle, rubric, say=lambda _: None, wait=True, poll_s=0.06)
                    again = await run_batches(store, cycle, rubric, say=lambda _: None, wait=True, poll_s=0.06)
                    assert first.complete
                    assert again.failures < first.failures
                    while again.failures:  # what failed is asked again by the next run
                        again = await run_batches(store, cycle, rubric, say=lambda _: None, wait=True, poll_s=0.06)
                else:
                    await run(store, cycle, rubric, console=Console(file=io.StringIO()))
                found.append({k: (v.verdict, v.reason) for k, v in labels(store, cycle.name).items()})
                rounds = store.db.execute("SELECT count(*) FROM batches").fetchone()[0]
                assert (rounds > 3) is (name == "batches")
        await runner.cleanup()
        assert found[0] == found[1]

    asyncio.run(story())


def test_with_stop_settled_a_run_submits_the_wave_that_could_settle_every_pair(tmp_path):
    provider = OpenAI()

    async def story():
        async with provider:
            judges = [{**provider.judge, "name": f"j{k}", "api_base": provider.url} for k in range(3)]
            cycle = cycle_of(judges, store=tmp_path / "c.duckdb", sampling={"audit_share": 0})
            rubric = Rubric.of(cycle)
            with Store(cycle.store) as store:
                store.register(cycle, rubric.system)
                store.add_pairs(cycle.name, pairs(N))
                first = await run_batches(store, cycle, rubric, say=lambda _: None)
                assert first.submitted == 2 * N
                await run_batches(store, cycle, rubric, say=lambda _: None)
                # All say A, which is the completion shown first: the two judges that see different orders disagree.
                shown = {(v["pair_id"], v["shown"]) for v in store.votes(cycle.name)}
                again = [p for p in (f"pair-{k}" for k in range(N)) if {(p, "ab"), (p, "ba")} <= shown]
                assert len(provider.asked) == 2 * N + len(again)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"provider": "openai", "model": "gpt-4o"}, "https://api.openai.com/v1/batches"),
        ({"provider": "anthropic", "model": "claude-sonnet-4-6"}, "https://api.anthropic.com/v1/messages/batches"),
        ({"provider": "vllm", "model": "m", "api_base": "http://10.0.0.1:8000/v1"}, "http://10.0.0.1:8000/v1/batches"),
    ],
)
def test_batches_go_where_calls_go(monkeypatch, settings, address):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    async def found():
        cycle = cycle_of([settings])
        async with Panel(cycle, Rubric.of(cycle)) as panel, session() as connection:
            able, _ = batch_judges(panel.judges, cycle, connection)
            return [judge.api.endpoint for judge in able.values()]

    assert asyncio.run(found()) == [address]


# -- sizes and money ---------------------------------------------------------------------------------------------------


def test_batches_are_as_large_as_the_cycle_file_says(protocol, tmp_path):
    provider = protocol()

    async def story(asked):
        await asked.run()
        assert [len(batch.rows) for batch in provider.made] == [4, 2]
        assert (await asked.run()).votes == N

    at(provider, tmp_path, story, limits={"batch_requests": 4})


def test_no_batch_is_larger_than_the_provider_takes(tmp_path, monkeypatch):
    provider = OpenAI()
    monkeypatch.setattr(OpenAIBatches, "most_bytes", 9_000)

    async def story(asked):
        await asked.run()
        assert len(provider.files) > 1
        assert all(len(file) <= 9_000 for file in provider.files.values())
        assert len(set(provider.asked)) == N

    at(provider, tmp_path, story)


def test_a_draft_is_the_frame_around_its_rows():
    draft = Draft("tag", (b"[", b",", b"]"))
    for row in (b"1", b"22", b"3"):
        draft.add(row)
    assert draft.size == len(b"[1,22,3")
    assert draft.finished().read() == b"[1,22,3]"
    draft.close()


def test_max_cost_holds_even_if_every_reply_is_as_long_as_it_may_be(protocol, tmp_path):
    provider = protocol()

    async def story(asked):
        most = 0.02  # a reply of 1024 tokens costs half of $0.01024, so no four requests fit
        outcome = await asked.run(max_cost=most)
        assert 0 < outcome.submitted < N
        assert outcome.out_of_budget
        reserved = Batches(asked.store).reserved(asked.cycle.name)
        assert outcome.submitted * 1024 * 5e-6 < reserved <= most
        assert (await asked.online(max_cost=reserved)).out_of_budget  # a call may not take what a batch has set aside
        assert provider.online == []
        await asked.run(max_cost=most)
        assert asked.store.spent(asked.cycle.name) < reserved

    at(provider, tmp_path, story)


def test_a_limit_in_dollars_needs_prices(tmp_path):
    provider = OpenAI()

    async def story(asked):
        judges = [asked.cycle.judges[0].model_copy(update={"price": None, "provider": "vllm", "model": "own"})]
        asked.cycle = asked.cycle.model_copy(update={"judges": tuple(judges)})
        asked.store.register(asked.cycle, asked.rubric.system)
        with pytest.raises(UsageError, match="needs a price"):
            await asked.run(max_cost=1)

    at(provider, tmp_path, story)


def test_the_price_of_a_batch_is_the_maps_else_half_or_the_share_that_the_file_says():
    sonnet, gpt = (
        Judge(provider="anthropic", model="claude-sonnet-4-6"),
        Judge(provider="openai", model="gpt-4o-2024-11-20"),
    )
    assert (batch_price(sonnet).input, batch_price(sonnet).output, batch_price(sonnet).cached_input) == (1.5, 7.5, 0.15)
    # OpenAI gives no discount on a discount for it: cached tokens cost what others do
    assert (batch_price(gpt).input, batch_price(gpt).output, batch_price(gpt).cached_input) == (1.25, 5.0, None)
    own = Judge(provider="openai", model="m", price=Price(input=2, output=8, cached_input=1))
    assert batch_price(own) == Price(input=1, output=4, cached_input=0.5, batch=1)
    full = own.model_copy(update={"price": Price(input=2, output=8, batch=1)})
    assert (batch_price(full).input, batch_price(full).output) == (2, 8)
    without = Judge(provider="openai", model="gpt-3.5-turbo-16k")
    assert batch_price(without).output == price(without).output / 2
    assert batch_price(Judge(provider="openai", model="nobody-knows")) is None


# -- the command -------------------------------------------------------------------------------------------------------


def command(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


def write(folder, judges):
    rows = [
        {"pair_id": p.pair_id, "prompt": p.prompt, "completion_a": p.completion_a, "completion_b": p.completion_b}
        for p in pairs(N)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "cycle.yaml").write_text(json.dumps({"judges": judges, "input": {"pairs": "pairs.jsonl"}, **NEVER}))
    return folder / "cycle.yaml"


@asynccontextmanager
async def in_thread(provider):
    async with provider:
        yield lambda *words: asyncio.to_thread(command, *words)


def test_the_command_says_what_waits_what_is_next_and_what_takes_no_batches(tmp_path, capsys):
    provider = OpenAI(ended=False)

    async def story():
        async with in_thread(provider) as do:
            batched = {**provider.judge, "api_base": provider.url, "price": {"input": 2, "output": 10}}
            cycle = write(tmp_path, [batched, {"provider": "simulated", "model": "sim"}])

            assert await do("label", cycle, "--batch", "--dry-run", "--json") == 0
            half = json.loads(capsys.readouterr().out)
            assert await do("label", cycle, "--dry-run", "--json") == 0
            whole = json.loads(capsys.readouterr().out)
            assert half["judges"][0]["cost_usd"] == pytest.approx(whole["judges"][0]["cost_usd"] / 2)
            assert list(half["online"]) == ["sim"]

            assert await do("label", cycle, "--batch") == 4
            said = capsys.readouterr().out
            assert f"batch batch-1 of gpt-4o-2024-11-20: {N} requests, in_progress" in said
            assert "sim takes no batches (it is simulated in process; 'consensus simulate' serves it" in said
            assert f"to go on: consensus label {cycle} --batch" in said

            assert await do("status", cycle) == 0
            assert "batch batch-1 of gpt-4o-2024-11-20" in capsys.readouterr().out

            assert await do("label", cycle) == 4
            said = capsys.readouterr().out
            assert f"{N} ballots wait in batches; to collect them: consensus label {cycle} --batch" in said
            assert provider.online == []

            assert await do("label", cycle, "--batch", "--json") == 4
            figures = json.loads(capsys.readouterr().out)
            assert figures["run"]["batches"][0]["batch"] == "batch-1"

            provider.ended = True
            assert await do("label", cycle, "--batch", "--wait") == 0
            assert f"next: consensus export {cycle}" in capsys.readouterr().out

    asyncio.run(story())


def test_a_panel_that_takes_no_batches_is_refused_judge_by_judge(tmp_path, capsys):
    cycle = write(
        tmp_path, [{"provider": "simulated", "model": "sim"}, {"provider": "google", "model": "gemini-2.5-pro"}]
    )
    assert command("label", cycle, "--batch") == 2
    said = capsys.readouterr().err
    assert "sim: it is simulated in process" in said
    assert "gemini-2.5-pro: the batch API of provider 'google' is not spoken here" in said


@pytest.mark.parametrize("words", [("--wait",), ("--forget-batch", "b")])
def test_what_belongs_to_batches_is_refused_without_them(tmp_path, capsys, words):
    assert command("label", write(tmp_path, [{"provider": "simulated", "model": "sim"}]), *words) == 2
    assert f"{words[0]} goes with --batch" in capsys.readouterr().err


def test_a_cycle_whose_ballots_wait_keeps_its_meaning(tmp_path):
    provider = OpenAI(ended=False)

    async def story(asked):
        await asked.run()
        other = asked.cycle.model_copy(update={"cycle": asked.cycle.cycle.model_copy(update={"seed": 7})})
        with pytest.raises(UsageError, match="seed: 0 before, 7 now"):
            asked.store.register(other, asked.rubric.system)

    at(provider, tmp_path, story)
