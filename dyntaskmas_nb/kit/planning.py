"""A run's plan: streamed into the run as the model writes it, and replaced by a newer one (Eq. 2, Alg. 1).

Streamed parts are Δs by "planning"; the difference between them and the whole plan is the one by "planner".
"""

from __future__ import annotations

import logging
from contextlib import nullcontext

import anyio

from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.submissions import Outcome
from dyntaskmas_nb.core.delta import AddTask, touched
from dyntaskmas_nb.core.event import DeltaApplied, DeltaSubmitted, PlanFailed
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import TaskId, TaskState
from dyntaskmas_nb.dtgg.decompose import asking, decompose, is_simple
from dyntaskmas_nb.dtgg.planner import Hear, plan
from dyntaskmas_nb.dtgg.reflection import reflect
from dyntaskmas_nb.dtgg.repair import unrepaired
from dyntaskmas_nb.dtgg.streaming import supersede
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import DynTaskError, InvalidInput, PlanningFailed
from dyntaskmas_nb.kit.access import Access
from dyntaskmas_nb.kit.edits import Edits
from dyntaskmas_nb.kit.receipt import Receipt, receipt_of
from dyntaskmas_nb.llm.protocol import Backend

log = logging.getLogger(__name__)

_FIXED = frozenset({TaskState.RUNNING, TaskState.DONE})
_SPENT = frozenset({TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELLED})


async def plan_run(
    engine: Engine, sentence: str, backend: Backend, max_tasks: int, max_depth: int, seed: int
) -> None:
    """Turn the sentence into the run's graph. A failure is an event; the run's end stops the planning."""
    async with anyio.create_task_group() as group:

        async def stop_with_the_run() -> None:
            await engine.finished.wait()
            group.cancel_scope.cancel()

        group.start_soon(stop_with_the_run)
        try:
            streamed = planned_part(engine.machine)  # of a run that was interrupted while it was planned
            hear = _streaming(engine, streamed, max_tasks, whole=max_depth > 1)
            graph, notes = await _planned(sentence, backend, max_tasks, max_depth, seed, hear)
            outcome = await _submit(engine, streamed, graph, notes)
            if not isinstance(outcome, DeltaApplied):
                raise PlanningFailed(f"The plan was refused. {getattr(outcome, 'reason', '')}")
        except DynTaskError as error:
            engine.post(PlanFailed(engine.now(), type(error).__name__, str(error)))
        except Exception as error:
            log.exception("planning failed unexpectedly")
            reason = f"{type(error).__name__}: {error}"
            engine.post(PlanFailed(engine.now(), "PlanningFailed", f"The planner broke down. {reason}"))
        group.cancel_scope.cancel()


class Planning(Edits, Access):
    """What a run does to its plan while it runs, as calls."""

    def reflect(
        self, id: TaskId, judge: str, *, q: float = 0.8, n: int = 3, epsilon: float = 0.02
    ) -> Receipt:
        """Let the role `judge` score the result of `id` from 0 to 1, and its own role revise it.

        At most `n` times, until the score is `q` or a revision improves it by less than `epsilon`. What
        waited for `id` waits for the last revision; the last critique's result says why it stopped.
        """
        delta = reflect(self.snapshot().graph, id, judge, q=q, n=n, epsilon=epsilon)
        return self.apply(delta, f"{judge!r} judges {id!r}, revised at most {n} times", id=id)

    def replan(self, sentence: str) -> Receipt:
        """Plan `sentence`, and let it supersede what an earlier plan put into the run and has not started.

        What runs, is done, or was done by others stays. Virtual time passes meanwhile. Raises `InvalidInput`
        while the run is being planned, and what `Kit.start` and `raise_if_failed` raise for a sentence;
        nothing was changed then.
        """
        clock, machine = self._background.clock, self._machine

        async def work() -> tuple[TaskGraph, TaskGraph, list[str], int]:
            if machine.planning:
                raise InvalidInput("The run is being planned; call run.wait_for_plan() before a newer plan.")
            old, base = planned_part(machine), machine.graph.version
            with clock.move() if isinstance(clock, VirtualClock) else nullcontext():
                new, notes = await _planned(sentence, *self._planner)
            return old, new, [f"Planned anew: {new.title}", *notes], base

        planned = self._background.call(work)
        self._go_on()
        return receipt_of("planned anew", self._background.call(_submit, self._engine, *planned))


def planned_part(machine: Machine) -> TaskGraph:
    """What a plan, given or made, put into the run's graph and is there still, as it is now."""
    own: set[TaskId] = set()
    last: DeltaSubmitted | None = None
    for event in machine.log:
        if isinstance(event, DeltaSubmitted):
            last = event
        elif isinstance(event, DeltaApplied) and last and last.by in ("plan", "planner", "planning"):
            own |= touched(last.delta)
    graph = machine.graph
    links = ((u, v, i) for u, v, i in graph.dependencies() if u in own and v in own)
    return TaskGraph.of((task for id, task in graph.tasks.items() if id in own), links)


def _streaming(engine: Engine, streamed: TaskGraph, max_tasks: int, *, whole: bool) -> Hear:
    """Puts into run and `streamed` what is fine as it stands, and with `whole` will not be decomposed."""

    async def hear(row: dict[str, object]) -> None:
        found = unrepaired(row, streamed)
        if found is None or len(streamed) >= max_tasks or (whole and not is_simple(found[0])):
            return
        delta = AddTask(task=found[0], after=found[1])
        if isinstance(await engine.submit(delta, by="planning"), DeltaApplied):
            apply(streamed, delta)

    return hear


async def _planned(
    sentence: str, backend: Backend, max_tasks: int, max_depth: int, seed: int, hear: Hear | None = None
) -> tuple[TaskGraph, list[str]]:
    """The whole plan, its larger subtasks decomposed, `max_tasks` tasks at most, and what was repaired."""
    made = await plan(sentence, backend, max_tasks=max_tasks, seed=seed, hear=hear)
    graph, notes = made.graph.copy(), list(made.repairs)
    split = asking(backend, sentence, seed=seed, notes=notes)
    for task in made.graph.tasks.values() if max_depth > 1 else ():
        room = max_tasks + 1 - len(graph)
        expansion = await decompose(task, split, max_depth=max_depth - 1, max_tasks=room, taken=graph.tasks)
        if expansion:
            apply(graph, expansion)
    return graph, notes


async def _submit(
    engine: Engine, old: TaskGraph, new: TaskGraph, notes: list[str], base: int | None = None
) -> Outcome:
    """Hand in what makes `new` of `old`; where that is refused, of what there is now.

    With a `base` what has started stays as it is.
    """
    machine = engine.machine
    records = {} if base is None else machine.records
    outcome: Outcome
    for again in (False, True):
        if again:
            old, base = planned_part(machine), None
        fixed = {id for id, record in records.items() if record.state in _FIXED}
        spent = {id for id, record in records.items() if record.state in _SPENT}
        delta, more = supersede(old, new, machine.graph, fixed=fixed, spent=spent)
        outcome = await engine.submit(delta, base=base, by="planner", notes=(*notes, *more))
        if isinstance(outcome, DeltaApplied):
            break
    return outcome
