"""A run for other tools: a trace for Perfetto, records for pandas, and the user's edits as Python calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from dyntaskmas_nb.apee.history import accepted, entries_of
from dyntaskmas_nb.apee.story import call, said
from dyntaskmas_nb.core.command import Break, Resume
from dyntaskmas_nb.core.delta import Batch
from dyntaskmas_nb.core.event import CommandSubmitted, Event, TaskDispatched, TaskDone, TaskFailed
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.view.lanes import end_of, lanes

_MICROSECOND = 1e-6
#: Columns that come from an attempt's events, and from its task.
_MEASURED, _OF_TASK = ("priority", "tokens", "cost", "error"), ("description", "role", "complexity")
_IMPORTS = """from dyntaskmas_nb import Join, Resource, Task
from dyntaskmas_nb.core.delta import *

"""


def records_of(log: Sequence[Event], graph: TaskGraph) -> list[dict[str, Any]]:
    """A flat dict for every attempt, ordered by start, for `pandas.DataFrame`; times in seconds.

    Description, role and complexity are those of now, None for a task that is there no more.
    """
    more: dict[tuple[TaskId, int], dict[str, Any]] = defaultdict(lambda: dict.fromkeys(_MEASURED))
    for event in log:
        if isinstance(event, TaskDispatched | TaskDone | TaskFailed):
            found = {name: getattr(event, name) for name in _MEASURED if hasattr(event, name)}
            more[event.task, event.attempt] |= found
    return [
        {field.name: getattr(entry, field.name) for field in fields(entry)}
        | {"seconds": None if entry.end is None else entry.end - entry.start}
        | {name: getattr(graph.tasks.get(entry.task), name, None) for name in _OF_TASK}
        | more[entry.task, entry.attempt]
        for entry in entries_of(log)
    ]


def trace_of(now: Snapshot, log: Sequence[Event]) -> dict[str, Any]:
    """Chrome's trace event format: a thread for each agent or slot, a slice for each attempt.

    Edits and commands that took effect are instants on the first thread. Times there are microseconds.
    """
    rows = lanes(now)
    about = {(record["task"], record["attempt"]): record for record in records_of(log, now.graph)}
    found = [_named("process", 0, f"run {now.run}")]
    found += [_named("thread", tid, name) for tid, name in enumerate(["edits", *(row.name for row in rows)])]
    for cause, _ in accepted(log):
        found.append(_event("i", said(cause), cause.by, cause.t, 0) | {"s": "p"})
    for tid, row in enumerate(rows, 1):
        for entry in row.entries:
            lasts = (end_of(entry, now.t) - entry.start) / _MICROSECOND
            slice_ = _event("X", entry.task, entry.outcome, entry.start, tid)
            found.append(slice_ | {"dur": lasts, "args": about[entry.task, entry.attempt]})
    return {"displayTimeUnit": "ms", "traceEvents": found}


def _event(phase: str, name: str, category: str, t: float, tid: int) -> dict[str, Any]:
    return {"ph": phase, "name": name, "cat": category, "ts": t / _MICROSECOND, "pid": 1, "tid": tid}


def _named(what: str, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": f"{what}_name", "pid": 1, "tid": tid, "args": {"name": name}}


def python_of(log: Sequence[Event]) -> str:
    """What the user did to a run, as calls that do the same to another run of the same plan.

    All foreign text is quoted by `repr`. What others did after the user's first call stands as a comment.
    """
    lines, until = list[str](), False
    for cause, _ in accepted(log):
        if cause.by in ("user", "undo", "redo"):
            what = cause.command if isinstance(cause, CommandSubmitted) else cause.delta
            words = call(what) if cause.by == "user" else f"{cause.by}()"
            if isinstance(what, Batch) and cause.by == "user":
                lines.append(f"with run.batch() as edits:  # at {cause.t:g} s")
                lines += [f"    edits.{call(part)}" for part in what.deltas]
            elif not (until and isinstance(what, Resume)):  # run_until resumes by itself
                lines.append(f"run.{words}  # at {cause.t:g} s")
            until = isinstance(what, Break) and what.once
        elif lines:
            lines.append(f"# the {cause.by} at {cause.t:g} s: {said(cause)}")
    return _IMPORTS * bool(lines) + "".join(f"{line}\n" for line in lines)
