"""Agent Pool Manager and Load Balancer (§III-B): who can take a task, and who should.

Most suitable first (an agent of the task's own role before one that takes any), then least loaded: the
smallest share of taken slots, then the fewest tasks assigned so far, then the order they joined in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from dyntaskmas_nb.core.settings import ANY_ROLE, AgentSpec
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.errors import InvalidInput


@dataclass(slots=True)
class Agent:
    """An agent of the pool and its workload."""

    spec: AgentSpec
    index: int
    running: dict[TaskId, float] = field(default_factory=dict)
    assigned: int = 0
    completed: int = 0
    busy: float = 0.0
    place: tuple[float, int, int, Agent] | None = None

    @property
    def free(self) -> bool:
        """Whether it has a slot left."""
        return len(self.running) < self.spec.slots

    @property
    def load(self) -> float:
        """Share of its slots that is taken, 0 to 1."""
        return len(self.running) / self.spec.slots if self.spec.slots else 1.0


class Pool:
    """The agents of one run."""

    def __init__(self) -> None:
        self.agents: dict[str, Agent] = {}
        self._free: dict[str, list[tuple[float, int, int, Agent]]] = {}
        self._by_role: dict[str, int] = {}

    def __iter__(self) -> Iterator[Agent]:
        return iter(self.agents.values())

    def add(self, spec: AgentSpec) -> Agent:
        """Let an agent join; raises `InvalidInput` for a name taken, no roles or no slots."""
        if spec.id in self.agents:
            raise InvalidInput(f"There is already an agent {spec.id!r}; give each its own id.")
        _check(spec)
        agent = self.agents[spec.id] = Agent(spec, len(self.agents))
        self._count(spec, 1)
        self._offer(agent)
        return agent

    def change(self, agent: Agent, spec: AgentSpec) -> None:
        """Let an agent be as `spec` from now on; what it works on it keeps."""
        _check(spec)
        self._count(agent.spec, -1)
        agent.spec = spec
        self._count(spec, 1)
        self._offer(agent)

    def copy(self, agent: Agent) -> None:
        """Let a copy of another pool's agent join."""
        mine = self.add(agent.spec)
        mine.running, mine.assigned = dict(agent.running), agent.assigned
        mine.completed, mine.busy = agent.completed, agent.busy
        self._offer(mine)

    def _count(self, spec: AgentSpec, by: int) -> None:
        for role in spec.roles if spec.slots else ():
            self._by_role[role] = self._by_role.get(role, 0) + by

    def count(self, role: str) -> int:
        """How many agents that have slots can take `role`."""
        return self._by_role.get(role, 0) + (self._by_role.get(ANY_ROLE, 0) if role != ANY_ROLE else 0)

    def pick(self, role: str, avoid: Collection[str] = ()) -> Agent | None:
        """The agent that should take a task of `role` now, none to `avoid`; None when none is free."""
        if avoid:
            return next((agent for agent in self.able(role, avoid) if agent.free), None)
        if role in self._free and (agent := self._first(role)):
            return agent
        return self._first(ANY_ROLE)

    def able(self, role: str, avoid: Collection[str] = ()) -> list[Agent]:
        """Agents that can take `role`, without those to `avoid`, the one to be preferred first."""
        able = [a for a in self if a.spec.slots and a.spec.id not in avoid and a.spec.takes(role)]
        return sorted(able, key=lambda a: (role not in a.spec.roles, a.load, a.assigned, a.index))

    def newcomer(self, role: str) -> AgentSpec:
        """Who would be hired next for `role`: called after it, numbered from the second on."""
        names = (role if number == 1 else f"{role} {number}" for number in count(self.count(role) + 1))
        return AgentSpec(id=next(name for name in names if name not in self.agents), roles=(role,))

    def take(self, agent: Agent, task: TaskId, t: float) -> None:
        """Occupy a slot of `agent` from time `t` (s)."""
        agent.running[task] = t
        agent.assigned += 1
        self._offer(agent)

    def release(self, agent: Agent, task: TaskId, t: float, *, completed: bool = False) -> None:
        """Free the slot of `agent` that `task` took."""
        agent.busy += t - agent.running.pop(task)
        agent.completed += completed
        self._offer(agent)

    def _offer(self, agent: Agent) -> None:
        """Put a free agent in its place, by which older places in the heaps are known to be stale."""
        taken, slots = len(agent.running), agent.spec.slots
        if taken >= slots:
            agent.place = None
            return
        agent.place = place = (taken / slots, agent.assigned, agent.index, agent)
        for role in agent.spec.roles:
            heappush(self._free.setdefault(role, []), place)

    def _first(self, role: str) -> Agent | None:
        heap = self._free.get(role)
        while heap:
            agent = heap[0][3]
            if agent.place is heap[0]:
                return agent
            heappop(heap)
        return None


def _check(spec: AgentSpec) -> None:
    if type(spec.roles) is not tuple or not spec.roles or type(spec.slots) is not int or spec.slots < 0:
        raise InvalidInput(f"Agent {spec.id!r} needs a tuple of at least one role, and slots of at least 0.")
