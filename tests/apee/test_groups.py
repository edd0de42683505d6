"""What tasks were expanded from, and where a run stops: as every snapshot has it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from dyntaskmas_nb.apee.groups import Groups
from dyntaskmas_nb.apee.history import snapshot_at, snapshot_of
from dyntaskmas_nb.core.command import Break
from dyntaskmas_nb.core.delta import AddTask, Batch, Delta, ExpandTask, RemoveTask
from dyntaskmas_nb.core.event import DeltaApplied
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from tests.apee.driving import Driver, driver, replay


def expand(id: str, *parts: str) -> ExpandTask:
    return ExpandTask(id=id, tasks=tuple(Task(id=part) for part in parts))


def groups(run: Driver) -> dict[str, str]:
    return dict(snapshot_of(run.machine, run.t).groups)


def applied(run: Driver, delta: Delta) -> Delta:
    answer = run.submit(delta)
    assert isinstance(answer, DeltaApplied)
    return answer.inverse


def test_parts_know_what_they_were_expanded_from_and_that_in_turn() -> None:
    run = driver("u>v>w")
    assert groups(run) == {}
    applied(run, expand("v", "a", "b"))
    assert groups(run) == {"a": "v", "b": "v"}
    applied(run, Batch(deltas=(expand("a", "a1", "a2"), AddTask(task=Task(id="x")))))
    assert groups(run) == {"a1": "a", "a2": "a", "a": "v", "b": "v"}
    applied(run, RemoveTask(id="b"))
    assert groups(run) == {"a1": "a", "a2": "a", "a": "v"}
    run.finish()
    assert dict(snapshot_of(replay(run.machine.log), 0.0).groups) == groups(run), "the log has it all"
    first = next(n for n, event in enumerate(run.machine.log) if isinstance(event, DeltaApplied))
    assert snapshot_at("run", run.machine.log, None, first, None, 0.0).groups == {}


def test_an_undo_ends_a_group_and_a_redo_brings_it_back() -> None:
    run = driver("u>v>w")
    undo = applied(run, expand("v", "a", "b"))
    undo_inner = applied(run, expand("a", "a1"))
    redo_inner = applied(run, undo_inner)
    assert groups(run) == {"a": "v", "b": "v"}
    applied(run, applied(run, redo_inner))
    redo = applied(run, undo)
    assert groups(run) == {}
    applied(run, AddTask(task=Task(id="a1")))
    assert groups(run) == {}, "it only has the name"
    applied(run, redo)
    assert groups(run) == {"a": "v", "b": "v"}


def test_an_edit_that_is_refused_makes_no_group() -> None:
    run = driver("u>v>w")
    assert not isinstance(run.submit(expand("v", "u", "a")), DeltaApplied)
    applied(run, AddTask(task=Task(id="a")))
    applied(run, RemoveTask(id="v"))
    assert groups(run) == {}


def test_a_part_may_have_the_name_of_what_it_came_from() -> None:
    run = driver("v>w")
    applied(run, expand("v", "a"))
    applied(run, expand("a", "v", "b"))
    assert groups(run) == {"v": "a", "b": "a"}


def test_a_task_that_is_one_of_its_own_parts() -> None:
    run = driver("v>w")
    undo = applied(run, expand("v", "v", "a"))
    assert groups(run) == {"a": "v"}
    applied(run, undo)
    assert groups(run) == {}


@example([("a", {"b"}), ("b", {"a", "c"}), ("a", {"d"})])
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sets(st.sampled_from("abcd"), min_size=1)), max_size=8))
def test_going_up_from_any_task_comes_to_an_end(expansions: list[tuple[str, set[str]]]) -> None:
    known, graph = Groups(), {"a"}
    for id, parts in expansions:
        if id in graph and not (parts - {id}) & graph:
            known.note(expand(id, *sorted(parts)))
            graph = (graph - {id}) | parts
    found = known.of(TaskGraph.of([Task(id=id) for id in sorted(graph)]))
    for start in found:
        above = start
        for _ in found:
            above = found.get(above, "")
        assert above not in found


def test_a_snapshot_has_the_breakpoints() -> None:
    run = driver("a>b>c")
    assert snapshot_of(run.machine, 0.0).breakpoints == {}
    for id, when in (("a", "after"), ("b", "before"), ("c", "after"), ("c", "before")):
        run.tell(Break(id=id, when=when))  # type: ignore[arg-type]
    before = snapshot_of(run.machine, 0.0)
    assert before.breakpoints == {"a": "after", "b": "before", "c": "both"}
    run.tell(Break(id="c", when="after", on=False))
    applied(run, RemoveTask(id="a"))
    assert snapshot_of(run.machine, 0.0).breakpoints == {"b": "before", "c": "before"}
    assert before.breakpoints["c"] == "both", "it stays as it was"
