"""The report in five sentences: what was kept, what the panel is worth, is the model better, can that be trusted, what next."""

from __future__ import annotations

from consensus.scores import Score
from evaluation.audit.result import Audit, Figure
from evaluation.production.history import History, newest
from evaluation.production.points import figure
from evaluation.report.cells import bare, named
from evaluation.report.foretold import words


def sentences(audit: Audit, history: History) -> tuple[str, str, str, str, str]:
    """Five sentences, each of which says so where its answer is not known."""
    contest = _contest(history)
    return (
        _kept(audit),
        _worth(audit),
        _better(history, contest),
        _trusted(history, contest),
        _next(audit, history, contest),
    )


def _contest(history: History) -> Score | None:
    """The last win rate, as people corrected it where they did."""
    by_judges = newest(history.of("win_rate"), history.cycle)
    corrected = newest(history.of("win_rate_corrected"), history.cycle)
    same = by_judges is None or (corrected and corrected.checkpoint == by_judges.checkpoint)
    return corrected if corrected and same else by_judges


def _kept(audit: Audit) -> str:
    panel = audit.panel
    if not panel.pairs:
        return "The cycle has no pairs yet."
    return f"Of {panel.pairs:,} pairs {panel.kept:,} are kept ({100 * panel.kept / panel.pairs:.1f} %)."


def _worth(audit: Audit) -> str:
    right, independent = named(audit.panel.figures, "label_accuracy"), named(audit.panel.figures, "effective_judges")
    if right.defined:
        worth = (
            f", and its {len(audit.judges)} judges are worth {independent.value:.1f} independent ones"
            if independent.defined
            else ""
        )
        return f"The panel's labels agree with people on {_share(right)} of the {right.n:,} kept pairs that people judged{worth}."
    return "What the panel is worth is not known: no pair it kept has a person's answer (gold), and agreement is not correctness."


def _better(history: History, contest: Score | None) -> str:
    if contest is None:
        accuracy = newest(history.of("reward_accuracy"), history.cycle)
        if accuracy is None:
            return "Whether the model got better is not known: no checkpoint was evaluated yet."
        said = f"{accuracy.checkpoint} ranks {_share(figure(accuracy))} of held-out pairs as it should"
        return f"{said}; whether its answers got better is not known, as it met no baseline head to head."
    rate, names = _share(figure(contest)), (contest.checkpoint, contest.baseline or "its baseline")
    gate = history.gate(contest.checkpoint, contest.baseline)
    ruled = f"; the gate's last word was {gate.verdict}, on {words(gate.contest.metric)}" if gate else ""
    if contest.low > 0.5:
        return f"{names[0]} is better than {names[1]}: it wins {rate} of the comparisons{ruled}."
    if contest.high < 0.5:
        return f"{names[0]} is worse than {names[1]}: it wins only {rate} of the comparisons{ruled}."
    told = f"Whether {names[0]} is better than {names[1]} cannot be told"
    return f"{told}: it wins {rate} of the comparisons, and 50 % may be the truth{ruled}."


def _trusted(history: History, contest: Score | None) -> str:
    found = history.production
    follows = [each for each in found.predictions if each.found == "follows"]
    if contest and contest.metric == "win_rate":
        start = "That is the judges' word alone, which a bias they share can turn around"
    elif contest:
        start = "People's answers on a sample correct the judges there"
    else:
        start = "There is nothing to trust or doubt yet" if not history.scores else "Rewards are no answers"
    if follows:
        best = max(follows, key=lambda each: each.correlation.value)
        of = best.correlation
        bounds = f", {of.low:.2f} to {of.high:.2f}" if of.bounded else ""
        told = f"over {of.n} checkpoints {best.title} went with {best.outcome.replace('_', ' ')} in production"
        return f"{start}; {told} (Spearman {of.value:.2f}{bounds})."
    if found.predictions:
        return f"{start}, and no offline score is yet known to tell what production says."
    return f"{start}, and nothing is known of production."


def _next(audit: Audit, history: History, contest: Score | None) -> str:
    accused = [finding.advice for finding in audit.findings if finding.accuses]
    if accused:
        return f"Next: {_ended(accused[0])}"
    if not named(audit.panel.figures, "label_accuracy").defined:
        return "Next: have people judge a sample of the pairs, as nothing else shows whether labels are right."
    if contest is None:
        first = "let the checkpoint" if history.scores else "train a checkpoint and let it"
        return (
            f"Next: {first} meet its baseline on held-out prompts ('consensus evaluate', with 'evaluation.candidate')."
        )
    if contest.metric == "win_rate":
        return "Next: have people answer a sample of the contest's pairs, so that a bias shared by the judges cannot decide it."
    if contest.low <= 0.5 <= contest.high:
        return "Next: ask on more prompts before promoting; 'consensus gate' says how many it takes."
    if not history.production.rates:
        return "Next: 'consensus ingest --outcomes' what production measures, to learn whether offline scores tell it."
    return "Next: 'consensus gate' says whether the checkpoint may be promoted."


def _share(of: Figure) -> str:
    between = f" ({bare(of.low, 'share')} to {bare(of.high, 'share')})" if of.bounded else ""
    return f"{bare(of.value, 'share')} %{between}"


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
