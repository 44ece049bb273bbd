"""`provider: local`: models in this process as judges and as the model that is trained, through the commands' own way."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from pathlib import Path

import pytest
import torch

from consensus.cli import main
from consensus.cyclefile import load
from consensus.errors import UsageError
from consensus.nouns import Failure
from consensus.prompt_store import Prompts
from consensus.rule import label_ballots
from consensus.sections.endpoints import Judge
from consensus.shipped import shipped
from consensus.store import Store
from labeling.panel import Panel
from labeling.providers import local
from labeling.providers.base import Question
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of
from tests.labeling.generations import completions, generated, rows, traced
from tests.labeling.runs import label_cycle, pairs, verdicts
from tests.labeling.servers import Server
from tests.training.tiny import tiny_model
from training.hardware import hardware
from training.local import Said
from training.model import load as load_model

BEGIN = '{"verdict": "'
CHOICES = [f'{word}"}}' for word in ("A", "B", "tie")]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny", seed=7)


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    """A LoRA adapter that changes what the model says."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    folder = tmp_path_factory.mktemp("run") / "adapter"
    get_peft_model(load_model(str(model)).model, config).save_pretrained(folder)
    return folder


def judges(model, **more):
    return [{"provider": "local", "model": str(model), "name": "local", **more}]


def short(folder):
    """A rubric of a few bytes, which are this model's tokens."""
    (folder / "rubric.md").write_text("Judge.")
    return {"file": folder / "rubric.md", "axes": []}


def judged(folder, settings, n=12):
    """Every vote of a cycle of these judges."""
    cycle = cycle_of(settings, store=folder / "cycle.duckdb", sampling={"stop": "never"}, rubric=short(folder))
    with Store() as store:
        outcome = label_cycle(store, cycle, pairs(n))
        return outcome, verdicts(store, cycle.name), list(store.votes(cycle.name))


def test_a_local_judge_votes_once_a_ballot_and_keeps_margin_text_and_fingerprint(tmp_path, model):
    outcome, said, votes = judged(tmp_path, judges(model))
    assert (outcome.complete, outcome.votes, len(said)) == (True, 12, 12)
    fingerprint = load_model(str(model)).fingerprint
    for vote in votes:
        assert json.loads(vote["raw"])["verdict"] in ("A", "B", "tie")
        assert (vote["margin"] is not None) == (vote["verdict"] in ("a", "b"))
        assert (vote["fingerprint"], vote["served_by"], vote["cost_usd"]) == (fingerprint, str(model), None)
        assert (vote["completion_tokens"], vote["temperature"]) == (1, 0.0)


def test_votes_do_not_depend_on_how_many_ballots_are_asked_together(tmp_path, model):
    many = judged(tmp_path, judges(model))[1]
    assert judged(tmp_path, judges(model, max_parallel=1))[1] == many
    assert judged(tmp_path, judges(model, extra={"batch_tokens": 1}))[1] == many


def test_a_judge_reads_at_once_what_the_hardware_reads_best_unless_it_is_said(tmp_path, model):
    def at_once(**more):
        (config,) = cycle_of(judges(model, **more), store=tmp_path / "s.duckdb", rubric=short(tmp_path)).judges
        opened = local.Local.open(config)
        try:
            return opened.judge(config).batch_tokens
        finally:
            opened.close()

    assert at_once() == hardware().read_at_once
    assert at_once(extra={"batch_tokens": 77}) == 77


def test_models_of_a_process_take_turns_and_waiting_is_not_latency(tmp_path, model, monkeypatch):
    busy, most = [], []

    class Slow:
        fingerprint, read_at_once = "f", 1

        def verdicts(self, asked):
            busy.append(1)
            most.append(len(busy))
            time.sleep(0.05)
            busy.pop()
            return [Said('{"verdict": "A"}', "stop", 1, 1) for _ in asked]

    monkeypatch.setattr(local.Local, "open", classmethod(lambda cls, config: cls(Slow())))
    settings = [*judges(model, name="one"), *judges(model, name="two"), *judges(model, name="three")]
    votes = judged(tmp_path, settings, n=3)[2]
    assert len(votes) == 9
    assert set(most) == {1}
    assert all(0.04 < vote["latency_s"] < 0.1 for vote in votes)


def test_an_adapter_makes_another_judge_of_the_same_model(tmp_path, model, adapter):
    both = [*judges(model), *judges(model, name="tuned")]
    both[1]["adapter"] = str(adapter)
    outcome, said, votes = judged(tmp_path, both)
    assert (outcome.complete, len(said)) == (True, 24)
    assert len({vote["fingerprint"] for vote in votes}) == len({vote["config_hash"] for vote in votes}) == 2
    by_pair = {(v["pair_id"], v["judge"]): v["raw"] for v in votes}
    assert any(by_pair[f"pair-{k}", "local"] != by_pair[f"pair-{k}", "tuned"] for k in range(12))


def served(path):
    """The same model as an OpenAI-compatible server that goes on with a last message and chooses among texts, as vLLM does."""
    loaded = load_model(str(path))

    def ids(text):
        return loaded.tokenizer(text, add_special_tokens=False)["input_ids"]

    def answer(request):
        body = request.body
        assert body["continue_final_message"]
        assert not body["add_generation_prompt"]
        start = loaded.tokenizer.apply_chat_template(body["messages"], continue_final_message=True, tokenize=False)
        with torch.no_grad():
            logits = loaded.model(torch.tensor([ids(start)])).logits[0, -1].log_softmax(-1)
        chances = {choice: float(logits[ids(start + choice)[len(ids(start))]]) for choice in body["guided_choice"]}
        text = max(chances, key=chances.get)
        first = text.partition('"')[0]
        top = [{"token": choice.partition('"')[0], "logprob": chance} for choice, chance in chances.items()]
        tokens = [
            {"token": first, "logprob": chances[text], "top_logprobs": top},
            {"token": '"}', "logprob": 0.0, "top_logprobs": []},
        ]
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": len(ids(start)), "completion_tokens": 2, "total_tokens": len(ids(start)) + 2}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice | {"logprobs": {"content": tokens}}],
            "usage": usage,
        }

    return answer


@pytest.mark.slow
def test_the_model_behind_a_server_gives_the_same_verdicts_with_the_same_margins(tmp_path, model):
    """Within 1e-4 nats; a verdict may differ where the margin is smaller than that, which none is here."""

    async def votes(cycle):
        async with Panel(cycle, Rubric.of(cycle)) as panel:
            (judge,) = panel.judges.values()
            ballots = [(pair, b) for pair in pairs(12) for b in label_ballots(pair.pair_id, ["judge"], cycle.rule)]
            return await asyncio.gather(*(judge.ask(pair, ballot) for pair, ballot in ballots))

    async def both():
        async with Server(served(model)) as server:
            extra = {"continue_final_message": True, "add_generation_prompt": False, "guided_choice": CHOICES}
            extra |= {"logprobs": True, "top_logprobs": 5}
            address = {"provider": "openai", "api_base": f"{server.url}/v1", "begin": BEGIN, "extra": extra}
            settings = [{"provider": "local"}, address]
            cycles = [
                cycle_of([{"model": str(model), "name": "judge", **one}], rubric=short(tmp_path)) for one in settings
            ]
            return [await votes(cycle) for cycle in cycles]

    here, there = asyncio.run(both())
    assert not any(isinstance(vote, Failure) for vote in [*here, *there])
    assert [vote.verdict for vote in here] == [vote.verdict for vote in there]
    assert [vote.raw for vote in here] == [vote.raw for vote in there]
    margins = [(one.margin, other.margin) for one, other in zip(here, there, strict=True) if one.margin is not None]
    assert len(margins) == len(here)
    assert len({vote.verdict for vote in here}) == 2
    assert all(one == pytest.approx(other, abs=1e-4) and one > 1e-3 for one, other in margins)


def test_a_shipped_cycle_is_drawn_from_a_local_model_with_an_adapter_and_nothing_is_drawn_twice(
    tmp_path, model, adapter, capsys, monkeypatch
):
    shutil.copy(shipped("cycle.yaml"), tmp_path / "cycle.yaml")
    (tmp_path / "traces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(12)))
    shutil.copytree(adapter, tmp_path / "runs" / "one" / "adapter")
    monkeypatch.chdir(tmp_path)
    settings = [
        f"generation={{provider: local, model: {model}, adapter: runs/one/adapter, n: 2, max_tokens: 8}}",
        *(f"judges.{k}={{provider: simulated, model: sim-{k}}}" for k in range(3)),
        "input.prompts.size=4",
        "input.prompts.floor=1",
        "sampling.audit_share=0",
    ]

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main([*words, *settings, "--json"])
        assert end.value.code == 0
        return json.loads(capsys.readouterr().out)

    run("ingest", "cycle.yaml")
    made = run("generate", "cycle.yaml")
    assert (made["prompts"], made["completions"], made["run"]["failures"]) == (4, 8, 0)
    assert run("generate", "cycle.yaml")["run"]["completions"] == 0
    run("label", "cycle.yaml")
    assert run("export", "cycle.yaml")["rows"] > 0
    with Store(Path("consensus.duckdb")) as store:
        assert Prompts(store).drawn("cycle-1").cost_usd is None


def test_seeds_decide_completions_and_batches_do_not(tmp_path, model):
    base = {"provider": "local", "model": str(model), "n": 3, "max_tokens": 8}
    drawn = []
    for at, more in enumerate(({}, {"max_parallel": 1}, {"extra": {"batch_tokens": 200}})):
        (tmp_path / str(at)).mkdir()
        cycle = traced(tmp_path / str(at), rows(4), base | more)
        with Store() as store:
            assert generated(store, cycle).complete
            drawn.append(completions(store, cycle.name))
    assert drawn[0] == drawn[1] == drawn[2]
    assert len(set(drawn[0].values())) == 12


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ({"temperature": 0.5}, "temperature has to be 0"),
        ({"extra": {"batch": 3}}, "extra.batch: "),
        ({"model": "/nowhere/at/all"}, "cannot load the model"),
        ({"adapter": "/nowhere"}, "holds no adapter"),
        ({"begin": "{"}, "begins its reply itself"),
    ],
)
def test_a_local_judge_that_cannot_be_is_refused(tmp_path, model, judge, said, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match=said):
        judged(tmp_path, [{"provider": "local", "model": str(model), "name": "local", **judge}])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"provider": "openai", "adapter": "x"}, "provider: local"),
        ({"provider": "local", "api_base": "http://x"}, "api_base"),
    ],
)
def test_an_adapter_is_local_and_a_local_model_has_no_address(settings, said):
    with pytest.raises(ValueError, match=said):
        Judge.model_validate({"model": "m", **settings})


def test_an_adapters_folder_may_move_with_its_cycle(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cycle.yaml").write_text(
            "judges:\n  - {provider: local, model: m, adapter: runs/one/adapter}\n"
        )
    one, other = (load(tmp_path / folder / "cycle.yaml").judges[0] for folder in ("a", "b"))
    assert one.adapter == tmp_path / "a/runs/one/adapter"
    assert one.config_hash("r") == other.config_hash("r")
    assert one.config_hash("r") != Judge(provider="local", model="m").config_hash("r")


def test_questions_of_a_length_are_answered_together_the_oldest_first():
    def waiting(*lengths):
        return [(Question([{"role": "user", "content": "x" * 4 * n}], str(n)), None) for n in lengths]

    chosen = local.together(waiting(100, 10, 90, 300, 11), 210, 1)
    assert [int(question.key) for question, _ in chosen] == [100, 90]
    assert [int(q.key) for q, _ in local.together(waiting(500, 1), 10, 1)] == [500]  # one is always answered
    assert len(local.together(waiting(*[5] * 50), 60, 1)) == 10
