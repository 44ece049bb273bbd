"""What is masked, what is not, and that placeholders stay the same."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.prompts import Prompt
from labeling.traces.redact import Redactor

KINDS = ("email", "phone", "card", "iban", "ip", "secret")
KEY = "sk-" + "a1B2" * 8


def masked(text, kinds=KINDS):
    redactor = Redactor(kinds)
    done = redactor.prompt(Prompt("p", [{"role": "user", "content": text}]))
    return done.messages[0]["content"], dict(redactor.masked)


@given(st.text(max_size=300), st.sampled_from([(), ("email",), KINDS]))
def test_masking_what_was_masked_changes_nothing(text, kinds):
    once, _ = masked(text, kinds)
    assert masked(once, kinds) == (once, {})


@given(st.text(alphabet="abc @.+-:0123456789ABCD[]_/", max_size=200))
def test_no_text_makes_it_raise_and_what_is_not_asked_for_stays(text):
    masked(text)
    assert masked(text, ()) == (text, {})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "jane.doe+x@mail.example.co.uk"),
        ("email", "jürgen@müller.de"),
        ("phone", "+49 30 901820"),
        ("phone", "+1 (415) 555-2671"),
        ("phone", "(415) 555-2671"),
        ("phone", "415-555-2671"),
        ("card", "4111 1111 1111 1111"),
        ("card", "378282246310005"),
        ("card", "5555-5555-5555-4444"),
        ("iban", "DE89370400440532013000"),
        ("iban", "GB29 NWBK 6016 1331 9268 19"),
        ("ip", "8.8.8.8"),
        ("ip", "2001:4860:4860::8888"),
        ("secret", KEY),
        ("secret", "AKIAIOSFODNN7EXAMPLE"),
        ("secret", "ghp_" + "a1" * 20),
        ("secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"),
        ("secret", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----"),
    ],
)
def test_each_kind_is_found_in_the_middle_of_a_sentence_and_only_if_it_is_asked_for(kind, value):
    text = f"Please note {value}, and answer."
    assert masked(text) == (f"Please note [{kind.upper()}_1], and answer.", {kind: 1})
    others = tuple(k for k in KINDS if k != kind)
    assert masked(text, others)[0] == text


@pytest.mark.parametrize(
    "text",
    [
        "see page 4111 1111 1111 1112",  # the check digit is wrong
        "at 1760000000000000000 ns",
        "DE00 3704 0044 0532 0130 00",
        "from 10.0.0.7, 127.0.0.1 and 192.168.1.1 at 12:30:45",
        "the token: use it with care; your password: required",
        "a ratio of 1.2.3, f(x)@home, 2026-10-01T10:00:00, 1,234,567",
        "order 415-555 of 2671 pieces",
    ],
)
def test_what_only_looks_alike_stays(text):
    assert masked(text) == (text, {})


def test_a_password_goes_and_its_name_stays():
    assert masked("password=hunter2! and api_key: 'abc123xyz'")[0] == "password=[SECRET_1] and api_key: '[SECRET_2]'"
    assert masked("postgres://bob:s3cret@db/x")[0] == "postgres://bob:[SECRET_1]@db/x"


def test_words_in_capitals_behind_a_number_are_no_part_of_it():
    assert masked("PAY DE89 3704 0044 0532 0130 00 NOW PLEASE")[0] == "PAY [IBAN_1] NOW PLEASE"


def test_a_value_has_one_name_in_prompt_answer_and_arguments_which_stay_json():
    call = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": ""}}
    call["function"]["arguments"] = json.dumps({"to": "a@b.org", "card": 4111111111111111, "note": 'say "hi"'})
    prompt = Prompt(
        "p",
        [{"role": "user", "content": "I am a@b.org, not c@d.org"}],
        production=[{"role": "assistant", "content": "Hello a@b.org", "tool_calls": [call]}],
        outcomes=[{"name": "comment", "value": "mail c@d.org"}],
    )
    redactor = Redactor(KINDS)
    done = redactor.prompt(prompt)
    assert done.messages[0]["content"] == "I am [EMAIL_1], not [EMAIL_2]"
    assert done.production[0]["content"] == "Hello [EMAIL_1]"
    arguments = json.loads(done.production[0]["tool_calls"][0]["function"]["arguments"])
    assert arguments == {"to": "[EMAIL_1]", "card": "[CARD_1]", "note": 'say "hi"'}
    assert done.outcomes[0]["value"] == "mail [EMAIL_2]"
    assert redactor.masked == {"email": 5, "card": 1}
    assert done.prompt_id != "p"


def test_a_long_text_without_anything_takes_time_in_proportion_to_its_length():
    dice = random.Random(0)
    for alphabet in ("a", "a.", "1 ", "a1:", "+1-", '=:x"', "AB12 "):
        text = "".join(dice.choices(alphabet, k=200_000))
        masked(text)
