"""A plan as the generator writes it, and the laws that hold for each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

REFUSED = '{"refuse":"outside my domains"}'


@dataclass(frozen=True, slots=True)
class Subtask:
    """One subtask, in the key order of the planner's JSON."""

    id: str
    description: str
    role: str
    complexity: int
    depends_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Subtasks, each after those it depends on."""

    subtasks: tuple[Subtask, ...]

    def json(self) -> str:
        rows = [
            {
                "id": t.id,
                "description": t.description,
                "role": t.role,
                "complexity": t.complexity,
                "depends_on": list(t.depends_on),
            }
            for t in self.subtasks
        ]
        return json.dumps({"subtasks": rows}, separators=(",", ":"), ensure_ascii=False)

    @property
    def shape(self) -> dict[str, frozenset[str]]:
        """Ids and dependencies: what must be right for the plan to count as right."""
        return {t.id: frozenset(t.depends_on) for t in self.subtasks}


def read(text: str) -> Plan | None:
    """Return the valid plan that `text` holds, or None: bad JSON, unknown or doubled ids, a cycle, a refusal."""
    try:
        rows = json.loads(text)["subtasks"]
        tasks = tuple(
            Subtask(x["id"], x["description"], x["role"], int(x["complexity"]), tuple(x["depends_on"]))
            for x in rows
        )
        ids = {t.id for t in tasks}
        known = all(set(t.depends_on) <= ids - {t.id} for t in tasks)
        tuple(TopologicalSorter({t.id: t.depends_on for t in tasks}).static_order())
    except (ValueError, KeyError, TypeError, CycleError):
        return None
    return Plan(tasks) if tasks and known and len(ids) == len(tasks) else None
