"""What stands beside an adapter for people to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from consensus.summary import gold_sentence
from consensus.terminal import percent
from training.preferences import WHY

HEAD = """---
base_model: {base}
library_name: peft
pipeline_tag: text-generation
tags:
- dpo
- lora
- trl
- judge-consensus
---"""

# Figures of `consensus audit` by their names there; those of the panel with whether they are shares.
JUDGE = {
    "repeat_flip": "repeat flips",
    "position_consistency": "same in both orders",
    "position_bias": "position bias",
    "accuracy": "right, by people",
}
PANEL = {
    "same_label_if_kept_twice": ("the same label if asked again", True),
    "label_accuracy": ("labels right, by people,", True),
    "alpha": ("Krippendorff's alpha", False),
    "effective_judges": ("worth as independent judges", False),
}


def card(manifest: Mapping[str, Any]) -> str:
    """A Hugging Face model card of a run that ended."""
    data, settings, result = manifest["data"], manifest["config"], manifest["result"]
    lora = settings["lora"]
    lost = [f"- {n:,} pairs: {WHY.get(reason, reason)}" for reason, n in sorted(data["left_out"].items())]
    notes = [f"- {note}" for note in result["notes"]]
    if result["step"] < result["steps"]:
        notes.append(
            f"- stopped early: the weights are those of step {result['step']:,}, where the lower bound of the held-out accuracy "
            "was highest; that they were chosen for it makes the accuracy above a little too good"
        )
    recipe = (
        f"Loss {settings['loss']}, beta {settings['beta']:g}, {settings['epochs']:g} epochs, {result['steps']:,} steps of "
        f"{settings['batch_size']} pairs, learning rate {settings['learning_rate']:g} ({settings['schedule']}), LoRA rank "
        f"{lora['r']}, alpha {lora['alpha']:g}, seed {manifest['seed']}. Everything that decides the result is in "
        "`manifest.json`."
    )
    sides = (
        f" {data['by_people']:,} chosen sides are a person's word; on {data['overruled']:,} kept pairs the votes' model sides "
        "against the panel's majority."
    )
    about = (
        f"{data['because'][0].upper()}{data['because'][1:]}.{sides if data['panel'] else ''} {data['held_out']:,} pairs are held "
        "out, by whole prompts and their near-duplicates."
    )
    lines = [
        HEAD.format(base=json.dumps(settings["model"])),
        f"# {manifest['run']}",
        f"A LoRA adapter of {settings['model']}, trained by DPO on {data['train']:,} pairs (cycle {manifest['cycle']}).",
        "## Held out",
        _held_out(result["held_out"]),
        "## Data",
        about,
        _panel(data["panel"]),
        "" if data["panel"] is None else _audit(data.get("audit")),
        "Left out:\n\n" + "\n".join(lost or ["- none"]),
        "## Training",
        recipe,
        "\n".join(notes),
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


def _panel(panel: Mapping[str, Any] | None) -> str:
    """What the panel kept, what people say of it, and who sat on it; nothing where the rows are no panel's."""
    if panel is None:
        return ""
    judges = [
        f"| {judge['judge']} | {judge['votes']:,} | {percent(judge['first_slot'])} |" for judge in panel["judges"]
    ]
    head = ["| judge | votes | for the completion shown first |", "| --- | --- | --- |"]
    kept = (
        f"The panel of LLM judges kept {panel['kept']:,} of {panel['pairs']:,} pairs; {gold_sentence(panel['gold'])}."
    )
    return "\n".join([kept, "", *head, *judges])


def _audit(audit: Mapping[str, Any] | None) -> str:
    """What an audit found about those judges, as it stood when the rows were taken."""
    if audit is None:
        return "Its judges were not audited before the rows were taken (`consensus audit`)."
    head = ["| judge | " + " | ".join(JUDGE.values()) + " |", "| --- |" + " --- |" * len(JUDGE)]
    rows = [
        f"| {judge} | " + " | ".join(_known(figures.get(name)) for name in JUDGE) + " |"
        for judge, figures in audit["judges"].items()
    ]
    panel = ", ".join(
        f"{words} {_known(audit['panel'].get(name), as_share=as_share)}" for name, (words, as_share) in PANEL.items()
    )
    return "\n".join(
        [
            f"`consensus audit` of {audit['at']}, {audit['votes']:,} votes, 95 % intervals by prompt; a dash is what the "
            "votes do not tell:",
            "",
            *head,
            *rows,
            "",
            f"The panel: {panel}.",
        ]
    )


def _known(figure: Mapping[str, Any] | None, *, as_share: bool = True) -> str:
    if figure is None or figure["value"] is None:
        return "–"
    if as_share:
        return share(figure)
    bounds = f" [{figure['low']:.2f}, {figure['high']:.2f}]" if figure["low"] is not None else ""
    return f"{figure['value']:.2f}{bounds}"


def _held_out(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "No pairs were held out, so nothing is known of how well it does."
    accuracy, gold = found["accuracy"], found["gold_accuracy"]
    text = (
        f"The chosen side has the larger implicit reward in {share(accuracy)} of {accuracy['n']:,} pairs of prompts that it was "
        "not trained on (95 % interval by prompt; one half before training)."
    )
    if gold["n"]:
        text += f" Where a person answered ({gold['n']:,} of them), it sides with the person in {share(gold)}."
    return text


def share(found: Mapping[str, Any]) -> str:
    """A share with its bounds, where it has some."""
    bounds = f" [{percent(found['low'])}, {percent(found['high'])}]" if found["low"] is not None else ""
    return percent(found["value"]) + bounds
