"""Processor time and peak memory of reading production traces, each format in a process of its own; and of `ingest` as a whole.

python -m tests.benchmarks.traces [CALLS]      default: 100000

The calls are of an agent: a system prompt, a question, a call of a tool, its result, an answer; about 4 kB of text each. Those
that `ingest` reads nearly repeat an earlier one every third time; it samples 2,400, masks them and stores them, as
configs/cycle.yaml says.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from consensus.shipped import shipped

WORDS = [f"word{k}" for k in range(3000)]
TOOLS = [
    {
        "type": "function",
        "function": {"name": "search", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
    }
]
PER_LINE = 100  # spans in one export request


def conversation(rng, serial):
    def words(n):
        return " ".join(rng.choices(WORDS, k=n))

    call = {
        "id": f"c{serial}",
        "type": "function",
        "function": {"name": "search", "arguments": json.dumps({"q": words(8)})},
    }
    asked = [
        {"role": "system", "content": " ".join(WORDS[:120])},
        {"role": "user", "content": words(80)},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{serial}", "content": words(150)},
    ]
    return asked, {"role": "assistant", "content": words(120)}


def parts(message):
    found = [{"type": "text", "content": message["content"]}] if message["content"] else []
    if message["role"] == "tool":
        found = [{"type": "tool_call_response", "id": message["tool_call_id"], "response": message["content"]}]
    for call in message.get("tool_calls", ()):
        function = call["function"]
        found.append(
            {
                "type": "tool_call",
                "id": call["id"],
                "name": function["name"],
                "arguments": json.loads(function["arguments"]),
            }
        )
    return {"role": message["role"], "parts": found}


def genai(asked, answer):
    yield "gen_ai.operation.name", "chat"
    yield "gen_ai.request.model", "m"
    yield "gen_ai.input.messages", json.dumps([parts(message) for message in asked])
    yield "gen_ai.output.messages", json.dumps([parts(answer)])
    yield "gen_ai.tool.definitions", json.dumps(TOOLS)


def openinference(asked, answer):
    yield "openinference.span.kind", "LLM"
    yield "llm.model_name", "m"
    yield "input.value", json.dumps({"messages": asked, "tools": TOOLS})
    yield "output.value", json.dumps({"choices": [{"message": answer}]})
    yield "llm.tools.0.tool.json_schema", json.dumps(TOOLS[0])
    for name, said in (("llm.input_messages", asked), ("llm.output_messages", [answer])):
        for at, message in enumerate(said):
            start = f"{name}.{at}.message"
            yield f"{start}.role", message["role"]
            if message["content"]:
                yield f"{start}.content", message["content"]
            if "tool_call_id" in message:
                yield f"{start}.tool_call_id", message["tool_call_id"]
            for k, call in enumerate(message.get("tool_calls", ())):
                yield f"{start}.tool_calls.{k}.tool_call.id", call["id"]
                yield f"{start}.tool_calls.{k}.tool_call.function.name", call["function"]["name"]
                yield f"{start}.tool_calls.{k}.tool_call.function.arguments", call["function"]["arguments"]


def otlp(attributes, rng, n):
    for start in range(0, n, PER_LINE):
        spans = []
        for serial in range(start, min(start + PER_LINE, n)):
            said = attributes(*conversation(rng, serial))
            span = {"traceId": f"{serial:032x}", "spanId": f"{serial:016x}", "name": "chat m", "kind": 3}
            span |= {
                "startTimeUnixNano": str(1760000000000000000 + serial),
                "endTimeUnixNano": str(1760000001000000000 + serial),
            }
            span["attributes"] = [{"key": key, "value": {"stringValue": value}} for key, value in said]
            spans.append(span)
        yield {
            "resourceSpans": [
                {"resource": {"attributes": []}, "scopeSpans": [{"scope": {"name": "s"}, "spans": spans}]}
            ]
        }


def langfuse(rng, n):
    for serial in range(n):
        asked, answer = conversation(rng, serial)
        row = {
            "id": f"o{serial}",
            "trace_id": f"t{serial}",
            "project_id": "p",
            "environment": "default",
            "type": "GENERATION",
        }
        row |= {
            "parent_observation_id": "",
            "start_time": "2026-10-01 13:46:19.963000",
            "end_time": "2026-10-01 13:46:21.963000",
        }
        row |= {"metadata": {"route": "returns"}, "level": "DEFAULT", "provided_model_name": "m", "tags": ["vip"]}
        yield row | {"input": json.dumps({"messages": asked, "tools": TOOLS}), "output": json.dumps(answer)}


def plain(rng, n):
    for serial in range(n):
        asked, answer = conversation(rng, serial)
        yield {"id": f"t{serial}", "messages": [*asked, answer], "tools": TOOLS, "model": "m", "route": "returns"}


def repeated(rng, n):
    """Every third nearly repeats one of the last thousand questions."""
    said = []
    for serial, row in enumerate(plain(rng, n)):
        if serial % 3 == 2:
            *asked, answer = rng.choice(said[-1000:])
            asked[1] = asked[1] | {"content": f"{asked[1]['content']} It is the {serial}th time."}
            row["messages"] = [*asked, answer]
        said.append(row["messages"])
        yield row


FORMATS = {
    "plain": plain,
    "repeated": repeated,
    "genai": lambda rng, n: otlp(genai, rng, n),
    "openinference": lambda rng, n: otlp(openinference, rng, n),
    "langfuse": langfuse,
}


def write(name, path, n):
    with path.open("wb") as file:
        for row in FORMATS[name](random.Random(1), n):
            file.write(orjson.dumps(row) + b"\n")


def read(path, n):
    from labeling.traces.reading import Reading, read_traces

    reading, began = Reading(), time.process_time()
    assert sum(1 for _ in read_traces([path], reading)) == reading.records == n, list(reading.lines())
    print_used(began)


def ingest(path, n):
    """The command itself, from its start."""
    from consensus.cli import main as consensus

    cycle = path.with_name("cycle.yaml")
    cycle.write_text(shipped("cycle.yaml").read_text())
    try:
        consensus(["ingest", str(cycle), f"input.traces={path}", "--json"])
    except SystemExit as end:
        assert end.code == 0, end.code  # noqa: PT017
    print_used(0.0)


def print_used(began):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{time.process_time() - began:.1f} {peak:.0f}")


def main(n):
    command = [sys.executable, "-m", "tests.benchmarks.traces"]
    print(f"{n:,} calls{'':<12} {'file MB':>8} {'CPU s':>7} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            path, what = Path(folder) / f"{name}.jsonl", "ingest" if name == "repeated" else "read"
            subprocess.run([*command, "write", name, path, str(n)], check=True)
            done = subprocess.run([*command, what, path, str(n)], check=True, capture_output=True, text=True)
            cpu, peak = done.stdout.split("\n")[-2].split()
            print(f"{what + ' ' + name:<24} {path.stat().st_size / 1e6:>8.0f} {cpu:>7} {peak:>8}", flush=True)
            path.unlink()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", name, path, n]:
            write(name, Path(path), int(n))
        case ["read", path, n]:
            read(Path(path), int(n))
        case ["ingest", path, n]:
            ingest(Path(path), int(n))
        case given:
            main(int(given[0]) if given else 100_000)
