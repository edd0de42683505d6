"""How good the schedules are, simulated and in real time, and how near many agents come to the ideal.

``python -m benchmarks.schedule``. The ideal of m agents on tasks of 81 ms is m / 0.081 tasks a second,
counted from the moment a run of independent tasks is let go until its end.
"""

from __future__ import annotations

from statistics import mean

import anyio

from benchmarks.dags import Dag, as_graph, independent, layered
from benchmarks.drivers import NoJournal, by_engine_from_pause, inputs
from benchmarks.meter import Row, at_least, at_most, cost, table
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.clock import RealClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.history import entries_of
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.priority import POLICIES
from dyntaskmas_nb.apee.simulate import simulate
from dyntaskmas_nb.core.measures import measure

GRAPHS, TASKS, AGENTS = 200, 60, 4
#: Real seconds for one unit of complexity: far above what dispatch costs, so that the order is what counts.
UNIT = 0.2
#: Real runs at the same time; they wait more than they work.
AT_ONCE = 100
BODY = 0.081
SHARES = {4: 0.98, 16: 0.98, 64: 0.97, 256: 0.95, 1024: 0.90}
ROUNDS = 25


def makespans() -> list[Row]:
    """Mean makespan over max(critical path, work / m), in real time with the durations as measured."""
    dags = [layered(TASKS, seed) for seed in range(GRAPHS)]
    others = [rule for rule in POLICIES if rule != "upward_rank"]
    simulated = _mean(dags, "upward_rank")
    real = mean(anyio.run(_real, dags))
    named = f"makespan / lower bound, {GRAPHS} graphs of {TASKS} tasks on {AGENTS} agents"
    return [
        at_most(named, f"{simulated:.4f} simulated", simulated, 1.03),
        Row("  by other rules, simulated", ", ".join(f"{rule} {_mean(dags, rule):.3f}" for rule in others)),
        at_most("  in real time, minus simulated", f"{real - simulated:+.4f}", real - simulated, 0.02),
    ]


def _mean(dags: list[Dag], rule: str) -> float:
    plans = [simulate(as_graph(dag), agents=AGENTS, policy=rule) for dag in dags]
    return mean(plan.makespan / plan.lower_bound for plan in plans)


async def _real(dags: list[Dag]) -> list[float]:
    ratios = dict.fromkeys(range(len(dags)), 0.0)
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def one(number: int) -> None:
        async with limit:
            ratios[number] = await _ratio(dags[number])

    async with anyio.create_task_group() as group:
        for number in ratios:
            group.start_soon(one, number)
    return list(ratios.values())


async def _ratio(dag: Dag) -> float:
    async def perform(job: Assignment) -> Answer:
        await anyio.sleep(job.task.complexity * UNIT)
        return Answer(result=None)

    machine = Machine("bench")
    engine = Engine(machine, perform, RealClock(), NoJournal())
    for event in inputs(dag, AGENTS):
        engine.post(event)
    await engine.run()
    assert machine.status == "done", (machine.ended, engine.failure)
    measures = measure(machine.graph, entries_of(machine.log), AGENTS)
    return measures.makespan / measures.lower_bound


def shares() -> list[Row]:
    """Throughput of m agents as a share of m / 0.081."""
    made = []
    by_engine_from_pause(independent(4), 4, _sleep)  # what is imported late is not the engine's
    for agents, goal in SHARES.items():
        dag, took = independent(agents * ROUNDS), 0.0

        def run(dag: Dag = dag, agents: int = agents) -> None:
            nonlocal took
            took = by_engine_from_pause(dag, agents, _sleep)

        spent = cost(run)
        share = ROUNDS * BODY / took
        each = spent.cpu / len(dag.waits) * 1e6
        bare = ROUNDS * BODY / anyio.run(_by_hand, agents)
        value = (
            f"{share:.1%} of {agents / BODY:,.0f} tasks/s (bare sleeps {bare:.1%}); {each:.0f} µs CPU a task"
        )
        made.append(at_least(f"{agents:,} agents, tasks of 81 ms", value, share, goal))
    return made


async def _by_hand(agents: int) -> float:
    """Wall seconds of as many loops that sleep and do nothing else: what this machine allows just now."""

    async def agent() -> None:
        for _ in range(ROUNDS):
            await anyio.sleep(BODY)

    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        for _ in range(agents):
            group.start_soon(agent)
    return anyio.current_time() - start


async def _sleep(job: Assignment) -> Answer:
    await anyio.sleep(BODY)
    return Answer(result=None)


def rows() -> list[Row]:
    """Schedules, then shares."""
    return makespans() + shares()


if __name__ == "__main__":
    print(table(rows()))
