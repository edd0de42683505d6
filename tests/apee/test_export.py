"""What leaves a run: words, calls, a trace, records. Whatever the names are, they stay names."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb import Join, Resource
from dyntaskmas_nb.apee.export import python_of, records_of, trace_of
from dyntaskmas_nb.apee.history import snapshot_of
from dyntaskmas_nb.apee.story import call, history_of, said
from dyntaskmas_nb.apee.undo import edits_of
from dyntaskmas_nb.core import delta
from dyntaskmas_nb.core.codec import decode, encode
from dyntaskmas_nb.core.command import Break, CancelRun, Configure, Inject, Pause, Resume, StepOnce
from dyntaskmas_nb.core.delta import AddTask, Delta, ReviseTask
from dyntaskmas_nb.core.event import Event
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import AgentSpec, universal_agents
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.update import apply, as_delta
from dyntaskmas_nb.errors import InvalidInput
from tests import strategies
from tests.apee.driving import Driver, driver, graph


class Fake:
    """As much of a run as the calls need; it applies to a graph."""

    def __init__(self, graph: TaskGraph) -> None:
        self.graph = graph

    def apply(self, change: Delta) -> None:
        apply(self.graph, change)

    def add_task(
        self, description: str, *, id: str, after: Any = (), before: Any = (), **fields: Any
    ) -> None:
        task = Task(id=id, description=description, **fields)
        sides = [edges if isinstance(edges, dict) else dict.fromkeys(edges, 0.0) for edges in (after, before)]
        self.apply(AddTask(task=task, after=sides[0], before=sides[1]))

    def revise(self, id: str, **changes: Any) -> None:
        self.apply(ReviseTask(id=id, changes=changes))

    def remove_task(self, id: str) -> None:
        self.apply(delta.RemoveTask(id=id))

    def add_dependency(self, before: str, after: str, information: float = 0.0) -> None:
        self.apply(delta.AddDependency(before=before, after=after, information=information))

    def remove_dependency(self, before: str, after: str) -> None:
        self.apply(delta.RemoveDependency(before=before, after=after))

    def revise_dependency(self, before: str, after: str, information: float) -> None:
        self.apply(delta.ReviseDependency(before=before, after=after, information=information))

    def set_join(self, id: str, kind: Any, k: int = 1) -> None:
        self.apply(delta.SetJoin(id=id, join=Join(kind=kind, k=k)))


@given(strategies.graphs(), strategies.deltas(bad=False))
def test_a_call_makes_the_edit(before: TaskGraph, change: Delta) -> None:
    change = decode(encode(change))  # as it comes out of an inbox
    expected, run = before.copy(), Fake(before)
    try:
        apply(expected, change)
    except InvalidInput:
        return
    exec(call(change).join(["run.", ""]), {"run": run, "Join": Join, "Resource": Resource} | vars(delta))
    assert run.graph == expected
    assert list(map(encode, run.graph.tasks.values())) == list(map(encode, expected.tasks.values()))


@given(strategies.events | strategies.deltas() | strategies.commands)
def test_words_are_one_printable_line(what: Event) -> None:
    assert len(said(what)) <= 300
    assert said(what) == " ".join(said(what).split())
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in said(what))


def test_commands_are_the_calls_that_give_them() -> None:
    told = {
        Pause(): "pause()",
        Pause(hard=True): "pause(hard=True)",
        StepOnce(until="completion"): "step(until='completion')",
        Break(id="a", when="after", on=False): "break_at('a', when='after', on=False)",
        Break(id="a", once=True): "run_until('a')",
        CancelRun(reason="enough"): "cancel()",
        Inject(id="a", text="\"'\n"): """inject('a', '"\\'\\n')""",
    }
    assert {command: call(command) for command in told} == told
    assert call(Configure(changes={"policy": "fifo"})) == "configure(policy='fifo')"


def planned(*edges: str) -> Driver:
    """A run whose plan is the planner's."""
    run = Driver(agents=universal_agents(2))
    run.submit(as_delta(graph(*edges)), by="planner")
    run.turn()
    return run


def test_running_until_a_task_is_one_call() -> None:
    run = planned("a>b")
    run.tell(Break(id="a", when="after", once=True))
    run.tell(Resume())
    run.done("a")
    run.tell(Resume())
    assert [line.split()[0] for line in python_of(run.machine.log).splitlines()[3:]] == [
        "run.run_until('a')", "run.resume()",
    ]  # fmt: skip


def test_what_others_did_is_a_comment() -> None:
    run = planned("a")
    run.submit(ReviseTask(id="a", changes={"boost": 1.0}), by="awm")
    run.submit(ReviseTask(id="a", changes={"description": "x"}))
    run.submit(ReviseTask(id="a", changes={"description": "\nimport os"}), by="awm")
    calls = [line for line in python_of(run.machine.log).splitlines() if "revise" in line]
    assert calls[0].startswith("run.revise('a', description='x')")
    assert calls[1].startswith("# the awm at 0 s: revise(")
    assert len(calls) == 2, "what was there before the user's first call belongs to the plan"
    assert python_of([]) == ""


def test_slots_of_one_agent_are_threads_of_their_own() -> None:
    run = Driver(graph("a", "b", "c"), [AgentSpec(id="<ann>", slots=2)])
    run.t = 2.0
    run.fail("a", error="\x1b[31mbroke")
    run.t = 3.0
    run.done("b")
    found = trace_of(snapshot_of(run.machine, 4.0), run.machine.log)["traceEvents"]
    assert [event["args"]["name"] for event in found if event["ph"] == "M"] == [
        "run run", "edits", "<ann> 1", "<ann> 2",
    ]  # fmt: skip
    assert {(e["name"], e["tid"], e["ts"], e["dur"], e["cat"]) for e in found if e["ph"] == "X"} == {
        ("a", 1, 0.0, 2e6, "failed"), ("b", 2, 0.0, 3e6, "done"), ("c", 1, 2e6, 2e6, "running"),
    }  # fmt: skip
    assert [event["ts"] for event in found if event["ph"] == "i"] == [0.0]
    rows = {row["task"]: row for row in records_of(run.machine.log, run.machine.graph)}
    assert (rows["a"]["error"], rows["a"]["seconds"], rows["c"]["seconds"]) == ("\x1b[31mbroke", 2.0, None)
    assert rows["b"]["tokens"] == 0


def test_an_outcome_that_came_too_late_is_no_row() -> None:
    run = driver("a", "b", agents=2)
    run.done("a")
    rows = len(history_of(run.machine.log).rows)
    late = next(event for event in run.machine.log if type(event).__name__ == "TaskDone")
    run.feed(late)
    assert len(history_of(run.machine.log).rows) == rows


@given(st.lists(strategies.deltas(), max_size=6))
def test_undoing_everything_is_the_plan_again(changes: list[Delta]) -> None:
    run = planned("a>b", "c", "d>e:2")
    first = run.machine.graph.copy()
    for change in changes:
        run.submit(change)
    last, steps = run.machine.graph.copy(), len(edits_of(run.machine.log)[0])
    for by, place in (("undo", 0), ("redo", 1), ("undo", 0)):
        for _ in range(steps):
            *stacks, version = edits_of(run.machine.log)
            run.turn()
            assert type(run.submit(stacks[place][-1].delta, version, by)).__name__ == "DeltaApplied"
        assert not edits_of(run.machine.log)[place]
        assert run.machine.graph == (first if by == "undo" else last)
