"""``dyntaskmas run | resume | runs | paper-tables | doctor``: plan, run and look from a terminal.

Exit status: 0 the run is done, 1 it failed, 2 something given was wrong (one line says what), 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from dyntaskmas_nb.apee.journal import Journal, RunInfo
from dyntaskmas_nb.apee.priority import POLICIES
from dyntaskmas_nb.cli.doctor import doctor
from dyntaskmas_nb.cli.paper_tables import paper_tables
from dyntaskmas_nb.cli.running import INTERRUPTED, check_writable, follow, run, write_json
from dyntaskmas_nb.errors import DynTaskError, InvalidInput
from dyntaskmas_nb.kit.kit import HOME, Kit
from dyntaskmas_nb.kit.parts import JOURNAL
from dyntaskmas_nb.view.words import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.action(options)
    except DynTaskError as error:
        print(f"dyntaskmas: {printable(error, 2000)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("dyntaskmas: interrupted", file=sys.stderr)
        return INTERRUPTED
    return status


def list_runs(options: argparse.Namespace) -> int:
    """Print the runs in the journal, oldest first; when they began is in UTC."""
    found = _kept(options.home)
    if options.json:
        write_json([asdict(info) for info in found])
        return 0
    for info in found:
        began = info.created[:16].replace("T", " ")
        run, status, when, request = map(printable, (info.run, info.status, began, info.request[:80]))
        print(f"{run}  {status:<11}  {when}  {request}")
    return 0


def resume(options: argparse.Namespace) -> int:
    """Go on with a run that was cut off or paused, or show one that is over; return the exit status."""
    check_writable(options.html)
    # An unknown id is refused by `open_run`, which names those there are.
    clock = next((info.clock for info in _kept(options.home) if info.run == options.id), "real")
    with Kit(options.model, home=options.home, clock="virtual" if clock == "virtual" else "real") as kit:
        started = kit.open_run(options.id)
        over = started.status in ("done", "failed", "cancelled")
        if not over and not (receipt := started.resume()):
            raise InvalidInput(receipt.reason)
        return follow(started, options)


def _kept(home: str) -> list[RunInfo]:
    path = Path(home) / JOURNAL
    if not path.exists():
        raise InvalidInput(f"There is no journal in {home}; runs are kept where `dyntaskmas run` was called.")
    with closing(Journal(path)) as journal:
        return journal.runs()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        """One line, as for every other mistake."""
        self.exit(2, f"dyntaskmas: {message}. See {self.prog} --help.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="dyntaskmas", description="Orchestrate LLM agents over an editable task graph.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    command = commands.add_parser("run", help="plan a sentence, or take a plan file, and run it")
    command.add_argument("what", metavar="SENTENCE | plan.json", help="what to do, or a plan file")
    command.add_argument("--agents", type=int, metavar="N", help="N agents that take every role")
    command.add_argument("--policy", default="upward_rank", help=f"priority rule: {', '.join(POLICIES)}")
    command.add_argument("--clock", choices=("real", "virtual"), default="real")
    command.add_argument("--seed", type=int, default=0)
    _shared(command, model=True)
    command.set_defaults(action=run)
    command = commands.add_parser("resume", help="go on with a run that was interrupted")
    command.add_argument("id", metavar="ID", help="the run, as `dyntaskmas runs` lists it")
    _shared(command, model=True)
    command.set_defaults(action=resume)
    command = commands.add_parser("runs", help="list the runs in the journal")
    _shared(command, model=False)
    command.set_defaults(action=list_runs)
    command = commands.add_parser("paper-tables", help="the paper's results beside what comes out here")
    command.add_argument("--table", type=int, metavar="N", help="1, 2 or 3 alone")
    command.add_argument("--quick", action="store_true", help="leave out what is measured, half a minute")
    command.add_argument("--json", action="store_true", help="print JSON and nothing else")
    command.set_defaults(action=paper_tables)
    command = commands.add_parser("doctor", help="say what is available here, and what to do about the rest")
    command.add_argument(
        "--try",
        dest="model",
        metavar="URL",
        help="try a model out, named as for --model, and say what it can",
    )
    command.set_defaults(action=doctor)
    return parser


def _shared(command: argparse.ArgumentParser, *, model: bool) -> None:
    """What several commands take; `model` for those that run something."""
    if model:
        command.add_argument(
            "--model",
            metavar="NAME",
            help="embedded (default), simulated[:constant:S | :lognormal:MEDIAN,SIGMA | :table2:N], "
            "an OpenAI-compatible URL (URL#NAME for one of its models; several, separated by commas, are "
            "shared), or a checkpoint directory",
        )
        command.add_argument(
            "--html", metavar="FILE", help="write graph, timeline and result to one HTML file"
        )
    command.add_argument("--json", action="store_true", help="print JSON and nothing else")
    command.add_argument("--home", default=HOME, help="journal and context store (default: %(default)s)")
