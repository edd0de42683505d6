"""The run as its user holds it: every edit, every control, the result, and how it all looks.

Each call hands a Δ or a command to the engine on its own loop and waits for the answer; none touches the
caller's event loop. A refusal is a `Receipt` that is False and says why.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread

from dyntaskmas_nb import errors
from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import TOO_LATE, Engine, Outcome
from dyntaskmas_nb.apee.history import snapshot_of
from dyntaskmas_nb.core.codec import encode
from dyntaskmas_nb.core.command import Command
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.event import CommandRejected, DeltaSubmitted, Input, PlanFailed, RunStatus
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.measures import Measures, measure
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.dtgg.weights import edge_weights
from dyntaskmas_nb.errors import InvalidInput, RunCancelled, RunFailed, StoreError
from dyntaskmas_nb.kit.background import Background
from dyntaskmas_nb.kit.edits import Edits
from dyntaskmas_nb.kit.files import write_whole
from dyntaskmas_nb.kit.insight import Insight
from dyntaskmas_nb.kit.parts import Parts
from dyntaskmas_nb.kit.past import Past
from dyntaskmas_nb.kit.planning import Planning
from dyntaskmas_nb.kit.steering import Steering

if TYPE_CHECKING:
    from dyntaskmas_nb.kit.kit import Kit

T = TypeVar("T")
#: Real seconds after which a wait looks whether virtual time can go on at all.
GLANCE = 0.25


class Run(Edits, Steering, Past, Insight, Planning):
    """A plan being worked on in the background. Made by `Kit.start` and `Kit.open_run`."""

    def __init__(
        self, engine: Engine, background: Background, driver: Future[None], parts: Parts, kit: Kit
    ) -> None:
        self._engine = engine
        self._machine = engine.machine
        self._background = background
        self._parts = parts
        self._planner = kit.backend, kit._max_tasks, kit._max_depth, engine.machine.settings.seed
        self._accepts = parts.behaviours.accepts
        self._kit_ref = weakref.ref(kit)
        self._reopening = Lock()
        self._panel: Any = None
        self._hold(driver)

    def _hold(self, driver: Future[None]) -> None:
        self._kit: object = self._kit_ref()  # a run keeps its kit open until it is over
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
        return "paused" if self._engine.trouble else self._machine.status

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
        now = self._read(lambda: snapshot_of(self._machine, self._now()))
        reason = self._engine.failure or self._engine.trouble or now.reason
        return replace(now, status=self.status, reason=reason)

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
        if self._engine.trouble:
            raise StoreError(f"The run waits. {self._engine.trouble}")
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

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from dyntaskmas_nb.ui.panel import mimebundle

        return mimebundle(self)

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

    def _submit(self, change: Delta | Command, base: int | None = None, by: str = "user") -> Outcome:
        """Hand something in; a run that has ended goes on with it."""
        if not self._background.open:
            return CommandRejected(
                0.0, 0, f"The kit is closed; kit.open_run({self.id!r}) of a new Kit goes on."
            )
        hand_in = partial(self._engine.submit, change, base=base, by=by)
        self._go_on()
        outcome: Outcome = self._background.call(hand_in)
        if outcome.id == TOO_LATE and self._machine.ended:  # it ended in between
            self._go_on()
            outcome = self._background.call(hand_in)
        return outcome

    def _go_on(self) -> None:
        """Have an engine for an edit of a run that has ended."""
        with self._reopening:
            if self._machine.ended and self._engine.finished.is_set():
                self._background.call(self._engine.reopen)
                self._hold(self._parts.drive(self._engine, self._background))

    def _now(self) -> float:
        return self._engine.now() if self._background.open and not self.over else self._machine.log[-1].t

    def _read(self, look: Callable[[], T]) -> T:
        """Look at the machine on its own loop; where that is closed nothing changes any more."""
        try:
            found: T = self._background.call(look)
        except (StoreError, CancelledError):
            return look()
        return found

    def _forker(self) -> Callable[[Run, Sequence[Input]], Run] | None:
        kit = self._kit_ref()
        return None if kit is None else kit._fork

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called after every turn, on the run's loop; return what ends that."""
        return self._engine.watch(changed)

    def _wait(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait on the loop until `condition` or the end; virtual time passes meanwhile."""
        if self._engine.finished.is_set():
            return
        clock, machine = self._background.clock, self._machine
        self._refuse_if_stuck(condition)

        def held() -> bool:  # under the real clock, who pauses a run by hand may resume it by hand
            by_hand = not clock.virtual and machine.paused and not machine.stopped_at
            return bool(machine.waits_for_somebody()) and not by_hand

        async def wait() -> None:
            with clock.move() if isinstance(clock, VirtualClock) else nullcontext():
                if clock.virtual:
                    self._engine.nudge()
                await self._engine.until(lambda: condition() or held())

        future = self._background.spawn(wait)
        try:
            self._see_it_end(future, timeout)
        except CancelledError:
            pass
        except BaseException:
            future.cancel()
            raise
        if held():
            self._refuse_if_stuck(condition)

    def _see_it_end(self, future: Future[None], timeout: float | None) -> None:
        """Wait for `future`; raises `InvalidInput` when virtual time can never get there."""
        clock, begun, seen = self._background.clock, time.monotonic(), -1
        while True:
            left = math.inf if timeout is None else timeout - (time.monotonic() - begun)
            try:
                return future.result(max(0.0, min(left, GLANCE)))
            except TimeoutError:
                if left <= GLANCE:
                    raise
            still = seen == (seen := len(self._machine.log))
            if still and isinstance(clock, VirtualClock) and self._background.call(clock.frozen):
                raise InvalidInput(self._frozen())

    def _frozen(self) -> str:
        waiting = ", ".join(repr(id) for id, _ in self._machine.running_tasks()[:5]) or "the planner"
        return (
            f"Nothing will ever happen: {waiting} waits without a deadline, and no time is left to pass. "
            "Cancel it, or give it a timeout."
        )

    def _refuse_if_stuck(self, condition: Callable[[], bool]) -> None:
        if not condition() and (why := self._machine.waits_for_somebody()):
            raise InvalidInput(why)


def _let_go(run: weakref.ref[Run], _: Future[None]) -> None:
    """Drop a finished run's hold on its kit; in a thread, since the kit may close and wait for this loop."""
    if (over := run()) is not None:
        Thread(target=over.__dict__.update, kwargs={"_kit": None}, daemon=True).start()


def _error_class(kind: str) -> type[errors.DynTaskError]:
    found = getattr(errors, kind, None)
    return (
        found if isinstance(found, type) and issubclass(found, errors.DynTaskError) else errors.PlanningFailed
    )
