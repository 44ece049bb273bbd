"""Drawing completions for a cycle's prompts, and forming its pairs: what `generate` does, without its words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from rich.console import Console

from consensus.batches import Batches
from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.nouns import Failure, Pair
from consensus.prompt_store import Prompts
from consensus.prompts import Completion, Draw, Paired
from consensus.sections.generation import Generation
from consensus.store import Store
from consensus.writer import Writer
from labeling.candidates import candidate_pairs
from labeling.cycle_run import accounts
from labeling.drawing import Drawing, as_asked
from labeling.generator import Generator, generation_of
from labeling.labeler import Labeler, Outcome
from labeling.limits import Budget
from labeling.plan import Need, least_seconds
from labeling.watching import watched

BATCH = 200  # prompts whose pairs are stored together


def open_drawings(store: Store, cycle: Cycle, generation: Generation) -> Iterator[Drawing]:
    """The prompts that still have completions to draw."""
    for prompt, completions in Prompts(store).unpaired(cycle.name, generation):
        if len(completions) < generation.n:
            yield Drawing(as_asked(prompt, generation), generation.label, generation.n, completions)


def priced(store: Store, cycle: Cycle) -> Need:
    """What is still to be drawn, and what it costs; no call, no key."""
    generation = generation_of(cycle)
    return price_of(open_drawings(store, cycle, generation), cycle, generation)


def price_of(drawings: Iterable[Drawing], cycle: Cycle, generation: Generation) -> Need:
    """What these drawings cost; no call, no key."""
    generator, need = Generator(cycle, generation), Need(generation.label)
    for drawing in drawings:
        draws = drawing.wave()
        request, reply = generator.tokens(drawing.prompt, draws[0])
        need.calls += len(draws)
        need.tokens_in += request * len(draws)
        need.tokens_out += reply * len(draws)
    need.most_calls = need.calls
    need.dollars = generator.cost(need.tokens_in, need.tokens_out)
    need.most_dollars = need.ceiling_dollars = generator.cost(need.tokens_in, need.calls * generation.max_tokens)
    need.seconds = least_seconds(need.calls, need.tokens_in + need.tokens_out, generation.rpm, generation.tpm)
    return need


@dataclass(frozen=True)
class Draws:
    """What is to be drawn, and from which model.

    Attributes:
        cycle: completions are stored under its name.
        payer: the name of the cycle whose budget this is; its own unless it is a side run of another.
        work: the open drawings, read from the store.
        total, before: draws in all, and those that were answered before.
        prompts: how many there are in all.
    """

    cycle: Cycle
    payer: str
    generation: Generation
    work: Callable[[Store], Iterable[Drawing]]
    total: int
    before: int
    prompts: int


async def run(store: Store, cycle: Cycle, *, console: Console, max_cost: float | None = None) -> Outcome:
    """Draw everything that is still open, then form the pairs of the prompts that are done.

    Args:
        max_cost: US dollars for everything that the cycle ever asks.
    Raises:
        UsageError: as `draw`, or the cycle's completions were drawn differently.
    """
    generation, prompts = generation_of(cycle), Prompts(store)
    prompts.begin(cycle.name, generation)
    there = prompts.drawn(cycle.name)
    draws = Draws(
        cycle=cycle,
        payer=cycle.name,
        generation=generation,
        work=lambda reader: open_drawings(reader, cycle, generation),
        total=there.prompts * generation.n,
        before=there.completions,
        prompts=there.prompts,
    )
    outcome = await draw(store, draws, console=console, max_cost=max_cost)
    form_pairs(store, cycle, settled=outcome.complete)
    return outcome


async def draw(store: Store, draws: Draws, *, console: Console, max_cost: float | None = None) -> Outcome:
    """Draw everything that is open; completions and failures are in the store when it returns.

    The first interrupt lets what is in flight finish, the second one drops it.

    Args:
        max_cost: US dollars for everything that the payer's cycle ever asks.
    Raises:
        UsageError: the model has no key, or `max_cost` is given and it has no price.
    """
    cycle, generation, prompts, reader = draws.cycle, draws.generation, Prompts(store), store.twin()
    async with Generator(cycle, generation) as generator:
        if max_cost is not None and generator.price is None:
            raise UsageError(
                f"--max-cost needs a price, and litellm knows none for {generation.label}; "
                f"give it in the cycle file, e.g. price: {{input: 0.15, output: 0.6}} (US dollars per million tokens)"
            )
        budget = Budget(max_cost, store.spent(draws.payer) + Batches(store).reserved(draws.payer))
        writer = Writer[Completion | Failure[Draw]](
            lambda batch: prompts.add(cycle.name, generation.config_hash, batch)
        )
        with writer:
            labeler = Labeler[Draw, Completion](
                {generation.label: generator},
                writer.add,
                accounts=accounts(cycle),
                budget=budget,
                max_attempts=cycle.limits.max_attempts,
                seed=cycle.cycle.seed,
            )
            totals = {generation.label: (draws.total, draws.before)}
            async with watched(labeler, cycle.store, draws.payer, console, totals=totals, tasks=draws.prompts):
                return await labeler.run(draws.work(reader))


def form_pairs(store: Store, cycle: Cycle, *, settled: bool) -> int:
    """Form the pairs of the prompts that are done, once; how many there are.

    A prompt is done when all its completions are there; if the run is settled, also when some failed and the others differ.
    """
    generation, formed = generation_of(cycle), 0
    done = _done(store.twin(), cycle, generation, settled=settled)
    while part := list(islice(done, BATCH)):
        store.add_pairs(cycle.name, [pair for pairs, _ in part for pair in pairs])
        Prompts(store).note_paired(cycle.name, generation, [paired for _, paired in part])
        formed += sum(len(pairs) for pairs, _ in part)
    return formed


def _done(reader: Store, cycle: Cycle, generation: Generation, *, settled: bool) -> Iterator[tuple[list[Pair], Paired]]:
    for prompt, completions in Prompts(reader).unpaired(cycle.name, generation):
        whole = len(completions) == generation.n
        if whole or settled:
            pairs, paired = candidate_pairs(prompt, completions, generation, seed=cycle.cycle.seed)
            if whole or paired.different > 1:
                yield pairs, paired
