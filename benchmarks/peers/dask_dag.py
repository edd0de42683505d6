"""dask.distributed: scheduler and one worker of `agents` threads in this process, without dashboard."""

from __future__ import annotations

import common
from common import Waits, answer
from distributed import Client


def body(*results: None) -> None:
    """Nothing but a mark that it ran, in a module: this function itself travels pickled."""
    common.ran.append(None)


def run(waits: Waits, agents: int) -> int:
    """Hand in the whole DAG (task by task costs twice as much) and return the number of tasks that ran."""
    common.ran.clear()
    followed = {before for each in waits.values() for before in each}
    sinks = [id for id in waits if id not in followed]
    with Client(processes=False, n_workers=1, threads_per_worker=agents, dashboard_address=None) as client:
        client.get({id: (body, *each) for id, each in waits.items()}, sinks)
    return len(common.ran)


if __name__ == "__main__":
    answer("distributed", run)
