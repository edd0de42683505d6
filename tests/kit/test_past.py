"""The past of a run in its user's hands: moments, forks, undo, and what leaves the kit."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from dyntaskmas_nb import Join, Kit, Resource, Task
from dyntaskmas_nb.apee.history import replay
from dyntaskmas_nb.core.codec import encode
from dyntaskmas_nb.core.delta import AddTask, Batch, ExpandTask, ReviseDependency, ReviseTask, SetJoin
from dyntaskmas_nb.errors import InvalidInput

PLAN = {
    "task": "Two and one",
    "subtasks": [{"id": "a"}, {"id": "b", "complexity": 2}, {"id": "c", "depends_on": ["a", "b"]}],
}
NASTY = "x\"); import os; os.abort()  # \n\u2028</td><script>\x1b[31m'"


@pytest.fixture
def kit():
    with Kit(clock="virtual", home=None) as kit:
        yield kit


@pytest.fixture
def run(kit):
    return kit.start(PLAN, agents=2)


def edited(run):
    """Every kind of edit, with names that want out of their quotes."""
    assert run.add_task(
        NASTY, id="n", after={"a": 2.5}, before=["c"], resources=(Resource(key=NASTY),), inputs=NASTY
    )
    assert run.revise("b", complexity=5.0, description=NASTY)
    assert run.undo()
    assert run.redo()
    assert run.remove_dependency("a", "c")
    assert run.add_dependency("b", "n", 1.5)
    assert run.apply(SetJoin(id="c", join=Join(kind="k_of_n", k=2)))
    assert run.apply(ReviseDependency(before="a", after="n", information=4.0))
    assert run.apply(
        ExpandTask(id="c", tasks=(Task(id="c1"), Task(id="c2")), dependencies=(("c1", "c2", 1.0),))
    )
    assert run.apply(
        Batch(deltas=(AddTask(task=Task(id="z", role="cook")), ReviseTask(id="z", changes={"boost": 1.0})))
    )
    assert run.add_task("", id="gone")
    assert run.remove_task("gone")
    assert run.pause()
    assert run.resume()


def test_every_moment_can_be_had_again(run):
    moments = [run.snapshot()]
    edited(run)
    run.run_until(1.5)
    moments.append(run.snapshot())
    run.result()
    moments.append(run.snapshot())
    for then in moments:
        again = run.at(version=then.seq - 1)
        assert (again.graph, again.tasks, again.seq) == (then.graph, then.tasks, then.seq)
    again = run.at(time=1.5)
    assert (again.tasks, again.entries, again.t, again.agents) == (
        moments[1].tasks, moments[1].entries, 1.5, moments[1].agents,
    )  # fmt: skip
    assert (
        b"".join(encode(event) + b"\n" for event in replay(run.id, run._machine.log).log) == run.log_lines()
    )


@pytest.mark.parametrize(
    "moment",
    [{}, {"version": 1, "time": 1}]
    + [{"version": version} for version in (10**6, -1, "2", True)]
    + [{"time": time} for time in (99.0, -1.0, float("nan"), "1", True)],
)
def test_a_moment_that_is_not_there_is_refused_in_a_sentence(run, moment):
    with pytest.raises(InvalidInput, match=r"^(There is no|Give one)"):
        run.at(**moment)


def test_undo_and_redo_go_back_and_forth(run):
    first = run.graph
    assert not run.undo()
    assert not run.redo()
    run.revise("a", complexity=7.0)
    run.add_task("more", id="d", after=["a"])
    second = run.graph
    assert run.undo()
    assert run.undo()
    assert run.graph == first
    assert not run.undo()
    assert run.redo()
    assert run.redo()
    assert run.graph == second
    assert not run.redo()
    assert run.undo()
    run.revise("b", boost=1.0)
    assert not run.redo(), "a new edit ends what could be redone"
    assert run.undo()
    assert run.graph["a"].complexity == 7.0
    assert "d" not in run.graph


@pytest.mark.parametrize("by", ["planner", "awm"])
def test_an_undo_never_takes_back_the_work_of_others(run, by):
    run.revise("a", complexity=7.0)
    run.add_task("mine", id="d")
    run.revise("b", complexity=7.0)
    assert run.apply(AddTask(task=Task(id="theirs"), after={"d": 0.0}), by=by)
    assert run.apply(ReviseTask(id="a", changes={"complexity": 8.0}), by=by)
    assert run.undo(), "b is as the user left it"
    refused = run.undo()
    assert by in refused.reason
    assert "'theirs'" in refused.reason
    assert run.apply(ReviseTask(id="c", changes={"boost": 1.0}))
    assert run.undo()
    assert (run.graph["a"].complexity, run.graph["c"].boost) == (8.0, 0.0)
    assert set(run.graph) == {"a", "b", "c", "d", "theirs"}


@pytest.mark.parametrize("by", ["planner", "awm"])
def test_an_undo_keeps_its_hands_off_what_others_revised(run, by):
    run.revise("a", complexity=7.0)
    assert run.undo()
    assert run.apply(ReviseTask(id="a", changes={"complexity": 8.0}), by=by)
    assert by in run.redo().reason
    assert run.graph["a"].complexity == 8.0
    run.revise("a", complexity=9.0)
    assert run.apply(ReviseTask(id="a", changes={"complexity": 8.0}), by=by)
    assert by in run.undo().reason
    assert run.graph["a"].complexity == 8.0


def test_undo_outlives_the_process(tmp_path):
    with Kit(clock="virtual", home=tmp_path) as kit:
        run = kit.start(PLAN)
        run.revise("a", complexity=7.0)
        run.revise("b", complexity=7.0)
        run.undo()
    with Kit(clock="virtual", home=tmp_path) as kit:
        run = kit.open_run(run.id)
        assert run.redo()
        assert run.undo()
        assert run.undo()
        assert (run.graph["a"].complexity, run.graph["b"].complexity) == (1.0, 2.0)


def test_a_fork_shares_what_is_finished_and_runs_the_rest():
    ran = []

    def work(task, context):
        ran.append(task.id)
        return [task.id, *context.values()]

    with Kit(agents={"*": work}, clock="virtual", home=None) as working:
        run = working.start(PLAN, agents=2)
        run.run_until(1.5)
        version = run.revise("c", description="as it was").version
        run.result()
        ran.clear()
        fork = run.fork(version, paused=True)
        assert (fork.status, fork.states()["a"], fork.id != run.id) == ("paused", "done", True)
        fork.add_task("more", id="d", after=["c"])
        fork.resume()
        assert fork.result() == ["d", ["c", ["a"], ["b"]]]
        assert ran == ["b", "c", "d"]
        assert "d" not in run.graph
    with pytest.raises(InvalidInput, match="closed"):
        run.fork()


def test_what_changed_between_two_versions(run):
    first = run.revise("a", complexity=3.0).version
    run.add_task("more", id="d", after=["a"])
    second = run.remove_dependency("b", "c").version
    assert repr(run.diff(first, second)).splitlines() == [
        "+ 'd' more", "+ 'a' → 'd', information 0", "- 'b' → 'c', information 0"]  # fmt: skip
    assert run.diff(0).added.keys() == set("abcd")
    assert not run.diff(second, second)


def test_the_calls_do_the_same_to_a_fresh_run(kit, run):
    edited(run)
    text = run.to_python()
    again = kit.start(PLAN, agents=2)
    exec(compile(text, "calls", "exec"), {"run": again})
    assert again.graph == run.graph
    assert again.to_python() == text
    assert len(text.splitlines()) == 3 + 13 + 3, "a call is one line, and a batch one more than its edits"


def test_the_history_is_a_table_that_lets_nothing_act(run):
    edited(run)
    assert not run.remove_task("none such")
    run.result()
    table = repr(run.history())
    assert "\x1b" not in table
    assert "\u2028" not in table
    rows = {row["what"]: row for row in run.history().records}
    version = rows["remove_dependency('a', 'c')"]["seq"]
    assert not run.at(version).graph.has_dependency("a", "c")
    assert run.at(version - 2).graph.has_dependency("a", "c")
    assert rows["remove_task('none such')"]["consequence"].startswith("refused: There is no task")
    assert rows["'a' is done"]["by"] == "agent 2"
    assert [row.what for row in run.history().rows][-1] == "the run ended: done"
    html = run.history()._repr_html_()
    assert "<script" not in html
    assert html.count("<tr>") == len(run.history().rows) + 1


def test_a_trace_that_perfetto_reads(run, tmp_path):
    run.add_task(NASTY, id=NASTY.partition("\n")[0], complexity=0.0)
    run.run_until(1.5)
    found = json.loads(run.to_trace(tmp_path / "trace.json").read_text())["traceEvents"]
    threads = {event["tid"]: event["args"]["name"] for event in found if event["name"] == "thread_name"}
    slices = [event for event in found if event["ph"] == "X"]
    assert {event["name"] for event in slices} >= {"a", "b"}
    assert all(event["tid"] in threads and event["dur"] >= 0 for event in slices)
    b = next(event for event in slices if event["name"] == "b")
    assert (b["ts"], b["dur"], b["cat"], threads[b["tid"]]) == (0.0, 1.5e6, "running", "agent 1")
    assert b["args"]["complexity"] == 2.0
    for tid in threads:  # slices of one thread follow each other
        own = sorted((event["ts"], event["ts"] + event["dur"]) for event in slices if event["tid"] == tid)
        assert all(end <= start for (_, end), (start, _) in pairwise(own))


def test_records_are_flat_and_the_plan_starts_the_same_graph(kit, run):
    run.result()
    records = run.to_records()
    assert [(row["task"], row["start"], row["seconds"]) for row in records] == [
        ("b", 0.0, 2.0), ("a", 0.0, 1.0), ("c", 2.0, 1.0)]  # fmt: skip
    assert len({tuple(row) for row in records}) == 1, "the same columns everywhere"
    assert all(isinstance(value, str | int | float | None) for row in records for value in row.values())
    assert kit.start(run.to_plan()).graph == run.graph
    assert run.to_plan()["task"] == PLAN["task"]
