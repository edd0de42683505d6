"""What a run can say of itself: why things are as they are, and what a change would do."""

from __future__ import annotations

from threading import Lock
from typing import Any

from dyntaskmas_nb.apee.equations import EXPECTED, explain_expected, explain_number
from dyntaskmas_nb.apee.explain import Explanation, explain
from dyntaskmas_nb.apee.forecast import Forecast, Preview, preview, slack
from dyntaskmas_nb.apee.manifest import Manifest, manifest_of
from dyntaskmas_nb.awm.estimate import Expected
from dyntaskmas_nb.awm.explain import explain_workflow
from dyntaskmas_nb.awm.formulas import explain_metric, explain_objective
from dyntaskmas_nb.awm.metrics import Metrics
from dyntaskmas_nb.awm.monitor import Monitor
from dyntaskmas_nb.core.codec import decode, encode
from dyntaskmas_nb.core.command import Command, Configure
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.task import TaskId, shown
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.access import Access
from dyntaskmas_nb.kit.edits import Edits
from dyntaskmas_nb.view.equation import MEASURED, NumberExplained, explain_measure


class WhatIf(Edits):
    """The calls of `Edits`, each giving a `Preview`."""

    def __init__(self, run: Insight) -> None:
        self._run = run
        self.snapshot = run.snapshot

    def apply(self, delta: Delta, what: str = "", *, base: int | None = None, **_: object) -> Any:
        """Try any Δ."""
        return self._run.preview(delta, base=base)


class Insight(Access):
    """Explanations and previews; nothing is changed by them."""

    #: The moment (events, seconds) of the last forecast: before and after are to be of the same.
    _forecast: tuple[tuple[int, float], Forecast | None] = ((-1, 0.0), None)

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._monitor, self._watching = self._manager.monitor, Lock()

    def explain(self, id: TaskId) -> Explanation:
        """Why task `id` has its priority and its agent, and why it has not started.

        Raises `InvalidInput` when there is no such task.
        """
        return self._read(lambda: explain(self._machine, self._machine.graph[id].id))

    def explain_number(self, kind: str, id: str = "", to: str = "") -> NumberExplained:
        """Any number that is shown, with its equation, what stands in it, and where the paper has it.

        Parameters
        ----------
        kind : of task `id` "priority", "complexity" or "slack"; of the dependency from `id` to `to` "weight"
            or "information"; "makespan", "one after another", "speed-up", "critical path", "lower bound",
            "utilisation", "expected end"; "metric" for the figure `id` of `run.metrics()`, or that of agent,
            role or GPU `to` ("recent throughput" is that of the window); "objective" for the AWM's decision
            `id`, "" for its last.

        Raises
        ------
        InvalidInput
            There is no such number.
        """
        if not all(isinstance(part, str) for part in (kind, id, to)):
            raise InvalidInput("A number is named by text: its kind, and whose it is.")
        if kind in MEASURED:
            return explain_measure(self.snapshot(), kind)
        if kind == EXPECTED:
            return explain_expected(self.preview().before, self.snapshot().t)
        if kind == "metric":
            return explain_metric(self.metrics(), id, to)
        if kind == "objective":
            return self._read(lambda: self._objective(id))
        return self._read(lambda: explain_number(self._machine, kind, id, to, self._expected()))

    def _objective(self, number: str) -> NumberExplained:
        log = self._machine.log
        found = {str(one.event.number): one for one in explain_workflow(log, log[-1].t).decisions}
        decision = found.get(number or next(reversed(found), ""))
        if decision is None:
            what = f"There is no decision {shown(number)}" if found else "The AWM has decided nothing yet"
            raise InvalidInput(f"{what}; run.explain_workflow() lists its decisions.")
        return explain_objective(decision, self._machine.settings.awm)

    def manifest(self, id: TaskId) -> Manifest:
        """What the latest attempt at task `id` was given to read, and what was left out, and why.

        Raises `InvalidInput` when there is no such task.
        """
        machine = self._machine
        return self._read(lambda: manifest_of(machine, machine.log, machine.graph[id].id))

    def traceback(self, id: TaskId) -> str:
        """Where the latest failure of task `id` was raised, "" where it has not failed in this process."""
        return self._read(lambda: self._engine.raised.of(self._machine.graph[id].id))

    def preview(
        self, change: Delta | Command | None = None, *, base: int | None = None, **settings: object
    ) -> Preview:
        """What a Δ, a command or settings would do: makespan, critical path and order, before and after.

        As in ``run.preview(AddDependency(before="a", after="b"))`` and ``run.preview(policy="fifo")``. `base`
        is the version a Δ was made against, None for the present one.
        """
        if settings:
            if change is not None:
                raise InvalidInput("Preview an edit or settings, not both at once.")
            change = Configure(changes=settings)
        if change is not None and not isinstance(change, Delta | Command):
            raise InvalidInput(
                f"Preview a Δ, a command or settings, not {shown(change)}; or use run.what_if."
            )
        tried = None if change is None else decode(encode(change))
        return self._read(lambda: self._preview(tried, base))

    @property
    def what_if(self) -> WhatIf:
        """The edits, but tried and not made: ``run.what_if.add_dependency("a", "b")`` gives a `Preview`."""
        return WhatIf(self)

    def _preview(self, change: Delta | Command | None, base: int | None = None) -> Preview:
        moment = len(self._machine.log), self._now()
        known = self._forecast[1] if self._forecast[0] == moment else None
        found = preview(self._machine, change, moment[1], self._expected(), known, base)
        self._forecast = moment, found.before
        return found

    def critical_path(self) -> tuple[TaskId, ...]:
        """The chain of tasks that sets the makespan: as measured where done, as expected where not."""
        return self.preview().before.critical_path

    def routing(self) -> dict[str, Any]:
        """What learned routing knows by role and agent; `Kit.start(…, routing_table=…)` starts from it."""
        return self._read(self._machine.dispatcher.routing.export)

    def slack(self) -> dict[TaskId, float]:
        """Seconds that each task may take longer, or start later, before the critical path grows."""
        return self._read(lambda: slack(self._machine.graph, self._expected()))

    def metrics(self) -> Metrics:
        """What the Performance Monitor measures: throughput, latency, utilisation, coordination, cost.

        Of the whole run and of its last attempts, by agent and by role, each figure with its definition:
        ``run.metrics()`` shows tables, ``pandas.DataFrame(run.metrics().to_records())`` has all of it.
        """
        return self._read(lambda: self._watched().metrics(self._now()))

    def _watched(self) -> Monitor:
        """The run's monitor, up to date; where the loop is closed, any thread may ask for it."""
        with self._watching:
            self._monitor.catch_up(self._machine.log)
        return self._monitor

    def _expected(self) -> Expected:
        return Expected(self._watched().estimates)
