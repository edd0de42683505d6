"""A run's first Δ: the planner's, decomposed further where that was asked for (Eq. 2, Alg. 1)."""

from __future__ import annotations

import logging

import anyio

from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.core.delta import Batch, Delta
from dyntaskmas_nb.core.event import DeltaApplied, PlanFailed
from dyntaskmas_nb.dtgg.decompose import asking, decompose
from dyntaskmas_nb.dtgg.planner import plan
from dyntaskmas_nb.errors import DynTaskError
from dyntaskmas_nb.llm.protocol import Backend

log = logging.getLogger(__name__)


async def plan_run(
    engine: Engine, sentence: str, backend: Backend, max_tasks: int, max_depth: int, seed: int
) -> None:
    """Turn the sentence into the run's first Δ. A failure is an event; the run's end stops the planning."""
    async with anyio.create_task_group() as group:

        async def stop_with_the_run() -> None:
            await engine.finished.wait()
            group.cancel_scope.cancel()

        group.start_soon(stop_with_the_run)
        try:
            delta, notes = await _planned(sentence, backend, max_tasks, max_depth, seed)
            outcome = await engine.submit(delta, by="planner", notes=notes)
            if not isinstance(outcome, DeltaApplied):
                reason = f"The plan was refused. {getattr(outcome, 'reason', '')}"
                engine.post(PlanFailed(engine.now(), "PlanningFailed", reason))
        except DynTaskError as error:
            engine.post(PlanFailed(engine.now(), type(error).__name__, str(error)))
        except Exception as error:
            log.exception("planning failed unexpectedly")
            reason = f"{type(error).__name__}: {error}"
            engine.post(PlanFailed(engine.now(), "PlanningFailed", f"The planner broke down. {reason}"))
        group.cancel_scope.cancel()


async def _planned(
    sentence: str, backend: Backend, max_tasks: int, max_depth: int, seed: int
) -> tuple[Delta, tuple[str, ...]]:
    made = await plan(sentence, backend, max_tasks=max_tasks, seed=seed)
    deltas: list[Delta] = [made.delta]
    if max_depth > 1:
        split = asking(backend, sentence, seed=seed)
        for task in made.graph.tasks.values():
            expansion = await decompose(task, split, max_depth=max_depth - 1, taken=made.graph.tasks)
            deltas += [expansion] if expansion else []
    return Batch(deltas=tuple(deltas)), made.repairs
