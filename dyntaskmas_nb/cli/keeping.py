"""``dyntaskmas runs`` and ``resume``: what the journal keeps, and going on with it."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from dyntaskmas_nb.apee.journal import Journal, RunInfo
from dyntaskmas_nb.cli.running import check_writable, follow, write_json
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.kit import Kit
from dyntaskmas_nb.kit.parts import JOURNAL
from dyntaskmas_nb.view.words import printable


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
