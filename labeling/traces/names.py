"""The names of every convention in one place: which attribute or column holds what.

Under each convention a field of a trace has the names under which it may stand, the preferred first. A new convention, or a
new name in an old one, is a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Convention(StrEnum):
    """How a record says what it says."""

    PLAIN = "plain rows"
    BATCH = "OpenAI batch"
    LITELLM = "LiteLLM logging payload"
    GENAI = "OpenTelemetry GenAI"
    OPENINFERENCE = "OpenInference"
    LANGFUSE = "Langfuse"


class Why(StrEnum):
    """Why a record that is in order was left out; reads behind a number."""

    NO_MODEL_CALL = "are no model calls"
    NO_CONTENT = "have no content"
    FAILED = "are calls that failed"
    NO_REQUEST = "are answers whose request was not given"
    REPEATED = "were read before"
    EVALUATOR = "are calls of an evaluator, not traffic"
    JUDGED = "are scores by LLM judges (source EVAL), which are no production outcomes"
    EXPERIMENT = "are scores of an experiment's run, not of traffic"


HINTS: Mapping[tuple[Why, Convention], str] = {
    (Why.NO_CONTENT, Convention.GENAI): "turn on OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT (OpenLLMetry: "
    "TRACELOOP_TRACE_CONTENT), or give the file of log events beside the spans",
    (Why.NO_CONTENT, Convention.OPENINFERENCE): "turn off OPENINFERENCE_HIDE_INPUTS, _HIDE_OUTPUTS and their like",
    (Why.NO_CONTENT, Convention.LANGFUSE): "turn on the field group 'io' of the export",
    (Why.NO_CONTENT, Convention.LITELLM): "turn off turn_off_message_logging (spend logs: turn on "
    "store_prompts_in_spend_logs)",
    (Why.NO_REQUEST, Convention.BATCH): "give the batch's input file beside its output",
}

Names = Mapping[str, tuple[str, ...]]

PLAIN: Names = {
    "prompt": ("prompt", "messages", "conversations", "conversation", "request", "request_body", "input", "question"),
    "completion": ("completion", "response", "response_body", "output", "answer"),
    "tools": ("tools",),
    "model": ("model", "model_name"),
    "started_at": ("started_at", "start_time", "timestamp", "created_at", "created", "time"),
    "ended_at": ("ended_at", "end_time"),
    "trace_id": ("trace_id", "id", "request_id"),
    "span_id": ("span_id",),
    "conversation_id": ("conversation_id", "session_id", "thread_id"),
    "tags": ("tags",),
    "outcomes": ("outcomes",),
}
LITELLM: Names = {
    "prompt": ("messages",),
    "completion": ("response",),
    "request": ("proxy_server_request",),
    "parameters": ("model_parameters",),
    "model": ("model",),
    "started_at": ("startTime",),
    "ended_at": ("endTime",),
    "trace_id": ("trace_id", "litellm_trace_id"),
    "span_id": ("id", "request_id"),
    "conversation_id": ("session_id",),
    "tags": ("request_tags",),
    "operation": ("call_type",),
    "status": ("status",),
}
GENAI: Names = {
    "system": ("gen_ai.system_instructions",),
    "prompt": ("gen_ai.input.messages", "gen_ai.prompt", "langfuse.observation.input"),
    "completion": ("gen_ai.output.messages", "gen_ai.completion", "langfuse.observation.output"),
    "tools": ("gen_ai.tool.definitions", "gen_ai.request.tools", "llm.request.functions"),
    "model": ("gen_ai.response.model", "gen_ai.request.model", "langfuse.observation.model.name"),
    "operation": ("gen_ai.operation.name", "llm.request.type", "langfuse.observation.type"),
    "conversation_id": (
        "gen_ai.conversation.id",
        "session.id",
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.conversation_id",
    ),
    "tags": ("langfuse.trace.tags", "tags"),
}
OPENINFERENCE: Names = {
    "prompt": ("llm.input_messages", "llm.prompts"),
    "completion": ("llm.output_messages", "llm.choices"),
    "request": ("input.value",),
    "response": ("output.value",),
    "tools": ("llm.tools",),
    "model": ("llm.response.model_name", "llm.model_name", "llm.request.model_name"),
    "operation": ("openinference.span.kind",),
    "conversation_id": ("session.id",),
    "tags": ("tag.tags",),
    "metadata": ("metadata",),
}
LANGFUSE: Names = {
    "prompt": ("input",),
    "completion": ("output",),
    "tools": ("tool_definitions", "toolDefinitions"),
    "model": ("provided_model_name", "providedModelName", "model"),
    "started_at": ("start_time", "startTime"),
    "ended_at": ("end_time", "endTime"),
    "trace_id": ("trace_id", "traceId"),
    "span_id": ("id",),
    "conversation_id": ("session_id", "sessionId"),
    "tags": ("tags",),
    "metadata": ("metadata",),
    "operation": ("type",),
    "level": ("level",),
    "environment": ("environment",),
}
LANGFUSE_SCORE: Names = {
    "name": ("name",),
    "value": ("value",),
    "text": ("string_value", "stringValue"),
    "kind": ("data_type", "dataType"),
    "source": ("source",),
    "at": ("timestamp", "created_at", "createdAt"),
    "trace_id": ("trace_id", "traceId"),
    "span_id": ("observation_id", "observationId"),
    "conversation_id": ("session_id", "sessionId"),
    "experiment": ("dataset_run_id", "datasetRunId"),
}

# What a span or row calls a call of a model that was asked to speak; in small letters.
MODEL_CALLS = frozenset(
    {"chat", "text_completion", "completion", "generate_content", "responses", "llm", "generation"}
    | {"acompletion", "atext_completion", "aresponses", "anthropic_messages"}
)

# Attributes that hold content, and those that may hold keys: neither is repeated among a trace's metadata.
CONTENT = (
    ("gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions")
    + ("gen_ai.system_instructions", "llm.request.functions", "llm.input_messages", "llm.output_messages", "llm.tools")
    + ("llm.prompts", "llm.choices", "input.value", "output.value", "langfuse.observation.input")
    + ("langfuse.observation.output", "traceloop.entity.input", "traceloop.entity.output")
)
SECRET = ("llm.headers", "http.request.header", "http.response.header")

# Events on spans, or log records, that carry content; the earlier conventions have one for each message.
DETAILS = "gen_ai.client.inference.operation.details"
CHOICE = "gen_ai.choice"
MESSAGE_EVENTS: Mapping[str, str] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CONTENT_EVENTS = ("gen_ai.content.prompt", "gen_ai.content.completion")
EVENT_NAME, EVENT_CONTENT = "event.name", "gen_ai.event.content"

REDACTED = frozenset({"__REDACTED__", "redacted-by-litellm", "<redacted>"})
INSTRUMENT_SCOPE, SERVICE = "otel.scope.name", "service.name"

# Roles, kinds of message (LangChain) and senders (ShareGPT) by the role that OpenAI has for them.
ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}

# Kinds of part of a message's content, in OpenAI's chat and responses, Anthropic's messages and the GenAI conventions.
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
CALL_PARTS = frozenset({"tool_call", "tool_use", "function_call"})
RESULT_PARTS = frozenset({"tool_call_response", "tool_result", "function_call_output"})
THOUGHT_PARTS = frozenset({"reasoning", "thinking"})
