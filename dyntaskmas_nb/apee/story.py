"""A run's log as a person reads it: what happened, who did it, and what came of it.

Edits and commands are told as the calls that make them, so that a reader can make them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from dyntaskmas_nb.apee.history import taken_in
from dyntaskmas_nb.core import command, delta, event
from dyntaskmas_nb.core.event import Event
from dyntaskmas_nb.core.settings import AgentSpec
from dyntaskmas_nb.core.task import Task, TaskId
from dyntaskmas_nb.view.words import count, duration, fit, markup, printable, tag

#: Rows that a history shows; its `records` are complete.
ROWS = 200
_METHODS: dict[type, str] = {
    delta.RemoveTask: "remove_task",
    delta.AddDependency: "add_dependency",
    delta.RemoveDependency: "remove_dependency",
    delta.ReviseDependency: "revise_dependency",
    delta.ReviseTask: "revise",
    command.Pause: "pause",
    command.Resume: "resume",
    command.StepOnce: "step",
    command.Break: "break_at",
    command.CancelTask: "cancel",
    command.RetryTask: "retry",
    command.Approve: "approve",
    command.Reject: "reject",
    command.Inject: "inject",
    command.Configure: "configure",
    command.SetAgent: "set_agent",
}
_WORDS: dict[type, str] = {
    event.RunStarted: "asked for: {0.request}",
    event.RunReopened: "opened again",
    event.ResultsShared: "took over results of run {0.source}",
    event.PlanFailed: "planning failed: {0.reason}",
    event.TaskDispatched: "{0.task!r} started, attempt {0.attempt}",
    event.TaskDone: "{0.task!r} is done",
    event.TaskFailed: "{0.task!r} failed: {0.error}",
    event.TaskStopped: "{0.task!r} was stopped",
    event.MonitorDecided: "{0.task!r}: {0.decision}. {0.reason}",
    event.WorkflowDecided: "the AWM looked at the workflow: {0.reason}",
    event.ContextGiven: "{0.task!r} was told of {0.items[0].id!r} while it worked",
    event.StateChanged: "{0.task!r} is {0.state}: {0.reason}",
    event.BreakpointHit: "paused {0.when} {0.task!r}",
    event.RunEnded: "the run ended: {0.status}. {0.reason}",
}


def said(what: Event | delta.Delta | command.Command) -> str:
    """An event in words, on one line and safe to print; "" for inner workings.

    >>> said(event.TaskDone(2.5, "flights", 1, "at noon"))
    "'flights' is done"
    """
    match what:
        case event.DeltaSubmitted(delta=part) | event.CommandSubmitted(command=part):
            return said(part)
        case delta.Batch(deltas=deltas):
            text = f"{count(len(deltas), 'edit')}: {'; '.join(map(said, deltas[:20]))}"
        case delta.AddTasks(tasks=tasks):
            text = f"added {_some([task.id for task in tasks])}"
        case delta.RemoveTasks(ids=ids):
            text = f"removed {_some(ids)}"
        case delta.ExpandTask(id=id, tasks=tasks):
            text = f"replaced {id!r} by {_some([task.id for task in tasks])}"
        case _ if type(what) in _WORDS:
            text = _WORDS[type(what)].format(what).rstrip(" .:")
        case _:
            text = call(what)
    return printable(text, 300)


def call(what: Any) -> str:
    """The call of a run's method that makes an edit or a command; foreign text is quoted by `repr`.

    >>> call(delta.AddTask(task=Task(id="b", description="Book", complexity=2.0), after={"a": 0.0}))
    "add_task('Book', id='b', after=['a'], complexity=2.0)"
    """
    name, given, named = _METHODS.get(type(what), ""), list[Any](), dict[str, Any]()
    own = {field.name: (getattr(what, field.name), field.default) for field in fields(what)}
    if isinstance(what, delta.AddTask):
        name, given, named = "add_task", [what.task.description], {"id": what.task.id}
        edges = {side: ids for side, ids in (("after", what.after), ("before", what.before)) if ids}
        named |= {side: dict(ids) if any(ids.values()) else list(ids) for side, ids in edges.items()}
        own = {field.name: (getattr(what.task, field.name), field.default) for field in fields(Task)[2:]}
    elif isinstance(what, delta.SetJoin):
        name, given, own = "set_join", [what.id, what.join.kind, what.join.k], {}
    elif isinstance(what, command.SetAgent):
        own = {field.name: (getattr(what.agent, field.name), field.default) for field in fields(AgentSpec)}
    elif isinstance(what, command.CancelRun):
        name, own = "cancel", {}
    elif isinstance(what, command.Break) and what.once:
        name, given, own = "run_until", [what.id], {}
    elif not name:
        name, given, own = "apply", [what], {}
    elif "changes" in own:
        named = dict(own.pop("changes")[0])
    given += [value for value, default in own.values() if default is MISSING]
    named |= {key: value for key, (value, default) in own.items() if default not in (MISSING, value)}
    return f"{name}({', '.join([*map(repr, given), *(f'{key}={value!r}' for key, value in named.items())])})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One row: an event's place in the log (an edit's version), seconds, by whom, what, and what then."""

    seq: int
    t: float
    by: str
    what: str
    consequence: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class History:
    """The rows, oldest first, shown as a table."""

    rows: tuple[Happening, ...]

    @property
    def records(self) -> list[dict[str, Any]]:
        """Every row as a flat dict, for `pandas.DataFrame`."""
        return [{name: getattr(row, name) for name in _COLUMNS} for row in self.rows]

    def __repr__(self) -> str:
        lines = [f"{'seq':>6} {'time':>12}  {fit('by', 12)} what"]
        for row in self.rows[-ROWS:]:
            then = f"  → {row.consequence}" if row.consequence else ""
            lines.append(f"{row.seq:>6} {duration(round(row.t, 3)):>12}  {fit(row.by, 12)} {row.what}{then}")
        return "\n".join(lines) + self._left_out()

    def _repr_html_(self) -> str:
        head = "".join(tag("th", name, scope="col") for name in _COLUMNS)
        body = [[tag("td", markup(value, 700)) for value in row.values()] for row in self.records[-ROWS:]]
        rows = "".join(tag("tr", *cells) for cells in body)
        return tag("table", tag("tr", head), rows, tag("caption", self._left_out()))

    def _left_out(self) -> str:
        return f"\n{len(self.rows) - ROWS:,} earlier ones are in .rows" if len(self.rows) > ROWS else ""


_COLUMNS = tuple(field.name for field in fields(Happening))


def history_of(log: Sequence[Event]) -> History:
    """What happened, for people: edits and commands, starts and outcomes, breakpoints, the end."""
    rows: list[Happening] = []
    agents: dict[tuple[TaskId, int], str] = {}
    for place, cause, facts in taken_in(log):
        seq, by = place, getattr(cause, "by", "")
        told = not isinstance(cause, event.TurnEnded | event.Woke | event.MachineSampled)
        by = "awm" if isinstance(cause, event.WorkflowDecided) else by
        if isinstance(cause, event.ContextGiven):
            told, by = cause.pushed, agents.get((cause.task, cause.attempt), "")
        if isinstance(cause, event.TaskDone | event.TaskFailed | event.TaskStopped):
            by = agents.pop((cause.task, cause.attempt), "")
            told = bool(by)  # else it came too late
        if told:
            seq = next((fact.version for fact in facts if isinstance(fact, event.DeltaApplied)), seq)
            rows.append(Happening(seq=seq, t=cause.t, by=by, what=said(cause), consequence=_came_of(facts)))
        for number, fact in enumerate(facts, place + 1):
            by = ""
            if isinstance(fact, event.TaskDispatched):
                by = agents[fact.task, fact.attempt] = fact.agent
            elif not isinstance(fact, event.BreakpointHit | event.RunEnded) and (
                told or not getattr(fact, "reason", "")
            ):
                continue
            rows.append(Happening(seq=number, t=fact.t, by=by, what=said(fact)))
    return History(tuple(rows))


def _came_of(facts: Sequence[Event]) -> str:
    """What an input led to: why it was refused, what runs again, which tasks came into which state."""
    refused = (event.DeltaRejected, event.CommandRejected)
    parts = [f"refused: {fact.reason}" for fact in facts if isinstance(fact, refused)]
    reruns = [id for fact in facts if isinstance(fact, event.DeltaApplied) for id in fact.reruns]
    found = {"runs again": reruns} if reruns else {}
    last = {fact.task: fact.state.value for fact in facts if isinstance(fact, event.StateChanged)}
    for id, state in last.items():
        found.setdefault(state, []).append(id)
    parts += [f"{word}: {_some(ids)}" for word, ids in found.items()]
    return printable("; ".join(parts), 300)


def _some(ids: Sequence[TaskId]) -> str:
    return ", ".join(ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")
