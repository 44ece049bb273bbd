"""A model in this process that answers: with sampled text, or with a verdict read off its next token's log-probabilities.

Opened by `labeling/providers/local.py`, which knows no torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.hardware import hardware
from training.model import Loaded, load
from training.tokens import as_read

if TYPE_CHECKING:
    import torch

Messages = Sequence[Mapping[str, Any]]
BEGIN = '{"verdict": "'  # of a judge's reply; the next token is the verdict
WORDS = ("A", "B", "tie")
NEAR = 1e-3  # nats: verdicts that are no further apart are computed alone, since what shares a batch moves them by about 1e-6
_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer.

    Attributes:
        tokens: the reply's, with log-probabilities and alternatives in OpenAI's form; none of sampled text.
        tool_calls: in OpenAI's form.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    tokens: list[dict[str, Any]] | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a question cannot be put to this model."""

    reason: str


@dataclass(frozen=True)
class LocalModel:
    """A chat model with its tokenizer, and with an adapter if it has one."""

    loaded: Loaded

    @classmethod
    def open(cls, model: str, adapter: Path | None, beside: Path | None = None) -> LocalModel:
        """Load it; see `training.model.load`.

        Raises:
            UsageError: a package, the model or the adapter is not there.
        """
        return cls(load(model, adapter=adapter, beside=beside))

    @property
    def fingerprint(self) -> str:
        """Of weights, adapter, tokenizer and chat template."""
        return self.loaded.fingerprint

    @property
    def read_at_once(self) -> int:
        """Tokens of a judge's batch, by the hardware."""
        return hardware().read_at_once

    # -- verdicts ----------------------------------------------------------------------------------------------------

    def verdicts(self, asked: Sequence[Messages]) -> list[Said | Unfit]:
        """What a judge says to each of these requests, in one forward pass.

        The reply is begun for the model, and the verdict is whichever of A, B and tie it finds likeliest to go on with: by its
        first token where a word has several. Nothing is drawn; the log-probabilities move by about 1e-6 with what else is in
        the batch, and what that could decide is computed alone.
        """
        made = [self._attempt(lambda one=one: self._judgment(one)) for one in asked]  # type: ignore[misc]
        ready = [one for one in made if isinstance(one, _Judgment)]
        said = iter(self._judged(ready))
        return [one if isinstance(one, Unfit) else next(said) for one in made]

    def _judgment(self, messages: Messages) -> _Judgment:
        start = self._rendered(messages, ())
        ids = [self._ids(f'{start}{BEGIN}{word}"}}') for word in WORDS]
        same = next(at for at, tokens in enumerate(zip(*ids, strict=False)) if len(set(tokens)) > 1)
        words = [tokens[same] for tokens in ids]
        if len(set(words)) < len(words):
            raise ValueError(
                "this model's tokenizer begins two verdicts with the same token; it cannot judge in one pass"
            )
        self._check_length(same + 1, 0)
        return _Judgment(ids[0][:same], words)

    def _judged(self, ready: Sequence[_Judgment]) -> Iterator[Said]:
        if not ready:
            return
        chances = self._next(ready)
        for one, chance in zip(ready, chances, strict=True):
            best, second = sorted(chance, reverse=True)[:2]
            final = self._next([one])[0] if len(ready) > 1 and best - second < NEAR else chance
            yield _verdict(len(one.ids), final)

    def _next(self, ready: Sequence[_Judgment]) -> list[list[float]]:
        """Log-probabilities of the verdicts."""
        import torch

        ids, mask = self._padded([one.ids for one in ready])
        places = (mask.cumsum(1) - 1).clamp(min=0)
        with torch.inference_mode():
            out = self.loaded.model(
                input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False, logits_to_keep=1
            )
            chances = out.logits[:, -1].float().log_softmax(-1)
            words = torch.tensor([one.words for one in ready], device=chances.device)
            found: list[list[float]] = chances.gather(1, words).double().cpu().tolist()
        return found

    # -- completions -------------------------------------------------------------------------------------------------

    def completions(
        self, asked: Sequence[tuple[Messages, Sequence[Any], int]], *, temperature: float, max_tokens: int
    ) -> list[Said | Unfit]:
        """Sampled answers.

        Args:
            asked: messages, tools, and the seed that decides this answer, whatever else is drawn with it.
            temperature: 0 takes the likeliest token.
        """
        made = [
            self._attempt(lambda one=one: _Prompt(self._fitting(one[0], one[1], max_tokens), bool(one[1]), one[2]))  # type: ignore[misc]
            for one in asked
        ]
        ready = [one for one in made if isinstance(one, _Prompt)]
        said = iter(self._sampled(ready, temperature, max_tokens) if ready else ())
        return [one if isinstance(one, Unfit) else next(said) for one in made]

    def _fitting(self, messages: Messages, tools: Sequence[Any], max_tokens: int) -> list[int]:
        ids = self._ids(self._rendered(messages, tools))
        self._check_length(len(ids), max_tokens)
        return ids

    def _sampled(self, ready: Sequence[_Prompt], temperature: float, max_tokens: int) -> list[Said]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        ids, mask = self._padded([one.ids for one in ready])
        ends = self._ends()
        config = GenerationConfig(
            max_new_tokens=max_tokens,
            do_sample=False,  # the noise that is added is what draws
            repetition_penalty=1.0,
            eos_token_id=sorted(ends),
            pad_token_id=self.loaded.tokenizer.pad_token_id,
        )
        noise = LogitsProcessorList([_gumbel([one.seed for one in ready], temperature)] if temperature else [])
        with torch.inference_mode():
            out = self.loaded.model.generate(
                input_ids=ids, attention_mask=mask, generation_config=config, logits_processor=noise
            )
        return [self._said(one, new, ends) for one, new in zip(ready, out[:, ids.shape[1] :].tolist(), strict=True)]

    def _said(self, asked: _Prompt, new: list[int], ends: set[int]) -> Said:
        end = next((at for at, token in enumerate(new) if token in ends), None)
        text = self.loaded.tokenizer.decode(new[:end], skip_special_tokens=True)
        n_new = len(new) if end is None else end + 1
        said = Said(text, "length" if end is None else "stop", len(asked.ids), n_new)
        return with_calls(said) if asked.tooled else said

    def _ends(self) -> set[int]:
        given = self.loaded.model.generation_config.eos_token_id
        listed = given if isinstance(given, list) else [given]
        return {int(one) for one in [*listed, self.loaded.tokenizer.eos_token_id] if one is not None}

    # -- prompts -----------------------------------------------------------------------------------------------------

    def _attempt(self, make: Callable[[], _Judgment | _Prompt]) -> _Judgment | _Prompt | Unfit:
        from jinja2.exceptions import TemplateError

        try:
            return make()
        except (ValueError, TypeError, KeyError, TemplateError) as error:  # what chat templates raise of a conversation
            return Unfit(str(error))

    def _rendered(self, messages: Messages, tools: Sequence[Any]) -> str:
        """The conversation as the model reads it, and as training reads it, up to where its answer begins."""
        marks = [mark for mark in self.loaded.tokenizer.all_special_tokens if len(mark) > 1]
        turns, offered = as_read(
            [_harmless(turn, marks) for turn in messages], _broken(list(tools), marks), self.loaded.tokenizer
        )
        return str(
            self.loaded.tokenizer.apply_chat_template(turns, tools=offered, add_generation_prompt=True, tokenize=False)
        )

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _check_length(self, n: int, more: int) -> None:
        longest = getattr(self.loaded.model.config, "max_position_embeddings", None)
        if longest and n + more > longest:
            room = f" and max_tokens {more:,}" if more else ""
            raise ValueError(f"its {n:,} tokens{room} are more than the {longest:,} that {self.loaded.name} takes")

    def _padded(self, rows: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask, padded on the left, shape [n_rows, longest]."""
        import torch

        longest, pad = max(map(len, rows)), self.loaded.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        device = self.loaded.model.device
        return ids.to(device), mask.to(device)


@dataclass(frozen=True, slots=True)
class _Judgment:
    """A request up to the verdict, and the tokens with which A, B and tie begin."""

    ids: list[int]
    words: list[int]


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A request, whether it offers tools, and the seed of its answer."""

    ids: list[int]
    tooled: bool
    seed: int


def _verdict(n_prompt: int, chances: Sequence[float]) -> Said:
    """The reply that says the likeliest verdict, as a server would send it with its log-probabilities."""
    alternatives = [{"token": word, "logprob": chance} for word, chance in zip(WORDS, chances, strict=True)]
    word, chance = max(zip(WORDS, chances, strict=True), key=lambda one: one[1])
    tokens = [
        {"token": BEGIN, "logprob": 0.0, "top_logprobs": []},
        {"token": word, "logprob": chance, "top_logprobs": alternatives},
        {"token": '"}', "logprob": 0.0, "top_logprobs": []},
    ]
    return Said(f'{BEGIN}{word}"}}', "stop", n_prompt, 1, tokens)


def _gumbel(seeds: Sequence[int], temperature: float) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Noise with which the largest logit is a draw from the softmax at this temperature (Gumbel 1954); each row has its own."""
    import torch

    streams = [torch.Generator().manual_seed(seed) for seed in seeds]

    def add(_: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        drawn = [torch.empty(logits.shape[1]).exponential_(generator=stream).log_() for stream in streams]
        return logits.float() / temperature - torch.stack(drawn).to(logits.device)

    return add


def _harmless(message: Mapping[str, Any], marks: Sequence[str]) -> dict[str, Any]:
    """A message whose words cannot end its turn or begin another: a special token's name in them gets a space into it."""
    found: dict[str, Any] = _broken(dict(message), marks)
    if isinstance(parts := found.get("content"), list):  # most templates take text alone
        found["content"] = "\n".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))
    return found


def _broken(value: Any, marks: Sequence[str]) -> Any:
    match value:
        case str():
            for mark in marks:
                value = value.replace(mark, f"{mark[0]} {mark[1:]}")
        case dict():
            return {key: _broken(inner, marks) for key, inner in value.items()}
        case list():
            return [_broken(inner, marks) for inner in value]
    return value


def with_calls(said: Said) -> Said:
    """The answer with the calls of tools that stand in its text, as Qwen, Hermes and SmolLM write them; else as it is."""
    try:
        calls = [call for found in _CALL.findall(said.text) for call in _calls(json.loads(found))]
    except (ValueError, TypeError, KeyError):  # no JSON, or no calls: it is text
        return said
    if not calls:
        return said
    reason = "length" if said.finish_reason == "length" else "tool_calls"
    return replace(said, text=_CALL.sub("", said.text).strip(), tool_calls=tuple(calls), finish_reason=reason)


def _calls(value: Any) -> Iterator[dict[str, Any]]:
    for one in value if isinstance(value, list) else [value]:
        name, given = one["name"], one.get("arguments", {}) if isinstance(one, dict) else None
        if not isinstance(name, str):
            raise TypeError
        arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        key = hashlib.sha256(f"{name}{arguments}".encode()).hexdigest()[:12]
        yield {"id": f"call_{key}", "type": "function", "function": {"name": name, "arguments": arguments}}
