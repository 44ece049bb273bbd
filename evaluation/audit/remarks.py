"""What is worth knowing without a test: of the panel, and of what the votes cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consensus.nouns import Reason
from evaluation.audit.latent import Believed
from evaluation.audit.result import Finding, JudgeAudit, PanelAudit

_WHY = {
    Reason.SPLIT: ("the judges disagree", "look at some: the rubric may leave open what matters"),
    Reason.TIE: ("the judges agree on a tie", "these pairs teach nothing; draw completions that differ more"),
    Reason.UNSTABLE: ("judges contradict themselves between the orders", "see whose order sensitivity is high"),
    Reason.TOO_FEW_VOTES: (
        "too few verdicts",
        "ask the missing ballots ('consensus label'), see who abstains or fails",
    ),
}


def remarks(judges: Sequence[JudgeAudit], panel: PanelAudit, believed: Believed) -> list[Finding]:
    """Remarks, the ones on the panel first."""
    about_panel = [
        *_correctness(panel),
        *_independence(judges, panel),
        *_decides(judges, panel, believed),
        *_labels(panel),
    ]
    return [*about_panel, *_repeats(judges), *(remark for judge in judges for remark in _of_judge(judge))]


def _remark(check: str, says: str, advice: str, judge: str | None = None) -> Finding:
    return Finding(check, judge, False, says, advice)


def _correctness(panel: PanelAudit) -> Iterator[Finding]:
    right, gain = panel["label_accuracy"], panel["latent_gain"]
    if not right.defined:
        yield _remark(
            "label_accuracy",
            "there is no gold: nothing here shows that the judges are right, only how they agree",
            "let people judge 200 random pairs, and give their answers as 'gold'",
        )
        return
    if gain.defined:
        yield _remark(
            "latent_gain",
            "the latent model's labels, against the majority's, agree with gold on "
            f"{100 * gain.value:+.1f} points of the kept pairs",
            "with a few votes a pair no model is more often right than the majority: use it to rank pairs, not to label them",
        )


def _independence(judges: Sequence[JudgeAudit], panel: PanelAudit) -> Iterator[Finding]:
    worth, alpha = panel["effective_judges"], panel["alpha"]
    if worth.bounded and worth.high < 0.75 * len(judges):
        yield _remark(
            "effective_judges",
            f"the {len(judges)} judges err on the same pairs, and are worth {worth.value:.1f} independent ones",
            "exchange one for a model of another family: more like these add little",
        )
    if alpha.bounded and alpha.high < 0.4:
        yield _remark(
            "alpha",
            f"the judges agree little beyond chance (Krippendorff's alpha {alpha.value:.2f})",
            "read pairs on which they split: the rubric may not say what better means",
        )


def _decides(judges: Sequence[JudgeAudit], panel: PanelAudit, believed: Believed) -> Iterator[Finding]:
    share = {name: each for name, each in panel.decisive.items() if each.bounded}
    for name, each in share.items():
        others = [other.high for key, other in share.items() if key != name]
        if len(others) > 1 and each.low > 1.25 * max(others):
            yield _remark(
                "decisive",
                f"the label hangs on {name} oftener than on any other judge: on {100 * each.value:.1f} % of the pairs",
                "its faults are the panel's; look at them first, or add a judge like the others",
                name,
            )
    if believed.dictator is not None:
        name = judges[believed.dictator].judge
        yield _remark(
            "dictator",
            f"weighted by reliability, {name} would outweigh all the others together",
            "do not weight this panel's votes: the labels would be this judge's alone",
            name,
        )


def _labels(panel: PanelAudit) -> Iterator[Finding]:
    lost = {Reason(reason): n for reason, n in panel.reasons.items() if not Reason(reason).keeps}
    if lost:
        worst = max(lost, key=lambda reason: lost[reason])
        why, advice = _WHY.get(worst, (worst.value, "see 'consensus status'"))
        if lost[worst] > 0.05 * panel.pairs:
            yield _remark("retention", f"{lost[worst]:,} of {panel.pairs:,} pairs are lost because {why}", advice)


def _of_judge(judge: JudgeAudit) -> Iterator[Finding]:
    right, fails = judge["accuracy"], judge["failure"]
    if right.bounded and right.low <= 0.5:
        yield _remark(
            "accuracy",
            f"{judge.judge} may be no better than a coin: it agrees with gold on {100 * right.value:.1f} % of its decided votes",
            "leave it out until more gold shows otherwise",
            judge.judge,
        )
    if fails.defined and fails.value > 0.05:
        yield _remark(
            "failure",
            f"{100 * fails.value:.1f} % of the ballots of {judge.judge} got no answer",
            "'consensus status' says why; 'consensus label' asks them again",
            judge.judge,
        )


def _repeats(judges: Sequence[JudgeAudit]) -> Iterator[Finding]:
    once = [judge.judge for judge in judges if judge.votes and not judge["disagreement"].defined]
    if once:
        who = "no judge" if len(once) == len(judges) else f"not {', '.join(once)}"
        yield _remark(
            "repeats",
            f"{who} was asked the same thing twice: how often it would contradict itself is not known",
            "ask a random sample of the pairs again, in both orders: consensus audit --ask",
        )
