"""What each command does to a machine, and why it sometimes cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from dyntaskmas_nb.apee.budget import watch_budget
from dyntaskmas_nb.apee.ledger import BLOCKED, CANCELLED, DEAD, PENDING, READY, RUNNING, Record
from dyntaskmas_nb.apee.priority import Ranking
from dyntaskmas_nb.apee.routing import Routing
from dyntaskmas_nb.core.command import (
    Approve,
    Break,
    CancelRun,
    CancelTask,
    Command,
    Configure,
    Inject,
    Pause,
    Reject,
    Resume,
    RetryTask,
    SetAgent,
    StepOnce,
)
from dyntaskmas_nb.core.effect import GiveContext
from dyntaskmas_nb.core.settings import AgentSpec, configured
from dyntaskmas_nb.core.task import SATISFIED, TaskId
from dyntaskmas_nb.errors import DynTaskError

if TYPE_CHECKING:
    from dyntaskmas_nb.apee.machine import Machine


#: Settings that priorities are computed from.
RANKED_BY = ("policy", "seconds_per_unit", "rates", "as_printed")


def carry_out(m: Machine, command: Command, t: float) -> str:
    """Do what `command` says; return why not, or nothing."""
    if m.ended and not isinstance(command, RetryTask | Configure | Break):
        return f"The run has ended ({m.ended.status})."
    if m.stopping and not isinstance(command, Configure | Break | CancelRun):
        return "The run is being stopped."
    match command:
        case Pause(hard=hard):
            m.paused, m.credits, m.to_completion = True, 0, False
            if hard:
                for id, record in m.running_tasks():
                    m.ledger.stop(id, record, "again")
        case Resume():
            m.paused, m.credits, m.to_completion, m.stopped_at = False, 0, False, ""
        case StepOnce(until="completion"):
            m.paused, m.credits, m.to_completion, m.stopped_at = False, 0, True, ""
        case StepOnce():
            m.paused, m.to_completion, m.stopped_at = True, False, ""
            m.credits += 1
        case CancelRun(reason=reason):
            m.wind_down("cancelled", reason, t)
        case Configure(changes=changes):
            return _configure(m, dict(changes), t)
        case SetAgent(agent=spec):
            return _set_agent(m, spec)
        case Break() | CancelTask() | RetryTask() | Approve() | Reject() | Inject():
            if command.id not in m.records:
                return f"There is no task {command.id[:80]!r}."
            return _on_task(m, command, command.id, m.records[command.id], t)
        case _:
            assert_never(command)
    return ""


def _on_task(
    m: Machine,
    command: Break | CancelTask | RetryTask | Approve | Reject | Inject,
    id: TaskId,
    record: Record,
    t: float,
) -> str:
    match command:
        case Break(when=when, on=on, once=once):
            if on:
                m.dispatcher.breakpoints[id, when] = once
            elif m.dispatcher.breakpoints.pop((id, when), None) is None:
                return f"There is no breakpoint {when} {id!r}."
        case CancelTask():
            return _cancel(m, id, record, t)
        case RetryTask():
            return _retry(m, id, record, t)
        case Approve():
            return _approve(m, id, record)
        case Reject(why=why):
            if record.hold not in ("approval", "ask"):
                return f"Task {id!r} does not wait for approval; it is {record.state}."
            m.give_up(id, t, f"rejected: {why}" if why else "rejected")
        case Inject(text=text):
            if record.state is not RUNNING or record.stopping:
                return f"Task {id!r} is {record.state}; only a running one can be given context."
            m.effects.append(GiveContext(id, record.attempt, text))
    return ""


def _cancel(m: Machine, id: TaskId, record: Record, t: float) -> str:
    if record.state.ended:
        return f"Task {id!r} is {record.state} already."
    if record.state is RUNNING:
        m.ledger.stop(id, record, "cancel")
    else:
        m.ledger.close(id, record, CANCELLED, t, "cancelled before it started")
    return ""


def _retry(m: Machine, id: TaskId, record: Record, t: float) -> str:
    if record.hold in ("approval", "monitor", "ask"):
        return f"Task {id!r} {record.reason or 'waits for a decision'}; approve or reject it."
    if record.state is READY and not record.hold:
        return f"Task {id!r} is ready already; it starts when an agent is free."
    if record.state is PENDING or record.state is BLOCKED:
        before = [u for u in m.graph.predecessors(id) if m.records[u].state not in SATISFIED]
        return f"Task {id!r} waits for {', '.join(map(repr, before[:5]))}; retry that instead."
    record.made_from = None
    if record.state is READY:  # its retry is not due yet
        record.hold = ""
        m.ledger.newly_ready.append(id)
        return ""
    if record.state is RUNNING:
        m.ledger.reopen(id, record, t, "")
        record.stopping = "afresh"
        return ""
    dead = [u for u in m.graph.predecessors(id) if m.records[u].state in DEAD]
    if len(m.graph.after(id)) - len(dead) < m.graph[id].join.needed(len(m.graph.after(id))):
        return f"Task {id!r} waits for {', '.join(map(repr, dead[:5]))}; retry that instead."
    m.go_on(t)
    m.ledger.reopen(id, record, t, "to be run again")
    m.ledger.settle(m.graph._succ[id], t)
    return ""


def _approve(m: Machine, id: TaskId, record: Record) -> str:
    if record.hold == "ask":
        record.hold = record.reason = ""
    elif not m.graph.tasks[id].approval:
        return f"Task {id!r} needs no approval."
    elif record.state.ended or record.state is RUNNING:
        return f"Task {id!r} is {record.state} already."
    record.approved = True
    if record.state is READY:
        m.ledger.newly_ready.append(id)
    return ""


def _set_agent(m: Machine, spec: AgentSpec) -> str:
    had = m.pool.agents.get(spec.id)
    before = had.spec if had else spec
    try:
        if had:
            m.pool.change(had, spec)
        else:
            m.pool.add(spec)
    except DynTaskError as error:
        return str(error)
    if had and not m.dispatcher.hiring:
        wanted = {m.graph._tasks[id].role for id, record in m.records.items() if not record.state.ended}
        if alone := [role for role in sorted(wanted) if not m.pool.count(role)]:
            m.pool.change(had, before)
            return f"Tasks wait for the role {alone[0]!r}, which nobody else takes; let another join first."
    m.ledger.newly_ready += [id for id, record in m.records.items() if record.state is READY]
    return ""


def _configure(m: Machine, changes: dict[str, object], t: float) -> str:
    try:
        new = configured(m.settings, changes)
        policy = m.ranking.policy if new.policy == m.settings.policy else m.policy(new)
        if "routing_table" in changes:
            m.dispatcher.routing = Routing(new.routing_table)
    except (DynTaskError, TypeError) as error:
        return str(error)
    if any(getattr(new, name) != getattr(m.settings, name) for name in RANKED_BY):
        m.ranking = Ranking(m.graph, policy, new)
    m.settings = new
    m.dispatcher.routing.frozen = new.routing == "frozen"
    m.ranking.touch(m.graph)
    watch_budget(m, t)
    if "budget" in changes and m.ended and m.ended.reason.startswith("The budget"):
        stopped = [id for id, record in m.records.items() if record.reason == m.ended.reason]
        m.go_on(t)
        for id in sorted(stopped, key=m.graph.position):
            m.ledger.reopen(id, m.records[id], t, "there is a larger budget")
        m.ledger.settle(stopped, t)
    return ""
