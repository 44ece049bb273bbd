"""A cycle asked in batches: a provider works through them within a day, for about half the price.

judges.py   the judges that can be asked so, at the price of a batch
state.py    what a run knows and what came of it
settle.py   what is on its way: look, find again, collect
reading.py  a batch's results, as votes and failures
submit.py   what is open: gather, write down, submit
run.py      one run: settle, then submit; with `wait`, until there is nothing left to do

A batch is written down before anything of it leaves the machine (`consensus.batches`), so that a run that is killed at any moment
leaves one of these behind: a batch that was never sent, which is withdrawn; one whose id is known, which is looked at; or one that
was sent and whose id is not known, which is looked for, and whose ballots wait until it is certain whether it exists.
"""
