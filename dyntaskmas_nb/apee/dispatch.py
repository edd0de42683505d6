"""Agent Pool Manager and Load Balancer at work (§III-B, Alg. 2): ready tasks to free agents, best first.

What may keep a ready task from starting, in the order in which it is looked at: it is held (approval, a
retry that is not due, a monitor), its removed namesake still runs, the run is paused, no agent that can take
it is free, its resources are taken, a breakpoint.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from dyntaskmas_nb.apee.budget import over_budget
from dyntaskmas_nb.apee.ledger import READY, RUNNING, Record
from dyntaskmas_nb.apee.locks import Locks, Wanted
from dyntaskmas_nb.apee.pool import Agent
from dyntaskmas_nb.apee.routing import Routing
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.task import TaskId

if TYPE_CHECKING:
    from dyntaskmas_nb.apee.machine import Machine


class Dispatcher:
    """Starts tasks of one machine.

    Attributes
    ----------
    hiring : whether a role without a free agent gets one.
    breakpoints : (task, "before" or "after") → whether it goes away when it is hit.
    """

    def __init__(self, machine: Machine) -> None:
        self.locks = Locks()
        self.hiring = True
        self.breakpoints: dict[tuple[TaskId, str], bool] = {}
        self.passed: set[TaskId] = set()
        self.parked: dict[Wanted, list[tuple[int, TaskId]]] = {}
        self.routing = Routing()
        self._m = machine

    def admit(self, id: TaskId, t: float) -> None:
        """Put a task that is ready into the queue, unless something else has to happen first."""
        m, record = self._m, self._m.records.get(id)
        if record is None or record.state is not READY:
            return
        task = m.graph._tasks[id]
        waits = task.approval and not record.approved
        if waits and not record.hold:
            m.hold(id, record, "approval", "waits for approval", t)
        elif record.hold == "approval" and not waits:
            record.hold = record.reason = ""
        if record.hold or id in m.ledger.leaving:
            return
        if not self.hiring and (reason := self.hopeless(task.role)):
            m.give_up(id, t, reason)
        else:
            m.queue.push(id, task.role, m.ranking[id], record.order)

    def dispatch(self, t: float) -> None:
        """Give ready tasks to free agents, best priority first over all roles."""
        if self._m.settings.routing == "off":
            self._round(t)
        else:
            for patient in (True, False):
                self._round(t, {}, patient=patient)

    def _round(self, t: float, ahead: dict[str, int] | None = None, *, patient: bool = False) -> None:
        """Go through the queue once; `ahead`, where routing is learned, counts who waits for which agent."""
        m, queue, pick = self._m, self._m.queue, self._m.pool.pick
        held: list[TaskId] = []
        pins = m.settings.pins
        claims = self._claims() if self.parked else {}
        heads = {role: entry for role in queue.roles() if (entry := queue.first(role))}
        while heads and (not m.paused or m.credits):
            role = min(heads, key=heads.__getitem__)
            free, (rank, _, id) = pick(role), heads[role]
            if free is None and not self._may_hire(role):
                del heads[role]  # no agent gets free meanwhile
                continue
            queue.pop(role)
            record, task = m.records[id], m.graph._tasks[id]
            if task.resources and not self.locks.available(task, record.order, claims):
                self._park(id, record, task.resources, claims)
            elif self.breakpoints and (id, "before") in self.breakpoints and id not in self.passed:
                held.append(id)
                self.passed.add(id)
                self.hit(id, "before", t)
            elif m.limited and over_budget(m, t, another=True):
                held.append(id)
                break
            elif free and ahead is None and not record.avoid and not (pins and id in pins):
                self._start(id, record, free, -rank, t)
            elif agent := self._agent(id, role, record, t, ahead, patient):
                self._start(id, record, agent, -rank, t)
            else:
                held.append(id)
                if patient:
                    del heads[role]
                    continue
            if entry := queue.first(role):
                heads[role] = entry
            else:
                del heads[role]
        for id in held:
            if m.records[id].state is READY:
                self._enqueue(id)

    def _park(self, id: TaskId, record: Record, wanted: Wanted, claims: dict[Wanted, int]) -> None:
        """Put a task aside until its resources are free, and keep them free for it."""
        record.hold = "resources"
        heappush(self.parked.setdefault(wanted, []), (record.order, id))
        claims[wanted] = min(record.order, claims.get(wanted, record.order))

    def _claims(self) -> dict[Wanted, int]:
        """Bring back who can have its resources; return who claims which, unless it only lacks an agent."""
        m, claims = self._m, dict[Wanted, int]()
        for wanted, heap in list(self.parked.items()):
            alone = any(resource.exclusive for resource in wanted)
            while heap:
                order, id = heap[0]
                record = m.records.get(id)
                if record is None or record.hold != "resources" or record.order != order:
                    heappop(heap)  # it is not waiting any more
                    continue
                role, free = m.graph._tasks[id].role, self.locks.free(wanted)
                if not free or m.pool.pick(role) or self._may_hire(role):
                    claims.setdefault(wanted, order)
                if free:
                    heappop(heap)
                    record.hold = ""
                    self._enqueue(id)
                if alone or not free:
                    break
            if not heap:
                del self.parked[wanted]
        return claims

    def hit(self, id: TaskId, when: str, t: float) -> None:
        """Pause the run at a breakpoint, if there is one."""
        if not self.breakpoints or (id, when) not in self.breakpoints:
            return
        m = self._m
        m.paused, m.credits, m.to_completion, m.stopped_at = True, 0, False, f"{when} {id!r}"
        m.log.append(events.BreakpointHit(t, id, "before" if when == "before" else "after"))
        if self.breakpoints[id, when]:
            del self.breakpoints[id, when]

    def free(self, id: TaskId, record: Record, t: float, *, success: bool | None = None) -> None:
        """An attempt is over (`success` None where that says nothing): its agent and resources are free."""
        m, task, agent = self._m, record.task, self._m.pool.agents[record.agent]
        assert task is not None
        if success is not None and m.settings.routing == "on":
            seconds = t - agent.running[id]
            self.routing.observe(record.agent, task.role, success=success, seconds=seconds)
        m.pool.release(agent, id, t, completed=success is True)
        m.running -= 1
        if task.resources:
            self.locks.release(task)

    def hopeless(self, role: str) -> str:
        """Why nothing would ever happen to a ready task of `role`, unless one is hired: no agent takes it."""
        if self._m.pool.count(role):
            return ""
        has = ", ".join(sorted({role for agent in self._m.pool for role in agent.spec.roles}))
        return f"no agent can take the role {role!r}; there are: {has}"

    def _enqueue(self, id: TaskId) -> None:
        m = self._m
        m.queue.push(id, m.graph._tasks[id].role, m.ranking[id], m.records[id].order)

    def _may_hire(self, role: str) -> bool:
        return self.hiring and self._m.pool.count(role) < self._m.settings.agents_per_role

    def _agent(
        self, id: TaskId, role: str, record: Record, t: float, ahead: dict[str, int] | None, patient: bool
    ) -> Agent | None:
        """Who should do it; None where a better one, or the only one allowed, is merely busy."""
        pool = self._m.pool
        if (only := pool.agents.get(self._m.settings.pins.get(id, ""))) and only in pool.able(role):
            return only if only.free else None
        agent = pool.pick(role, record.avoid)
        if agent is None and self._may_hire(role):
            return self._hire(role, t)
        able = pool.able(role, record.avoid) if record.avoid or ahead is not None else []
        if agent is None and record.avoid and not able:
            able, agent = pool.able(role), pool.pick(role)  # whoever failed at it is all there is
        if ahead is None or agent is None:
            return agent
        queues = {
            a.spec.id: max(0, len(a.running) - a.spec.slots + 1) + ahead.get(a.spec.id, 0) for a in able
        }
        best = self.routing.choose(role, queues, patient=patient)
        if queues[best]:
            ahead[best] = ahead.get(best, 0) + 1
            return None
        return pool.agents[best]

    def _hire(self, role: str, t: float) -> Agent:
        spec = self._m.pool.newcomer(role)
        self._m.log.append(events.AgentHired(t, spec))
        return self._m.pool.add(spec)

    def _start(self, id: TaskId, record: Record, agent: Agent, priority: float, t: float) -> None:
        m = self._m
        task = m.graph._tasks[id]
        if task.resources:
            self.locks.take(task)
        self.passed.discard(id)
        m.credits -= m.paused
        record.state, record.agent, record.reason = RUNNING, agent.spec.id, ""
        record.task, record.inputs = task, m.ledger.inputs(id)
        record.attempt += 1
        m.running += 1
        m.attempts += 1
        m.pool.take(agent, id, t)
        dispatched = events.TaskDispatched(t, id, record.attempt, agent.spec.id, priority, record.since)
        m.log.append(dispatched)
        m.effects.append(dispatched)
