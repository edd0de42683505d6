"""What is simulated, run in virtual time and run for real for the paper's Tables I–III (§IV).

References
----------
DynTaskMAS, arXiv:2503.07675, §IV.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import nullcontext
from math import exp, fsum
from statistics import fmean, median

import anyio

from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.clock import Clock, VirtualClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.history import entries_of
from dyntaskmas_nb.apee.journal import MemoryJournal, RunInfo
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.simulate import simulate
from dyntaskmas_nb.core.command import Pause, Resume
from dyntaskmas_nb.core.event import CommandSubmitted, DeltaSubmitted, RunStarted, WorkflowDecided
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.measures import Measures
from dyntaskmas_nb.core.settings import AgentSpec, Settings, universal_agents
from dyntaskmas_nb.core.snapshot import Entry
from dyntaskmas_nb.dtgg.update import as_delta
from dyntaskmas_nb.kit.background import Background
from dyntaskmas_nb.kit.kit import ClockName, Kit
from dyntaskmas_nb.kit.paper_plans import independent, travel
from dyntaskmas_nb.llm.protocol import Request
from dyntaskmas_nb.llm.simulated import Simulated, table2

#: Agents of Table I, one for each of the four GPUs of §IV-A. Paper silent on how many there were.
AGENTS = 4
#: One reading of Table II, where throughput × latency = N / 4: a task is four model calls, one after another.
CALLS = 4
#: Tasks that each agent of Table II does.
ROUNDS = 2
#: Of the logarithm of a call's duration in Table III: if all went as expected, nothing could be adapted.
SPREAD = 0.5


def makespan(graphs: Sequence[TaskGraph], policy: str = "upward_rank", overhead: float = 0.0) -> float:
    """Mean simulated seconds on `AGENTS` agents, where every task takes `overhead` s more than C(v)."""
    return fmean(
        simulate(graph, AGENTS, policy, duration=lambda task, _: task.complexity + overhead).makespan
        for graph in graphs
    )


def overhead_for(seconds: float, graphs: Sequence[TaskGraph]) -> float:
    """Overhead of a task, in s, with which the mean makespan is `seconds`: by bisection, 0 at the least."""
    low, high = 0.0, seconds
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if makespan(graphs, overhead=middle) < seconds else (low, middle)
    return low


def with_llama(graph: TaskGraph) -> tuple[float, float, float]:
    """Median seconds under the embedded Llama: of one agent, of `AGENTS`; how many times as long tasks took.

    The two take turns, so that a slow spell of the machine strikes both; a small graph has several turns.
    """
    with Kit(home=None) as kit:
        kit.start(graph, agents=1).result()  # what is loaded late is not the run's
        alone: list[Measures] = []
        together: list[Measures] = []
        for _ in range(max(1, 21 // len(graph))):
            for agents, seen in ((1, alone), (AGENTS, together)):
                run = kit.start(graph, agents=agents)
                run.result()
                seen.append(run.measures())
    one, many = (median(measures.makespan for measures in seen) for seen in (alone, together))
    return one, many, fsum(m.serial for m in together) / fsum(m.serial for m in alone)


def latency(agents: int) -> float:
    """Table II's curve: seconds of a model call where there are so many agents.

    >>> round(latency(4), 4), round(latency(1024), 4)
    (0.0813, 0.2691)
    """
    return table2(agents)(Request(messages=(), max_tokens=1), random.Random(0))


def scaling(agents: int, clock: ClockName) -> tuple[float, float]:
    """Tasks a second, milliseconds a call: of the engine, with agents that sleep `CALLS` latencies a task."""
    background = Background(virtual=clock == "virtual")
    try:
        entries: list[Entry] = background.call(_sleep_through, agents, background.clock)
    finally:
        background.close()
    spans = [entry.end - entry.start for entry in entries if entry.end is not None]
    took = max(entry.end or 0.0 for entry in entries) - min(entry.start for entry in entries)
    return len(spans) / took, 1000 * fmean(spans) / CALLS


async def _sleep_through(agents: int, clock: Clock) -> list[Entry]:
    """Run as many tasks as `agents` have rounds; they start when all has been built."""
    seconds, machine, journal = latency(agents), Machine("scaling"), MemoryJournal()
    journal.open_run(RunInfo(run="scaling", created="", request="", status="running", clock="real"))

    async def work(job: Assignment) -> Answer:
        for _ in range(CALLS):
            await anyio.sleep(seconds)
        return Answer(result=None)

    engine = Engine(machine, work, clock, journal)
    engine.post(RunStarted(0.0, "", Settings(modelled_transfers=False), universal_agents(agents)))
    engine.post(DeltaSubmitted(0.0, 0, as_delta(independent(ROUNDS * agents))))
    engine.post(CommandSubmitted(0.0, 0, Pause()))
    async with anyio.create_task_group() as group:
        group.start_soon(engine.run)
        with clock.move() if isinstance(clock, VirtualClock) else nullcontext():
            await engine.until(lambda: machine.paused)
            await engine.submit(Resume())
            await engine.finished.wait()
    return entries_of(machine.log)


def systems(serial: float | None = None) -> list[tuple[float, ...]]:
    """Figures of Table III, one agent for all roles, then one for each without and with the AWM.

    Each time seconds, coordination in ms, context switches, utilisation in %, how often the AWM looked and
    how often it changed something: in virtual time, scaled so that one agent takes `serial` s, or with the
    embedded Llama, medians of three turns.
    """

    def scattered(request: Request, chance: random.Random) -> float:
        return request.cost * exp(SPREAD * chance.gauss(0.0, 1.0))

    graph = travel()
    units = sum(task.complexity for task in graph.tasks.values())
    seven = [AgentSpec(id=role, roles=(role,)) for role in {task.role: 0 for task in graph.tasks.values()}]
    virtual = serial is not None
    with Kit(
        Simulated(scattered) if virtual else None, home=None, clock="virtual" if virtual else "real"
    ) as kit:

        def trial(agents: int | list[AgentSpec], unit: float, awm: str) -> tuple[float, ...]:
            run = kit.start(graph, agents=agents, seconds_per_unit=unit, awm=awm)
            run.result()
            whole = run.metrics().whole
            used = 100 * (whole.utilisation or 0.0)
            looks = [event.verdict for event in run._machine.log if isinstance(event, WorkflowDecided)]
            changes = looks.count("applied")
            return whole.seconds, 1000 * whole.coordination, whole.context_switches, used, len(looks), changes

        took, *_ = trial(1, 1.0, "off")
        unit = took / units if serial is None else serial / took
        turns = [
            [trial(1, unit, "off"), trial(seven, unit, "off"), trial(seven, unit, "auto")]
            for _ in range(1 if virtual else 3)
        ]
    return [tuple(map(median, zip(*each, strict=True))) for each in zip(*turns, strict=True)]
