"""`consensus audit` as a user meets it: exit codes, what is said, how wide it is."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from consensus.audits import last
from consensus.cyclefile import load
from consensus.store import Store
from evaluation.audit.audit import audit
from evaluation.audit.families import coded, family
from evaluation.commands.audit_tables import show
from evaluation.demo_pairs import demo_pairs
from tests.consensus.cycles import cycle_of
from tests.evaluation.audits import audited, recorded_cycle, run
from tests.labeling.runs import label_cycle, pairs, simulated

FAULTS = (
    {"accuracy": 0.8, "flip_rate": 0.1, "name": "a judge with a name that is much longer than tables are wide"},
    {"accuracy": 0.75, "position_bias": 0.2},
    {"accuracy": 0.7, "prose": 0.05, "ties": 0.1, "price": {"input": 1.0, "output": 2.0}},
)


@pytest.fixture
def labeled(tmp_path):
    """A cycle that was labeled in both orders, and its audit."""
    cycle = simulated(tmp_path, *FAULTS, sampling={"stop": "never", "orders": "both"})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(300))
        yield cycle, audit(store, cycle)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_everything_fits_the_terminal(labeled, width):
    text = io.StringIO()
    show(Console(file=text, width=width, highlight=False), labeled[1], (), gated=True)
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert any("favours the completion shown first" in line for line in lines)


def test_a_judge_with_a_planted_bias_is_accused_and_the_others_are_not(labeled):
    found = labeled[1]
    assert {(finding.check, finding.judge) for finding in found.findings if finding.accuses} == {
        ("position_bias", "sim-1")
    }
    bias = found.judges[1]["position_bias"]
    assert bias.low <= 0.2 <= bias.high
    assert found.judges[2]["cost"].value > 0
    assert found.judges[1]["cost"].reason == "no price is known"


def test_what_is_undefined_is_null_in_json_and_has_its_reason(tmp_path, capsys):
    cycle = small(tmp_path)
    found, code = audited(capsys, cycle)
    assert (code, found["schema_version"], found["gate"]) == (0, 1, None)
    for judge in found["judges"]:
        assert judge["figures"]["disagreement"]["value"] is None
        for each in judge["figures"].values():
            assert each["value"] is not None or each["reason"]
    for each in found["panel"]["figures"].values():
        assert each["value"] is not None or each["reason"]


def small(folder):
    """A cycle of recorded votes on made-up pairs: judge y always takes the first slot."""
    rows = [{"pair_id": p.pair_id, "prompt": p.prompt, "completion_a": p.completion_a, "completion_b": p.completion_b,
             "gold": p.gold, "model_a": "gpt-4o", "model_b": "claude-3"} for p in demo_pairs(60)]  # fmt: skip
    votes = [
        {
            "pair_id": row["pair_id"],
            "judge": judge,
            "order": order,
            "verdict": order[0] if judge == "y" else row["gold"],
        }
        for row in rows
        for judge in ("gpt-4-x", "y", "z")
        for order in ("ab", "ba")
    ]
    for name, made in (("pairs", rows), ("votes", votes)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, made)))
    files = {"pairs": folder / "pairs.jsonl", "votes": folder / "votes.jsonl"}
    return recorded_cycle(folder, folder, ["gpt-4-x", "y", "z"], **files)


def test_recorded_votes_are_ingested_once_and_audited_again_without(tmp_path, capsys):
    cycle = small(tmp_path)
    code, first, said = run(capsys, "audit", cycle)
    assert code == 0
    assert "votes" in said
    (tmp_path / "votes.jsonl").unlink()
    assert run(capsys, "audit", cycle) == (0, first, "")


def test_the_last_audit_is_kept_for_whoever_uses_the_labels(tmp_path, capsys):
    cycle = small(tmp_path)
    found, _ = audited(capsys, cycle)
    audited(capsys, cycle)
    with Store(load(cycle).store) as store:
        kept = last(store, found["cycle"])
        assert store.db.execute("SELECT count(*) FROM audits").fetchone() == (1,)
    assert kept.votes == found["votes"]
    numbers = ("value", "low", "high", "n")
    for judge in found["judges"]:
        told = {name: {key: one[key] for key in numbers} for name, one in judge["figures"].items()}
        assert kept.figures["judges"][judge["judge"]] == told


def test_broken_limits_end_with_3_and_say_whose_figure(tmp_path, capsys):
    cycle = small(tmp_path)
    code, out, _ = run(capsys, "audit", cycle, "--fail-on", "position_bias>0.05,repeat_flip>0.2")
    assert code == 3
    assert "position_bias>0.05 holds for y: position_bias is 0.5, between" in out
    assert "repeat_flip>0.2 cannot be said of z: no request was asked twice" in out
    found, code = audited(capsys, cycle, "--fail-on", "abstention>0.5")
    assert (code, found["gate"]) == (0, [])


def test_mistakes_are_refused_before_anything_is_done(tmp_path, capsys):
    cycle = small(tmp_path)
    code, _, said = run(capsys, "audit", cycle, "--fail-on", "position_bis>0.05")
    assert code == 2
    assert "did you mean 'position_bias'?" in said
    assert not (tmp_path / "consensus.duckdb").exists()


def test_a_cycle_without_votes_says_what_to_do(tmp_path, capsys):
    (tmp_path / "cycle.yaml").write_text("judges: [{provider: simulated, model: m}]\nconsensus: {min_agree: 1}\n")
    code, _, said = run(capsys, "audit", tmp_path / "cycle.yaml")
    assert code == 2
    assert "'consensus label" in said
    with Store(load(tmp_path / "cycle.yaml").store):
        pass
    code, _, said = run(capsys, "audit", tmp_path / "cycle.yaml")
    assert code == 2
    assert "has no votes yet" in said


@pytest.mark.parametrize("verdicts", ["a", "-", "ab-t"])
def test_a_single_judge_and_a_handful_of_votes_give_reasons_instead_of_errors(tmp_path, capsys, verdicts):
    rows = [{"pair_id": str(k), "prompt": f"p{k}", "completion_a": "x", "completion_b": "y"} for k in range(5)]
    word = {"a": "a", "b": "b", "t": "tie", "-": None}
    votes = [
        {"pair_id": str(k), "judge": "j", "order": "ab", "verdict": word[verdict]} for k, verdict in enumerate(verdicts)
    ]
    for name, made in (("pairs", rows), ("votes", votes)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, made)))
    files = {"pairs": tmp_path / "pairs.jsonl", "votes": tmp_path / "votes.jsonl"}
    cycle = recorded_cycle(tmp_path, tmp_path, ["j"], **files)
    assert run(capsys, "audit", cycle)[0] == 0
    found, _ = audited(capsys, cycle, "consensus.min_agree=1")
    assert found["panel"]["figures"]["alpha"]["value"] is None
    assert found["panel"]["figures"]["alpha"]["reason"]
    assert not any(finding["accuses"] for finding in found["findings"])


def test_scores_on_an_axis_correlate_with_the_verdict(tmp_path):
    cycle = cycle_of(["j"], store=tmp_path / "s.duckdb", rubric={"axes": ["a/b ~'x'", "clarity"]})
    with Store(cycle.store) as store:
        store.register(cycle, "rubric")
        store.add_pairs(cycle.name, pairs(40))
        from consensus.nouns import Ballot, Shown, Verdict, Vote

        hashes = {"j": cycle.judges[0].config_hash("rubric")}
        votes = [
            Vote(
                Ballot(f"pair-{k}", "j", Shown.AB), Verdict("ab"[k % 2]), scores={"a/b ~'x'": {"a": 3 - k % 2, "b": 2}}
            )
            for k in range(40)
        ]
        store.add(cycle.name, hashes, votes)
        found = audit(store, cycle)
    assert found.judges[0]["score_a/b ~'x'"].value == pytest.approx(1)
    assert found.judges[0]["score_clarity"].reason


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-3-opus-20240229", "anthropic"),
        ("anthropic/claude-sonnet-4-6", "anthropic"),
        ("gpt-4o-2024-11-20", "openai"),
        ("o3-mini", "openai"),
        ("gemini-2.5-pro", "google"),
        ("palm2-text-bison-001", "google"),
        ("meta-llama/Llama-3-70b", "meta"),
        ("falcon-40b-instruct", "falcon"),
        ("vicuna-13b-v1.3", "vicuna"),
        ("", None),
        (None, None),
    ],
)
def test_models_have_families(model, expected):
    assert family(model) == expected


def test_family_numbers_are_the_same_in_every_column():
    one, other = coded(["gpt-4", None], ["claude-2", "gpt-3.5"])
    assert one[0] == other[1] != other[0]
    assert one[1] == -1
