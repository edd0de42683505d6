"""The run as its user holds it: every edit, every control, the result, and how it all looks."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio.to_thread

from dyntaskmas_nb import errors
from dyntaskmas_nb.core.codec import encode
from dyntaskmas_nb.core.event import DeltaSubmitted, PlanFailed
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.measures import Measures
from dyntaskmas_nb.core.task import TaskId, TaskState
from dyntaskmas_nb.dtgg.weights import edge_weights
from dyntaskmas_nb.errors import RunCancelled, RunFailed, StoreError
from dyntaskmas_nb.kit.adapting import Adapting
from dyntaskmas_nb.kit.batch import Batched
from dyntaskmas_nb.kit.context import Contexts
from dyntaskmas_nb.kit.past import Past, write_whole
from dyntaskmas_nb.kit.planning import Planning
from dyntaskmas_nb.kit.steering import Steering
from dyntaskmas_nb.view.numbers import measured


class Run(Steering, Past, Adapting, Planning, Contexts):
    """A plan being worked on in the background. Made by `Kit.start` and `Kit.open_run`."""

    _panel: Any = None

    # -- looking -------------------------------------------------------------------------------------

    @property
    def graph(self) -> TaskGraph:
        """A copy of the present graph."""
        return self._read(self._machine.graph.copy)

    def states(self) -> dict[TaskId, str]:
        """Each task's state by name."""
        return self.snapshot().states()

    def results(self) -> dict[TaskId, Any]:
        """What the finished tasks gave."""
        return {id: view.result for id, view in self.snapshot().tasks.items() if view.state == "done"}

    def repairs(self) -> list[str]:
        """What the planner repaired in the model's plan, a sentence each."""
        return [n for event in self._machine.log if isinstance(event, DeltaSubmitted) for n in event.notes]

    def measures(self) -> Measures:
        """Makespan, serial time, critical path, lower bound, utilisation and speed-up so far."""
        return measured(self.snapshot())

    def log_lines(self) -> bytes:
        """Every event as a line of JSON; the same seed under the virtual clock gives the same bytes."""
        return b"".join(encode(event) + b"\n" for event in tuple(self._machine.log))

    def batch(self) -> Batched:
        """Several edits applied at once: ``with run.batch() as edits: edits.add_task("Check visas")``."""
        return Batched(self)

    # -- the end --------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the run's end and return the sole sink's output, else a dict by sink.

        `timeout` is in real seconds. A sole sink that was skipped gives None; among several the skipped ones
        are left out.

        Raises
        ------
        InvalidInput
            The run is paused and nothing runs, so that its end would never come.
        RunFailed
            Tasks failed; the message says which and why. Planning errors are raised as themselves.
        RunCancelled
            The run was cancelled or interrupted.
        TimeoutError
            After `timeout`; the run goes on.
        """
        self._wait(lambda: self._machine.ended is not None, timeout)
        self.raise_if_failed()
        machine = self._machine
        found = self._read(lambda: {id: machine.records[id] for id in machine.graph.sinks()})
        results = {id: record.result for id, record in found.items() if record.state is TaskState.DONE}
        return next(iter(results.values()), None) if len(found) == 1 else results

    def wait_for_plan(self, timeout: float | None = None) -> None:
        """Wait until the planner has given its plan, or the run has ended."""
        self._wait(lambda: not self._machine.planning, timeout)

    def raise_if_failed(self) -> None:
        """Raise what went wrong so far, if anything did."""
        status, ended = self.status, self._machine.ended
        why = ended.reason if ended else ""
        if self._engine.failure:
            raise RunFailed(f"The run stopped: {self._engine.failure}")
        if self._engine.trouble:
            raise StoreError(f"The run waits. {self._engine.trouble}")
        if status == "interrupted":
            raise RunCancelled(f"The run was interrupted; kit.open_run({self.id!r}) goes on with it.")
        if status == "cancelled":
            raise RunCancelled(f"The run was cancelled: {why}")
        if status == "failed":
            if refused := [event for event in self._machine.log if isinstance(event, PlanFailed)]:
                raise _error_class(refused[-1].error)(refused[-1].reason)
            raise RunFailed(f"The run failed. {why}")

    def __await__(self) -> Generator[Any, None, Any]:
        return anyio.to_thread.run_sync(self.result, abandon_on_cancel=True).__await__()

    # -- pictures -------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        from dyntaskmas_nb.view.text import progress_text

        return progress_text(self.snapshot())

    def _repr_html_(self) -> str:
        from dyntaskmas_nb.view.html import fragment

        now = self.snapshot()
        return fragment(now, edge_weights(now.graph, now.settings))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from dyntaskmas_nb.ui.display import mimebundle

        return mimebundle(self)

    def timeline(self, width: int = 72) -> str:
        """The timeline by agent as text."""
        from dyntaskmas_nb.view.text import timeline_text

        return timeline_text(self.snapshot(), width=width)

    def to_html(self, path: str | Path) -> Path:
        """Write graph, timeline, tasks and result to one HTML file that needs no network.

        Raises `StoreError` when that cannot be.
        """
        from dyntaskmas_nb.view.html import to_html

        now = self.snapshot()
        text = to_html(now, edge_weights(now.graph, now.settings), title=now.request or now.run)
        return write_whole(Path(path), text)


def _error_class(kind: str) -> type[errors.DynTaskError]:
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, errors.DynTaskError):
        return found
    return errors.PlanningFailed
