"""Production traces: what real instrumentations wrote comes out as what was said, and nothing in order is lost beside damage."""

from __future__ import annotations

import copy
import csv
import json
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consensus.errors import UsageError
from labeling.traces.chat import messages, split
from labeling.traces.names import REDACTED, Convention, Why
from labeling.traces.reading import Reading, read_traces
from labeling.traces.times import instant
from labeling.traces.trace import Outcome
from tests.labeling import instrumented

RECORDED = Path(__file__).parent / "recorded_traces"
START = 1_760_000_000_000_000_000  # ns
CHAT = [{"role": "user", "content": "How is Köln?"}]
ANSWER = [{"role": "assistant", "content": "Rainy."}]


def read(*files, columns=None):
    """The traces of some files, and what came of them; every record is counted once."""
    reading = Reading()
    traces = list(read_traces(files, reading, columns))
    assert len(traces) == reading.used
    assert reading.records == reading.used + reading.outcomes + reading.left.total() + len(reading.refused)
    return traces, reading


def written(folder, rows, name="rows.jsonl"):
    path = folder / name
    lines = [row if isinstance(row, bytes) else orjson.dumps(row) for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def said(traces):
    return sorted(((t.prompt, t.completion) for t in traces), key=orjson.dumps)


def value_of(value):
    """A value as OTLP/JSON has it."""
    match value:
        case str():
            return {"stringValue": value}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [value_of(one) for one in value]}}
        case dict():
            return {"kvlistValue": {"values": pairs_of(value)}}
    return {}


def pairs_of(attributes):
    return [{"key": key, "value": value_of(value)} for key, value in attributes.items()]


def span(serial=1, **fields):
    """A chat span, as a JSON string on the span has it."""
    return {
        "traceId": f"{serial:032x}",
        "spanId": f"{serial:016x}",
        "name": "chat",
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 10**9),
        "attributes": pairs_of(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "m",
                "gen_ai.input.messages": json.dumps(
                    [{"role": "user", "parts": [{"type": "text", "content": f"q{serial}"}]}]
                ),
                "gen_ai.output.messages": json.dumps(
                    [{"role": "assistant", "parts": [{"type": "text", "content": "a"}]}]
                ),
            }
        ),
        **fields,
    }


def request(*spans, signal="Spans"):
    """An export request, one line of the file exporter."""
    inner = {"Spans": "spans", "Logs": "logRecords"}[signal]
    resource = {"attributes": pairs_of({"service.name": "shop"})}
    return {
        f"resource{signal}": [{"resource": resource, f"scope{signal}": [{"scope": {"name": "s"}, inner: list(spans)}]}]
    }


# -- real instrumentations -----------------------------------------------------------------------------------------------


def plain_traces(folder, n):
    """The first n conversations as plain messages."""
    traces, _ = read(written(folder, instrumented.plain_rows(n)))
    assert len(traces) > 2 * n
    assert sum(message["role"] == "tool" for trace in traces for message in trace.prompt) > n
    return traces


INSTRUMENTATIONS = ("opentelemetry", "opentelemetry-events", "openllmetry", "openllmetry-events", "openinference")


def conversations(name):
    """The three instrumentations have all fifty; the second encodings of two of them fewer."""
    return 8 if name.endswith("events") else 50


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """What each instrumentation exports of the fifty conversations; each in a process of its own, as they patch openai."""
    pytest.importorskip("openai")
    folder = tmp_path_factory.mktemp("exported")
    command = [sys.executable, "-m", "tests.labeling.instrumented"]
    running = [
        subprocess.Popen([*command, name, folder, str(conversations(name))], stderr=subprocess.PIPE)
        for name in INSTRUMENTATIONS
    ]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    return lambda name: [file for file in folder.glob(f"{name}.*") if file.stat().st_size]


@pytest.mark.slow
@pytest.mark.parametrize("name", INSTRUMENTATIONS)
def test_the_same_conversations_are_equal_through_every_instrumentation_and_as_plain_messages(name, exported, tmp_path):
    """Prompts, completions and tools of calls, turns of tools included, whatever wrote them."""
    plain = plain_traces(tmp_path, conversations(name))
    traces, reading = read(*exported(name))
    assert said(traces) == said(plain)
    assert reading.left == {(Why.NO_MODEL_CALL, Convention.GENAI): 1}  # the application's own span
    assert {trace.model for trace in traces} == {"gpt-4o-2024-11-20"}
    assert all(trace.started_at < trace.ended_at for trace in traces)
    if name != "openllmetry-events":  # which leaves out the tools
        assert sum(bool(trace.tools) for trace in traces) == sum(bool(trace.tools) for trace in plain)
        assert all(trace.tools in ([], instrumented.TOOLS) for trace in traces)


@pytest.mark.parametrize(
    "files",
    [["openllmetry-0.47.3.spans"], ["opentelemetry-openai-v2-2.2b0.spans", "opentelemetry-openai-v2-2.2b0.logs"]],
)
@pytest.mark.parametrize("order", [1, -1])
def test_older_instrumentations_with_flat_keys_events_and_base64_ids_are_read_alike(files, order, tmp_path):
    """Recorded from those versions, which cannot be installed beside the current ones; spans and events in either order."""
    plain, _ = read(written(tmp_path, instrumented.plain_rows(6)))
    traces, _ = read(*[RECORDED / f"{file}.jsonl" for file in files][::order])
    assert said(traces) == said(plain)
    assert all(len(trace.trace_id) == 32 and len(trace.span_id) == 16 for trace in traces)


def test_spans_without_content_are_counted_with_what_to_turn_on():
    _, reading = read(RECORDED / "opentelemetry-openai-v2-2.2b0.spans.jsonl")
    n = reading.left[Why.NO_CONTENT, Convention.GENAI]
    assert n == reading.records - 1 > 5
    assert f"  {n} have no content: turn on OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" in "\n".join(
        reading.lines()
    )


# -- OTLP ----------------------------------------------------------------------------------------------------------------


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
SCALAR = st.one_of(
    TEXT, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
)


@given(
    arguments=st.dictionaries(TEXT, st.one_of(SCALAR, st.lists(SCALAR, max_size=3)), max_size=4),
    text=TEXT.filter(lambda said: said not in REDACTED),
    result=TEXT,
)
@example(arguments={}, text="?", result="__REDACTED__")
def test_the_three_encodings_of_the_genai_names_say_the_same(arguments, text, result):
    asked = [
        {"role": "user", "parts": [{"type": "text", "content": text}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": arguments}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": result}]},
    ]
    answered = [{"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}]
    names = {"gen_ai.operation.name": "chat"}
    as_text = {"gen_ai.input.messages": json.dumps(asked), "gen_ai.output.messages": json.dumps(answered)}
    structured = {"gen_ai.input.messages": asked, "gen_ai.output.messages": answered}
    flat = {
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": text,
        "gen_ai.prompt.1.role": "assistant",
        "gen_ai.prompt.1.tool_calls.0.id": "c",
        "gen_ai.prompt.1.tool_calls.0.name": "f",
        "gen_ai.prompt.1.tool_calls.0.arguments": json.dumps(arguments),
        "gen_ai.prompt.2.role": "tool",
        "gen_ai.prompt.2.tool_call_id": "c",
        "gen_ai.prompt.2.content": result,
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": text,
    }
    rows = [request(span(attributes=pairs_of(names | encoded))) for encoded in (as_text, structured, flat)]
    found = [from_row(row) for row in rows]
    assert found[0] == found[1] == found[2]
    assert [message["role"] for message in found[0][0]] == ["user", "assistant", "tool"]


def from_row(row):
    from labeling.traces.opentelemetry import SpanReader
    from labeling.traces.trace import Place

    ((_, trace),) = SpanReader().read(Place(Path("x"), 1), row)
    return trace.prompt, trace.completion


@pytest.mark.parametrize("name", ["spans.jsonl", "spans.json"])
def test_one_object_a_line_is_read_under_either_ending(name, tmp_path):
    traces, reading = read(written(tmp_path, [request(span(1), span(2)), request(span(3))], name))
    assert [trace.prompt[0]["content"] for trace in traces] == ["q1", "q2", "q3"]
    assert traces[0].metadata["service.name"] == "shop"
    assert reading.refused == []


def test_one_object_over_many_lines_is_read(tmp_path):
    (tmp_path / "spans.json").write_text(json.dumps(request(span(1), span(2)), indent=2))
    assert len(read(tmp_path / "spans.json")[0]) == 2


def test_spans_as_the_sdk_prints_them_are_read(tmp_path):
    trace_sdk = pytest.importorskip("opentelemetry.sdk.trace")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
    provider = trace_sdk.TracerProvider()
    provider.add_span_processor(pytest.importorskip("opentelemetry.sdk.trace.export").SimpleSpanProcessor(memory))
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": json.dumps(CHAT),
        "gen_ai.output.messages": json.dumps(ANSWER),
    }
    with provider.get_tracer("x").start_as_current_span("chat", attributes=said) as made:
        ids = made.get_span_context()
    (printed,) = memory.get_finished_spans()
    (trace,), _ = read(written(tmp_path, [json.loads(printed.to_json())]))
    assert (trace.prompt, trace.completion) == (CHAT, ANSWER)
    assert (trace.trace_id, trace.span_id) == (f"{ids.trace_id:032x}", f"{ids.span_id:016x}")
    assert trace.started_at <= trace.ended_at


def test_a_table_of_openinference_spans_is_read_with_its_nested_columns(tmp_path):
    """As Phoenix has them: attributes as columns, messages as lists of objects with dots in their keys."""
    row = {
        "name": "ChatCompletion",
        "span_kind": "LLM",
        "context.trace_id": "ab" * 16,
        "context.span_id": "cd" * 8,
        "start_time": "2026-10-01T12:00:00Z",
        "end_time": "2026-10-01T12:00:01Z",
        "status_code": "OK",
        "attributes.llm.model_name": "m",
        "attributes.llm.input_messages": [{"message.role": "user", "message.content": "How is Köln?"}],
        "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "Rainy."}],
    }
    for path in (written(tmp_path, [row]), parquet(tmp_path, [row], "spans.parquet")):
        (trace,), reading = read(path)
        assert (trace.prompt, trace.completion, trace.model) == (CHAT, ANSWER, "m")
        assert reading.conventions == {Convention.OPENINFERENCE: 1}


def test_a_span_exported_twice_counts_once(tmp_path):
    traces, reading = read(written(tmp_path, [request(span(1)), request(span(1), span(2))]))
    assert len(traces) == 2
    assert reading.left == {(Why.REPEATED, Convention.GENAI): 1}


def test_events_that_belong_to_no_span_are_never_mixed_into_one_conversation(tmp_path):
    content = value_of({"content": "q"})
    said = {"gen_ai.input.messages": CHAT, "gen_ai.output.messages": ANSWER}
    lost = [{"eventName": "gen_ai.user.message", "body": content}] * 2
    whole = {"eventName": "gen_ai.client.inference.operation.details", "attributes": pairs_of(said)}
    traces, reading = read(written(tmp_path, [request(*lost, whole, signal="Logs")]))
    assert [(trace.prompt, trace.completion) for trace in traces] == [(CHAT, ANSWER)]
    assert [reason for _, reason in reading.refused] == ["the event gen_ai.user.message belongs to no span"] * 2


def test_damage_costs_the_damaged_spans_and_nothing_else(tmp_path):
    """Cyclic parents, broken attributes, wrong types and truncated lines, between spans that are in order."""
    damaged = [
        span(11, attributes=[{"value": {}}]),
        span(12, attributes="no list"),
        span(
            13, attributes=pairs_of({"gen_ai.operation.name": "chat", "gen_ai.input.messages": '[{"role": "wizard"}]'})
        ),
        "not a span",
        span(14, attributes=pairs_of({"gen_ai.operation.name": "chat", "gen_ai.prompt" + ".0" * 50 + ".x": "y"})),
        span(15, attributes=[{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "many"}}]),
    ]
    loop = [span(1, parentSpanId=f"{2:016x}"), span(2, parentSpanId=f"{1:016x}"), span(3, parentSpanId=f"{3:016x}")]
    lines = [
        request(*loop),
        request(*damaged, span(4)),
        b'{"resourceSpans": [{"scopeSpans',
        b"\xff\xfe",
        b"[1]",
        request(span(5)),
    ]
    traces, reading = read(written(tmp_path, lines))
    assert sorted(trace.prompt[0]["content"] for trace in traces) == ["q1", "q2", "q3", "q4", "q5"]
    assert sorted(at.row for at, _ in reading.refused) == [2] * 6 + [3, 4, 5]
    assert all(reason for _, reason in reading.refused)


def test_a_message_of_five_megabytes_is_read_whole(tmp_path):
    text = "é" * 5_000_000
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}], ensure_ascii=False)
    attributes = pairs_of({"gen_ai.operation.name": "chat", "gen_ai.input.messages": asked})
    traces, reading = read(written(tmp_path, [request(span(attributes=attributes))]))
    assert traces[0].prompt == [{"role": "user", "content": text}]
    assert reading.unanswered == 1


@pytest.mark.parametrize(
    ("start", "end", "flaw"),
    [
        (str(START), str(START - 1), "its end time is left out: it is before its start"),
        ("0", "0", None),
        ("12", str(START), "its start time is left out: 12 is no time between the years 2000 and 2100"),
        ("yesterday", None, "its start time is left out: 'yesterday' is no time"),
        ([1], None, "its start time is left out: '[1]' is no time"),
    ],
)
def test_a_wrong_time_is_left_out_and_said_and_the_trace_is_used(start, end, flaw, tmp_path):
    traces, reading = read(written(tmp_path, [request(span(startTimeUnixNano=start, endTimeUnixNano=end))]))
    assert len(traces) == 1
    assert [reason for _, reason in reading.flawed] == ([flaw] if flaw else [])


@given(st.integers(946_684_800 * 10**6, 4_102_444_799 * 10**6))
def test_a_time_is_the_same_in_every_unit_and_in_iso(micro):
    expected = datetime.fromtimestamp(micro // 10**6, UTC).replace(microsecond=micro % 10**6)
    assert instant(micro) == instant(micro * 1000) == instant(str(micro * 1000)) == expected
    assert instant(expected.isoformat()) == instant(expected.replace(tzinfo=None).isoformat(" ")) == expected
    assert instant(micro // 10**6) == expected.replace(microsecond=0)
    assert instant(micro // 1000) == expected.replace(microsecond=expected.microsecond // 1000 * 1000)


JUNK = [
    None,
    True,
    0,
    -1,
    10**30,
    1e300,
    "",
    "\0",
    "x" * 300,
    [],
    [[]],
    {},
    {"a": {}},
    [None],
    "[{",
    '{"a":',
    {"values": 3},
]


def mutated(rng, value, rate):
    """A value in which some parts were replaced, dropped or given another name."""
    if rng.random() < rate:
        return rng.choice(JUNK)
    if isinstance(value, dict):
        kept = [
            (k if rng.random() > rate else k[::-1], mutated(rng, v, rate))
            for k, v in value.items()
            if rng.random() > rate / 4
        ]
        return dict(kept)
    if isinstance(value, list):
        return [mutated(rng, one, rate) for one in value]
    return value


def originals():
    """One good record of every format."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = [
        *CHAT,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    openinference = {"openinference.span.kind": "LLM", "llm.input_messages.0.message.role": "user"}
    openinference |= {"llm.input_messages.0.message.content": "q", "llm.output_messages.0.message.content": "a"}
    event = {
        "traceId": "ab",
        "spanId": "cd",
        "eventName": "gen_ai.choice",
        "body": value_of({"message": {"content": "x"}}),
    }
    return [
        request(span()),
        request(span(attributes=pairs_of(openinference))),
        request(event, signal="Logs"),
        observation(input=json.dumps(said)),
        score(),
        payload(messages=said),
        {"messages": said + ANSWER, "tools": instrumented.TOOLS},
        {"request": {"messages": said, "model": "m"}, "response": {"choices": [{"message": ANSWER[0]}]}},
        {"custom_id": "1", "body": {"messages": said}},
        {"custom_id": "1", "response": {"status_code": 200, "body": {"choices": [{"message": ANSWER[0]}]}}},
    ]


def observation(**fields):
    """A row of Langfuse's observations_v2."""
    return {
        "id": "o1",
        "trace_id": "t1",
        "project_id": "p",
        "environment": "default",
        "type": "GENERATION",
        "parent_observation_id": "",
        "start_time": "2026-10-01 13:46:19.963000",
        "end_time": "2026-10-01 13:46:21.963000",
        "name": "answer",
        "metadata": {"route": "returns"},
        "level": "DEFAULT",
        "input": json.dumps(CHAT),
        "output": json.dumps(ANSWER[0]),
        "provided_model_name": "gpt-4o",
        "model_parameters": '{"temperature":0.7}',
        "tool_calls": [],
        "tool_definitions": {},
        "session_id": "s1",
        "user_id": "u1",
        "tags": ["vip"],
        **fields,
    }


def score(**fields):
    """A row of Langfuse's scores."""
    return {
        "id": "s1",
        "timestamp": "2026-10-01 14:00:00.000000",
        "trace_id": "t1",
        "observation_id": None,
        "session_id": None,
        "dataset_run_id": None,
        "name": "solved",
        "value": 1,
        "source": "API",
        "data_type": "BOOLEAN",
        "string_value": None,
        **fields,
    }


def payload(**fields):
    """LiteLLM's standard logging payload."""
    return {
        "id": "chatcmpl-1",
        "trace_id": "t1",
        "session_id": "s1",
        "call_type": "acompletion",
        "status": "success",
        "startTime": 1760000000.25,
        "endTime": 1760000001.5,
        "model": "gpt-4o",
        "model_group": "fast",
        "metadata": {"user_api_key_alias": "team-a", "requester_metadata": None},
        "request_tags": ["prod"],
        "messages": CHAT,
        "response": {"id": "chatcmpl-1", "model": "gpt-4o-2024-11-20", "choices": [{"index": 0, "message": ANSWER[0]}]},
        "error_str": None,
        "model_parameters": {"temperature": 0.2, "tools": instrumented.TOOLS},
        **fields,
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_thousand_fuzzed_records_are_reported_and_the_good_ones_between_them_come_out_untouched(seed, tmp_path):
    rng = random.Random(seed)
    rows, good = [], []
    for serial in range(1000):
        fuzzed = mutated(rng, copy.deepcopy(rng.choice(originals())), rng.choice([0.02, 0.1, 0.3]))
        line = json.dumps(fuzzed).encode()
        line = line if rng.random() < 0.9 else line[: rng.randrange(1, 60)]
        rows.append(line)
        if serial % 10 == 0:
            good.append([{"role": "user", "content": f"good {serial}"}])
            rows.append({"prompt": f"good {serial}", "completion": "yes"})
    traces, reading = read(
        written(tmp_path, [row.replace(b"\n", b" ") if isinstance(row, bytes) else row for row in rows])
    )
    assert [t.prompt for t in traces if str(t.prompt[0]["content"]).startswith("good ")] == good
    assert len(reading.refused) > 100
    assert all(at.row >= 1 and reason for at, reason in reading.refused)
    assert json.dumps(reading.figures())


@pytest.mark.parametrize("row", originals()[:2] + originals()[3:4] + originals()[5:8])
def test_every_original_of_the_fuzzed_records_is_read(row, tmp_path):
    traces, reading = read(written(tmp_path, [row]))
    assert len(traces) == 1
    assert traces[0].completion
    assert reading.refused == reading.flawed == []


# -- Langfuse ------------------------------------------------------------------------------------------------------------


def parquet(folder, rows, name):
    path = folder / name
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("write", [written, parquet])
def test_langfuse_observations_and_scores_come_together_and_judges_scores_never_count(write, tmp_path):
    suffix = "jsonl" if write is written else "parquet"
    rows = [
        observation(),
        observation(id="o2", type="SPAN"),
        observation(id="o3", trace_id="t2", input="How is Köln?", output="Rainy.", session_id=""),
        observation(id="o4", trace_id="t3", environment="langfuse-llm-as-a-judge"),
        observation(id="o5", trace_id="t4", input="", output=""),
    ]
    scores = [
        score(),
        score(id="s2", source="EVAL", name="helpfulness", value=0.9, data_type="NUMERIC"),
        score(
            id="s3",
            trace_id=None,
            session_id="s1",
            source="ANNOTATION",
            data_type="CATEGORICAL",
            value=2,
            string_value="good",
        ),
        score(id="s4", trace_id="t2", observation_id="o3", data_type="NUMERIC", value=0.25, name="csat"),
        score(id="s5", dataset_run_id="run"),
    ]
    if write is parquet:
        rows = [row | {"tool_definitions": None, "tool_calls": ["x"][:0]} for row in rows]
    files = write(tmp_path, rows, f"observations.{suffix}"), write(tmp_path, scores, f"scores.{suffix}")
    traces, reading = read(*files)
    assert [(t.prompt, t.completion) for t in traces] == [(CHAT, ANSWER)] * 2
    at = datetime(2026, 10, 1, 14, tzinfo=UTC)
    assert traces[0].outcomes == (Outcome("solved", True, "API", at), Outcome("solved", "good", "ANNOTATION", at))
    assert traces[1].outcomes == (Outcome("csat", 0.25, "API", at),)
    assert traces[0].tags == ("vip",)
    assert traces[0].metadata["route"] == "returns"
    assert traces[0].conversation_id == "s1"
    assert traces[0].started_at == datetime(2026, 10, 1, 13, 46, 19, 963000, UTC)
    assert {why: n for (why, _), n in reading.left.items()} == {
        Why.NO_MODEL_CALL: 1,
        Why.EVALUATOR: 1,
        Why.NO_CONTENT: 1,
        Why.JUDGED: 1,
        Why.EXPERIMENT: 1,
    }
    assert "field group 'io'" in "\n".join(reading.lines())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (json.dumps(CHAT), CHAT),
        (CHAT, CHAT),
        (json.dumps(json.dumps(CHAT)), CHAT),
        (json.dumps({"messages": CHAT, "tools": instrumented.TOOLS}), CHAT),
        ("How is Köln?", CHAT),
        ('{"order": 7}', [{"role": "user", "content": '{"order": 7}'}]),
        ('["a"]', [{"role": "user", "content": '["a"]'}]),
    ],
)
def test_an_input_is_read_whether_it_is_json_text_or_not(given, expected, tmp_path):
    (trace,), _ = read(written(tmp_path, [observation(input=given)]))
    assert trace.prompt == expected


@pytest.mark.parametrize(
    "answer",
    [
        {"from": "Berlin", "to": "Paris"},
        {"role": "director", "name": "x"},
        {"model": "T", "output": [1]},
        {"choices": ["a", "b"]},
        {"answer": 7},
    ],
)
def test_an_answer_that_is_json_stays_the_answer(answer, tmp_path):
    text = json.dumps(answer)
    (trace,), _ = read(written(tmp_path, [observation(output=text)]))
    assert trace.completion == [{"role": "assistant", "content": text}]


def test_an_answer_in_json_that_the_export_has_read_already_is_its_text(tmp_path):
    (trace,), _ = read(written(tmp_path, [observation(output={"from": "Berlin", "n": 7})]))
    assert trace.completion == [{"role": "assistant", "content": '{"from":"Berlin","n":7}'}]


def test_calls_of_tools_in_their_own_column_belong_to_the_answer(tmp_path):
    call = json.dumps({"id": "c", "name": "weather", "arguments": '{"city": "Köln"}', "type": "function"})
    rows = [
        observation(
            output="", tool_calls=[call], tool_definitions={"weather": '{"description": "d", "parameters": {}}'}
        )
    ]
    (trace,), _ = read(written(tmp_path, rows))
    assert trace.completion[0]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Köln"}'}
    assert trace.tools[0]["function"]["name"] == "weather"


# -- LiteLLM, batches, plain rows ----------------------------------------------------------------------------------------


def test_litellm_payloads_are_read_with_what_can_be_stratified_by(tmp_path):
    rows = [
        payload(),
        payload(id="2", call_type="aembedding"),
        payload(id="3", status="failure", response={}),
        payload(id="4", messages="redacted-by-litellm", response={"text": "redacted-by-litellm"}),
        {"standard_logging_object": payload(id="5", messages=[{"role": "user", "content": "hi"}])},
    ]
    traces, reading = read(written(tmp_path, rows))
    assert [trace.prompt for trace in traces] == [CHAT, [{"role": "user", "content": "hi"}]]
    first = traces[0]
    assert (first.completion, first.model, first.tags) == (ANSWER, "gpt-4o-2024-11-20", ("prod",))
    assert first.tools == instrumented.TOOLS
    assert first.metadata == {"call_type": "acompletion", "model_group": "fast", "user_api_key_alias": "team-a"}
    assert first.started_at == datetime.fromtimestamp(1760000000.25, UTC)
    assert {why: n for (why, _), n in reading.left.items()} == {Why.NO_MODEL_CALL: 1, Why.FAILED: 1, Why.NO_CONTENT: 1}


@pytest.mark.parametrize("order", [1, -1])
def test_batch_answers_find_their_requests_in_either_order(order, tmp_path):
    inputs = [
        {
            "custom_id": f"r{k}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": CHAT},
        }
        for k in range(3)
    ]
    body = {"id": "chatcmpl-1", "created": 1760000000, "model": "m-1", "choices": [{"index": 0, "message": ANSWER[0]}]}
    answered = {"id": "batch_req_1", "custom_id": "r0", "response": {"status_code": 200, "body": body}, "error": None}
    refused = answered | {"id": "batch_req_2", "custom_id": "r1", "response": {"status_code": 400, "body": {}}}
    stray = answered | {"id": "batch_req_3", "custom_id": "r9"}
    files = [written(tmp_path, inputs, "in.jsonl"), written(tmp_path, [answered, refused, stray], "out.jsonl")]
    traces, reading = read(*files[::order])
    assert sorted((t.trace_id, t.model, bool(t.completion)) for t in traces) == [
        ("r0", "m-1", True),
        ("r2", "m", False),
    ]
    assert {why: n for (why, _), n in reading.left.items()} == {Why.FAILED: 1, Why.NO_REQUEST: 1}
    assert reading.unanswered == 1


RESPONSES = {
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "How is Köln?"}]},
        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": '{"city": "Köln"}'},
        {"type": "function_call_output", "call_id": "c", "output": "rain"},
    ],
}
BRIEF = {"role": "system", "content": "Be brief."}
CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}}
TOOL_TURN = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "rain", "tool_call_id": "c"},
]


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"prompt": "How is Köln?", "completion": "Rainy."}, CHAT),
        ({"messages": CHAT + ANSWER}, CHAT),
        ({"messages": json.dumps(CHAT), "response": "Rainy."}, CHAT),
        ({"conversations": [{"from": "human", "value": "How is Köln?"}, {"from": "gpt", "value": "Rainy."}]}, CHAT),
        ({"request": {"messages": CHAT}, "response": {"choices": [{"message": ANSWER[0]}]}}, CHAT),
        ({"request": {"body": {"messages": CHAT}}, "response": {"body": {"choices": [{"message": ANSWER[0]}]}}}, CHAT),
        (
            {
                "request": RESPONSES,
                "response": {"output": [{"type": "reasoning", "summary": []}, {"type": "message", **ANSWER[0]}]},
            },
            [BRIEF, *CHAT, *TOOL_TURN],
        ),
        (
            {
                "request": {
                    "system": "Be brief.",
                    "messages": [
                        *CHAT,
                        {
                            "role": "assistant",
                            "content": [{"type": "tool_use", "id": "c", "name": "weather", "input": {"city": "Köln"}}],
                        },
                        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "rain"}]},
                    ],
                },
                "response": {"role": "assistant", "content": [{"type": "text", "text": "Rainy."}]},
            },
            [BRIEF, *CHAT, *TOOL_TURN],
        ),
    ],
)
def test_plain_rows_of_every_kind_are_read(row, prompt, tmp_path):
    """Text, chat messages, requests with replies; OpenAI's chat and responses, Anthropic's messages, ShareGPT."""
    (trace,), reading = read(written(tmp_path, [row]))
    assert (trace.prompt, trace.completion) == (prompt, ANSWER)
    assert reading.conventions == {Convention.PLAIN: 1}


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
def test_other_columns_are_named_by_a_map_and_the_rest_is_metadata(ending, tmp_path):
    row = {"frage": "How is Köln?", "antwort": "Rainy.", "route": "returns", "wann": "2026-10-01T12:00:00Z"}
    path = tmp_path / f"rows.{ending}"
    if ending == "csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([row.keys(), row.values()])
    else:
        (written if ending == "jsonl" else parquet)(tmp_path, [row], path.name)
    columns = {"prompt": "frage", "completion": "antwort", "started_at": "wann"}
    (trace,), _ = read(path, columns=columns)
    assert (trace.prompt, trace.completion, trace.metadata) == (CHAT, ANSWER, {"route": "returns"})
    assert trace.started_at == datetime(2026, 10, 1, 12, tzinfo=UTC)


def test_a_map_of_what_is_no_column_is_refused(tmp_path):
    with pytest.raises(UsageError, match="'question' is no column of a trace"):
        read(written(tmp_path, []), columns={"question": "x"})


def test_a_row_that_fits_no_format_says_what_it_has(tmp_path):
    _, reading = read(written(tmp_path, [{"alpha": 1, "beta": 2}]))
    assert reading.refused[0][1] == "prompt is missing; the row has: 'alpha', 'beta' (other names: --map prompt=NAME)"


def test_outcomes_of_plain_rows_travel_with_the_prompt(tmp_path):
    (trace,), _ = read(written(tmp_path, [{"prompt": "p", "outcomes": {"solved": True, "csat": 0.5, "unknown": None}}]))
    assert trace.outcomes == (Outcome("solved", True, "row"), Outcome("csat", 0.5, "row"))


# -- messages ------------------------------------------------------------------------------------------------------------


ROLE = st.sampled_from(["system", "user", "assistant", "tool"])


@given(st.lists(st.builds(lambda role, text: {"role": role, "content": text}, ROLE, TEXT), max_size=8))
def test_a_conversation_is_cut_behind_the_last_turn_of_a_user_or_a_tool(said):
    prompt, answered = split(said)
    assert prompt + answered == said
    if any(message["role"] in ("user", "tool") for message in said):
        assert prompt[-1]["role"] in ("user", "tool")
        assert not any(message["role"] in ("user", "tool") for message in answered)


@given(st.lists(st.builds(lambda role, text: {"role": role, "content": text}, ROLE, TEXT), max_size=8))
def test_messages_that_are_in_normal_form_stay_as_they_are(said):
    assert messages(messages(said, "user"), "user") == messages(said, "user")
    assert messages(json.dumps(said), "user") == messages(said, "user") or not said


def test_results_without_an_id_answer_the_calls_in_their_order():
    calls = [{"id": name, "function": {"name": "f", "arguments": "{}"}} for name in ("c1", "c2", "c3")]
    said = [{"role": "assistant", "tool_calls": calls}, {"role": "tool", "content": "x", "tool_call_id": "c1"}]
    said += [{"role": "tool", "content": "y"}, {"role": "tool", "content": "z"}]
    assert [message["tool_call_id"] for message in messages(said, "user")[1:]] == ["c1", "c2", "c3"]
