"""Why: a task's priority by its equation, its agent, and what keeps it from starting."""

from __future__ import annotations

from dataclasses import dataclass

from dyntaskmas_nb.apee.equations import priority_of
from dyntaskmas_nb.apee.ledger import READY, RUNNING
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.delta import AddTask, AddTasks, Batch, ExpandTask
from dyntaskmas_nb.core.event import DeltaApplied, DeltaSubmitted
from dyntaskmas_nb.core.task import SATISFIED, TaskId
from dyntaskmas_nb.view.equation import LONGEST, equation
from dyntaskmas_nb.view.html import foreign
from dyntaskmas_nb.view.words import duration, printable, tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One task explained in sentences.

    `operands` are the numbers of the priority's `equation`, which `latex` has in LaTeX and `source` in the
    paper; `successor` is the one that set it.
    """

    id: TaskId
    state: str
    priority: float
    equation: str
    operands: dict[str, float]
    successor: TaskId | None
    agent: str
    waits: tuple[str, ...]
    made: str
    latex: str = ""
    source: str = ""

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name} = {value:g}" for name, value in self.operands.items())
        lines = [f"{self.id} is {self.state}", f"priority {self.priority:g}: {self.equation}"]
        lines += [f"with {numbers}"] if numbers else []
        lines += [f"set by its successor {self.successor!r}"] if self.successor else []
        lines += [f"agent: {self.agent}"] if self.agent else []
        lines += [f"waits: {sentence}" for sentence in self.waits]
        lines += [f"made by: {self.made}"] if self.made else []
        return "\n".join(printable(line, 300) for line in lines)

    def _repr_html_(self) -> str:
        set_by = {"u": self.successor} if self.successor else {}
        sentences = [f"agent: {self.agent}"] if self.agent else []
        sentences += [f"waits: {sentence}" for sentence in self.waits]
        sentences += [f"made by: {self.made}"] if self.made else []
        return tag(
            "div",
            tag("p", tag("strong", foreign(f"{self.id} is {self.state}", LONGEST))),
            tag("p", foreign(f"priority {self.priority:g}: {self.equation}", LONGEST)),
            equation(self.latex, {**self.operands, **set_by}),
            *(tag("p", foreign(sentence, LONGEST)) for sentence in sentences),
            tag("p", tag("small", foreign(self.source, LONGEST))),
        )


def explain(machine: Machine, id: TaskId) -> Explanation:
    """Explain task `id`, which is in the graph."""
    record = machine.records[id]
    found = priority_of(machine, id)
    return Explanation(
        id=id,
        state=f"{record.state}" + (f": {record.reason}" if record.reason else ""),
        priority=machine.priority(id),
        equation=found.text,
        operands=found.operands,
        successor=found.successor,
        agent=_agent(machine, id),
        waits=tuple(_waits(machine, id)),
        made=_made(machine, id),
        latex=found.latex,
        source=found.source,
    )


def _agent(machine: Machine, id: TaskId) -> str:
    """Who had the latest attempt, and why."""
    record, role = machine.records[id], machine.graph[id].role
    if record.agent not in machine.pool.agents:
        return ""
    spec = machine.pool.agents[record.agent].spec
    others = [agent.spec.id for agent in machine.pool.able(role) if agent.spec.id != spec.id]
    why = f"{spec.id!r} had attempt {record.attempt}: it "
    why += f"has the role {role!r}" if role in spec.roles else "takes any role"
    why += (
        ", and of those free the fewest slots taken, then the fewest tasks" if others else ", as the only one"
    )
    if machine.settings.routing != "off":
        costs = {a: machine.dispatcher.routing.cost(a, role) for a in (spec.id, *others)}
        why += "; expected seconds by agent: " + ", ".join(
            f"{a} {c:.3g}" for a, c in sorted(costs.items())[:6]
        )
    if record.avoid:
        why += f"; avoided are {', '.join(record.avoid)}, who failed at it"
    return why


def _waits(machine: Machine, id: TaskId) -> list[str]:
    """What keeps a task from starting, a sentence each."""
    record, graph, task = machine.records[id], machine.graph, machine.graph[id]
    if record.state.ended or record.state is RUNNING:
        return ["it is being stopped"] if record.stopping else []
    if record.state is not READY:
        states = {u: machine.records[u].state for u in graph.predecessors(id)}
        missing = [f"{u!r} ({state})" for u, state in states.items() if state not in SATISFIED]
        some = f", {task.join.needed(len(states))} of {len(states)} needed" if task.join.kind != "all" else ""
        return [f"for {', '.join(missing)}{some}" if missing else "for its predecessors' context to arrive"]
    found = {
        "retry": f"for its retry, due at {duration(record.due)}",
        "resources": "for its resources" if not machine.dispatcher.locks.holders(task) else "",
        "approval": f"for approval: run.approve({id!r})",
        "": "",
    }.get(record.hold, record.reason)
    able = machine.pool.able(task.role)
    busy = [f"{a.spec.id} ({', '.join(a.running)})" for a in able] if not any(a.free for a in able) else []
    ahead = [u for u in machine.records if u in machine.queue and machine.priority(u) > machine.priority(id)]
    held = machine.dispatcher.locks.holders(task)
    sentences = (
        found,
        "for the run, which is paused" if machine.paused else "",
        "for a breakpoint before it" if (id, "before") in machine.dispatcher.breakpoints else "",
        f"for resources that others hold: {', '.join(held)}" if held else "",
        f"for an agent; those that take {task.role!r} are busy: {', '.join(busy[:4])}" if busy else "",
        f"{len(ahead)} ready tasks have a higher priority, {ahead[0]!r} among them" if ahead else "",
    )
    return [sentence for sentence in sentences if sentence] or ["for the next turn"]


def _made(machine: Machine, id: TaskId) -> str:
    """Which edit brought the task into the graph."""
    asked: dict[int, DeltaSubmitted] = {}
    for event in machine.log:
        if isinstance(event, DeltaSubmitted):
            asked[event.id] = event
        elif isinstance(event, DeltaApplied) and id in machine.graph and event.id in asked:
            delta = asked[event.id]
            if id in _added(delta.delta):
                return f"{delta.by}, version {event.version}, at {duration(event.t)}"
    return ""


def _added(delta: object) -> set[TaskId]:
    match delta:
        case AddTask(task=task):
            return {task.id}
        case AddTasks(tasks=tasks) | ExpandTask(tasks=tasks):
            return {task.id for task in tasks}
        case Batch(deltas=deltas):
            return set().union(*map(_added, deltas))
    return set()
