"""Batches that go wrong on the way: cut short, refused, rejected, lost. None is ever submitted twice."""

from __future__ import annotations

import pytest
from aiohttp import web

from consensus.batches import Batches
from consensus.errors import UsageError
from tests.labeling.batch_runs import N, at
from tests.labeling.batch_servers import Anthropic, OpenAI
from tests.labeling.runs import verdicts

pytestmark = pytest.mark.usefixtures("keys", "proven_once")


# -- never twice -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps_metadata", [True, False])
def test_a_batch_whose_id_never_came_back_is_found_again(protocol, tmp_path, keeps_metadata):
    """By our tag, by its file, or at Anthropic by the ids of its results; other batches of the account are not taken for it."""
    provider = protocol(keeps_metadata=keeps_metadata, creation="hang_up_after")

    async def story(asked):
        first = await asked.run()
        assert (first.submitted, first.waiting) == (0, N)
        provider.creation = None
        for k in range(3):  # of somebody else, as large, and younger
            strangers = {f"stranger-{k}-{n}": {} for n in range(N)}
            made = type(provider.made[0])(
                f"other-{k}",
                strangers,
                {"input_file_id": f"file-other-{k}", "metadata": {}},
                provider.made[0].created_at,
            )
            provider.made.append(made)
        second = await asked.run()
        assert (second.votes, second.complete) == (N, True)
        assert "create" not in provider.calls[provider.calls.index("list", 2) :]
        assert len(provider.made) == 4

    at(provider, tmp_path, story)


def test_what_never_reached_the_provider_is_submitted_once_that_is_certain(protocol, tmp_path):
    provider = protocol(creation="hang_up_before")

    async def story(asked):
        await asked.run()
        provider.creation = None
        doubt = await asked.run()
        assert (doubt.submitted, doubt.waiting, provider.made) == (0, N, [])
        assert any("cut short" in line for line in asked.said)
        certain = await asked.run(settle_s=-1)
        assert (certain.submitted, len(provider.made)) == (N, 1)

    at(provider, tmp_path, story)


def test_a_run_that_was_killed_is_doubted_from_the_first_look_on_however_long_ago_it_began_to_send(protocol, tmp_path):
    """A large batch takes minutes to send, and may have arrived at the very moment of the kill."""
    provider = protocol(creation="hang_up_before")

    async def story(asked):
        await asked.run()
        provider.creation = None
        asked.store.db.execute("DELETE FROM batch_steps WHERE step = 'doubted'")  # as a kill leaves it
        asked.store.db.execute("UPDATE batch_steps SET created_at = created_at - INTERVAL 1 HOUR")
        assert (await asked.run(settle_s=300)).submitted == 0
        asked.store.db.execute("UPDATE batch_steps SET created_at = created_at - INTERVAL 1 HOUR")
        assert (await asked.run(settle_s=300)).submitted == N

    at(provider, tmp_path, story)


def test_a_500_at_the_creation_may_have_made_it_and_is_not_answered_with_another(protocol, tmp_path):
    provider = protocol(creation=500)

    async def story(asked):
        assert (await asked.run()).waiting == N
        provider.creation, provider.listing = None, 503
        doubt = await asked.run(settle_s=-1)
        assert (doubt.submitted, doubt.waiting, provider.made) == (0, N, [])
        provider.listing = None
        assert (await asked.run(settle_s=-1)).submitted == N

    at(provider, tmp_path, story)


def test_while_a_running_batch_could_be_the_lost_one_nothing_is_submitted(tmp_path):
    """Anthropic tells the ids of a batch only when it has ended."""
    provider = Anthropic(creation="hang_up_after", ended=False)

    async def story(asked):
        await asked.run()
        provider.creation = None
        doubt = await asked.run(settle_s=-1)
        assert (doubt.submitted, doubt.waiting, len(provider.made)) == (0, N, 1)
        assert any("has its size" in line for line in asked.said)
        provider.ended = True
        assert (await asked.run(settle_s=-1)).votes == N
        assert len(provider.made) == 1

    at(provider, tmp_path, story)


def test_a_batch_that_is_lost_for_good_is_asked_again_only_when_the_user_says_so(protocol, tmp_path):
    provider = protocol(ended=False)

    async def story(asked):
        await asked.run()
        provider.looking = 404
        gone = await asked.run(wait=True)
        assert (gone.submitted, gone.waiting) == (0, N)
        with pytest.raises(UsageError, match="open are batch-1"):
            Batches(asked.store).forget(asked.cycle.name, "no such batch")
        Batches(asked.store).forget(asked.cycle.name, "batch-1")
        assert (await asked.run()).submitted == N

    at(provider, tmp_path, story)


# -- when the provider does not want -----------------------------------------------------------------------------------


def test_a_500_while_polling_changes_nothing(protocol, tmp_path):
    provider = protocol(looking=500)

    async def story(asked):
        await asked.run()
        trouble = await asked.run()
        assert (trouble.waiting, trouble.submitted) == (N, 0)
        assert "HTTP 500" in trouble.running[0][1]
        provider.looking = None
        assert (await asked.run()).complete

    at(provider, tmp_path, story)


def test_with_a_wrong_key_nothing_leaves_the_machine(protocol, tmp_path):
    provider = protocol(listing=401)

    async def story(asked):
        outcome = await asked.run()
        assert "auth: HTTP 401" in next(iter(outcome.down.values()))
        assert (outcome.complete, set(provider.calls)) == (False, {"list"})

    at(provider, tmp_path, story)


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_a_batch_api_leaves_its_judge_to_be_asked_online(tmp_path, status):
    provider = OpenAI(listing=status)

    async def story(asked):
        outcome = await asked.run()
        ((n, why),) = outcome.online.values()
        assert (n, provider.made, outcome.complete) == (N, [], False)
        assert f"no batch API: HTTP {status}" in why

    at(provider, tmp_path, story)


@pytest.mark.parametrize("status", [400, 401, 413, 429])
def test_a_refused_creation_leaves_the_ballots_open(protocol, tmp_path, status):
    provider = protocol(creation=status)

    async def story(asked):
        refused = await asked.run()
        assert (refused.submitted, refused.waiting, len(refused.down)) == (0, 0, 1)
        provider.creation = None
        assert (await asked.run()).submitted == N

    at(provider, tmp_path, story)


def test_a_batch_that_is_rejected_asks_nothing_fails_nothing_and_says_why(tmp_path):
    provider = OpenAI(status="failed", errors=[{"code": "invalid_json_line", "message": "line 3"}])

    async def story(asked):
        await asked.run()
        outcome = await asked.run()
        assert (outcome.submitted, outcome.waiting, asked.failures) == (0, 0, {})
        assert next(iter(outcome.down.values())) == "invalid_json_line: line 3"
        provider.status = "completed"
        provider.made[0].status = "failed"
        assert (await asked.run()).submitted == N

    at(provider, tmp_path, story)


def test_a_full_queue_is_waited_for(tmp_path):
    """OpenAI takes so many tokens at a time, and rejects the batch that is too much; when another has ended there is room."""
    provider = OpenAI(ended=False)

    async def story(asked):
        await asked.run()
        provider.errors = [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]
        provider.made[1].status = "failed"
        full = await asked.run()
        assert (full.submitted, full.waiting) == (0, N - 2)
        assert "batch_requests" in next(iter(full.down.values()))
        provider.ended = True
        assert (await asked.run(wait=True)).complete
        assert len(verdicts(asked.store, asked.cycle.name)) == N

    at(provider, tmp_path, story, limits={"batch_requests": 2})


def test_a_key_goes_nowhere_but_to_the_judges_address(tmp_path):
    """Anthropic's `results_url` and a redirect may name another host; neither is followed."""
    provider = Anthropic()

    async def story(asked):
        await asked.run()
        provider.content = None

    async def moved(_):
        raise web.HTTPFound("http://elsewhere.invalid/")

    class Moved(Anthropic):
        async def look(self, request):
            return await moved(request)

    async def redirected(asked):
        await asked.run()
        outcome = await asked.run()
        assert "HTTP 302" in outcome.running[0][1]

    at(provider, tmp_path, story)
    (tmp_path / "second").mkdir()
    at(Moved(), tmp_path / "second", redirected)
