"""Rows become the tokens that TRL would make of them, and nothing of them is lost on the way."""

from __future__ import annotations

import json

import pytest

from consensus.errors import UsageError
from tests.training.fits import rows
from tests.training.tiny import tiny_model

torch = pytest.importorskip("torch")

from training.model import load  # noqa: E402
from training.tokens import tokenize  # noqa: E402

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "weather", "parameters": {}}}
CALL = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(str(tiny_model(tmp_path_factory.mktemp("tiny"))))


def test_the_tokens_are_those_that_trl_makes(loaded, tmp_path):
    from datasets import Dataset
    from peft import LoraConfig
    from trl import DPOConfig, DPOTrainer

    drawn = rows(6)
    data = Dataset.from_list([{side: row[side] for side in ("prompt", "chosen", "rejected")} for row in drawn])
    args = DPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=None)
    theirs = DPOTrainer(
        model=load(loaded.name).model,
        args=args,
        train_dataset=data,
        processing_class=loaded.tokenizer,
        peft_config=LoraConfig(r=2, target_modules="all-linear"),
    ).train_dataset
    for ours, row in zip(tokenize(drawn, loaded.tokenizer), theirs, strict=True):
        assert (ours.prompt, ours.chosen, ours.rejected) == (row["prompt_ids"], row["chosen_ids"], row["rejected_ids"])


def test_tools_and_calls_that_the_template_drops_are_told_as_text(loaded):
    (row,) = rows(1, tools=json.dumps([WEATHER]))
    row["chosen"] = [{"role": "assistant", "content": None, "tool_calls": [CALL], "name": None}]
    (pair,) = tokenize([row], loaded.tokenizer)
    assert "get_weather" in loaded.tokenizer.decode(pair.prompt)
    assert "Oslo" in loaded.tokenizer.decode(pair.chosen)


def test_tools_stay_where_the_template_puts_them(loaded):
    tokenizer = load(loaded.name).tokenizer
    tokenizer.chat_template = (
        "{% for t in tools or [] %}TOOL {{ t.function.name }} {% endfor %}" + tokenizer.chat_template
    )
    (pair,) = tokenize(rows(1, tools=json.dumps([WEATHER])), tokenizer)
    assert tokenizer.decode(pair.prompt).count("get_weather") == 1


def test_a_completion_that_renders_to_nothing_is_refused_by_name(loaded):
    tokenizer = load(loaded.name).tokenizer
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    (row,) = rows(1)
    row["chosen"] = [{"role": "assistant", "content": ""}]
    with pytest.raises(UsageError, match="pair-0"):
        tokenize([row], tokenizer)


def test_messages_that_the_template_refuses_are_named(loaded):
    tokenizer = load(loaded.name).tokenizer
    tokenizer.chat_template = "{{ raise_exception('no system messages') }}"
    with pytest.raises(UsageError, match=r"pair-0.*no system messages"):
        tokenize(rows(1), tokenizer)
