"""``dyntaskmas paper-tables``: the paper's Tables I–III beside what comes out here."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from dyntaskmas_nb.cli.running import write_json
from dyntaskmas_nb.kit.paper_tables import table


def paper_tables(options: argparse.Namespace) -> int:
    """Print the tables that `options` ask for, each as soon as it is there; return the exit status.

    Raises `InvalidInput` when there is no such table.
    """
    wanted = (1, 2, 3) if options.table is None else (options.table,)
    tables = (table(number, measure=not options.quick) for number in wanted)
    if options.json:
        write_json([asdict(one) for one in tables])
        return 0
    for place, one in enumerate(tables):
        print(f"\n\n{one}" if place else one, flush=True)
    return 0
