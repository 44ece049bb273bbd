"""The cycle file: what it says is what is loaded, and every mistake in it is shown at its place, without a secret."""

from __future__ import annotations

import json
import random
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.cycle import Cycle
from consensus.cyclefile import load
from consensus.errors import UsageError
from consensus.sections.endpoints import Judge

CONFIGS = Path(__file__).resolve().parent.parent.parent / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
ONE = "judges:\n  - provider: openai\n    model: gpt-4o\n"
THREE = """\
judges:
  - provider: anthropic
    model: claude-sonnet-4-6
  - provider: openai
    model: gpt-4o-2024-11-20
  - provider: google
    model: gemini-2.5-pro
consensus:
  min_agree: 2
  drop_pair_if_split: true
sampling:
  judges_per_pair: 3
  rotate_completion_order: true
"""


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Load a text as cycle.yaml, by its relative name."""
    monkeypatch.chdir(tmp_path)

    def load_it(text, *overrides):
        Path("cycle.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(Path("cycle.yaml"), overrides)

    return load_it


@pytest.fixture
def refused(loaded):
    """What is said of a text that is no cycle file."""

    def say(text, *overrides):
        with pytest.raises(UsageError) as error:
            loaded(text, *overrides)
        return str(error.value)

    return say


# -- what is loaded ----------------------------------------------------------------------------------------------------


def test_three_judges_of_whom_two_must_agree(loaded):
    cycle = loaded(THREE)
    assert [(judge.provider, judge.model) for judge in cycle.judges] == [
        ("anthropic", "claude-sonnet-4-6"),
        ("openai", "gpt-4o-2024-11-20"),
        ("google", "gemini-2.5-pro"),
    ]
    assert cycle.consensus.model_dump() == {"min_agree": 2, "drop_pair_if_split": True}
    assert (cycle.sampling.judges_per_pair, cycle.sampling.rotate_completion_order) == (3, True)
    assert (cycle.rule.min_agree, cycle.rule.per_pair, cycle.rule.rotate, cycle.rule.drop_if_split) == (
        2,
        3,
        True,
        True,
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_shipped_file_loads_and_can_be_saved_as_json(file):
    cycle = load(file)
    assert Cycle.model_validate_json(cycle.model_dump_json()) == cycle
    assert cycle.store.parent == file.parent


def test_the_shipped_panel_is_the_three_judges_of_the_example(loaded):
    panel, example = load(CONFIGS / "panel.yaml"), loaded(THREE)
    assert [(j.provider, j.model) for j in panel.judges] == [(j.provider, j.model) for j in example.judges]
    assert (panel.consensus, panel.sampling) == (example.consensus, example.sampling)


def test_windows_line_ends_a_byte_order_mark_anchors_and_merge_keys_are_read_right(loaded):
    assert loaded(b"\xef\xbb\xbf" + THREE.replace("\n", "\r\n").encode()) == loaded(THREE)
    shared = """
judges:
  - &one {provider: openai, model: a, rpm: 5}
  - {<<: *one, model: b}
  - {provider: x, model: c, extra: {on: &t true, off: *t}}
"""
    cycle = loaded(shared)
    assert [(j.provider, j.model, j.rpm) for j in cycle.judges] == [
        ("openai", "a", 5),
        ("openai", "b", 5),
        ("x", "c", None),
    ]
    assert cycle.judges[2].extra == {"on": True, "off": True}
    assert type(cycle.judges[2].extra["on"]) is bool


def test_relative_paths_start_at_the_files_folder(loaded, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    text = (
        ONE
        + "store: out/votes.duckdb\ninput: {pairs: ../pairs.jsonl, votes: /abs/votes.csv}\nrubric: {file: ~/rubric.md}\n"
    )
    (tmp_path / "deep" / "cycle.yaml").write_text(text)
    monkeypatch.setenv("HOME", "/home/me")
    cycle = load(tmp_path / "deep" / "cycle.yaml")
    assert cycle.store == tmp_path / "deep" / "out" / "votes.duckdb"
    assert cycle.input.pairs == tmp_path / "deep" / ".." / "pairs.jsonl"
    assert cycle.input.votes == Path("/abs/votes.csv")
    assert cycle.rubric.file == Path("/home/me/rubric.md")
    assert load(tmp_path / "deep" / "cycle.yaml", ["store=b.duckdb"]).store == tmp_path / "deep" / "b.duckdb"


def test_where_a_file_stands_is_known_to_its_models_and_is_no_part_of_what_they_are(tmp_path):
    text = "judges: [{provider: local, model: tiny}]\nconsensus: {min_agree: 1}\ntraining: {model: tiny}\n"
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cycle.yaml").write_text(text)
        found.append(load(tmp_path / name / "cycle.yaml"))
    one, two = found
    assert one.judges == two.judges
    assert one.training == two.training
    assert one.judges[0].config_hash("rubric") == two.judges[0].config_hash("rubric")
    assert (one.judges[0].folder, two.training.folder) == (tmp_path / "one", tmp_path / "two")


# -- overrides ---------------------------------------------------------------------------------------------------------


def test_settings_on_the_command_line_win_and_are_read_as_yaml(loaded):
    cycle = loaded(
        THREE,
        "consensus.min_agree=3",
        "judges.1.model=other",
        "judges.1.extra={a: 1}",
        "judges.1.extra.b=[x, null]",
        "cycle.name='007'",
        "gateway.api_base=http://127.0.0.1:4000/v1/",
        "rubric.axes=[]",
        "limits=",
        "limits={}",
    )
    assert cycle.consensus.min_agree == 3
    assert (cycle.judges[1].model, cycle.judges[1].extra) == ("other", {"a": 1, "b": ["x", None]})
    assert (cycle.name, cycle.rubric.axes) == ("007", ())
    assert cycle.gateway is not None
    assert cycle.gateway.api_base == "http://127.0.0.1:4000/v1"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("nonsense", "cannot read 'nonsense': settings are given as key=value, e.g. consensus.min_agree=3"),
        ("=3", "cannot read '=3': settings are given as key=value, e.g. consensus.min_agree=3"),
        ("cycle.seed=[", "cannot read 'cycle.seed=[': its value is not YAML"),
        ("cycle.seed=2001-99-99", "cannot read 'cycle.seed=2001-99-99': its value is not YAML"),
        ("judges.3.model=x", "cannot set 'judges.3.model=x': the cycle has no such place"),
        ("judges.3=x", "cannot set 'judges.3=x': the list has 3 entries, counted from 0"),
        ("judges.²=x", "cannot set 'judges.²=x': the list has 3 entries, counted from 0"),
        ("judges.0.model.x=1", "cannot set 'judges.0.model.x=1': the cycle has no such place"),
        (
            "consensus.min_agree=two",
            "on the command line: consensus.min_agree=two\n  consensus.min_agree: input should be a valid integer",
        ),
        (
            "consensus.min_agree=4",
            "on the command line: consensus.min_agree=4\n  consensus.min_agree is 4, but only 3 judges",
        ),
        (
            "consensus.min_agre=2",
            "on the command line: consensus.min_agre=2\n  unknown key 'min_agre'; did you mean 'min_agree'?",
        ),
        (
            "consensis.min_agree=2",
            "on the command line: consensis.min_agree=2\n  unknown key 'consensis'; did you mean 'consensus'?",
        ),
        ("gateway.model=x", "on the command line: gateway.model=x\n  'gateway.api_base' is missing"),
        ("judges=[{provider: x}]", "on the command line: judges=[{provider: x}]\n  'judges.0.model' is missing"),
        ("cycle.seed=" + "9" * 400, "this number is too large"),
    ],
)
def test_a_mistake_on_the_command_line_is_shown_there(refused, override, said):
    assert said in refused(THREE, override)


# -- mistakes and their places -----------------------------------------------------------------------------------------


def test_all_mistakes_are_shown_at_once_each_with_line_column_caret_and_hint(refused):
    text = """\
judges:
  - provider: openai
    modle: gpt-4o
    temperature: warm
    price: {input: 1, outptu: 2}
  - {provider: x, model: m, rpm: -1}
consensus:
\tbad: 1
"""
    assert refused(text) == "cycle.yaml:8:1: found character '\\t' that cannot start any token\n  \tbad: 1\n  ^"
    assert (
        refused(text.replace("\tbad", "  min_agre"))
        == """\
cycle.yaml:2:5: 'judges.0.model' is missing
    - provider: openai
      ^
cycle.yaml:3:5: unknown key 'modle'; did you mean 'model'?
      modle: gpt-4o
      ^
cycle.yaml:4:18: judges.0.temperature: input should be a valid number, unable to parse string as a number, not 'warm'
      temperature: warm
                   ^
cycle.yaml:5:12: 'judges.0.price.output' is missing
      price: {input: 1, outptu: 2}
             ^
cycle.yaml:5:23: unknown key 'outptu'; did you mean 'output'?
      price: {input: 1, outptu: 2}
                        ^
cycle.yaml:6:34: judges.1.rpm: input should be greater than 0, not -1
    - {provider: x, model: m, rpm: -1}
                                   ^
cycle.yaml:8:3: unknown key 'min_agre'; did you mean 'min_agree'?
    min_agre: 1
    ^"""
    )


SETTINGS = [
    (file, number, found.start(1), found[1])
    for file in FILES
    for number, line in enumerate(file.read_text().split("\n"), 1)
    if (found := re.match(r"(?:  )*(?:- )?\w+: ([^\s#{]+|\{[^}]*\})", line)) and not line.startswith("#")
]


@pytest.mark.parametrize(
    ("file", "line", "column", "value"), SETTINGS, ids=lambda value: getattr(value, "name", str(value))
)
def test_a_wrong_value_is_shown_where_it_stands(refused, file, line, column, value):
    """Every setting of every shipped file, set to what no setting can be."""
    lines = file.read_text().split("\n")
    lines[line - 1] = lines[line - 1][:column] + "[[]]" + lines[line - 1][column + len(value) :]
    said = refused("\n".join(lines))
    assert said.startswith(f"cycle.yaml:{line}:{column + 1}: ")
    assert said.split("\n")[2] == " " * (column + 2) + "^"
    assert said.count("\n") == 2


@pytest.mark.parametrize("key", sorted(name for name in Judge.model_fields if len(name) > 4))
def test_a_key_with_two_letters_swapped_is_recognised(refused, key):
    wrong = key[:2] + key[3] + key[2] + key[4:] if key[2] != key[3] else key[:1] + key[2:]
    assert refused(f"{ONE}    {wrong}: 1\n").startswith(
        f"cycle.yaml:4:5: unknown key '{wrong}'; did you mean '{key}'?\n"
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("cycle:\n", "4:1: cycle: input should be a mapping, not null\n  cycle:\n  ^"),
        ("cycle: null\n", "4:1: cycle: input should be a mapping, not null"),
        ("cycle: [a]\n", "4:8: cycle: input should be a mapping"),
        ("cycle: 5\n", "4:8: cycle: input should be a mapping, not 5"),
        ("store: [a]\n", "4:8: store: input should be a path"),
        ("rubric: {axes: clarity}\n", "4:16: rubric.axes: input should be a list, not 'clarity'"),
        ("rubric: {axes: [a, 5]}\n", "4:20: rubric.axes.1: input should be a valid string, not 5"),
        ("consensus: {min_agree: true}\n", "4:24: consensus.min_agree: true and false cannot stand here"),
        ("training: {padding_free: true}\n", "4:26: training: there is no 'padding_free'"),
        (
            "".join(f"  - {{provider: x, model: m{k}}}\n" for k in range(16)),
            "2:3: there are 17 judges, and a panel has 16 at most",
        ),
        ("consensus: {min_agree: 2}\n", "4:24: consensus.min_agree is 2, but only 1 judges are asked about a pair"),
        ("sampling: {judges_per_pair: 2}\n", "4:29: sampling.judges_per_pair is 2, but there are 1 judges"),
        ("  - {provider: x, model: gpt-4o}\n", "4:5: two judges are called 'gpt-4o'; give one of them a 'name'"),
        ("    api_base: ftp://x\n", "4:15: judges.0.api_base: an address starts with http:// or https://"),
        ("    extra: {x: .nan}\n", "4:16: this is not a number that can be sent"),
        ("    extra: {x: 2001-01-01}\n", "4:16: this is neither text nor a number; put quotes around it"),
        ("    extra: {x: !foo bar}\n", "4:16: this is neither text nor a number; put quotes around it"),
        ("    extra: {x: !!binary /w==}\n", "4:16: this is neither text nor a number; put quotes around it"),
        (f"cycle: {{seed: 0x{'f' * 5000}}}\n", "4:15: this number is too large"),
        ('    name: "a\\0b"\n', "4:11: this text has a NUL character, or half of a surrogate pair"),
        ('store: "\\ud800"\n', "4:8: this text has a NUL character, or half of a surrogate pair"),
        ("? [a, b]\n: c\n", "4:3: unknown key \"('a', 'b')\""),
        ("a[b: c\n", "4:1: unknown key 'a[b'"),
        ("5: c\n", "4:1: unknown key '5'"),
        ("store: a\nstore: b\n", '5:1: found duplicate key "store"; each key may be given once'),
        ("store: *nobody\n", "4:8: found undefined alias 'nobody'"),
        ("<<: 5\n", "4:5: expected a mapping or list of mappings for merging"),
        ("store: 'a\n", "5:1: found unexpected end of stream"),
        ("---\na: b\n", "4:1: but found another document"),
        ("store: a\x01b\n", "4:9: a character that cannot stand here (number 1)"),
        (f"store: [{'x' * 5000}]\n", f"4:8: store: input should be a path\n  store: [{'x' * 152}\n         ^"),
        (f"{'x' * 900}: 1\n", f"4:1: unknown key '{'x' * 56}...; here may stand: audit, consensus"),
    ],
)
def test_a_mistake_has_its_place_and_its_words(refused, more, said):
    assert refused(ONE + more).startswith(f"cycle.yaml:{said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cycle.yaml:1:1: a cycle file is a mapping that starts with 'judges:'"),
        ("# nothing yet\n", "cycle.yaml:1:1: a cycle file is a mapping that starts with 'judges:'"),
        ("- judges\n", "cycle.yaml:1:1: a cycle file is a mapping that starts with 'judges:'"),
        ("judges", "cycle.yaml:1:1: a cycle file is a mapping that starts with 'judges:'"),
        ("store: x\n", "cycle.yaml:1:1: 'judges' is missing"),
        ("judges:\n", "cycle.yaml:1:1: judges: input should be a list, not null"),
        ("judges: []\n", "cycle.yaml:1:9: 'judges' is empty; a panel needs at least one judge, better three"),
        ("judges: {a: b}\n", "cycle.yaml:1:9: judges: input should be a list"),
        ("judges: [openai]\n", "cycle.yaml:1:10: judges.0: input should be a mapping, not 'openai'"),
        ("judges: &a [*a]\n", "cycle.yaml:1:9: judges.0: input should be a mapping"),
        (f"judges: {'[' * 1_000}\n", "cycle.yaml:1:1: this is not YAML: it is nested too deeply"),
        (f"judges: {'[' * 60}{']' * 60}\n", "cycle.yaml:1:1: this is nested too deeply, or has too many values"),
        (ONE.encode("utf-16"), "cannot read cycle.yaml: 'utf-8' codec can't decode byte 0xff"),
        (b"judges: \xe4\n", "cannot read cycle.yaml: 'utf-8' codec can't decode byte 0xe4"),
        (b"#" * 1_000_001, "cycle.yaml is larger than 1,000,000 bytes: that is no cycle file"),
        (ONE + "store: ~nosuchuser-/x\n", "there is no home folder for '~nosuchuser-/x'"),
    ],
)
def test_a_file_that_is_no_cycle_says_so(refused, text, said):
    assert refused(text).startswith(said)


def test_aliases_that_multiply_are_refused_before_they_are_unfolded(refused):
    """A billion values from ten lines."""
    lines = ["x0: &x0 [a, a, a, a, a, a, a, a, a, a]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert (
        refused("\n".join(lines))
        == "cycle.yaml:1:1: this is nested too deeply, or has too many values, for a cycle file"
    )


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(
        UsageError, match=r"there is no .*none\.yaml; 'consensus init .*none\.yaml' writes one to start from"
    ):
        load(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match=r"cannot read .*directory"):
        load(tmp_path)


# -- secrets -----------------------------------------------------------------------------------------------------------

SECRETS = [
    "sk-ant-api03-AbCdEf0123456789",
    "sk-proj-AbCdEf0123456789_x",
    "AIzaSyAbCdEf0123456789_-AbCdEf0123456789",
    "gsk_AbCdEf0123456789AbCd",
    "xai-AbCdEf0123456789AbCd",
    "hf_AbCdEf0123456789AbCd",
]
PLACES = [
    "    model: {}\n",
    "    name: '{}'\n",
    "    api_base: http://host/v1?key={}\n",
    "    api_key_env: {}\n",
    "    temperature: {}\n",
    "    fallbacks: [a, {}]\n",
    "    extra: {{headers: {{x: Bearer {}}}}}\n",
    "    extra: {{deep: [[{{x: {}}}]]}}\n",
    "    extra:\n      {}: 1\n",
    "store: {}\n",
    "{}: 1\n",
    "store: &{} x\nrubric: *y\n",
    "store: 'a\n  {}\n",
    "unknown: {}\n",
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.strip().splitlines()[0])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_key_anywhere_in_the_file_is_refused_and_not_repeated(refused, place, secret):
    judge = ONE.replace("    model: gpt-4o\n", "") if "model:" in place else ONE
    said = refused(judge + place.format(secret))
    assert "cycle.yaml:" in said
    assert secret[-12:] not in said


@pytest.mark.parametrize(
    "key",
    [
        "api_key",
        "apiKey",
        "API-KEY",
        "x-api-key",
        "openai_api_key",
        "token",
        "auth_token",
        "password",
        "secret",
        "client_secret",
        "Authorization",
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        "hunter2 and more",
        "'hunter2'",
        "\n      hunter2",
        "|\n      one\n      hunter2",
        "[hunter2]",
        "{x: hunter2}",
        "hunter2: x",
        "['hunter2'",
    ],
)
def test_a_value_under_a_key_named_like_a_secret_is_refused_and_not_repeated(refused, key, value):
    """Whatever the value looks like, and even where the file is not YAML."""
    said = refused(f"{ONE}    {key}: {value}\n    unknown: 1\n")
    assert "cycle.yaml:" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "where",
    [
        "judges: [{{provider: x, model: m, api_key: {}, foo: 1}}]",
        "judges: [{{provider: x, foo: 1, model: m, token: {}}}]",
    ],
)
def test_another_mistake_on_the_line_of_a_secret_does_not_show_it(refused, where):
    said = refused(where.format("hunter2"))
    assert said.count("cycle.yaml:1:") == 2
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "override",
    [
        "judges.0.api_key={}",
        "judges.0={{provider: x, model: m, token: {}}}",
        "judges.9.api_key={}",
        "api_key={}",
        "password: [{}=",
        "judges.0.extra.headers.authorization={}",
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(refused, override):
    assert "hunter2" not in refused(ONE, override.format("hunter2"))
    assert SECRETS[0] not in refused(ONE, override.format(SECRETS[0]))


@pytest.mark.parametrize(
    "value", ["9f8a7c6d5e4f3a2b1c0d9e8f7a6b5c4d", "af8a7c6d5e4f3a2b1c0d9e8f7a6b5c4d", "hunter-two", SECRETS[0]]
)
def test_a_key_where_the_name_of_its_variable_belongs_is_refused_and_not_repeated(refused, value):
    said = refused(f"{ONE}    api_key_env: {value}\n")
    assert "e.g. OPENAI_API_KEY" in said or "name the variable in 'api_key_env'" in said
    assert value not in said


@pytest.mark.parametrize(
    "address", ["http://h:99999/v1", "http://h:abc/v1", "http://a..b/v1", "http://[::1/v1", "http://h/\u4e16/v1"]
)
def test_an_address_that_nothing_can_be_sent_to_is_refused(refused, address):
    assert "this address cannot be reached" in refused(f'{ONE}    api_base: "{address}"\n')


def test_a_password_in_an_address_is_refused_and_not_repeated(refused):
    said = refused(f"{ONE}    api_base: https://me:hunter2@host/v1\n")
    assert "this address holds a password" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "text", ["data/task-completion-pairs-v2.jsonl", "risk-assessment-judge-2025-01", "desk-research-questions.duckdb"]
)
def test_words_that_only_end_like_a_key_begins_are_no_keys(loaded, text):
    assert loaded(f"{ONE}    name: {text}\n").judges[0].name == text


def test_names_of_variables_and_settings_about_tokens_are_no_keys(loaded):
    judge = loaded(
        f"{ONE}    api_key_env: MY_KEY\n    max_tokens: 5\n    extra: {{top_k: 3, stop_token_ids: [1]}}\n"
    ).judges[0]
    assert (judge.api_key_env, judge.max_tokens, judge.extra) == ("MY_KEY", 5, {"top_k": 3, "stop_token_ids": [1]})


# -- whatever comes ----------------------------------------------------------------------------------------------------

BITS = [
    "&a ",
    "*a",
    "<<: *a\n",
    "\t",
    "  ",
    "\n",
    "- ",
    "? ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "!!int ",
    "!foo ",
    "|\n",
    ">\n",
    "'",
    '"',
    "%YAML 1.1\n",
]
BITS += [
    "---\n",
    "...\n",
    "#",
    "null",
    "~",
    ".nan",
    ".inf",
    "0x",
    "1e999",
    "9" * 5000,
    "true",
    "no",
    "2001-99-99",
    "2001-01-01",
    "!!set {a}",
]
BITS += [
    "!!omap [a: 1]",
    "\0",
    "\x1b",
    "\u2028",
    "\x85",
    "\ufeff",
    "é",
    "api_key: x",
    "@",
    "`",
    "\\ud800",
    "\\0",
    "x" * 3000,
    "[[" * 40,
    "~x/y",
]


def mutated(seed):
    """A shipped file with some of its text taken out, put twice, or exchanged."""
    rng = random.Random(seed)
    text = rng.choice(FILES).read_text()
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, lines = rng.randrange(len(text)), text.split("\n")
        row = rng.randrange(len(lines))
        key, colon, _ = lines[row].partition(":")
        text = rng.choice(
            [
                text[:at] + rng.choice(BITS) + text[at:],
                text[:at] + text[at + rng.randrange(1, 30) :],
                "\n".join([*lines[:row], f"{key}{colon} {rng.choice(BITS)}", *lines[row + 1 :]]),
                "\n".join([*lines, lines[row]]),
                "\n".join([*lines[:row], f" {lines[row]}", *lines[row + 1 :]]),
            ]
        )
    return text, rng.choice(
        [
            [],
            [f"judges.0.{rng.choice(BITS)}={rng.choice(BITS)}"],
            [f"{rng.choice(BITS)}=1"],
            [f"store={rng.choice(BITS)}"],
        ]
    )


@pytest.mark.parametrize("part", range(8))
def test_a_mutated_file_is_a_cycle_or_a_usage_error_that_says_where(tmp_path, part):
    file, ends = tmp_path / "cycle.yaml", {"cycle": 0, "mistake": 0}
    for seed in range(part, 800, 8):
        text, overrides = mutated(seed)
        file.write_bytes(text.encode())
        try:
            cycle = load(file, overrides)
        except UsageError as error:
            said = str(error)
        else:
            said = ""
            json.dumps([cycle.meaning("rubric"), json.loads(cycle.model_dump_json())], ensure_ascii=False).encode()
        assert not said or re.match(
            rf"{re.escape(str(file))}:\d+:\d+: |cannot (read|set) |on the command line: |there is no home", said
        )
        assert len(said) < 20_000
        ends["mistake" if said else "cycle"] += 1
    assert min(ends.values()) > 2


@given(st.text(max_size=80), st.text(max_size=30))
def test_no_text_and_no_override_ever_raises_anything_else(tmp_path_factory, text, override):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(f"{ONE}{text}".encode())
    with suppress(UsageError):
        assert load(file).judges[0].provider
    with suppress(UsageError):
        assert load(FILES[0], [override]).judges[0].provider
