"""The front door: it names the commands of the rooms by import string, so that it depends on none of them and `--help` is fast."""

from __future__ import annotations

import io
import os
import sys

from cyclopts import App, CycloptsError, Group, Parameter

HELP = """Ask a panel of LLM judges, keep the pairs on which they agree, and see what their votes are worth.

Exit codes: 0 done, 1 failed, 2 usage or config, 3 a gate was not met, 4 stopped early and can be resumed, 130 interrupted.
"""
LOOP, LOOK, SETUP = (Group(name, sort_key=n) for n, name in enumerate(("The cycle", "Look at results", "Set up")))

app = App(
    name="consensus",
    help=HELP,
    help_format="plaintext",
    version="0.1.0",
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,  # `main` says with which exit code it ends
)
app.command(
    "labeling.commands.ingest:ingest", name="ingest", group=LOOP, help="Read pairs, votes, or production traces."
)
app.command(
    "labeling.commands.generate:generate", name="generate", group=LOOP, help="Draw completions, and form the pairs."
)
app.command("labeling.commands.label:label", name="label", group=LOOP, help="Ask the judges; goes on where it was.")
app.command(
    "training.commands.export:export", name="export", group=LOOP, help="Write the kept pairs as a preference dataset."
)
app.command(
    "training.commands.train:train",
    name="train",
    group=LOOP,
    help="Train a LoRA adapter on the labels; goes on where it was.",
)
app.command(
    "consensus.commands.status:status", name="status", group=LOOK, help="Show how a cycle stands, also while it runs."
)
app.command(
    "evaluation.commands.audit:audit",
    name="audit",
    group=LOOK,
    help="Say what each judge and the panel is worth, and what to change.",
)
app.command(
    "evaluation.commands.evaluate:app",
    name="evaluate",
    group=LOOP,
    help="Say whether a checkpoint is better than another.",
)
app.command(
    "evaluation.commands.report:report",
    name="report",
    group=LOOK,
    help="Write an audit with pictures as one HTML file.",
)
app.command(
    "evaluation.commands.gate:gate",
    name="gate",
    group=LOOK,
    help="Promote a checkpoint or not: exit code 0 or 3.",
)
app.command("labeling.commands.init:init", name="init", group=SETUP, help="Write a commented cycle file to start from.")
app.command(
    "labeling.commands.doctor:doctor",
    name="doctor",
    group=SETUP,
    help="Check a cycle file, its keys, judges and store.",
)
app.command(
    "labeling.commands.simulate:simulate", name="simulate", group=SETUP, help="Serve simulated judges on loopback."
)
app.command("evaluation.commands.demo:demo", name="demo", group=SETUP, help="Run a whole cycle offline, without a key.")


def main(arguments: list[str] | None = None) -> None:
    """Run a command; errors that the user can act on end in one message and their exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    from consensus.errors import ConsensusError

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a file's name may be no text
    try:
        sys.exit(app(arguments, result_action="return_value", exit_on_error=False))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except CycloptsError as error:  # which it has printed
        _end(str(error), 2, arguments)
    except (ConsensusError, OSError) as error:  # what the machine refuses (disk, rights) is no bug of ours either
        print(error, file=sys.stderr)  # noqa: T201 - plain, as it may hold brackets that rich would read as markup
        _end(str(error), error.exit_code if isinstance(error, ConsensusError) else 1, arguments)
    except KeyboardInterrupt:
        _end("stopped", 130, arguments)


def _end(why: str, exit_code: int, arguments: list[str]) -> None:
    """With --json a command that failed prints its object, too."""
    if "--json" in arguments:
        from consensus.terminal import emit

        emit({"error": why, "exit_code": exit_code})
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
