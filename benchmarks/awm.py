"""What adapting the workflow buys: seeded workloads under the virtual clock, AWM off, advising and auto.

``python -m benchmarks.awm [WORKLOADS]``
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, median, quantiles

import anyio

from benchmarks.dags import Dag
from benchmarks.drivers import NoJournal
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.awm.manager import Manager
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.delta import AddTasks
from dyntaskmas_nb.core.settings import Adaptation, Settings, universal_agents
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError

TASKS, AGENTS = 60, 4
STEP = 0.05  # seconds for which a drifting pace is taken as constant


def braided(tasks: int, seed: int) -> Dag:
    """Tasks that each wait for some of the 25 before, 4 at the most; units lognormal, σ = 0.8."""
    draw, dag = random.Random(seed), Dag()
    ids = [f"t{number}" for number in range(tasks)]
    for number, id in enumerate(ids):
        dag.waits[id] = [u for u in ids[max(0, number - 25) : number] if draw.random() < 0.06][:4]
        dag.units[id] = draw.lognormvariate(0.0, 0.8)
    return dag


@dataclass
class World:
    """A workload: its graph, how long each task takes on each agent from each moment, and what fails."""

    seed: int
    roles: int = 1
    deadline: float | None = None
    units: dict[str, float] = field(default_factory=dict)  # true work
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.dag = braided(TASKS, self.seed)
        self.role = {id: f"role {self.draw.randrange(self.roles)}" for id in self.dag.waits}
        self.units = dict(self.dag.units)

    def speed(self, agent: int, t: float) -> float:
        return 1.0

    def fails(self, agent: int, t: float, task: str, attempt: int) -> bool:
        return False

    def end(self, task: str, agent: int, t: float) -> float:
        """When work begun at `t` is done."""
        left = self.units[task]
        while True:
            pace = self.speed(agent, t)
            step = STEP - t % STEP
            if step < 1e-9:
                step = STEP
            if left <= pace * step:
                return t + left / pace
            left -= pace * step
            t += step

    def bound(self) -> float:
        """No schedule is shorter: the critical path on whoever is fastest, the work on all together."""
        longest: dict[str, float] = {}
        for id, waits in self.dag.waits.items():
            begin = max((longest[u] for u in waits), default=0.0)
            longest[id] = self._all_fast(begin, self.units[id])
        work, t = sum(self.units.values()), 0.0
        while work > 0:
            pace = sum(self.speed(agent, t) for agent in range(AGENTS))
            used = min(STEP, work / pace)
            work -= pace * used
            t += used
        return max(t, *longest.values())

    def _all_fast(self, t: float, left: float) -> float:
        while True:
            pace = max(self.speed(agent, t) for agent in range(AGENTS))
            step = STEP - t % STEP
            if step < 1e-9:
                step = STEP
            if left <= pace * step:
                return t + left / pace
            left -= pace * step
            t += step


class Drifting(World):
    """(a) Agents differ in speed, and each drifts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.logs = []
        for _ in range(AGENTS):
            log, walk = self.draw.gauss(0, 0.6), []
            for _ in range(4000):
                walk.append(math.exp(log))
                log += self.draw.gauss(0, 0.6) * 0.02 - 0.0004 * log
            self.logs.append(walk)

    def speed(self, agent: int, t: float) -> float:
        return self.logs[agent][min(int(t / STEP + 1e-9), 3999)]


class Degrading(World):
    """(b) One agent degrades half-way: eight times slower, half its calls failing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.half = sum(self.units.values()) / AGENTS / 2
        self.who = self.draw.randrange(AGENTS)

    def speed(self, agent: int, t: float) -> float:
        return 1 / 8 if agent == self.who and t >= self.half else 1.0

    def fails(self, agent: int, t: float, task: str, attempt: int) -> bool:
        bad = random.Random(f"{self.seed} {task} {attempt}").random() < 0.5
        return agent == self.who and t >= self.half and bad

    def bound(self) -> float:
        return super().bound()


class Misjudged(World):
    """(c) Complexity estimates are wrong, σ = 1, by role."""

    spread = 1.0

    def __post_init__(self) -> None:
        self.roles = 6
        super().__post_init__()
        factor = {f"role {n}": math.exp(self.draw.gauss(0, self.spread)) for n in range(self.roles)}
        self.units = {id: c * factor[self.role[id]] for id, c in self.dag.units.items()}


class Noisy(World):
    """(c) as well: wrong one by one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.units = {id: c * math.exp(self.draw.gauss(0, 1)) for id, c in self.dag.units.items()}


class Plain(World):
    """(e) Nothing to gain."""


def play(world: World, awm: Adaptation, **settings: object) -> Machine:
    clock = VirtualClock()

    async def perform(job: Assignment) -> Answer:
        agent, now = int(job.agent.split()[1]) - 1, engine.now()
        failing = world.fails(agent, now, job.task.id, job.attempt)
        end = world.end(job.task.id, agent, now)
        await anyio.sleep(end - now)
        if failing:
            raise AgentError("broke")
        return Answer(result=None)

    machine = Machine("bench")
    engine = Engine(machine, perform, clock, NoJournal())
    manager = Manager(engine)
    engine.watch(manager.look)
    tasks = tuple(
        Task(id=id, role=world.role[id], complexity=units, attempts=6) for id, units in world.dag.units.items()
    )
    edges = tuple((u, id, 0.0) for id, waits in world.dag.waits.items() for u in waits)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(manager.run)
            engine.post(events.RunStarted(0.0, "", Settings(awm=awm, **settings), universal_agents(AGENTS)))
            engine.post(events.DeltaSubmitted(0.0, 0, AddTasks(tasks=tasks, dependencies=edges), by="planner"))
            with clock.move():
                await engine.run()
            group.cancel_scope.cancel()

    anyio.run(main, backend="trio", backend_options={"clock": clock.trio})
    assert machine.status == "done", machine.ended
    return machine


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    for kind in (Drifting, Degrading, Misjudged, Noisy, Plain):
        rows = []
        for seed in range(count):
            world = kind(seed)
            bound = world.bound()
            off = play(kind(seed), Adaptation()).log[-1].t
            machine = play(kind(seed), Adaptation(mode="auto"))
            auto = machine.log[-1].t
            made = sum(isinstance(e, events.WorkflowDecided) and e.verdict == "applied" for e in machine.log)
            rows.append((off / bound, auto / bound, auto / off, made, (off - auto), (off - bound)))
        got = sum(r[4] for r in rows) / max(1e-9, sum(r[5] for r in rows))
        print(f"{kind.__name__:10} off/bound {fmean(r[0] for r in rows):.3f} auto {fmean(r[1] for r in rows):.3f}"
              f" recovered {got:.1%} median {median(r[4]/max(1e-9,r[5]) for r in rows):.1%} worst auto/off {max(r[2] for r in rows):.3f} changes {fmean(r[3] for r in rows):.1f}", flush=True)


if __name__ == "__main__":
    main()
