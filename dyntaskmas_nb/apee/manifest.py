"""What every attempt was given to read, and what it was not, and why: read off the log.

A Llama reads from the context store, within its window and its level: `ContextGiven` says what that came to.
A Python function is given the results of the tasks it depends on, and all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.event import ContextGiven, ContextNote, Event
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.view.words import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One attempt's context: what it was given at its start, then what was `pushed` while it worked.

    `left_out` are titles and reasons; `tokens` is what its model counted, 0 for a Python function.
    """

    task: TaskId
    attempt: int
    agent: str
    items: tuple[ContextNote, ...]
    pushed: tuple[ContextNote, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    tokens: int = 0

    def __repr__(self) -> str:
        lines = [f"{self.task}, attempt {self.attempt}, {self.agent}: {self.tokens:,} tokens of context"]
        for sign, notes in (("+", self.items), ("↓", self.pushed)):
            for note in notes:
                why = "its predecessor" if note.relevance is None else f"relevance {note.relevance:.2f}"
                lines.append(f"{sign} {note.id}, version {note.version}: {why}, {note.tokens:,} tokens")
        lines += [f"- {title}: {reason}" for title, reason in self.left_out]
        return "\n".join(printable(line, 300) for line in lines)


def manifest_of(machine: Machine, log: Sequence[Event], id: TaskId) -> Manifest:
    """What the latest attempt at task `id` was given; nothing where there was none yet."""
    record = machine.records[id]
    given = [e for e in log if isinstance(e, ContextGiven) and (e.task, e.attempt) == (id, record.attempt)]
    items = tuple(note for event in given if not event.pushed for note in event.items)
    if not any(not event.pushed for event in given):
        items = tuple(
            ContextNote(id=f"result/{before}/{max(version, 0)}", version=1, tokens=0)
            for before, version in (record.inputs or {}).items()
            if version
        )
    return Manifest(
        task=id,
        attempt=record.attempt,
        agent=record.agent,
        items=items,
        pushed=tuple(note for event in given if event.pushed for note in event.items),
        left_out=tuple(gap for event in given for gap in event.left_out),
        tokens=sum(event.tokens for event in given),
    )
