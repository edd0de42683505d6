"""M(t): hand-computed figures, the fold law on random runs, the machine as a reference, bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from benchmarks.dags import as_delta, layered
from dyntaskmas_nb.apee.history import entries_of, replay, snapshot_of
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.awm.figures import Figures
from dyntaskmas_nb.awm.metrics import ROWS, Metrics
from dyntaskmas_nb.awm.monitor import Monitor
from dyntaskmas_nb.awm.tally import ACCURACY, WINDOW, Percentiles, percentile
from dyntaskmas_nb.core.codec import decode, encode
from dyntaskmas_nb.core.command import (
    Approve,
    CancelTask,
    Command,
    Pause,
    Reject,
    Resume,
    RetryTask,
    SetAgent,
    StepOnce,
)
from dyntaskmas_nb.core.delta import (
    AddDependency,
    AddTask,
    Batch,
    ExpandTask,
    RemoveTask,
    RemoveTasks,
    ReviseDependency,
)
from dyntaskmas_nb.core.event import (
    CommandApplied,
    CommandSubmitted,
    ContextGiven,
    ContextNote,
    DeltaApplied,
    DeltaRejected,
    DeltaSubmitted,
    Event,
    GpuSample,
    MachineSampled,
    MonitorDecided,
    RunEnded,
    RunReopened,
    RunStarted,
    TaskDispatched,
    TaskDone,
    TaskFailed,
    TaskStopped,
    TurnEnded,
    Woke,
)
from dyntaskmas_nb.core.settings import AgentSpec, Settings, universal_agents
from dyntaskmas_nb.core.task import Resource, Task
from tests.apee.driving import Driver, driver, graph
from tests.apee.test_machine_rules import Anything

approx = pytest.approx


def watched(log: Sequence[Event]) -> Monitor:
    monitor = Monitor()
    monitor.catch_up(log)
    return monitor


def metrics(run: Driver) -> Metrics:
    return watched(run.machine.log).metrics(run.t)


def whole(run: Driver) -> Figures:
    found = metrics(run)
    assert found.recent == found.whole, "the window holds all of so short a run"
    return found.whole


def end(run: Driver, id: str, t: float, *, turn: float | None = None, **spent: float) -> None:
    """Let `id` be done at `t`, and the turn end at `turn` or then."""
    run.t = t
    run.feed(TaskDone(t, id, run.running[id], None, **spent))  # type: ignore[arg-type]
    run.t = t if turn is None else turn
    run.turn()


def gives(run: Driver, id: str, *nodes: str, pushed: bool = False) -> None:
    notes = tuple(ContextNote(id=node, version=1, tokens=3) for node in nodes)
    run.feed(ContextGiven(run.t, id, run.running[id], notes, (), 3 * len(nodes), pushed))


# --- throughput, latency, waits, utilisation ---------------------------------------------------------------


def test_nothing_has_happened_yet() -> None:
    found = Monitor().metrics(0.0)
    assert (found.whole.attempts, found.whole.throughput, found.whole.utilisation) == (0, None, None)
    assert (found.whole.latency_p95, found.whole.coordination_mean, found.agents) == (None, None, ())


def test_two_agents_share_three_tasks() -> None:
    run = driver("a>c", "b", agents=2)
    end(run, "a", 1.0)
    end(run, "b", 2.0)
    end(run, "c", 4.0)
    found = whole(run)
    assert run.machine.ended
    assert (found.seconds, found.attempts, found.done, found.failed, found.stopped) == (4.0, 3, 3, 0, 0)
    assert (found.throughput, found.completion_rate, found.failure_rate) == (3 / 4, 1.0, 0.0)
    assert (found.latency_mean, found.latency_p50, found.latency_p95) == (2.0, 2.0, 3.0)
    assert (found.wait_mean, found.wait_p95, found.utilisation) == (0.0, 0.0, 6 / 8)


def test_running_attempts_keep_their_agent_busy_and_count_for_nothing_else() -> None:
    run = driver("a", "b", agents=2)
    end(run, "a", 1.0)
    found = watched(run.machine.log).metrics(3.0)
    assert (found.whole.attempts, found.whole.seconds, found.whole.utilisation) == (1, 3.0, 4 / 6)
    assert [(one.busy, one.running, one.utilisation) for one in found.agents] == [
        (1.0, 0, 1 / 3),
        (3.0, 1, 1.0),
    ]
    assert watched(run.machine.log).metrics(0.0).t == 1.0, "M is not told of a time before its latest event"


def test_tasks_wait_for_an_agent_and_that_is_no_coordination() -> None:
    run = driver("a", "b", "c", agents=1)
    end(run, "a", 1.0)
    end(run, "b", 3.0)
    end(run, "c", 4.0)
    found = whole(run)
    assert (found.wait_mean, found.wait_p95) == ((0 + 1 + 3) / 3, 3.0)
    assert found.coordination == 0.0


def test_failures_retries_tokens_and_cost() -> None:
    cook = {"role": "cook"}
    run = Driver(
        graph("a", "b", a={"attempts": 2}, b=cook),
        [AgentSpec(id="x", roles=("general",)), AgentSpec(id="y", roles=("cook",))],
    )
    run.t = 1.0
    run.feed(TaskFailed(1.0, "a", 1, "broke", tokens=10, cost=0.5))
    run.turn()
    end(run, "a", 3.0, tokens=20, cost=1.0, cached=15)
    run.t = 4.0
    run.feed(TaskFailed(4.0, "b", 1, "broke", retryable=False, tokens=1))
    run.turn()
    found = whole(run)
    assert (found.attempts, found.done, found.failed) == (3, 1, 2)
    assert (found.completion_rate, found.failure_rate, found.retry_rate) == (1 / 3, 2 / 3, 1 / 3)
    assert (found.tokens, found.cached_tokens, found.cost, found.throughput) == (31, 15, 1.5, 1 / 4)
    assert (found.latency_mean, found.latency_p95) == ((1 + 2 + 4) / 3, 4.0)
    run.tell(RetryTask(id="b"))
    run.turn()
    end(run, "b", 5.0)
    run.tell(RetryTask(id="b"))
    run.turn()
    end(run, "b", 6.0)
    assert whole(run).retry_rate == 2 / 5, "after a failure, by hand too; not after a success"


def test_a_stopped_attempt_is_no_failure_and_its_time_no_latency() -> None:
    run = driver("a", "b", agents=2)
    run.t = 1.0
    run.tell(CancelTask(id="a"))
    run.t = 1.5
    run.finish_stopping()
    run.turn()
    end(run, "b", 2.0)
    found = whole(run)
    assert (found.attempts, found.stopped, found.failed, found.failure_rate) == (2, 1, 0, 0.0)
    assert (found.latency_mean, found.utilisation) == (2.0, 3.5 / 4)


@pytest.mark.parametrize(
    "removal",
    [
        RemoveTask(id="a"),
        RemoveTasks(ids=("a",)),
        ExpandTask(id="a", tasks=(Task(id="x"),)),
        Batch(deltas=(Batch(deltas=(RemoveTask(id="a"),)),)),
    ],
)
@pytest.mark.parametrize("how", ["done", "failed", "stopped"])
def test_a_task_removed_while_it_runs_was_stopped_and_what_it_spent_was_spent(
    removal: RemoveTask, how: str
) -> None:
    run = driver("a", "b", agents=2)
    run.t = 1.0
    applied = run.submit(removal)
    assert isinstance(applied, DeltaApplied)
    assert run.submit(applied.inverse), "it comes back, but as another one that has not started"
    run.t = 1.5
    outcome = {
        "done": TaskDone(1.5, "a", 1, None, tokens=7, cost=1.0, overhead=0.25),
        "failed": TaskFailed(1.5, "a", 1, "broke", tokens=7, cost=1.0),
        "stopped": TaskStopped(1.5, "a", 1),
    }[how]
    monitor, before = watched(run.machine.log), run.machine.pool.agents["agent 1"].completed
    run.feed(outcome)
    monitor.catch_up(run.machine.log)
    found = monitor.metrics(2.0)
    assert (found.whole.stopped, found.whole.done, found.whole.failed) == (1, 0, 0)
    assert found.whole.tokens == (0 if how == "stopped" else 7)
    assert found.agents[0].busy == 1.5
    assert found.agents[0].running == 0
    assert monitor.estimates.seen == 0, "nothing is learned from it"
    assert run.machine.pool.agents["agent 1"].completed == before
    run.turn()
    assert run.running["a"] == 2
    end(run, "a", 3.0)
    assert whole(run).retry_rate == 0.0, "what was removed has not failed"


def test_removed_and_added_again_in_one_edit_an_attempt_goes_on() -> None:
    run = driver("a", agents=1)
    task = run.machine.graph["a"]
    run.submit(Batch(deltas=(RemoveTask(id="a"), AddTask(task=task))))
    end(run, "a", 1.0)
    assert whole(run).done == 1


def test_a_task_that_failed_and_was_removed_starts_anew() -> None:
    run = driver("a", "b", agents=2, settings=Settings(retry_delay=9.0), a={"attempts": 2})
    run.fail("a")
    applied = run.submit(RemoveTask(id="a"))
    assert isinstance(applied, DeltaApplied)
    run.submit(applied.inverse)
    run.turn()
    end(run, "a", 1.0)
    assert whole(run).retry_rate == 0.0


def test_an_outcome_that_comes_too_late_counts_for_nothing() -> None:
    run = driver("a", agents=1)
    end(run, "a", 1.0)
    run.feed(TaskDone(1.0, "a", 1, None, 5))
    run.feed(TaskFailed(1.0, "nobody", 1, "broke"))
    run.tell(RetryTask(id="a"))
    run.turn()
    run.feed(TaskDone(1.0, "a", 1, None, 5))
    assert (whole(run).attempts, whole(run).tokens, metrics(run).agents[0].running) == (1, 0, 1)


# --- the run's own time, agents and slots ------------------------------------------------------------------


def test_the_time_between_the_end_and_an_edit_is_left_out() -> None:
    run = driver("a", agents=1)
    end(run, "a", 2.0)
    assert run.machine.ended
    assert watched(run.machine.log).metrics(50.0).t == 2.0, "after its end time stands still"
    run.t = 100.0
    run.tell(Resume())  # refused: the run has ended
    run.submit(AddTask(task=Task(id="b"), after={"a": 0.0}))
    run.t = 100.25
    run.turn()
    end(run, "b", 102.0)
    found = whole(run)
    assert (found.seconds, found.throughput, found.utilisation) == (4.0, 0.5, approx(3.75 / 4))
    assert found.dispatching == 0.25


def test_a_run_that_ends_twice_with_nothing_done_has_not_gone_on() -> None:
    monitor = Monitor()
    for t in (2.0, 10.0):
        monitor.take(RunEnded(t, "failed", "The budget is spent."))
    assert monitor.metrics(20.0).t == 2.0


def test_a_task_retried_after_the_end_goes_on_with_the_run_too() -> None:
    run = driver("a", agents=1)
    run.t = 1.0
    run.fail("a")
    assert run.machine.ended
    run.t = 10.0
    run.tell(RetryTask(id="a"))
    run.turn()
    end(run, "a", 12.0)
    assert (whole(run).seconds, whole(run).utilisation, whole(run).retry_rate) == (3.0, 1.0, 0.5)


def test_a_run_read_back_has_lost_its_attempts_but_not_their_time() -> None:
    run = driver("a", "b", agents=2)
    end(run, "a", 1.0)
    run.t = 2.0
    run.running.clear()
    run.feed(RunReopened(2.0))
    run.t = 2.5
    run.turn()
    end(run, "b", 4.0)
    found = whole(run)
    assert (found.attempts, found.done, found.stopped) == (3, 2, 1)
    assert (found.utilisation, found.dispatching) == ((1 + 2 + 1.5) / 8, 0.5)


def test_pauses_count_as_time() -> None:
    run = driver("a>b", agents=1)
    run.tell(Pause())
    end(run, "a", 1.0)
    run.t = 3.0
    run.tell(Resume())
    run.turn()
    end(run, "b", 4.0)
    found = whole(run)
    assert (found.seconds, found.utilisation, found.wait_mean, found.coordination) == (4.0, 0.5, 1.0, 0.0)


def test_agents_join_and_their_slots_change() -> None:
    run = driver("a", "b", "c", agents=1)
    run.t = 1.0
    run.tell(SetAgent(agent=AgentSpec(id="late", slots=2)))
    run.turn()  # b and c
    run.t = 3.0
    for event in (  # past the driver, whose check does not know that who works on may have too few slots
        CommandSubmitted(3.0, 9, SetAgent(agent=AgentSpec(id="late", slots=0))),
        TaskDone(4.0, "b", 1, None),
        TaskDone(5.0, "c", 1, None),
    ):
        run.machine.step(event)
    run.t = 7.0
    run.tell(SetAgent(agent=AgentSpec(id="late", slots=1)))
    end(run, "a", 8.0)
    first, late = metrics(run).agents
    assert (first.available, first.utilisation) == (8.0, 1.0)
    assert (late.busy, late.available) == (3 + 4, 2 * 3 + 1 * 1 + 0 * 2 + 1 * 1)
    assert (late.slots, late.done, late.utilisation) == (1, 2, 7 / 8)
    assert whole(run).utilisation == 15 / 16


def test_a_refused_change_of_an_agent_changes_nothing() -> None:
    run = driver("a", agents=1)
    run.tell(SetAgent(agent=AgentSpec(id="agent 1", slots=0)))  # nobody else could take it
    end(run, "a", 2.0)
    assert metrics(run).agents[0].available == 2.0


def test_hired_agents_count_from_when_they_were() -> None:
    run = Driver(graph("a>b", b={"role": "cook"}))
    end(run, "a", 1.0)
    end(run, "b", 3.0)
    assert [(one.agent, one.busy, one.available) for one in metrics(run).agents] == [
        ("general", 1.0, 3.0),
        ("cook", 2.0, 2.0),
    ]


# --- coordination ------------------------------------------------------------------------------------------


def test_coordination_is_dispatching_and_handing_over() -> None:
    run = driver("a>b", agents=1)
    end(run, "a", 1.0, turn=1.25, overhead=0.5)
    end(run, "b", 2.0, overhead=0.25)
    found = whole(run)
    assert (found.dispatching, found.handing_over) == (0.25, 0.75)
    assert (found.coordination, found.coordination_mean, found.wait_mean) == (1.0, 0.5, 0.125)


KITCHEN = (AgentSpec(id="only", roles=("cook",)),)
#: What let b go on, at 2 s: agents; fields of b; the command, edit or event that did.
LET_GO: dict[str, tuple[tuple[AgentSpec, ...], dict[str, object], Callable[[Driver], object]]] = {
    "an approval": (KITCHEN, {"approval": True}, lambda run: run.tell(Approve(id="b"))),
    "resumed": (KITCHEN, {}, lambda run: run.tell(Resume())),
    "a step": (KITCHEN, {}, lambda run: run.tell(StepOnce())),
    "another agent": (KITCHEN, {}, lambda run: run.tell(SetAgent(agent=AgentSpec(id="new")))),
    "another slot": (
        KITCHEN,
        {},
        lambda run: run.tell(SetAgent(agent=AgentSpec(id="only", roles=("cook",), slots=2))),
    ),
    "another role": (
        (*KITCHEN, AgentSpec(id="waiter", roles=("waiter",))),
        {},
        lambda run: run.tell(SetAgent(agent=AgentSpec(id="waiter", roles=("cook",)))),
    ),
    "a free agent": (KITCHEN, {}, lambda run: run.feed(TaskDone(2.0, "busy", 1, None))),
    "a resource": (
        (AgentSpec(id="only", slots=2),),
        {"resources": (Resource(key="oven"),)},
        lambda run: run.feed(TaskDone(2.0, "busy", 1, None)),
    ),
}


@pytest.mark.parametrize("why", LET_GO)
def test_what_kept_a_task_from_starting_is_no_coordination(why: str) -> None:
    agents, fields, release = LET_GO[why]
    holds = (Resource(key="oven"),) if why == "a resource" else ()
    run = Driver(
        graph(
            "busy", "b", busy={"role": "cook", "boost": 9.0, "resources": holds}, b={"role": "cook", **fields}
        ),
        agents,
    )
    assert list(run.running) == ["busy"]
    if why in ("resumed", "a step"):
        run.tell(Pause())
    if why in ("resumed", "a step", "an approval"):
        end(run, "busy", 1.0)
    run.t = 2.0
    release(run)
    run.t = 2.25
    assert run.turn() == ["b"]
    end(run, "b", 3.0)
    if "busy" in run.running:
        end(run, "busy", 3.0)
    assert (whole(run).dispatching, whole(run).wait_mean) == (0.25, 2.25 / 2)


def test_a_slot_given_back_to_an_agent_that_had_another_lets_nothing_go() -> None:
    run = Driver(graph("x", "y>b"), [AgentSpec(id="team", slots=3)])
    run.t = 1.0
    run.feed(TaskDone(1.0, "y", 1, None))
    run.t = 1.25
    run.feed(TaskDone(1.25, "x", 1, None))
    run.t = 1.5
    run.turn()
    end(run, "b", 2.0)
    assert whole(run).dispatching == 0.5


def test_nor_is_the_time_before_a_run_was_read_back() -> None:
    run = driver("a>b", agents=1)
    run.feed(TaskDone(1.0, "a", 1, None))
    run.feed(RunReopened(2.0))
    run.t = 2.5
    run.turn()
    end(run, "b", 3.0)
    assert whole(run).dispatching == 0.5


def test_waiting_for_a_retry_is_no_coordination() -> None:
    run = driver("a", agents=1, settings=Settings(retry_delay=1.0), a={"attempts": 2})
    run.t = 1.0
    run.fail("a")
    run.ring()
    assert run.t == 2.0
    run.t = 2.5
    run.turn()
    end(run, "a", 3.0)
    assert (whole(run).dispatching, whole(run).wait_p95) == (0.5, 1.5)


def test_nor_is_waiting_for_a_retry_that_is_made_by_hand_before() -> None:
    run = driver("a", agents=1, settings=Settings(retry_delay=9.0), a={"attempts": 2})
    run.t = 1.0
    run.fail("a")
    run.t = 2.0
    run.tell(RetryTask(id="a"))
    run.t = 2.5
    run.turn()
    end(run, "a", 3.0)
    assert whole(run).dispatching == 0.5


def test_nor_is_waiting_for_the_monitors_word() -> None:
    run = driver("a", agents=1, settings=Settings(monitor="judge"), a={"attempts": 2})
    run.t = 1.0
    run.fail("a")
    run.t = 4.0
    run.feed(MonitorDecided(4.0, "a", 1, "retry"))
    run.t = 4.5
    run.turn()
    end(run, "a", 5.0)
    assert whole(run).dispatching == 0.5


@pytest.mark.parametrize("command", [Reject(id="a"), Approve(id="b")])
def test_a_decision_on_another_task_lets_none_go(command: Command) -> None:
    run = Driver(
        graph("a", "b", "c", a={"approval": True, "critical": False}, b={"approval": True}),
        universal_agents(3),
    )
    end(run, "c", 1.0)
    run.feed(DeltaSubmitted(1.0, 99, AddTask(task=Task(id="d"))))
    run.t = 2.0
    run.tell(command)
    run.t = 2.5
    assert "d" in run.turn()
    end(run, "d", 3.0)
    assert whole(run).dispatching == 1.5


# --- context switches --------------------------------------------------------------------------------------


def test_another_role_is_a_context_switch() -> None:
    cook = {"role": "cook"}
    run = driver("a>b>c>d>e", agents=1, b=cook, c=cook, e=cook)
    for t, id in enumerate("abcde", 1):
        end(run, id, float(t))
    assert whole(run).context_switches == 3
    assert metrics(run).agents[0].context_switches == 3


def test_so_is_another_beginning_of_what_is_given_to_read() -> None:
    run = driver("a>b>c>d>e>f", agents=1)
    gives(run, "a", "menu", "wine")
    end(run, "a", 1.0)
    gives(run, "b", "menu", "bread")
    end(run, "b", 2.0)
    gives(run, "c", "wine", "menu")
    gives(run, "c", "news", pushed=True)
    run.feed(ContextGiven(run.t, "c", 9, (ContextNote(id="late", version=1, tokens=1),), (), 1))
    end(run, "c", 3.0)
    gives(run, "d", "wine")
    end(run, "d", 4.0)
    gives(run, "e")
    end(run, "e", 5.0)
    gives(run, "f", "bread")
    end(run, "f", 6.0)
    assert whole(run).context_switches == 1, "at c; nothing begins differently from nothing"


def test_calls_are_compared_agent_by_agent() -> None:
    run = driver("a", "b", agents=2, b={"role": "cook"})
    gives(run, "a", "menu")
    gives(run, "b", "wine")
    end(run, "a", 1.0)
    end(run, "b", 1.0)
    assert whole(run).context_switches == 0


# --- what is learned ---------------------------------------------------------------------------------------


def test_seconds_per_unit_of_a_role_with_their_spread() -> None:
    run = Driver(graph("a>b", b={"role": "cook", "complexity": 2.0}), universal_agents(1), Settings())
    end(run, "a", 1.0)
    end(run, "b", 9.0)
    monitor = watched(run.machine.log)
    cook, general = monitor.metrics(run.t).roles
    assert (cook.role, general.role) == ("cook", "general")
    assert cook.seconds_per_unit == monitor.estimates.rate("cook") != general.seconds_per_unit
    assert cook.spread > 1


def test_transfers_are_learned_from_what_arrives_when_the_task_starts() -> None:
    run = driver("a>c:2", "b>c:1", "x", agents=3, settings=Settings(modelled_transfers=False))
    end(run, "x", 1.0, overhead=8.0)  # it is given nothing that is known
    end(run, "a", 1.0)
    run.submit(ReviseDependency(before="b", after="c", information=4.0))
    end(run, "b", 1.0)
    run.submit(ReviseDependency(before="b", after="c", information=100.0))
    assert metrics(run).seconds_per_information is None
    end(run, "c", 3.0, overhead=1.5)
    assert metrics(run).seconds_per_information == 1.5 / 6


def test_nothing_is_learned_from_transfers_that_are_only_modelled() -> None:
    run = driver("a>b:2", agents=1)
    end(run, "a", 1.0)
    run.ring()
    run.turn()
    end(run, "b", 4.0)
    assert metrics(run).seconds_per_information is None


def test_removed_and_added_dependencies_count_as_they_are() -> None:
    run = driver("a>b:2", "c", agents=3, settings=Settings(modelled_transfers=False))
    run.submit(RemoveTask(id="a"))
    run.submit(AddDependency(before="c", after="b", information=5.0))
    run.finish_stopping()
    end(run, "c", 2.0)
    end(run, "b", 4.0, overhead=1.0)
    assert metrics(run).seconds_per_information == 1 / 5


# --- the machine -------------------------------------------------------------------------------------------


def test_samples_of_the_machine_the_last_one_and_their_mean() -> None:
    run = driver("a", agents=1)
    gpu = GpuSample(name="H", busy=0.5, memory=10, memory_total=40, power=250.0)
    run.feed(MachineSampled(0.5, 0.2, 100))
    run.feed(MachineSampled(1.0, 0.4, 200, (gpu,)))
    machine, card = metrics(run).machine
    assert (machine.busy, machine.busy_mean, machine.memory, machine.memory_mean) == (
        0.4,
        approx(0.3),
        200,
        150,
    )
    assert (card.name, card.busy_mean, card.memory_mean, card.memory_total) == ("GPU 0: H", 0.5, 10, 40)
    assert (machine.power, card.power) == (None, 250.0)
    for _ in range(WINDOW):
        run.feed(MachineSampled(2.0, 1.0, 300))
    (machine,) = metrics(run).machine
    assert (machine.busy_mean, machine.memory_mean) == (1.0, 300)


# --- the window --------------------------------------------------------------------------------------------


def long_log(tasks: int) -> list[Event]:
    """Many tasks on seven slots; every seventh fails once, every turn ends 10 ms late, one agent grows."""
    machine, dag = Machine(), layered(tasks, seed=1)
    delta = as_delta(dag)
    delta = replace(delta, tasks=tuple(replace(task, attempts=2) for task in delta.tasks))
    agents = (AgentSpec(id="x", slots=3), AgentSpec(id="y", slots=4))
    machine.step(RunStarted(0.0, "", Settings(), agents))
    machine.step(DeltaSubmitted(0.0, 1, delta))
    due: list[tuple[float, str, int]] = []
    t, seen = 0.0, 0
    while not machine.ended:
        machine.step(TurnEnded(t))
        started = [event for event in machine.log[seen:] if isinstance(event, TaskDispatched)]
        due += [(t + dag.units[one.task], one.task, one.attempt) for one in started]
        due.sort()
        seen = len(machine.log)
        if due:
            t, id, number = due.pop(0)
            fails = number == 1 and int(id[1:]) % 7 == 0
            machine.step(TaskFailed(t, id, 1, "broke") if fails else TaskDone(t, id, number, None, 2, 0.5))
            t += 0.01
        if len(machine.log) > 1.5 * tasks and machine.pool.agents["x"].spec.slots == 3:
            machine.step(CommandSubmitted(t, 1, SetAgent(agent=AgentSpec(id="x", slots=5))))
    return machine.log


def test_the_whole_and_the_window_are_what_the_timeline_says() -> None:
    log = long_log(3 * WINDOW)
    found = watched(log).metrics(0.0)
    entries = sorted((entry for entry in entries_of(log)), key=lambda entry: entry.end or 0.0)
    ends = [event.t for event in log if isinstance(event, TaskDone | TaskFailed)]
    now, since = ends[-1] + 0.01, ends[-WINDOW - 1]
    changed = next(event.t for event in log if isinstance(event, CommandApplied))
    assert changed < since, "the window sees the larger team only"
    spans = [(entry.start, entry.end or now) for entry in entries]
    for shown, begin, last, slots in (
        (found.whole, 0.0, entries, 7 + 2 * (now - changed) / now),
        (found.recent, since, entries[-WINDOW:], 9.0),
    ):
        seconds = [(entry.end or now) - entry.start for entry in last]
        done = sum(entry.outcome == "done" for entry in last)
        busy = sum(max(0.0, end - max(start, begin)) for start, end in spans)
        assert (shown.attempts, shown.done, shown.failed) == (len(last), done, len(last) - done)
        assert shown.seconds == approx(now - begin)
        assert shown.throughput == approx(done / (now - begin))
        assert shown.utilisation == approx(busy / slots / (now - begin))
        assert shown.latency_mean == approx(sum(seconds) / len(last))
        assert shown.latency_p50 == approx(percentile(seconds, 0.5), rel=ACCURACY)
        assert shown.latency_p95 == approx(percentile(seconds, 0.95), rel=ACCURACY)
        assert (shown.tokens, shown.cost) == (2 * done, 0.5 * done)
    exact = [(entry.end or now) - entry.start for entry in entries[-WINDOW:]]
    assert found.recent.latency_p95 == approx(percentile(exact, 0.95))
    assert found.whole.retry_rate == approx(found.whole.failed / found.whole.attempts)
    assert found.recent.dispatching < found.whole.dispatching


def test_what_runs_since_before_the_window_counts_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dyntaskmas_nb.awm.figures.WINDOW", 2)
    run = driver("long", "a>b>c", agents=2, long={"complexity": 9.0})
    for t, id in enumerate("abc", 1):
        end(run, id, float(t))
    found = watched(run.machine.log).metrics(5.0)
    assert (found.recent.seconds, found.recent.utilisation) == (4.0, 6 / 8)
    assert [one.recent_utilisation for one in found.agents] == [1.0, 2 / 4]
    assert (found.whole.seconds, found.whole.utilisation) == (5.0, 8 / 10)


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(0, 1))
def test_counted_percentiles_are_near_the_exact_ones(values: list[float], share: float) -> None:
    counted = Percentiles()
    for value in values:
        counted.add(value)
    assert counted.at(share) == approx(percentile(values, share), rel=ACCURACY * 1.001, abs=2e-6)


# --- the laws ----------------------------------------------------------------------------------------------


class Watched(Anything):
    """The machine under whatever comes, and a monitor that reads along."""

    @invariant()
    def the_monitor_knows_what_the_machine_knows(self) -> None:
        if not hasattr(self, "driver"):
            return
        machine, t = self.machine, self.driver.t
        if not hasattr(self, "watcher"):
            self.watcher = Monitor()
        self.watcher.catch_up(machine.log)
        found, then = self.watcher.metrics(t), snapshot_of(machine, t)
        assert self.watcher._graph == machine.graph
        assert [
            (agent.id, agent.slots, len(agent.running), agent.completed, approx(agent.busy))
            for agent in then.agents
        ] == [(one.agent, one.slots, one.running, one.done, one.busy) for one in found.agents]
        assert found.whole.attempts + len(self.watcher._running) == machine.attempts
        assert found.t <= t
        assert found.whole == found.recent
        assert 0 <= (found.whole.utilisation or 0.0) <= 1 + 1e-9
        assert self.watcher._asked is None, "every edit and command was answered"
        assert self.watcher._failed <= set(machine.graph)
        assert set(self.watcher._let_go) <= set(machine.graph)

    @invariant()
    def nothing_is_coordination_that_is_not_waiting(self) -> None:
        for attempt in self.watcher._running.values() if hasattr(self, "watcher") else ():
            assert 0 <= attempt.dispatching <= attempt.wait

    def teardown(self) -> None:
        super().teardown()
        if not hasattr(self, "driver"):
            return
        log, t = self.machine.log, self.driver.t
        at_once, bit_by_bit = watched(log).metrics(t), Monitor()
        for place in range(0, len(log), 3):
            bit_by_bit.catch_up(log[:place])
            bit_by_bit.metrics(t)
        bit_by_bit.catch_up(log)
        assert bit_by_bit.metrics(t) == at_once, "in whatever parts, and looking changes nothing"
        assert watched(replay("run", log).log).metrics(t) == at_once
        assert watched([decode(encode(event)) for event in log]).metrics(t) == at_once


TestWatched = Watched.TestCase
TestWatched.settings = settings(max_examples=max(150, settings().max_examples), stateful_step_count=25)


@given(st.lists(st.integers(0, 600), max_size=5))
def test_a_long_log_in_whatever_parts(cuts: list[int]) -> None:
    log, monitor = LONG, Monitor()
    for cut in sorted(cuts):
        monitor.catch_up(log[: cut * len(log) // 600])
    monitor.catch_up(log)
    assert monitor.metrics(0.0) == watched(log).metrics(0.0)


LONG = long_log(WINDOW + 100)


def test_memory_does_not_grow_with_the_log() -> None:
    """100,000 events of tasks that come, run, fail, wait, are asked about and go again."""
    monitor, sizes = Monitor(), []
    monitor.take(RunStarted(0.0, "", Settings(), universal_agents(2)))
    tracemalloc.start()
    try:
        for number in range(9_000):
            for event in lifetime(number):
                monitor.take(event)
            if number % 1_000 == 999:
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert monitor.seq > 100_000
    assert max(sizes[1:]) < sizes[1] + 40_000, "what it holds was there after the second thousand"
    assert max(sizes) < 1_500_000


def lifetime(number: int) -> list[Event]:
    """A task from its beginning to its removal, on the second attempt; its edges, role and resource too."""
    id, t, agent = f"t{number}", float(number), f"agent {number % 2 + 1}"
    task = Task(id=id, role="rare", attempts=2, resources=(Resource(key=id),))
    note = ContextNote(id=f"node/{number}", version=1, tokens=1)
    return [
        DeltaSubmitted(t, number, AddTask(task=task)),
        DeltaApplied(t, number, 1, RemoveTask(id=id)),
        DeltaSubmitted(t, number, RemoveTask(id="nobody")),
        DeltaRejected(t, number, "There is no task."),
        TaskDispatched(t, id, 1, agent, 0.0, t),
        ContextGiven(t, id, 1, (note,), (), 1),
        MachineSampled(t, 0.5, number),
        TaskFailed(t + 0.001 * (number % 97), id, 1, "broke"),
        Woke(t, id),
        TaskDispatched(t, id, 2, agent, 0.0, t),
        TaskDone(t + 0.01 * (number % 89), id, 2, "x" * 100, 1, 0.0, 0.001),
        Woke(t, id),
        DeltaSubmitted(t, number, RemoveTask(id=id)),
        DeltaApplied(t, number, 2, AddTask(task=task)),
        Woke(t, id),
    ]


# --- how it looks ------------------------------------------------------------------------------------------


def test_it_is_shown_as_tables() -> None:
    run = driver("a>b", agents=1)
    end(run, "a", 1.0)
    end(run, "b", 3.0)
    run.feed(MachineSampled(3.0, 0.25, 2**20))
    text = repr(metrics(run))
    for line in (
        "throughput 0.667 tasks/s",
        "latency_p95 2 s",
        "agent 1 1 0 100 %",
        "T_c, general",
        "machine 25 %",
    ):
        assert line in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 130


def test_names_are_made_harmless() -> None:
    name = "<b>\x1b[31m\u202e|"
    run = Driver(graph("a", a={"role": name}), [AgentSpec(id=name, roles=(name,))])
    end(run, "a", 1.0)
    run.feed(MachineSampled(1.0, 0.1, 1, (GpuSample(name=name, busy=0.1, memory=1, memory_total=1),)))
    found = metrics(run)
    assert "\x1b" not in repr(found) + found._repr_html_()
    assert "<b>" not in found._repr_html_()
    assert found._repr_html_().count("<table>") == 4


def test_of_many_agents_the_first_are_shown_and_the_records_have_them_all() -> None:
    run = Driver(graph("a"), universal_agents(ROWS + 5))
    text, page = repr(metrics(run)), metrics(run)._repr_html_()
    assert "and 5 more in to_records()" in text
    assert "and 5 more in to_records()" in page
    assert f"agent {ROWS + 1} " not in text
    of = {row["of"] for row in metrics(run).to_records()}
    assert {f"agent {number}" for number in range(1, ROWS + 6)} <= of


def test_records_are_flat_and_say_what_each_figure_is() -> None:
    run = driver("a", agents=1)
    end(run, "a", 2.0)
    run.feed(MachineSampled(2.0, 0.25, 100))
    found = metrics(run)
    rows = found.to_records()
    assert all(list(row) == ["name", "of", "value", "unit", "window", "definition"] for row in rows)
    assert all(row["value"] is None or isinstance(row["value"], int | float) for row in rows)
    assert all(row["definition"] for row in rows)
    assert len({(row["name"], row["of"], row["window"]) for row in rows}) == len(rows)
    for name in Figures.__slots__:
        assert {row["window"] for row in rows if row["name"] == name and not row["of"]} == {"run", "recent"}
    (row,) = [row for row in rows if (row["name"], row["of"], row["window"]) == ("throughput", "", "run")]
    assert (row["value"], row["unit"]) == (0.5, "tasks/s")
