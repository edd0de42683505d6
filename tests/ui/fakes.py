"""A run without an engine: the real graph and the real edits, no time, no threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import ipywidgets

from dyntaskmas_nb.core.delta import AddDependency, AddTask, Delta, RemoveDependency, RemoveTask, ReviseTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.receipt import Receipt
from dyntaskmas_nb.ui.forms import every
from dyntaskmas_nb.ui.panel import Panel
from tests.view.runs import make


def buttons(panel: Panel) -> dict[str, Any]:
    """The buttons of a panel by their labels."""
    return {w.description: w for w in every(panel.widget) if isinstance(w, ipywidgets.Button)}


def fields(panel: Panel, kind: type) -> list[Any]:
    """The widgets of a kind in a panel, in their order."""
    return [w for w in every(panel.widget) if type(w) is kind]


class FakeRun:
    """Mirrors `kit.run.Run` as far as `ui.bridge.RunHandle` and `ui.inbox.CALLS` ask for it."""

    def __init__(self, *ids: str) -> None:
        self.now = make(ids)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.observers: list[Callable[[], None]] = []
        self.undoing: list[Delta] = []
        self._panel: Any = None

    def snapshot(self) -> Snapshot:
        return replace(self.now, graph=self.now.graph.copy())

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.observers.append(changed)
        return lambda: self.observers.remove(changed)

    def become(self, **changes: Any) -> None:
        """Change the snapshot and tell whoever watches."""
        self.now = replace(self.now, seq=self.now.seq + 1, **changes)
        for observe in tuple(self.observers):
            observe()

    def _repr_html_(self) -> str:
        return "<p>static</p>"

    def __repr__(self) -> str:
        return "static"

    def _apply(self, delta: Delta, what: str, base: int | None) -> Receipt:
        self.calls.append((what, {"base": base}))
        graph: TaskGraph = self.now.graph.copy()
        try:
            self.undoing.append(apply(graph, delta))
        except InvalidInput as error:
            return Receipt(what=what, accepted=False, reason=str(error))
        views = make(graph).tasks | {id: view for id, view in self.now.tasks.items() if id in graph}
        self.become(graph=graph, tasks=views)
        return Receipt(what=what, version=self.now.seq)

    def add_task(
        self,
        description: str,
        *,
        after: Iterable[str] = (),
        before: Iterable[str] = (),
        id: str | None = None,
        base: int | None = None,
        **fields: Any,
    ) -> Receipt:
        task = Task(id=id or description, description=description, **fields)
        edges = dict.fromkeys(after, 0.0), dict.fromkeys(before, 0.0)
        return self._apply(AddTask(task=task, after=edges[0], before=edges[1]), "add_task", base)

    def remove_task(self, id: str, *, base: int | None = None) -> Receipt:
        return self._apply(RemoveTask(id=id), "remove_task", base)

    def add_dependency(
        self, before: str, after: str, information: float = 0.0, *, base: int | None = None
    ) -> Receipt:
        delta = AddDependency(before=before, after=after, information=information)
        return self._apply(delta, "add_dependency", base)

    def remove_dependency(self, before: str, after: str, *, base: int | None = None) -> Receipt:
        return self._apply(RemoveDependency(before=before, after=after), "remove_dependency", base)

    def revise(self, id: str, *, base: int | None = None, **changes: Any) -> Receipt:
        return self._apply(ReviseTask(id=id, changes=changes), "revise", base)

    def undo(self) -> Receipt:
        return self._apply(self.undoing.pop(), "undo", None) if self.undoing else self._no("nothing to undo")

    def redo(self) -> Receipt:
        return self._no("nothing to redo")

    def pause(self, hard: bool = False) -> Receipt:
        return self._done("pause", "paused", hard=hard)

    def resume(self) -> Receipt:
        return self._done("resume", "running")

    def step(self, until: str = "dispatch") -> Receipt:
        return self._done("step", "paused", until=until)

    def cancel(self, id: str | None = None) -> Receipt:
        return self._done("cancel", "running" if id else "cancelled", id=id)

    def retry(self, id: str) -> Receipt:
        return self._done("retry", "running", id=id)

    def approve(self, id: str) -> Receipt:
        return self._done("approve", "running", id=id)

    def reject(self, id: str, why: str = "") -> Receipt:
        return self._done("reject", "running", id=id, why=why)

    def _done(self, what: str, status: str, **args: Any) -> Receipt:
        self.calls.append((what, args))
        self.become(status=status)
        return Receipt(what=what)

    def _no(self, reason: str) -> Receipt:
        return Receipt(what="", accepted=False, reason=reason)
