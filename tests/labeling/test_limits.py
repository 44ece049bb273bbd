"""Requests, tokens and dollars: never more than allowed."""

from __future__ import annotations

import asyncio
import time
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.limits import Budget, Pace, TokenBucket, Window, slices
from labeling.providers.base import Allowed, allowed, error_of, retry_after


def test_no_second_sees_more_requests_than_the_limit():
    async def go():
        pace, at = Pace(rpm=6000, tpm=None), []
        for _ in range(220):
            await pace.acquire(0)
            at.append(time.monotonic())
        return at

    at = asyncio.run(go())
    assert max(sum(1 for other in at if t <= other < t + 1) for t in at) <= 100
    assert at[-1] - at[0] < 3.0


def test_a_slow_limit_is_not_spent_in_one_burst():
    async def go():
        pace = Pace(rpm=600, tpm=None)
        started = time.monotonic()
        for _ in range(5):
            await pace.acquire(0)
        return time.monotonic() - started

    assert asyncio.run(go()) >= 0.39


def test_no_second_sees_more_tokens_than_the_limit():
    async def go():
        bucket, at = TokenBucket(600_000), []
        for _ in range(220):
            await bucket.acquire(100)
            at.append(time.monotonic())
        return at

    at = asyncio.run(go())
    assert max(100 * sum(1 for other in at if t <= other < t + 1) for t in at) <= 10_000
    assert at[-1] - at[0] < 3.0


def test_tokens_per_minute_hold_back_long_requests():
    async def go():
        bucket = TokenBucket(600_000)  # ten thousand a second
        started = time.monotonic()
        for _ in range(3):
            await bucket.acquire(3200)
        return time.monotonic() - started

    assert 0.64 <= asyncio.run(go()) <= 1.2


def test_a_request_larger_than_the_bucket_waits_for_a_full_one_and_passes():
    async def go():
        bucket = TokenBucket(6000)
        await asyncio.wait_for(bucket.acquire(10_000), 1)

    asyncio.run(go())


def test_a_reservation_waits_for_what_is_in_flight_before_it_gives_up():
    async def go():
        budget = Budget(limit=1.0)
        assert await budget.reserve(0.8)
        waiting = asyncio.create_task(budget.reserve(0.8))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.settle(0.8, 0.1)
        assert await waiting
        budget.settle(0.8, 0.8)
        return await budget.reserve(0.2)

    assert asyncio.run(go()) is False


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({}, None), ({"retry-after": "7"}, 7.0), ({"retry-after-ms": "250"}, 0.25), ({"retry-after": "soon"}, None)],
)
def test_the_wait_that_a_provider_asks_for(headers, expected):
    assert retry_after(headers) == expected


def test_a_date_in_the_past_asks_for_no_wait():
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


@pytest.mark.parametrize(
    ("status", "body", "kind", "retry", "fatal"),
    [
        (401, "bad key", "auth", False, True),
        (404, "no such model", "bad_request", False, True),
        (400, "context too long", "bad_request", False, False),
        (429, "slow down", "rate_limit", True, False),
        (429, '{"error": {"code": "insufficient_quota"}}', "auth", False, True),
        (500, "oops", "server_error", True, False),
        (529, "overloaded", "server_error", True, False),
    ],
)
def test_what_a_status_means(status, body, kind, retry, fatal):
    error = error_of(status, body, {})
    assert (error.kind, error.retry, error.fatal) == (kind, retry, fatal)


def test_the_window_shrinks_once_for_a_burst_of_refusals_and_grows_back():
    window = Window(30)
    for _ in range(30):
        window.refused(now=1.0, started=0.5)
    assert window.size == 20
    window.refused(now=2.0, started=1.5)
    assert window.size == 13
    for _ in range(2000):
        window.answered()
    assert window.size == 30


def test_the_window_never_closes():
    window = Window(4)
    for k in range(50):
        window.refused(now=k + 1.0, started=k + 1.0)
    assert window.size == 1


@given(st.floats(10, 5000))
def test_no_second_holds_more_slices_than_the_limit_and_little_of_it_is_left_over(rate):
    """A second that begins at a slice holds those at 0, s, 2s, ... below 1; rounding is what the margin is for."""
    requests, seconds = slices(rate)
    assert requests * round(1 / seconds) <= rate
    assert requests / seconds >= 0.9 * rate
    assert seconds <= 0.1 + 1e-9


@given(st.floats(0.01, 10, exclude_max=True))
def test_a_slow_limit_is_dealt_out_one_by_one(rate):
    assert slices(rate) == (1, 1 / rate)


@given(st.floats(10, 5000))
def test_no_other_size_leaves_less_of_the_limit_over(rate):
    def used(requests):
        return requests * (rate // requests), -requests

    assert slices(rate)[0] == max(range(ceil(rate / 25), int(rate / 10) + 1), key=used)


def test_a_limit_that_means_none_is_dealt_out_too():
    requests, seconds = slices(2.0**53 / 60)  # the largest that a provider's headers are believed
    assert requests / seconds == pytest.approx(2.0**53 / 60)


OPENAI = {"x-ratelimit-limit-requests": "500", "x-ratelimit-limit-tokens": "200000"}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-input-tokens-limit": "30000",
    "anthropic-ratelimit-output-tokens-limit": "8000",
}


@pytest.mark.parametrize(
    ("provider", "headers", "expected"),
    [
        ("openai", OPENAI, Allowed(500, 200_000)),
        ("anthropic", ANTHROPIC, Allowed(50, 38_000)),
        ("anthropic", {"anthropic-ratelimit-requests-limit": "50"}, Allowed(50, None)),
        ("openai", {}, None),
        ("openai", {"x-ratelimit-limit-requests": "many", "x-ratelimit-limit-tokens": "0"}, None),
        ("groq", OPENAI, None),  # the same names, but requests are counted by the day
        ("hosted_vllm", OPENAI, None),  # a server of somebody's
    ],
)
def test_limits_are_read_from_the_headers_that_count_by_the_minute(provider, headers, expected):
    assert allowed(provider, headers) == expected
