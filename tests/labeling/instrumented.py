"""Conversations with a local model, through real instrumentations of the openai package, written as OTLP/JSON.

python -m tests.labeling.instrumented NAME FOLDER [N]   writes what an instrumentation exports of the first N conversations
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.labeling.servers import Server, openai_reply

CITIES = ["Köln", "München", "Zürich", "東京", "São Paulo", "Reykjavík 🧊", 'the "old" town', "a\tb\nc"]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
        },
    }
]


@dataclass(frozen=True)
class Exchange:
    """One call of the model, as the application made it and got it answered."""

    messages: list
    tools: list
    answer: dict


def conversations(n=50, seed=1):
    """Conversations of one to three questions, half of them with calls of a tool, in parallel or one after the other."""
    rng = random.Random(seed)
    return [_conversation(rng, serial) for serial in range(n)]


def _conversation(rng, serial):
    said, exchanges = [], []
    if rng.random() < 0.7:
        said = [{"role": "system", "content": f"You are clerk number {serial}. Be brief.\n"}]
    for turn in range(rng.randint(1, 3)):
        text = f"({serial}.{turn}) How is {rng.choice(CITIES)}? {{'a': 1}} [x]"
        parts = [{"type": "text", "text": text}, {"type": "text", "text": " Today?"}]
        said = [*said, {"role": "user", "content": parts if rng.random() < 0.2 else text}]
        tools = TOOLS if rng.random() < 0.5 else []
        for _ in range(rng.randint(1, 2) if tools else 0):
            calls = [_call(rng, f"call_{serial}_{turn}_{k}") for k in range(rng.randint(1, 3))]
            answer = {"role": "assistant", "content": None, "tool_calls": calls}
            exchanges.append(Exchange(said, tools, answer))
            results = [
                json.dumps({"t": rng.randint(-5, 35)}) if rng.random() < 0.5 else "rain, then sun" for _ in calls
            ]
            said = [*said, answer]
            said += [
                {"role": "tool", "tool_call_id": c["id"], "content": r} for c, r in zip(calls, results, strict=True)
            ]
        answer = {"role": "assistant", "content": f"({serial}.{turn}) It rains in {rng.choice(CITIES)}."}
        exchanges.append(Exchange(said, tools, answer))
        said = [*said, answer]
    return exchanges


def _call(rng, call_id):
    arguments = json.dumps({"city": rng.choice(CITIES), "days": rng.randint(1, 9)}, ensure_ascii=rng.random() < 0.5)
    return {"id": call_id, "type": "function", "function": {"name": "weather", "arguments": arguments}}


def plain_rows(n=50):
    """The same conversations as plain rows."""
    for exchanges in conversations(n):
        for one in exchanges:
            yield {"messages": [*one.messages, one.answer], "tools": one.tools or None, "model": "gpt-4o"}


async def converse(n=50):
    """Have the conversations."""
    import openai

    exchanges = [one for conversation in conversations(n) for one in conversation]
    answers = {json.dumps(one.messages): one.answer for one in exchanges}

    def reply(received):
        body = openai_reply(None)
        answer = answers[json.dumps(received.body["messages"])]
        body["choices"][0]["message"] = answer
        body["choices"][0]["finish_reason"] = "tool_calls" if answer.get("tool_calls") else "stop"
        return body

    async with Server(reply) as server, openai.AsyncOpenAI(api_key="none", base_url=f"{server.url}/v1") as client:
        for one in exchanges:
            tools = {"tools": one.tools} if one.tools else {}
            await client.chat.completions.create(model="gpt-4o", messages=one.messages, **tools)


def export(name, folder, n=50):
    """Have the conversations under an instrumentation, which from then on stays in the process."""
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    spans, logs = folder / f"{name}.spans.jsonl", folder / f"{name}.logs.jsonl"
    span_exporter, log_exporter = _exporters(spans, logs)
    tracing, logging = TracerProvider(), LoggerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(span_exporter))
    logging.add_log_record_processor(SimpleLogRecordProcessor(log_exporter))
    _capture_content(name)
    instrumentor, providers = _instrumentor(name)
    given = {"tracer_provider": tracing, "logger_provider": logging}
    instrumentor.instrument(**{key: given[key] for key in providers})
    with tracing.get_tracer("an application").start_as_current_span("a request"):
        asyncio.run(converse(n))
    tracing.shutdown()
    logging.shutdown()


def _instrumentor(name):
    both = ("tracer_provider", "logger_provider")
    if name.startswith("opentelemetry-v2"):
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

        return OpenAIInstrumentor(), both
    if name.startswith("opentelemetry"):
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        return OpenAIInstrumentor(), both
    if name.startswith("openllmetry"):
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        return OpenAIInstrumentor(**({"use_attributes": False} if name.endswith("events") else {})), both
    from openinference.instrumentation.openai import OpenAIInstrumentor

    return OpenAIInstrumentor(), both[:1]


def _capture_content(name):
    capture = {"opentelemetry-events": "event_only", "opentelemetry-v2": "true"}.get(name, "span_only")
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = capture
    os.environ["OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"] = "true" if name.endswith("events") else "false"


def _exporters(spans, logs):
    try:
        from opentelemetry.exporter.otlp.json.file import FileSpanExporter
        from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
    except ImportError:  # an older SDK: Protobuf's own JSON, with ids in base64
        return _protobuf_exporters(spans, logs)
    return FileSpanExporter(str(spans)), FileLogExporter(str(logs))


def _protobuf_exporters(spans, logs):
    from google.protobuf.json_format import MessageToJson
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    class Exporter:
        def __init__(self, path, encode):
            self.path, self.encode = path, encode

        def export(self, items):
            with self.path.open("a", encoding="utf-8") as file:
                file.write(MessageToJson(self.encode(items), indent=None, ensure_ascii=False) + "\n")

        def shutdown(self):
            pass

        def force_flush(self, *_):
            return True

    return Exporter(spans, encode_spans), Exporter(logs, encode_logs)


if __name__ == "__main__":
    export(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 50)
