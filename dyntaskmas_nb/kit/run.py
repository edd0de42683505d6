"""The run as its user holds it: every edit, every control, the result, and how it all looks.

Each call hands a Δ or a command to the engine on its own loop and waits for the answer; none touches the
caller's event loop. A refusal is a `Receipt` that is False and says why.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import anyio.to_thread

from dyntaskmas_nb import errors
from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import Engine, Outcome
from dyntaskmas_nb.apee.history import snapshot_of
from dyntaskmas_nb.core.codec import encode
from dyntaskmas_nb.core.command import CancelRun, CancelTask, Command, Pause, Resume, StepOnce
from dyntaskmas_nb.core.delta import AddDependency, AddTask, Delta, RemoveDependency, RemoveTask, ReviseTask
from dyntaskmas_nb.core.event import (
    CommandApplied,
    CommandRejected,
    DeltaApplied,
    DeltaRejected,
    DeltaSubmitted,
    PlanFailed,
    RunStatus,
    TaskDispatched,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.measures import Measures, measure
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import MAX_TEXT, Task, TaskId, check_text
from dyntaskmas_nb.dtgg.weights import edge_weights
from dyntaskmas_nb.errors import InvalidInput, RunCancelled, RunFailed, StoreError
from dyntaskmas_nb.kit.background import Background
from dyntaskmas_nb.kit.files import write_whole
from dyntaskmas_nb.kit.naming import slug
from dyntaskmas_nb.kit.receipt import Receipt


class Run:
    """A plan being worked on in the background. Made by `Kit.start` and `Kit.open_run`."""

    def __init__(self, engine: Engine, background: Background, driver: Future[None], kit: object) -> None:
        self._engine = engine
        self._machine = engine.machine
        self._background = background
        self._kit: object = kit  # a run keeps its kit open until it is over
        driver.add_done_callback(partial(_let_go, weakref.ref(self)))

    # -- looking -------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Name of the run in the journal, for `Kit.open_run`."""
        return self._machine.run

    @property
    def status(self) -> RunStatus:
        """planning, running, paused, done, failed, cancelled, or interrupted (it can be opened again)."""
        if self._engine.finished.is_set() and not self._machine.ended:
            return "failed" if self._engine.failure else "interrupted"
        return self._machine.status

    @property
    def over(self) -> bool:
        """True when nothing will happen any more."""
        return self._engine.finished.is_set()

    @property
    def graph(self) -> TaskGraph:
        """A copy of the present graph."""
        return self.snapshot().graph

    def snapshot(self) -> Snapshot:
        """The present moment, immutable."""
        try:
            now: Snapshot = self._background.call(lambda: snapshot_of(self._machine, self._engine.now()))
        except (StoreError, CancelledError):  # the loop is closed: nothing changes any more
            now = snapshot_of(self._machine, self._machine.log[-1].t)
        return replace(now, status=self.status, reason=self._engine.failure or now.reason)

    def states(self) -> dict[TaskId, str]:
        """Each task's state by name."""
        return {id: view.state.value for id, view in self.snapshot().tasks.items()}

    def results(self) -> dict[TaskId, Any]:
        """What the finished tasks gave."""
        return {id: view.result for id, view in self.snapshot().tasks.items() if view.state == "done"}

    def repairs(self) -> list[str]:
        """What the planner repaired in the model's plan, a sentence each."""
        return [n for event in self._machine.log if isinstance(event, DeltaSubmitted) for n in event.notes]

    def measures(self) -> Measures:
        """Makespan, serial time, critical path, lower bound, utilisation and speed-up so far."""
        now = self.snapshot()
        return measure(now.graph, now.entries, sum(agent.slots for agent in now.agents), now.t)

    def log_lines(self) -> bytes:
        """Every event as a line of JSON; the same seed under the virtual clock gives the same bytes."""
        return b"".join(encode(event) + b"\n" for event in tuple(self._machine.log))

    # -- edits: Δ -------------------------------------------------------------------------------------

    def add_task(
        self,
        description: str,
        *,
        after: Iterable[TaskId] = (),
        before: Iterable[TaskId] = (),
        id: TaskId | None = None,
        **fields: Any,
    ) -> Receipt:
        """Add a task that waits for `after` and that `before` will wait for.

        Parameters
        ----------
        description : what to do.
        after, before : task ids, or a mapping from task id to information I.
        id : its name; by default made from the description.
        **fields : role, complexity, boost, critical, timeout, attempts, resources, join, inputs.

        Raises
        ------
        InvalidInput
            A field that does not exist or makes no sense.
        """
        known = self.graph
        check_text(description, "The description", MAX_TEXT)
        try:
            task = Task(id=id or slug(description, known), description=description, **fields)
        except TypeError:
            raise InvalidInput(f"A task has no field {_unknown(fields)!r}.") from None
        delta = AddTask(task=task, after=_edges(after), before=_edges(before))
        words = [f"added {task.id!r}"]
        words += [f"after {', '.join(delta.after)}"] if delta.after else []
        words += [f"before {', '.join(delta.before)}"] if delta.before else []
        return self.apply(delta, " ".join(words), id=task.id)

    def remove_task(self, id: TaskId) -> Receipt:
        """Remove a task and the dependencies that touch it."""
        return self.apply(RemoveTask(id=id), f"removed {id!r}")

    def add_dependency(self, before: TaskId, after: TaskId, information: float = 0.0) -> Receipt:
        """Make `after` wait for `before`; `information` units move between them."""
        delta = AddDependency(before=before, after=after, information=information)
        return self.apply(delta, f"{after!r} now waits for {before!r}")

    def remove_dependency(self, before: TaskId, after: TaskId) -> Receipt:
        """No longer make `after` wait for `before`."""
        return self.apply(
            RemoveDependency(before=before, after=after), f"{after!r} no longer waits for {before!r}"
        )

    def revise(self, id: TaskId, **changes: Any) -> Receipt:
        """Change fields of a task, such as description, role, complexity, boost, critical or attempts."""
        what = ", ".join(f"{name} = {value!r}" for name, value in changes.items())
        return self.apply(ReviseTask(id=id, changes=changes), f"revised {id!r}: {what}")

    def apply(self, delta: Delta, what: str = "", *, base: int | None = None, id: str = "") -> Receipt:
        """Hand in any Δ; `base` is the version it was made against, None for the present one."""
        what = what or type(delta).__name__
        outcome = self._submit(delta, base)
        if isinstance(outcome, DeltaApplied):
            return Receipt(what=what, version=outcome.version, inverse=outcome.inverse, id=id)
        assert isinstance(outcome, DeltaRejected | CommandRejected)
        return Receipt(what=what, accepted=False, reason=outcome.reason, id=id)

    # -- control --------------------------------------------------------------------------------------

    def pause(self) -> Receipt:
        """Start nothing new; what runs may finish."""
        return self._command(Pause(), "paused")

    def resume(self) -> Receipt:
        """Start tasks again."""
        return self._command(Resume(), "resumed")

    def step(self) -> Receipt:
        """Pause, and start the one task that is next; wait until it has started."""
        receipt = self._command(StepOnce(), "step")
        if not receipt:
            return receipt
        self._wait(lambda: not self._machine.credits)
        for event in reversed(self._machine.log):
            if isinstance(event, TaskDispatched):
                return Receipt(what=f"started {event.task!r} on {event.agent!r}", id=event.task)
            if isinstance(event, CommandApplied):
                break
        return Receipt(what=f"nothing left to start, the run is {self.status}")

    def run_until(self, t: float) -> Receipt:
        """Under the virtual clock: let time pass until `t` seconds after the start, or the run's end."""
        clock = self._background.clock
        if not isinstance(clock, VirtualClock):
            raise InvalidInput("run_until moves the virtual clock; start the run with clock='virtual'.")

        if not math.isfinite(t):
            raise InvalidInput(f"run_until takes seconds, not {t!r}; run.result() goes to the end.")

        async def advance() -> None:
            with clock.move():
                self._engine.nudge()
                await self._engine.sleep_until(t)

        self._background.call(advance)
        return Receipt(what=f"now at {self.snapshot().t:g} s")

    def cancel(self, id: TaskId | None = None) -> Receipt:
        """Stop task `id`, or the whole run."""
        if id is None:
            return self._command(CancelRun(), "cancelled the run")
        return self._command(CancelTask(id=id), f"cancelled {id!r}")

    # -- the end --------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the run's end and return the sole sink's output, else a dict by sink.

        Parameters
        ----------
        timeout : real seconds to wait at most.

        A sole sink that was skipped gives None; among several the skipped ones are left out.

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
        results, sinks = self.results(), self.graph.sinks()
        if len(sinks) == 1:
            return results.get(sinks[0])
        return {id: results[id] for id in sinks if id in results}

    def wait_for_plan(self, timeout: float | None = None) -> None:
        """Wait until the planner has given its plan, or the run has ended."""
        self._wait(lambda: not self._machine.planning, timeout)

    def raise_if_failed(self) -> None:
        """Raise what went wrong so far, if anything did."""
        status = self.status
        if self._engine.failure:
            raise RunFailed(f"The run stopped: {self._engine.failure}")
        if status == "interrupted":
            raise RunCancelled(f"The run was interrupted; kit.open_run({self.id!r}) goes on with it.")
        if status == "cancelled":
            raise RunCancelled(
                f"The run was cancelled: {self._machine.ended.reason if self._machine.ended else ''}"
            )
        if status == "failed":
            refused = [event for event in self._machine.log if isinstance(event, PlanFailed)]
            if refused:
                raise _error_class(refused[-1].error)(refused[-1].reason)
            raise RunFailed(f"The run failed. {self._machine.ended.reason if self._machine.ended else ''}")

    def __await__(self) -> Generator[Any, None, Any]:
        return anyio.to_thread.run_sync(self.result, abandon_on_cancel=True).__await__()

    # -- pictures -------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        from dyntaskmas_nb.view.text import progress_text

        return progress_text(self.snapshot())

    def _repr_html_(self) -> str:
        from dyntaskmas_nb.view.fragment import fragment

        now = self.snapshot()
        return fragment(now, edge_weights(now.graph, now.settings))

    def timeline(self, width: int = 72) -> str:
        """The timeline by agent as text."""
        from dyntaskmas_nb.view.text import timeline_text

        return timeline_text(self.snapshot(), width=width)

    def to_html(self, path: str | Path) -> Path:
        """Write graph, timeline, tasks and result to one HTML file that needs no network.

        Raises
        ------
        StoreError
            The file cannot be written.
        """
        from dyntaskmas_nb.view.html import to_html

        now = self.snapshot()
        text = to_html(now, edge_weights(now.graph, now.settings), title=now.request or now.run)
        return write_whole(Path(path), text)

    # -- inside ---------------------------------------------------------------------------------------

    def _command(self, command: Command, what: str) -> Receipt:
        outcome = self._submit(command)
        reason = getattr(outcome, "reason", "")
        return Receipt(what=what, accepted=not reason, reason=reason)

    def _submit(self, change: Delta | Command, base: int | None = None) -> Outcome:
        if not self._background.open:
            return CommandRejected(
                0.0, 0, f"The kit is closed; kit.open_run({self.id!r}) of a new Kit goes on."
            )
        outcome: Outcome = self._background.call(lambda: self._engine.submit(change, base=base))
        return outcome

    def _wait(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait on the loop until `condition` or the end; virtual time passes meanwhile."""
        if self._engine.finished.is_set():
            return
        clock = self._background.clock
        self._refuse_if_stuck(condition)

        async def wait() -> None:
            if isinstance(clock, VirtualClock):
                with clock.move():
                    self._engine.nudge()
                    await self._engine.until(lambda: condition() or self._stuck())
            else:
                await self._engine.until(condition)

        future = self._background.spawn(wait)
        try:
            future.result(timeout)
        except CancelledError:
            pass
        except BaseException:
            future.cancel()
            raise
        if isinstance(clock, VirtualClock):
            self._refuse_if_stuck(condition)

    def _refuse_if_stuck(self, condition: Callable[[], bool]) -> None:
        if not condition() and self._stuck():
            raise InvalidInput("The run is paused and nothing runs; call resume() or step() first.")

    def _stuck(self) -> bool:
        machine = self._machine
        waiting = machine.status == "paused" and not machine.credits and not machine.winding_up
        return waiting and not any(agent.running for agent in machine.pool)


def _let_go(run: weakref.ref[Run], _: Future[None]) -> None:
    """Drop a finished run's hold on its kit; in a thread, since the kit may close and wait for this loop."""
    if (over := run()) is not None:
        Thread(target=over.__dict__.update, kwargs={"_kit": None}, daemon=True).start()


def _edges(ids: Iterable[TaskId]) -> dict[TaskId, float]:
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise InvalidInput(f"after and before take a list of task ids; write [{ids!r}].")
    return dict(ids) if isinstance(ids, Mapping) else dict.fromkeys(ids, 0.0)


def _unknown(fields: Mapping[str, Any]) -> str:
    from dataclasses import fields as names

    return next((name for name in fields if name not in {f.name for f in names(Task)}), "?")


def _error_class(kind: str) -> type[errors.DynTaskError]:
    found = getattr(errors, kind, None)
    return (
        found if isinstance(found, type) and issubclass(found, errors.DynTaskError) else errors.PlanningFailed
    )
