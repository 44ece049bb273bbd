"""The rows of public benchmarks, told by their columns: RewardBench 2, LLMBar, JudgeBench, MT-Bench, and our own pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consensus.nouns import Pair, Text, Verdict
from evaluation.benchmarks.rows import Row
from labeling.pairs import printable, to_pair
from labeling.rows import BadRow

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Schema:
    """How a public file is read.

    Attributes:
        columns: a file with all of these has this schema.
        read: its rows, each with the name of its part of the benchmark (a split, a folder), to rows or pairs.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[Sequence[tuple[str, Raw]]], Sequence[Row | Pair | BadRow]]


def rewardbench2(rows: Iterable[tuple[str, Raw]]) -> list[Row]:
    """RewardBench 2: `id, prompt, chosen[], rejected[], num_correct, num_incorrect, total_completions, models[], subset, ...`.

    Ids of the subset Ties are `ref:N` and `tied:N`, twins that ask the same with one right answer and with several: they form a
    group.

    Raises:
        ValueError: a row contradicts itself.
    Source: hf.co/datasets/allenai/reward-bench-2
    """
    return [_rewardbench2(row) for _, row in rows]


def _rewardbench2(row: Raw) -> Row:
    name, subset = str(row["id"]), str(row["subset"])
    sides = [tuple(_text(f"{side} of {name}", text) for text in row[side] or ()) for side in ("chosen", "rejected")]
    chosen, rejected = sides
    if not chosen or not rejected:
        raise ValueError(f"row {name!r} has no {'rejected' if chosen else 'chosen'} answer")
    for side, answers in (("num_correct", chosen), ("num_incorrect", rejected)):
        said = row.get(side)
        if said is not None and int(said) != len(answers):
            raise ValueError(f"row {name!r} says {side} {said}, and has {len(answers)}")
    kind, colon, number = name.partition(":")
    group = f"{subset}:{number}" if colon and kind in ("ref", "tied") else None
    extra = {key: row[key] for key in ("models", "additional_metadata") if row.get(key)}
    return Row(name, _text(f"prompt of {name}", row["prompt"]), chosen, rejected, subset, group, extra)


def llmbar(rows: Iterable[tuple[str, Raw]]) -> list[Pair]:
    """LLMBar: `input, output_1, output_2, label` (1 or 2); its parts are Natural and the adversarial sets.

    Source: github.com/princeton-nlp/LLMBar
    """
    count: Counter[str] = Counter()
    found = []
    for part, row in rows:
        name = f"llmbar-{part or 'all'}-{count[part]:03}"
        count[part] += 1
        gold = _one_of(name, "label", str(row["label"]), {"1": Verdict.A, "2": Verdict.B})
        texts = [_text(f"{column} of {name}", row[column]) for column in ("input", "output_1", "output_2")]
        found.append(Pair(name, texts[0], texts[1], texts[2], part or None, gold))
    return found


def judgebench(rows: Iterable[tuple[str, Raw]]) -> list[Pair]:
    """JudgeBench: `pair_id, original_id, source, question, response_model, response_A, response_B, label` (`A>B` or `B>A`).

    Categories are its four, by `source`: knowledge (MMLU-Pro), reasoning, math, coding. The same question with another model's
    responses keeps its prompt, and so its cluster.

    Source: github.com/ScalerLab/JudgeBench
    """
    found = []
    for _, row in rows:
        name = str(row["pair_id"])
        gold = _one_of(name, "label", str(row["label"]), {"A>B": Verdict.A, "B>A": Verdict.B, "A=B": Verdict.TIE})
        texts = [_text(f"{column} of {name}", row[column]) for column in ("question", "response_A", "response_B")]
        source = str(row.get("source") or "")
        kept = {key: row[key] for key in ("source", "response_model") if row.get(key)}
        found.append(Pair(name, texts[0], texts[1], texts[2], _judgebench_category(source), gold, kept))
    return found


def _judgebench_category(source: str) -> str | None:
    known = {
        "mmlu-pro": "knowledge",
        "livebench-reasoning": "reasoning",
        "livebench-math": "math",
        "livecodebench": "coding",
    }
    return next((category for start, category in known.items() if source.startswith(start)), source or None)


def mtbench(rows: Iterable[tuple[str, Raw]]) -> list[Pair]:
    """MT-Bench's human judgments: `question_id, model_a, model_b, winner, judge, conversation_a, conversation_b, turn`.

    One pair for each question, turn and two models, whichever was called a in a judgment; gold is what most people said, and a
    tie where as many said one as the other. The prompt is the first user message, a completion all that follows it.

    Source: hf.co/datasets/lmsys/mt_bench_human_judgments, split human
    """
    said: dict[tuple[str, int, str, str], Counter[str]] = {}
    talks: dict[tuple[str, int, str, str], dict[str, Any]] = {}
    for _, row in rows:
        one, other = sorted([str(row["model_a"]), str(row["model_b"])])
        key = (str(row["question_id"]), int(row["turn"]), one, other)
        winner = str(row["winner"])
        named = (
            "tie"
            if winner.startswith("tie")
            else str(_one_of(str(key), "winner", winner, {"model_a": row["model_a"], "model_b": row["model_b"]}))
        )
        said.setdefault(key, Counter())[named] += 1
        talks[key] = {str(row["model_a"]): row["conversation_a"], str(row["model_b"]): row["conversation_b"]}
    return [_mtbench(key, talks[key], votes) for key, votes in said.items()]


def _mtbench(key: tuple[str, int, str, str], talks: Mapping[str, Any], votes: Counter[str]) -> Pair:
    question, turn, one, other = key
    name = f"mtbench-{question}-turn{turn}-{one}-{other}"
    heads, answers = [], []
    for model in (one, other):
        messages = [{"role": str(m["role"]), "content": str(m["content"])} for m in talks[model]][: 2 * turn]
        if len(messages) < 2 * turn:
            raise ValueError(
                f"{name}: the conversation of {model} has {len(messages)} messages, too few for turn {turn}"
            )
        heads.append(messages[0]["content"])
        answers.append(messages[1]["content"] if turn == 1 else messages[1:])
    if heads[0] != heads[1]:
        raise ValueError(f"{name}: the two conversations begin differently")
    ranked = votes.most_common(2)
    clear = len(ranked) == 1 or ranked[0][1] > ranked[1][1]
    gold = {one: Verdict.A, other: Verdict.B}.get(ranked[0][0], Verdict.TIE) if clear else Verdict.TIE
    kept = {"model_a": one, "model_b": other, "people": dict(votes)}
    return Pair(name, heads[0], answers[0], answers[1], f"turn {turn}", gold, kept)


def pairs(rows: Iterable[tuple[str, Raw]]) -> list[Pair | BadRow]:
    """Our own form: `pair_id, prompt, completion_a, completion_b, category, gold`; what is no pair is left out, as for a cycle.

    Raises:
        ValueError: an id stands on two rows.
    """
    found: dict[str, Pair | BadRow] = {}
    for number, (_, row) in enumerate(rows, 1):
        try:
            item: Pair | BadRow = to_pair(dict(row), {})
        except ValueError as error:
            item = BadRow(number, str(error))
        name = item.pair_id if isinstance(item, Pair) else f"\0{number}"
        if found.setdefault(name, item) != item:
            raise ValueError(f"pair_id {name!r} stands on two rows with different contents")
    return list(found.values())


SCHEMAS = (
    Schema("rewardbench2", ("id", "prompt", "chosen", "rejected", "subset"), rewardbench2),
    Schema("llmbar", ("input", "output_1", "output_2", "label"), llmbar),
    Schema("judgebench", ("pair_id", "question", "response_A", "response_B", "label"), judgebench),
    Schema(
        "mtbench", ("question_id", "model_a", "model_b", "winner", "conversation_a", "conversation_b", "turn"), mtbench
    ),
    Schema("pairs", ("prompt", "completion_a", "completion_b"), pairs),
)


def schema_of(row: Raw) -> Schema | None:
    """The schema whose columns a row has."""
    return next((schema for schema in SCHEMAS if set(schema.columns) <= row.keys()), None)


def _text(what: str, value: Any) -> Text:
    messages = isinstance(value, list) and bool(value) and all(isinstance(turn, dict) for turn in value)
    if messages or (isinstance(value, str) and value.strip()):
        printable(what, value)
        text: Text = value
        return text
    raise ValueError(f"the {what} is neither text nor chat messages")


def _one_of(name: str, column: str, value: str, known: Mapping[str, Any]) -> Any:
    if value not in known:
        raise ValueError(f"{name}: {column} must be {' or '.join(known)}, not {value!r}")
    return known[value]
