"""Workloads whose agents do not do what was expected of them, for `benchmarks.awm`.

A world says how much work each task really is, how fast each agent is at each moment, and what fails. Its
bound is what no schedule beats: the critical path on whoever is fastest just then, all work on all agents.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import anyio

from benchmarks.dags import Dag
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.core.settings import AgentSpec, universal_agents
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError
from dyntaskmas_nb.llm.limits import Limited, Limits
from dyntaskmas_nb.llm.protocol import Message, Request, complete
from dyntaskmas_nb.llm.simulated import Simulated, by_cost

TASKS, AGENTS = 60, 4
#: Seconds for which a pace that changes is taken as constant.
STEP = 0.05


def braided(tasks: int, seed: int) -> Dag:
    """Tasks that each wait for some of the 25 before, 4 at the most; units lognormal, σ = 0.8."""
    draw, dag = random.Random(seed), Dag()
    ids = [f"t{number}" for number in range(tasks)]
    for number, id in enumerate(ids):
        dag.waits[id] = [u for u in ids[max(0, number - 25) : number] if draw.random() < 0.06][:4]
        dag.units[id] = draw.lognormvariate(0.0, 0.8)
    return dag


class World:
    """(e) Nothing to gain: all agents alike, all estimates right."""

    roles = 1
    deadline: float | None = None

    def __init__(self, seed: int, tasks: int = TASKS) -> None:
        self.seed, self.draw = seed, random.Random(seed)
        self.dag = braided(tasks, seed)
        self.role = {id: f"role {self.draw.randrange(self.roles)}" for id in self.dag.waits}
        self.units = dict(self.dag.units)
        self.prepare()

    def prepare(self) -> None:
        """Draw what is particular to this kind of world."""

    def tasks(self) -> tuple[Task, ...]:
        """The tasks as they are said to be."""
        return tuple(
            [Task(id=id, role=self.role[id], complexity=c, attempts=6) for id, c in self.dag.units.items()]
        )

    def agents(self) -> tuple[AgentSpec, ...]:
        """Who works."""
        return universal_agents(AGENTS)

    def speed(self, agent: int, t: float) -> float:
        """Units of work a second."""
        return 1.0

    def fails(self, agent: int, t: float, task: str, attempt: int) -> bool:
        """Whether an attempt begun at `t` fails."""
        return False

    async def perform(self, job: Assignment, now: Callable[[], float]) -> Answer:
        """Work as an agent of this world does."""
        agent, t = int(job.agent.split()[1]) - 1, now()
        failing = self.fails(agent, t, job.task.id, job.attempt)
        await anyio.sleep(self._until(t, self.units[job.task.id], lambda t: self.speed(agent, t)) - t)
        if failing:
            raise AgentError("broke")
        return Answer(result=None)

    def bound(self) -> float:
        """Seconds that no schedule stays below."""

        def fastest(t: float) -> float:
            return max(self.speed(agent, t) for agent in range(AGENTS))

        def all_of_them(t: float) -> float:
            return sum(self.speed(agent, t) for agent in range(AGENTS))

        ends: dict[str, float] = {}
        for id, waits in self.dag.waits.items():
            ends[id] = self._until(max((ends[u] for u in waits), default=0.0), self.units[id], fastest)
        return max(self._until(0.0, sum(self.units.values()), all_of_them), *ends.values())

    @staticmethod
    def _until(t: float, left: float, pace: Callable[[float], float]) -> float:
        """When `left` units begun at `t` are done."""
        place = int(t / STEP + 1e-9)
        while True:
            place += 1
            room = place * STEP - t
            speed = pace(t)
            if left <= speed * room:
                return t + left / speed
            left -= speed * room
            t = place * STEP


class Drifting(World):
    """(a) Agents differ in speed, σ = 0.6 of its logarithm, and every speed drifts."""

    def prepare(self) -> None:
        """Draw a walk for each agent, drawn back to the middle."""
        self._walks = []
        for _ in range(AGENTS):
            log, walk = self.draw.gauss(0, 0.6), []
            for _ in range(6000):
                walk.append(math.exp(log))
                log += self.draw.gauss(0, 0.012) - 0.0004 * log
            self._walks.append(walk)

    def speed(self, agent: int, t: float) -> float:
        """As drawn."""
        return self._walks[agent][min(int(t / STEP + 1e-9), 5999)]


class Degrading(World):
    """(b) One agent degrades half-way: eight times slower, half its calls failing."""

    def prepare(self) -> None:
        """Draw who."""
        self._half, self._who = sum(self.units.values()) / AGENTS / 2, self.draw.randrange(AGENTS)

    def speed(self, agent: int, t: float) -> float:
        """1, or an eighth."""
        return 1 / 8 if agent == self._who and t >= self._half else 1.0

    def fails(self, agent: int, t: float, task: str, attempt: int) -> bool:
        """By a coin for each attempt."""
        bad = random.Random(f"{self.seed} {task} {attempt}").random() < 0.5
        return agent == self._who and t >= self._half and bad


class Misjudged(World):
    """(c) Estimates of complexity are wrong, σ = 1 of the logarithm: by kind of task (role)."""

    roles = 6

    def prepare(self) -> None:
        """Draw a factor for each kind."""
        factor = {f"role {n}": math.exp(self.draw.gauss(0, 1)) for n in range(self.roles)}
        self.units = {id: c * factor[self.role[id]] for id, c in self.dag.units.items()}


class Noisy(World):
    """Estimates wrong by as much, but one by one: nothing can be learned from one task about another."""

    def prepare(self) -> None:
        """Draw a factor for each task."""
        self.units = {id: c * math.exp(self.draw.gauss(0, 1)) for id, c in self.dag.units.items()}


class Tiers(World):
    """(d) Two rate-limited models: two agents on a fast one at 10 a unit, four on one half as fast at 1."""

    fast = 2
    prices = (10.0, 1.0)

    def agents(self) -> tuple[AgentSpec, ...]:
        """Two and four."""
        return universal_agents(6)

    def prepare(self) -> None:
        """Make the models, each with a rate of its own."""
        self._models = [
            Limited(Simulated(by_cost(0.5)), Limits(requests_per_second=4)),
            Limited(Simulated(by_cost(1.0)), Limits(requests_per_second=4)),
        ]

    async def perform(self, job: Assignment, now: Callable[[], float]) -> Answer:
        """Ask the agent's model."""
        tier = int(int(job.agent.split()[1]) > self.fast)
        units = self.units[job.task.id]
        asked = Request(
            messages=(Message(role="user", content=job.task.id),), max_tokens=16, cost=units, tag=job.task.id
        )
        said = await complete(self._models[tier], asked)
        return Answer(result=None, cost=units * self.prices[tier], waited=said.waited)
