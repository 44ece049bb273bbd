"""Results of batches, as they come and as they break off."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.batches import Batch
from consensus.nouns import Ballot, Shown, Verdict, Vote
from consensus.sections.endpoints import Judge, Price
from consensus.tables import utc_now
from labeling.batches.judges import BatchJudge
from labeling.batches.reading import Reading
from labeling.panel import PanelJudge
from labeling.providers.batch import Row
from labeling.providers.routes import Route
from labeling.providers.wire import Wire
from labeling.rubric import Rubric
from tests.labeling.batch_runs import N, at
from tests.labeling.batch_servers import VERDICT_A, Anthropic, OpenAI
from tests.labeling.runs import verdicts
from tests.labeling.servers import openai_reply

pytestmark = pytest.mark.usefixtures("keys", "proven_once")


# -- results ---------------------------------------------------------------------------------------------------------


def reading_of(keys):
    config = Judge(provider="openai", model="gpt-4o-2024-11-20", api_base="http://127.0.0.1:1/v1")
    wire = Wire(Route("hosted_vllm", config.model, config.api_base, "none"), {"temperature": 0.0}, 1.0, None)
    judge = PanelJudge(
        config=config, rubric=Rubric("r"), transport=wire, price=Price(input=1, output=1), cycle="c", seed=0
    )
    ballots = {key: Ballot(f"p{key}", judge.name, Shown.AB) for key in keys}
    return Reading(BatchJudge(judge, wire, None), BATCH, ballots, set(), lambda *_: None)


BATCH = Batch("tag", "judge", "hash", "endpoint", 5, None, 0.0, utc_now())
REPLY = orjson.dumps(openai_reply(VERDICT_A))
_reading = []


@given(st.lists(st.tuples(st.sampled_from("abcdexyz"), st.booleans()), max_size=20))
def test_however_results_come_each_ballot_has_one_vote_or_one_failure_and_nothing_is_lost(results):
    """In any order, more than once, good after bad, under ids that nobody knows."""
    if not _reading:
        _reading.append(reading_of("abcde"))
    model = _reading[0]
    reading = Reading(model.judge, BATCH, model.ballots, set(), lambda *_: None)
    for key, good in results:
        reading.read(Row(f"{key}{good}".encode(), key, REPLY if good else None))
    votes, good = [vote.ballot.pair_id[1:] for vote in reading.votes], {key for key, ok in results if ok}
    assert sorted(votes) == sorted(good & set("abcde"))
    assert set(reading.failures) - set(votes) == {key for key, _ in results} & set("abcde") - good
    assert sorted(reading.strays) == sorted(f"{key}{ok}" for key, ok in results if key in "xyz")
    assert {vote.verdict for vote in reading.votes if isinstance(vote, Vote)} <= {Verdict.A}


def test_results_in_another_order_and_twice_are_one_vote_each(protocol, tmp_path):
    provider = protocol(bend=lambda lines: [*reversed(lines), *lines])

    async def story(asked):
        await asked.run()
        assert (await asked.run()).votes == N
        assert len(verdicts(asked.store, asked.cycle.name)) == len(asked.votes) == N

    at(provider, tmp_path, story)


def test_a_result_under_an_unknown_id_is_said_and_kept(protocol, tmp_path):
    provider = protocol(bend=lambda lines: [*lines[1:], {**lines[0], "custom_id": "who?"}])

    async def story(asked):
        await asked.run()
        outcome = await asked.run()
        assert (outcome.votes, outcome.failures, outcome.strays) == (N - 1, 1, 1)
        assert asked.failures == {"missing": 1}
        ((line,),) = asked.store.db.execute("SELECT line FROM batch_strays").fetchall()
        assert json.loads(line)["custom_id"] == "who?"

    at(provider, tmp_path, story)


ROWS = {  # results that are no replies: the kind of the failure -> how each provider says it
    OpenAI: {
        "expired": {"error": {"code": "batch_expired", "message": "not executed before the window expired"}},
        "canceled": {"error": {"code": "batch_cancelled", "message": "cancelled before it was executed"}},
        "timeout": {"error": {"code": "request_timeout", "message": "the model timed out"}},
        "bad_request": {"response": {"status_code": 400, "body": {"error": {"message": "too long"}}}},
        "server_error": {"response": {"status_code": 500, "body": {"error": {"message": "oops"}}}},
        "bad_reply": {"response": {"status_code": 200, "body": {"no": "choices"}}},
    },
    Anthropic: {
        "expired": {"type": "expired"},
        "canceled": {"type": "canceled"},
        "bad_request": {
            "type": "errored",
            "error": {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}},
        },
        "server_error": {
            "type": "errored",
            "error": {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
        },
        "bad_reply": {"type": "succeeded", "message": {"no": "content"}},
    },
}


def test_rows_that_are_no_replies_are_failures_of_their_kind_and_asked_again_by_the_next_run(protocol, tmp_path):
    kinds = ROWS[protocol]
    provider = protocol(ended=False)

    async def story(asked):
        await asked.run()
        provider.error = dict(zip(provider.asked, kinds.values(), strict=False))
        provider.ended = True
        outcome = await asked.run()
        assert asked.failures == dict.fromkeys(kinds, 1)
        assert (outcome.votes, outcome.failures, outcome.submitted) == (N - len(kinds), len(kinds), 0)
        failed, provider.error = set(provider.error), {}
        assert (await asked.run()).submitted == len(kinds)
        assert set(provider.made[1].rows) == failed
        assert (await asked.run()).votes == len(kinds)
        assert len(verdicts(asked.store, asked.cycle.name)) == N

    at(provider, tmp_path, story)


@pytest.mark.parametrize(("status", "kind"), [("expired", "expired"), ("cancelled", "canceled")])
def test_requests_that_an_expired_or_cancelled_batch_says_nothing_of_are_failures(tmp_path, status, kind):
    provider = OpenAI(status=status, bend=lambda lines: lines[:2])

    async def story(asked):
        await asked.run()
        assert (await asked.run()).votes == 2
        assert asked.failures == {kind: N - 2}
        assert (await asked.run()).submitted == N - 2

    at(provider, tmp_path, story)


@pytest.mark.parametrize("cut", ["loud", "silent"])
def test_of_results_that_break_off_what_came_is_stored_and_the_rest_is_fetched_later(protocol, tmp_path, cut):
    provider = protocol(cut=cut)

    async def story(asked):
        await asked.run()
        broken = await asked.run()
        assert 0 < broken.votes < N
        assert (broken.waiting, broken.failures, broken.complete) == (N - broken.votes, 0, False)
        assert len(asked.votes) == broken.votes
        provider.cut = None
        assert (await asked.run()).votes == N - broken.votes
        assert len(verdicts(asked.store, asked.cycle.name)) == len(asked.votes) == N
        assert len(provider.made) == 1

    at(provider, tmp_path, story)


def test_waiting_for_results_that_never_get_whole_ends(protocol, tmp_path):
    provider = protocol(cut="loud")

    async def story(asked):
        outcome = await asked.run(wait=True)
        assert 0 < outcome.waiting < N
        assert provider.calls.count("results") == 3

    at(provider, tmp_path, story)
