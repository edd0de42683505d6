"""Edits of a running graph (Δ_t of Eq. 4) as calls. Each returns a `Receipt`, false where it was refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from dyntaskmas_nb.apee.story import call
from dyntaskmas_nb.apee.submissions import Outcome
from dyntaskmas_nb.core import delta as deltas
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import MAX_TEXT, Join, Task, TaskId, check_text, held, shown
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.receipt import Receipt, receipt_of

_SMALL = frozenset("a an and at by for from in into of on or the to with".split())


class Edits:
    """The edits a run takes. What each does to a task that runs or has ended: the table in `dtgg.update`."""

    snapshot: Callable[[], Snapshot]
    _submit: Callable[..., Outcome]

    def add_task(
        self,
        description: str,
        *,
        after: Iterable[TaskId] = (),
        before: Iterable[TaskId] = (),
        id: TaskId | None = None,
        base: int | None = None,
        **fields: Any,
    ) -> Receipt:
        """Add a task that waits for `after` and that `before` will wait for.

        Parameters
        ----------
        description : what to do.
        after, before : task ids, or a mapping from task id to information I.
        base : the version it is made against, here and in the other edits; None for the present one.
        id : its name; by default made from the description.
        **fields : role, complexity, boost, critical, timeout, attempts, resources (names of what it holds
            alone, or together with others where the name ends in " (shared)"; or `Resource`s), join,
            approval, inputs.

        Raises
        ------
        InvalidInput
            A field that does not exist or makes no sense.
        """
        known = self.snapshot().graph
        check_text(description, "The description", MAX_TEXT, empty=id is not None)
        if isinstance(kind := fields.get("join"), str):
            fields["join"] = Join(kind=kind)  # type: ignore[arg-type]
        if "resources" in fields:
            fields["resources"] = held(fields["resources"])
        try:
            task = Task(id=id or slug(description, known), description=description, **fields)
        except TypeError:
            unknown = next((name for name in fields if name not in Task.__dataclass_fields__), "?")
            raise InvalidInput(f"A task has no field {unknown!r}.") from None
        delta = deltas.AddTask(task=task, after=_edges(after), before=_edges(before))
        words = [f"added {task.id!r}"]
        words += [f"after {', '.join(delta.after)}"] if delta.after else []
        words += [f"before {', '.join(delta.before)}"] if delta.before else []
        return self.apply(delta, " ".join(words), base=base, id=task.id)

    def remove_task(self, id: TaskId, *, base: int | None = None) -> Receipt:
        """Remove a task and the dependencies that touch it."""
        return self.apply(deltas.RemoveTask(id=id), f"removed {id!r}", base=base)

    def add_dependency(
        self, before: TaskId, after: TaskId, information: float = 0.0, *, base: int | None = None
    ) -> Receipt:
        """Make `after` wait for `before`; `information` units move between them."""
        delta = deltas.AddDependency(before=before, after=after, information=information)
        return self.apply(delta, f"{after!r} now waits for {before!r}", base=base)

    def remove_dependency(self, before: TaskId, after: TaskId, *, base: int | None = None) -> Receipt:
        """No longer make `after` wait for `before`."""
        delta = deltas.RemoveDependency(before=before, after=after)
        return self.apply(delta, f"{after!r} no longer waits for {before!r}", base=base)

    def revise_dependency(
        self, before: TaskId, after: TaskId, information: float, *, base: int | None = None
    ) -> Receipt:
        """Change how much information moves along a dependency."""
        delta = deltas.ReviseDependency(before=before, after=after, information=information)
        return self.apply(delta, f"{before!r} → {after!r} now moves {information}", base=base)

    def set_join(self, id: TaskId, kind: str, k: int = 1, *, base: int | None = None) -> Receipt:
        """Change when a task with several predecessors may start: "all", "any", "k_of_n", "first_valid"."""
        delta = deltas.SetJoin(id=id, join=Join(kind=kind, k=k))  # type: ignore[arg-type]
        return self.apply(delta, f"{id!r} now waits for {kind}", base=base)

    def expand(self, id: TaskId, plan: TaskGraph | Mapping[str, Any]) -> Receipt:
        """Replace a task by those of a plan: the first inherit what it waits for, the last what follows."""
        part = plan if isinstance(plan, TaskGraph) else TaskGraph.from_plan(plan)
        tasks, dependencies = tuple(part.tasks.values()), tuple(part.dependencies())
        delta = deltas.ExpandTask(id=id, tasks=tasks, dependencies=dependencies)
        return self.apply(delta, f"expanded {id!r} into {', '.join(part)}")

    def revise(self, id: TaskId, *, base: int | None = None, **changes: Any) -> Receipt:
        """Change fields of a task, such as description, role, complexity, boost, critical or attempts."""
        if not changes:
            raise InvalidInput(f"Say what to change of {id!r}, as in revise({id!r}, complexity=2).")
        if "resources" in changes:
            changes["resources"] = held(changes["resources"])
        what = ", ".join(f"{name} = {value!r}" for name, value in changes.items())
        return self.apply(deltas.ReviseTask(id=id, changes=changes), f"revised {id!r}: {what}", base=base)

    def apply(
        self, delta: deltas.Delta, what: str = "", *, base: int | None = None, id: str = "", by: str = "user"
    ) -> Receipt:
        """Hand in any Δ; `base` is the version it was made against, None for the present one."""
        if not isinstance(delta, deltas.Delta):
            raise InvalidInput(
                f"This takes a Δ such as AddDependency(before=…, after=…), not {shown(delta)}."
            )
        return receipt_of(what or call(delta), self._submit(delta, base, by), id)


def _edges(ids: Iterable[TaskId]) -> dict[TaskId, float]:
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise InvalidInput(f"after and before take a list of task ids; write [{ids!r}].")
    return dict(ids) if isinstance(ids, Mapping) else dict.fromkeys(ids, 0.0)


def slug(text: str, taken: Container[str]) -> str:
    """A short id from the first words of `text`, different from all that are `taken`.

    Examples
    --------
    >>> slug("Check the visa rules for Japan", {"check_visa_rules"})
    'check_visa_rules_2'
    """
    words = [word for word in re.findall(r"[^\W_]+", text.lower()) if word not in _SMALL]
    name = "_".join(words[:3])[:40] or "task"
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    return made
