"""The report: one file that asks for nothing, says every number, and lets no name become markup."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.cli import main
from evaluation.audit.names import PARTS
from evaluation.audit.result import PEOPLE
from evaluation.production.history import History
from evaluation.production.prediction import production
from evaluation.report import sections
from evaluation.report.cells import bare, cell, meaning
from evaluation.report.draw import svg
from evaluation.report.lettering import distinct, drawable
from evaluation.report.page import About, page
from evaluation.report.specs import NARROW
from tests.consensus.cycles import cycle_of
from tests.evaluation.made_audits import audit_of, empty

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=http://evil.example/x onerror='alert(2)'>",
    "</title></style></svg>{{ 7 * 7 }}{% raw %}",
    "datum.value + '\\' \n \u202egnirts",
    "\ud800 half a character &amp; & \x00\x1b\ufffe",
    "\U0001f389" * 60,
)
EMPTY_TAGS = {"meta", "br", "link", "img", "hr", "input"}
TAGS = set(
    re.findall(
        r"\w+",
        "html head meta title style body header main section nav footer h1 h2 p ul ol li a time span b bdi small sup dl dt "
        "dd figure div svg g path line text rect table caption thead tbody tr th td details summary",
    )
)


class Read(HTMLParser):
    """A page as a browser takes it: elements with their attributes, the style sheet, and the tables in text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.tables, self.text = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY_TAGS:
            self.open.append(tag)
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("td", "th"):
            self.tables[-1]["rows"][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.text.append((self.open[-1] if self.open else "", data))
        if "caption" in self.open:
            self.tables[-1]["caption"] += data
        elif {"td", "th"} & set(self.open) and "sup" not in self.open:
            self.tables[-1]["rows"][-1][-1] += data

    def rows(self, caption):
        """The rows below the head of the table that is called so."""
        (found,) = [table for table in self.tables if table["caption"].startswith(caption)]
        return found["rows"][1:]

    def table(self, caption):
        """The same by their first cell."""
        return {row[0]: row[1:] for row in self.rows(caption)}


NOTHING = History("c", (), (), production([], []))


def page_of(audit, history=NOTHING, **about):
    about = {
        "settings": {"seed": "0"},
        "spent": dict.fromkeys((judge.judge for judge in audit.judges), 1.25),
        "made": datetime(2030, 1, 2, tzinfo=UTC),
        "version": "1",
    } | about
    return page(audit, About(**about), history)


@pytest.fixture(scope="module")
def three():
    return audit_of(["one", "two", "three"])


@pytest.fixture(scope="module")
def hostile():
    audit = audit_of(HOSTILE, pairs=HOSTILE, cycle=HOSTILE[0])
    about = {"settings": dict(zip(HOSTILE, HOSTILE, strict=True))}
    return page_of(audit, **about)


@given(st.text(min_size=1), st.integers(20, 400))
def test_a_name_is_drawn_with_printable_characters_and_within_its_room(name, pixels):
    drawn = drawable(name, pixels)
    assert drawn.isprintable()
    assert 7.2 * len(drawn) <= max(pixels, 7.2)
    assert (drawn == name) or (drawn[:-1] == name[: len(drawn) - 1]) or not name.isprintable()


def test_names_that_differ_only_beyond_their_room_are_still_told_apart():
    names = [f"{'x' * 80}-{k}" for k in range(9)]
    assert len(set(distinct(names, 100))) == 9
    rows = sections.position(audit_of(names)).sketch(320)["data"]["values"]
    assert len({row["name"] for row in rows}) == 9


@given(st.floats(-5, 5), st.sampled_from(["share", "points", "ratio", "number", "p"]))
def test_a_number_that_is_shown_reads_as_the_value_within_its_last_digit(value, unit):
    if unit == "p":
        value = abs(value) / 5
    text = bare(value, unit).replace("−", "-").replace("× ", "").replace("<", "")
    scale = 100 if unit in ("share", "points") else 1
    assert abs(float(text) - scale * value) <= 0.0501 * (1 if scale == 100 else 0.1) + 1e-9
    assert not re.fullmatch(r"[-−+]0(\.0+)?", bare(value, unit))


@given(st.floats(1e-9, 1e6))
def test_dollars_above_nothing_are_never_shown_as_nothing(value):
    shown = float(bare(value, "dollars").strip("$").replace(",", ""))
    assert abs(shown - value) <= max(0.0051 * value, 0.00501 if value >= 1 else 0)


@pytest.mark.parametrize("judges", [["only"], ["one", "two", "three"]])
def test_every_figure_is_in_a_table_with_its_interval_its_n_and_its_reason(judges):
    audit = audit_of(judges, seed=3)
    read = Read(page_of(audit))
    body = " ".join(text for _, text in read.text)

    def says(rows, figures):
        assert [row[0] for row in rows] == [meaning(figure.name).title for figure in figures]
        for (_, _, value, n), figure in zip(rows, figures, strict=True):
            shown = cell(figure)
            assert value.split() == f"{shown.text} {shown.between}".split()
            assert n == f"{figure.n:,}"
            assert figure.reason in body
            assert isnan(figure.value) == (value == "–")

    for judge in audit.judges:
        says(read.rows(f"{judge.judge}: {judge.votes:,} votes"), judge.figures.values())
    says(read.rows("The panel's figures"), audit.panel.figures.values())
    pairs = read.rows("Agreement of every two")
    assert [row[:2] for row in pairs] == [[each.one, each.other] for each in audit.panel.between]
    for row, each in zip(pairs, audit.panel.between, strict=True):
        two = [(each.agreement, "share"), (each.kappa, "number")]
        two += [(each.error_correlation, "number"), (each.common_errors, "share")]
        for said, (figure, unit) in zip(row[2:6], two, strict=True):
            assert said.startswith(cell(figure, unit).text if figure else "–")
    for part, figure in zip(PARTS.values(), audit.panel.components.values(), strict=True):
        assert read.table("Where differences")[part][0].startswith(cell(figure, "number").text)
    for name, figure in audit.panel.decisive.items():
        assert read.table("Whose vote decides")[name][0].startswith(cell(figure, "share").text)


def test_the_counts_of_every_histogram_and_the_tail_by_name_are_in_tables(three):
    read = Read(page_of(three))
    rows = read.table("Requests by their repeat flip rate")
    assert rows == {judge.judge: [str(n) for n in judge.flips] for judge in three.judges}
    assert read.table("The tail by name") == {j.judge: ["pair-1", "a first", "5 of 10"] for j in three.judges}


def test_dollars_are_given_by_judge_and_by_kept_pair(three):
    rows = Read(page_of(three, spent={"one": 8.0, "two": 0.4, "three": None})).table("Dollars by judge")
    assert rows["one"][2:] == ["$8.00", "$0.100"]
    assert rows["three"][2].startswith("–")
    assert rows["all judges with a price"][2:] == ["$8.40", "$0.105"]


@pytest.mark.parametrize("which", ["three", "hostile"])
def test_the_file_refers_to_nothing_outside_itself(which, request):
    html = request.getfixturevalue(which)
    read = Read(html if isinstance(html, str) else page_of(html))
    for tag, attributes in read.elements:
        assert tag in TAGS
        for name, value in attributes.items():
            assert name not in ("src", "srcset", "data", "action", "xlink:href", "background", "poster")
            assert name != "href" or value.startswith("#")
            assert "url(" not in (value or "")
    style = "".join(text for tag, text in read.text if tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    policy = [a["content"] for _, a in read.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_no_name_becomes_markup(hostile):
    read = Read(hostile)
    assert {tag for tag, _ in read.elements} <= TAGS
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert sum(tag == "title" for tag, _ in read.elements) == 1
    assert "49" not in read.tables[0]["caption"]
    body = "".join(text for _, text in read.text)
    assert all(name in body for name in HOSTILE[:3])
    drawn = "".join(text for tag, text in read.text if tag == "text")
    assert HOSTILE[0] in drawn
    hostile.encode("utf-8")
    assert "\x00" not in hostile


def test_the_heat_map_has_a_row_for_people_where_there_is_gold_and_says_so_where_there_is_none():
    with_gold, without = (audit_of(["one", "two"], gold=gold) for gold in (True, False))
    assert PEOPLE in [square["row"] for square in sections.agreement(with_gold).sketch(320)["data"]["values"]]
    assert PEOPLE not in [square["row"] for square in sections.agreement(without).sketch(320)["data"]["values"]]
    assert "no row for people" in page_of(without)


def test_a_cycle_without_votes_has_a_page_that_says_why_it_has_no_pictures():
    html = page_of(empty(), spent={})
    assert "<svg" not in html
    assert html.count('class="missing"') == 6
    assert "There are no votes yet" in html
    assert "No judge fails" not in html
    assert "nan" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


def test_advice_stands_before_what_it_is_based_on_and_once_for_all_judges(three):
    html = page_of(three)
    html = html[html.index('id="findings"') :]
    assert html.count("swap them") == 1
    assert html.index("swap them") < html.index("one favours the first") < html.index("three favours the first")
    assert "No judge fails" in page_of(replace(three, findings=()))


def test_judges_never_asked_twice_have_no_histogram_and_a_reason():
    audit = audit_of(["one", "two"], repeats=False)
    part = sections.flips(audit)
    assert part.sketch is None
    assert part.missing.startswith("Disagreement is not known")


def test_the_bars_from_40_percent_on_are_marked(three):
    (first, *_) = sections.flips(three).sketch(320)["concat"]
    marked = {bar["from"]: bar["colour"] for bar in first["data"]["values"]}
    assert {at for at, colour in marked.items() if colour == "var(--warn)"} == {40, 45, 50}


@pytest.mark.parametrize(
    "names", [["one", "two"], [*HOSTILE], ["m" * 200, "W" * 200], [f"judge-{k}" for k in range(16)]]
)
def test_a_picture_for_a_phone_is_as_wide_as_planned_whatever_the_names(names):
    audit = audit_of(names)
    for part in (sections.labels(audit), sections.flips(audit), sections.position(audit), sections.agreement(audit)):
        drawn = svg(part.sketch(NARROW))
        assert 150 <= float(re.match(r'<svg width="([\d.]+)"', drawn)[1]) <= 1.1 * NARROW, part.slug


def test_the_same_audit_makes_the_same_file(three):
    assert page_of(three) == page_of(three)


def test_every_picture_is_described_and_comes_for_desk_and_phone(three):
    read = Read(page_of(three))
    images = [attributes for _, attributes in read.elements if attributes.get("role") == "img"]
    assert [a["class"] for a in images] == ["wide", "narrow"] * 6
    assert all(len(a["aria-label"]) > 20 for a in images)


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


@pytest.fixture
def cycle_file(tmp_path):
    """Two recorded judges, three calls in each order on six pairs; one always takes the first."""
    pairs = [
        {"pair_id": f"p{k}", "prompt": f"q{k}", "completion_a": "x", "completion_b": "yy", "gold": "ab"[k % 2]}
        for k in range(6)
    ]
    votes = [
        {"pair_id": pair["pair_id"], "judge": judge, "order": order, "repeat": repeat}
        | {"verdict": pair["gold"] if judge == "right" else order[0]}
        for pair in pairs
        for judge in ("right", "<b>first</b>")
        for order in ("ab", "ba")
        for repeat in range(3)
    ]
    for name, rows in (("pairs", pairs), ("votes", votes)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judges = "".join(f"  - {{provider: recorded, model: '{name}'}}\n" for name in ("right", "<b>first</b>"))
    (tmp_path / "cycle.yaml").write_text(
        f"judges:\n{judges}input: {{pairs: pairs.jsonl, votes: votes.jsonl}}\ncycle: {{name: a/b}}\n"
    )
    return tmp_path / "cycle.yaml"


def test_report_writes_a_file_of_a_cycle_of_recorded_votes(cycle_file, capsys):
    target = cycle_file.parent / "new" / "report.html"
    assert run("report", cycle_file, "--output", target, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["cycle"], said["path"], said["bytes"]) == ("a/b", str(target), target.stat().st_size)
    read = Read(target.read_text("utf-8"))
    assert read.table("Position bias, by judge")["right"][0].startswith("0.0 points")
    assert read.table("Position bias, by judge")["<b>first</b>"][1].startswith("100.0 %")
    assert sum(int(row[2]) for row in read.rows("Pairs by what became of them")) == 6
    assert run("report", cycle_file) == 0
    assert (cycle_file.parent / "a-b-report.html").exists()


def test_a_cycle_file_without_votes_or_a_target_that_is_a_folder_ends_in_a_message(cycle_file, capsys):
    assert run("report", cycle_file, "--output", cycle_file.parent) == 1
    assert "cannot write" in capsys.readouterr().err
    (cycle_file.parent / "votes.jsonl").write_text("")
    assert run("report", cycle_file, "cycle.name=other") == 2
    assert "no votes yet" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["jinja2", "vl_convert"])
def test_without_the_extra_the_command_says_how_to_install_it(cycle_file, monkeypatch, capsys, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert run("report", cycle_file) == 2
    said = capsys.readouterr().err
    assert package in said
    assert "pip install 'judge-consensus[report]'" in said


def test_the_settings_say_what_decides_the_labels():
    from evaluation.report.page import settings

    said = settings(cycle_of(["x", "y", "z"], consensus={"min_agree": 3}, sampling={"orders": "both"}))
    assert said["verdicts that keep a pair"] == "at least 3 for one side"
    assert said["orders"].startswith("both")
    assert said["judge 2"] == "y (recorded/y)"


def test_a_judge_that_was_accused_is_marked_by_shape_as_well_as_colour(three):
    drawn = sections.position(replace(three, findings=three.findings[:1])).sketch(320)["data"]["values"]
    assert [(row["name"], row["shape"]) for row in drawn] == [
        ("one", "diamond"),
        ("two", "circle"),
        ("three", "circle"),
    ]
