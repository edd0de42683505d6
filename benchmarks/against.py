"""The same DAG through LangGraph, dask and autogen-core: CPU a task, in turns with ours.

``make bench-peers`` installs them, each into an environment of its own under ``.venv-peers/``, and runs this;
``python -m benchmarks.against [--tasks 10000] [--rounds 3]`` only runs it. A figure includes building the
graph, not importing.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from functools import partial
from pathlib import Path

from benchmarks.dags import Dag, layered
from benchmarks.drivers import AGENTS, by_engine, by_kit
from benchmarks.meter import Cost, Row, at_least, cost, in_turns, per_task, ratio, table

#: Package → its file in `benchmarks.peers`, and how many times our CPU a task it is to take at the least.
PEERS = {
    "langgraph": ("langgraph_dag.py", 30),
    "distributed": ("dask_dag.py", 60),
    "autogen-core": ("autogen_dag.py", 8),
}
#: At 10,000 tasks one of dask's costs five times what it does here: this is the kinder comparison.
SMALLER = {"distributed": 2_000}
HERE = Path(__file__).parent


def rows(tasks: int = 10_000, rounds: int = 3) -> list[Row]:
    """One row each; the goal is counted by our engine alone, our kit stands beside it."""
    dag = layered(tasks)
    by_engine(layered(100))
    by_kit(layered(100))
    versions: dict[str, str] = {}
    jobs = {
        "engine": partial(cost, lambda: by_engine(dag)),
        "kit": partial(cost, lambda: by_kit(dag)),
        **{peer: partial(_peer, peer, dag, versions) for peer in PEERS},
    }
    costs = in_turns(jobs, rounds)
    made = [Row(f"our {name}, {tasks:,} tasks", per_task(costs[name], tasks)) for name in ("engine", "kit")]
    for peer, (_, goal) in PEERS.items():
        times, beside = ratio(costs, peer, "engine"), ratio(costs, peer, "kit")
        value = f"{times:.1f} × our engine, {beside:.1f} × our kit; {per_task(costs[peer], tasks)}"
        made.append(at_least(f"{peer} {versions[peer]}", value, times, goal, "×"))
    return made


def _peer(peer: str, dag: Dag, versions: dict[str, str]) -> Cost:
    """What one run costs inside a process of its own; the cost of a smaller graph is scaled up to `dag`."""
    used = layered(SMALLER[peer]) if len(dag.waits) > SMALLER.get(peer, math.inf) else dag
    scale = len(dag.waits) / len(used.waits)
    python = HERE.parent / ".venv-peers" / peer / "bin" / "python"
    asked = json.dumps({"waits": used.waits, "agents": AGENTS})
    done = subprocess.run(
        [python, HERE / "peers" / PEERS[peer][0]],
        input=asked,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{peer} failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    versions[peer] = found["version"]
    return Cost(cpu=found["cpu"] * scale, wall=found["wall"] * scale)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(table(rows(options.tasks, options.rounds)))


if __name__ == "__main__":
    main()
