"""What the report says beyond one cycle's votes: only where there are facts, and never more than they show."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from consensus.cli import main
from consensus.outcomes import add_outcomes, outcomes
from consensus.scores import add_scores
from consensus.store import Store
from evaluation.production.history import History, Past
from evaluation.production.prediction import production
from evaluation.production.rates import rates
from evaluation.report.plain import sentences
from evaluation.report.progress import progress
from tests.evaluation.made_audits import audit_of, empty
from tests.evaluation.made_history import label, measured, score
from tests.evaluation.test_report import HOSTILE, TAGS, Read, page_of

CORRELATIONS = {"win_rate": 0.78, "reward_accuracy": 0.31}
CATEGORIES = [
    {"category": name, "value": value, "low": value - 0.1, "high": value + 0.1, "n": 50, "p": 0.3}
    for name, value in (("tools", 0.6), ("refusal", 0.45))
]


def history_of(scores, given=(), *, cycles=12):
    with Store() as store:
        add_outcomes(store, given)
        said = rates(outcomes(store))
    past = [Past(f"cycle-{k + 1:02d}", 100, 80 - k, 2.0 + k, None) for k in range(cycles)]
    return History(f"cycle-{cycles:02d}", tuple(past), tuple(scores), production(scores, said))


@pytest.fixture(scope="module")
def full():
    scores, given = measured(CORRELATIONS)
    details = {"categories": CATEGORIES, "references": {"length": 0.55, "random": 0.5}, "judged_by": "people"}
    scores = [replace(one, details=details) for one in scores]
    return history_of([replace(one, baseline="base") if one.metric == "win_rate" else one for one in scores], given)


def parts(history):
    return {part.slug: part for part in progress(history)}


def test_each_part_is_there_only_where_the_store_has_its_facts(full):
    assert list(parts(full)) == ["rewards", "head-to-head", "production", "cycle-costs", "trend"]
    assert parts(history_of([], cycles=1)) == {}
    assert list(parts(history_of([score(0, "win_rate", 0.6)], cycles=1))) == ["head-to-head"]
    assert list(parts(history_of([], measured({})[1], cycles=1))) == ["production"]


def test_the_report_claims_what_twelve_checkpoints_show_and_no_difference_that_they_do_not(full):
    says = " ".join(parts(full)["production"].says)
    assert "Win rate against base goes with tool use accuracy: Spearman 0.78 (0.30 to 0.95) over 12 checkpoints" in says
    assert "Reward accuracy" not in says
    assert "Whether one score goes with it more closely than another cannot be told from 12 checkpoints." in says
    assert "goes with it more closely than reward" not in says


def test_with_seven_checkpoints_it_says_that_they_are_too_few():
    scores, given = measured({"win_rate": 0.95}, n=7)
    assert parts(history_of(scores, given))["production"].says == (
        "No offline score is known to tell tool use accuracy: 7 checkpoints are too few: it takes 8.",
    )


def test_every_point_of_a_scatter_has_its_name_and_its_numbers_stand_in_a_table(full):
    part = parts(full)["production"]
    (picture, _) = part.sketch(860)["concat"]
    assert [row["name"] for row in picture["data"]["values"]] == [f"run-{k:02d}" for k in range(1, 13)]
    (points,) = [table for table in part.tables if table.caption.startswith("Points: win rate")]
    drawn = [(row["name"], f"{row['x']:.1f} %") for row in picture["data"]["values"]]
    assert [(row[0].text, row[2].text) for row in points.rows] == drawn


def test_rewards_stand_on_the_band_of_the_checkpoint_to_be_beaten_beside_length_and_coin(full):
    drawn = parts(full)["rewards"].sketch(860)["layer"]
    eleventh = next(one for one in full.scores if one.checkpoint == "run-11" and one.metric == "reward_accuracy")
    rect = next(layer["encoding"] for layer in drawn if layer["mark"]["type"] == "rect")
    assert (rect["x"]["datum"], rect["x2"]["datum"]) == (100 * eleventh.low, 100 * eleventh.high)
    assert [layer["encoding"]["x"]["datum"] for layer in drawn if layer["mark"]["type"] == "tick"] == pytest.approx(
        [50, 55]
    )


def test_the_contest_is_drawn_by_category_and_judges_alone_are_named_as_such(full):
    part = parts(full)["head-to-head"]
    assert [row["name"] for row in part.sketch(860)["data"]["values"]] == ["judges alone", "tools", "refusal"]
    assert "0 to 2 % in simulation" in part.says[1]


def test_five_sentences_say_better_worse_or_cannot_be_told():
    audit = audit_of(["one", "two", "three"])
    for value, word in ((0.6, "is better than base"), (0.4, "is worse than base"), (0.505, "cannot be told")):
        said = sentences(audit, history_of([score(0, "win_rate", value, baseline="base")]))
        assert len(said) == 5
        assert word in said[2]
        assert "judges' word alone" in said[3]


def test_what_people_corrected_goes_before_what_judges_say():
    found = [score(0, "win_rate", 0.6, baseline="b"), score(0, "win_rate_corrected", 0.5, baseline="b")]
    said = sentences(audit_of(["one", "two"]), history_of(found))
    assert "cannot be told: it wins 50.0 %" in said[2]
    assert said[3].startswith("People's answers")


def test_the_sentences_of_an_empty_store_say_that_nothing_is_known():
    said = sentences(empty(), history_of([], cycles=0))
    assert said[0] == "The cycle has no pairs yet."
    assert all("not known" in each for each in said[1:3])
    assert "nothing is known of production" in said[3]


def test_no_name_of_a_checkpoint_metric_or_category_becomes_markup():
    names = HOSTILE[:5]
    scores = [
        replace(
            score(k, "win_rate", 0.5 + k / 50),
            checkpoint=name,
            cycle=name,
            details={"categories": [{**CATEGORIES[0], "category": name}]},
        )
        for k, name in enumerate(names)
    ]
    given = [
        replace(one, checkpoint=name, metric="<b>x</b>") for one, name in zip(measured({})[1], names[:4], strict=False)
    ]
    read = Read(page_of(audit_of(["one", "two"]), history_of(scores, given)))
    assert {tag for tag, _ in read.elements} <= TAGS
    assert any("<b>x</b>" in text for _, text in read.text)


def test_the_command_reports_a_history_with_all_figures_and_pictures(tmp_path, capsys):
    scores, given = measured(CORRELATIONS, n=8)
    with Store(tmp_path / "consensus.duckdb") as store:
        for name in ("cycle-01", "cycle-02"):
            label(store, name)
        add_scores(store, scores)
        add_outcomes(store, given)
    judges = ", ".join(f"{{provider: recorded, model: {name}}}" for name in ("one", "two", "three"))
    (tmp_path / "cycle.yaml").write_text(f"judges: [{judges}]\ncycle: {{name: cycle-02}}\n")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path / "cycle.yaml"), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert not ended.value.code
    assert len(said["sentences"]) == 5
    assert {"rewards", "head-to-head", "production", "cycle-costs", "trend", "labels"} <= said["charts"].keys()
    assert [past["kept"] <= past["pairs"] == 40 for past in said["history"]["cycles"]] == [True, True]
    (strong, weak) = said["history"]["production"]["predictions"]
    assert (strong["correlation"]["n"], weak["metric"]) == (8, "reward_accuracy")
    assert said["audit"]["votes"] == 120
    html = (tmp_path / "cycle-02-report.html").read_text("utf-8")
    assert html.index("Of 40 pairs") < html.index("Do offline scores tell") < html.index("Which pairs got a label")
