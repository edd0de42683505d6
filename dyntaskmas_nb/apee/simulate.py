"""The scheduler on a heap instead of a clock: what a run would do, at once and without agents.

`Simulator` drives the very machine the engine drives; `simulate` is the public face for a whole graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import assert_never

from dyntaskmas_nb.apee.history import entries_of
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.priority import Rule, policy_of
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.effect import Answer, AskMonitor, Effect, GiveContext, StopTask, WakeAt
from dyntaskmas_nb.core.event import Input, TaskDispatched, arrival_key
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.measures import measure
from dyntaskmas_nb.core.settings import Settings, check_settings, universal_agents
from dyntaskmas_nb.core.snapshot import Entry
from dyntaskmas_nb.core.task import Task, TaskId, TaskState
from dyntaskmas_nb.dtgg.update import as_delta
from dyntaskmas_nb.errors import InvalidInput

Duration = Callable[[Task, int], float]
#: Seconds that an attempt at a task by an agent takes, and whether it succeeds.
Attempt = Callable[[Task, int, str], tuple[float, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A simulated run: all times in seconds.

    `lower_bound` = max(critical path, work / agents): no schedule of this graph on so many agents is shorter.
    `entries` are ordered by start; `unfinished` are the tasks that did not get done, for instance because a
    timeout is shorter than the work.
    """

    makespan: float
    lower_bound: float
    critical_path: tuple[TaskId, ...]
    serial: float
    utilisation: float
    entries: tuple[Entry, ...]
    unfinished: tuple[TaskId, ...] = ()


class Simulator:
    """Drives a machine through virtual time; `attempt(task, number, agent)` says how an attempt goes."""

    def __init__(self, machine: Machine, attempt: Attempt) -> None:
        self.machine = machine
        self._attempt = attempt
        self._heap: list[tuple[tuple[float, int, str, int], int, Input]] = []
        self._count = 0

    def submit(self, events: Iterable[Input]) -> None:
        """Put events on the calendar."""
        for event in events:
            self._count += 1
            heappush(self._heap, (arrival_key(event), self._count, event))

    def run(self, until: float | None = None) -> None:
        """Play turns until the run has ended, nothing is left to happen, or time `until` (s) is passed."""
        for t in self.turns():
            if until is not None and t > until:
                return

    def turns(self) -> Iterator[float]:
        """Play turn after turn; before each, yield its time."""
        while self._heap and not self.machine.ended:
            t = self._heap[0][0][0]
            yield t
            effects: list[Effect] = []
            while self._heap and self._heap[0][0][0] == t:
                effects += self.machine.step(heappop(self._heap)[2])
            effects += self.machine.step(events.TurnEnded(t))
            self.perform(effects, t)

    def perform(self, effects: Sequence[Effect], t: float) -> None:
        """Put on the calendar what comes of `effects`."""
        for effect in effects:
            match effect:
                case TaskDispatched(task=id, attempt=attempt, agent=agent):
                    self.submit([self._outcome(self.machine.graph._tasks[id], attempt, agent, t)])
                case StopTask(task=id, attempt=attempt):
                    self._withdraw(id, attempt)
                    self.submit([events.TaskStopped(t, id, attempt)])
                case WakeAt(t=due, task=id):
                    self.submit([events.Woke(due, id)])
                case AskMonitor(task=task, attempt=attempt):
                    self.submit([events.MonitorDecided(t, task.id, attempt, "rule")])
                case Answer() | GiveContext():
                    pass
                case _:
                    assert_never(effect)

    def _outcome(self, task: Task, attempt: int, agent: str, t: float) -> Input:
        seconds, good = self._attempt(task, attempt, agent)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise InvalidInput(f"The duration of {task.id!r} must be seconds of at least 0, not {seconds!r}.")
        # As in the engine, a tie goes to the deadline.
        if task.timeout is not None and seconds >= task.timeout:
            return events.TaskFailed(
                t + task.timeout, task.id, attempt, f"no result within {task.timeout:g} s"
            )
        if not good:
            return events.TaskFailed(t + seconds, task.id, attempt, "it is expected to fail")
        return events.TaskDone(t + seconds, task.id, attempt, None)

    def _withdraw(self, id: TaskId, attempt: int) -> None:
        outcomes = events.TaskDone, events.TaskFailed
        self._heap = [
            (key, count, event)
            for key, count, event in self._heap
            if not (isinstance(event, outcomes) and (event.task, event.attempt) == (id, attempt))
        ]
        heapify(self._heap)


def simulate(
    graph: TaskGraph,
    agents: int = 4,
    policy: str | Rule = "upward_rank",
    seed: int = 0,
    *,
    seconds_per_unit: float = 1.0,
    seconds_per_information: float = 1.0,
    duration: Duration | None = None,
) -> Schedule:
    """Schedule `graph` on `agents` agents that can take every role.

    Parameters
    ----------
    agents : how many, each doing one task at a time.
    policy : a name of `apee.priority.POLICIES` or a rule of your own.
    seconds_per_unit, seconds_per_information : T_c and T_t of Eq. 3; a task lasts T_c·C, and what depends on
        it may start T_t·I later.
    duration : seconds of (task, attempt), instead of T_c·C.

    Raises
    ------
    InvalidInput
        For an empty graph, an unknown policy or a number that makes no sense.

    Examples
    --------
    >>> graph = TaskGraph.from_plan({"subtasks": [{"id": "a"}, {"id": "b"},
    ...                                           {"id": "c", "depends_on": ["a", "b"]}]})
    >>> plan = simulate(graph, agents=2)
    >>> plan.makespan, plan.lower_bound, plan.critical_path
    (2.0, 2.0, ('a', 'c'))

    References
    ----------
    DynTaskMAS, arXiv:2503.07675, §III-B, Alg. 2.
    """
    settings = Settings(
        policy=policy if isinstance(policy, str) else "custom",
        seed=seed,
        seconds_per_unit=seconds_per_unit,
        seconds_per_information=seconds_per_information,
    )
    check_settings(settings)
    pool = universal_agents(agents)
    if not len(graph):
        raise InvalidInput("The graph has no tasks to simulate.")
    machine = Machine("simulated", policy_of(policy, seed))
    seconds = duration or (lambda task, attempt: task.complexity * seconds_per_unit)
    simulator = Simulator(machine, lambda task, number, agent: (seconds(task, number), True))
    started = events.RunStarted(0.0, graph.title, settings, pool)
    simulator.submit([started, events.DeltaSubmitted(0.0, 0, as_delta(graph))])
    simulator.run()
    entries = entries_of(machine.log)
    if not entries:  # only a priority rule that broke can keep every task from starting
        raise InvalidInput(machine.ended.reason if machine.ended else "Nothing could be started.")
    measures = measure(graph, entries, agents)
    return Schedule(
        makespan=measures.makespan,
        lower_bound=measures.lower_bound,
        critical_path=measures.path,
        serial=measures.serial,
        utilisation=measures.utilisation,
        entries=tuple(entries),
        unfinished=tuple(id for id, record in machine.records.items() if record.state is not TaskState.DONE),
    )
