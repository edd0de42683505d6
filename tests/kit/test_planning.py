"""Plans that are streamed into a run, and replaced while it runs; reflection on a task's result."""

from __future__ import annotations

import json

import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.core.event import DeltaRejected, DeltaSubmitted, TaskDispatched
from dyntaskmas_nb.errors import InvalidInput, PlanningFailed, RunFailed
from dyntaskmas_nb.llm.simulated import Simulated


def row(id, *after, **fields):
    whole = {"id": id, "description": f"do {id}", "role": "r", "complexity": 1, "depends_on": list(after)}
    return {**whole, **fields}


def plan(*rows):
    return json.dumps({"subtasks": rows})


def kit_of(*answers, seconds=8.0, home=None, **more):
    """A kit whose planner takes `seconds` for each of `answers`, and whose agents take their complexity."""
    left = list(answers)

    def replies(request):
        if request.tag != "planner":
            return f"{request.tag} done"
        return left.pop(0) if len(left) > 1 else left[0]

    def latency(request, chance):
        return seconds if request.tag == "planner" else request.cost

    return Kit(model=Simulated(latency, replies), clock="virtual", home=home, **more)


def starts(run):
    return {event.task: event.t for event in run._machine.log if isinstance(event, TaskDispatched)}


def planned(run):
    return [(event.by, event.t) for event in run._machine.log if isinstance(event, DeltaSubmitted)]


LONG = plan(row("a"), row("b", "a"), row("odd", "later"), row("c", "b"), row("later", description="x" * 400))


def test_subtasks_start_while_later_ones_are_still_being_written():
    with kit_of(LONG) as kit:
        run = kit.start("Do it")
        run.run_until(7.9)
        assert run.status == "planning"
        assert run.states() == {"a": "done", "b": "done", "c": "done"}, "odd waits for one not written yet"
        run.result()
        assert starts(run)["a"] < starts(run)["b"] < 8
        assert starts(run)["later"] == 8
        assert [by for by, _ in planned(run)] == ["planning"] * 3 + ["planner"]
        assert run.graph.predecessors("odd") == ("later",)
        assert run.repairs() == []


def test_equal_runs_have_equal_logs_though_all_happens_at_once():
    with kit_of(LONG, seconds=4.0) as kit:  # a piece a second, as long as a task takes
        runs = [kit.start("Do it") for _ in range(5)]
        assert all(run.result() for run in runs)
        assert len({run.log_lines() for run in runs}) == 1


def test_a_run_that_was_interrupted_while_it_was_planned_keeps_what_it_has(tmp_path):
    with kit_of(LONG, home=tmp_path) as kit:
        run = kit.start("Do it")
        run.run_until(7.9)
    with kit_of(LONG, home=tmp_path) as kit:
        run = kit.open_run(run.id)
        assert run.status == "planning"
        run.resume()
        run.result()
        assert set(run.graph) == {"a", "b", "c", "odd", "later"}
        assert {view.attempt for view in run.snapshot().tasks.values()} == {1}
        assert run.repairs() == []
        assert not [event for event in run._machine.log if isinstance(event, DeltaRejected)]


def test_what_others_did_meanwhile_is_respected():
    with kit_of(LONG) as kit:
        run = kit.start("Do it")
        assert run.add_task("mine", id="b", complexity=30)
        run.run_until(7)
        assert run.states() == {"b": "running", "a": "done"}, "the plan's own b must wait for its name"
        assert run.add_task("mine too", id="later")
        run.wait_for_plan()
        assert run.graph["b"].description == "mine"
        assert run.graph.predecessors("b~2") == ("a",)
        assert run.graph.predecessors("c") == ("b~2",)
        assert run.graph.predecessors("odd") == ("later~2",)
        assert sorted(run.repairs()) == [
            f"Task {id!r} of the plan became '{id}~2', since another has that name." for id in ("b", "later")
        ]
        run.result()


def test_an_unusable_answer_after_streaming_is_asked_for_again_and_what_it_left_goes():
    bad = plan(row("a", complexity=9), row("gone"), row("x", "y"), row("y", "x"))
    with kit_of(bad, plan(row("b"), row("a", complexity=20))) as kit:
        run = kit.start("Do it", agents=1)
        run.add_task("first", id="mine", complexity=30, boost=9.0)
        run.run_until(15)
        assert set(run.graph) == {"mine", "a", "gone"}
        run.wait_for_plan()
        assert set(run.graph) == {"mine", "a", "b"}
        assert run.graph["a"].complexity == 20
        run.result()
    with kit_of(bad, seconds=2, max_tasks=1) as kit:
        run = kit.start("Do it", agents=1)
        run.run_until(1.9)
        assert run.states() == {"a": "running"}, "one task is all there may be"
        with pytest.raises(PlanningFailed, match="at most 1 are allowed"):
            run.result()
        assert run.states() == {"a": "cancelled"}


def test_deeper_plans_keep_within_the_number_of_tasks_and_say_what_was_repaired():
    parts = plan(*(row(f"p{number}") for number in range(3)), row("P3", "nobody"))
    first = plan(row("small"), row("big", complexity=9), row("large", "small", complexity=9))

    def replies(request):
        if request.tag != "planner":
            return request.tag
        return parts if "(part" in request.messages[1].content else first

    with Kit(model=Simulated(replies=replies), clock="virtual", home=None, max_depth=2, max_tasks=6) as kit:
        run = kit.start("Do it")
        run.wait_for_plan()
        assert set(run.graph) == {"small", "big.p0", "big.p1", "big.p2", "big.p3", "large"}
        assert [note for note in run.repairs() if "P3" in note] == ["In 'big': Id 'P3' became 'p3'."]
        assert [by for by, _ in planned(run)] == ["planning", "planner"], "what is split is not started whole"
        run.result()


def test_a_newer_plan_supersedes_what_has_not_started():
    old = plan(row("a"), row("b", "a", complexity=5), row("c", "b"), row("d", "c"))
    new = plan(row("a"), row("c", "a", description="another c"), row("e", "c"))
    last = plan(row("a"), row("e", "a", complexity=2), row("f", "e"))
    with kit_of(old, new, last, seconds=2.0) as kit:
        run = kit.start("Do it")
        with pytest.raises(InvalidInput, match="being planned"):
            run.replan("Do other things")
        run.wait_for_plan()
        run.add_task("mine", after=["d"], id="mine")
        run.run_until(4)
        assert run.states()["b"] == "running"
        receipt = run.replan("Do other things")
        assert receipt, receipt.reason
        assert set(run.graph) == {"a", "b", "c", "e", "mine"}, "b runs"
        assert run.graph["c"].description == "another c"
        assert run.graph.predecessors("c") == ("a",)
        assert "Planned anew: Do other things" in run.repairs()
        run.result()
        assert run.replan("Do the last things"), "a run that has ended goes on"
        assert set(run.graph) == {"a", "b", "c", "e", "mine", "e~2", "f"}, "another e, which waits for less"
        assert run.graph.predecessors("f") == ("e~2",)
        run.result()
        assert {view.attempt for view in run.snapshot().tasks.values()} == {1}
        with pytest.raises(InvalidInput, match="is empty"):
            run.replan(" ")


def test_a_newer_plan_supersedes_one_that_was_given():
    with kit_of(plan(row("a"), row("c", "a"))) as kit:
        run = kit.start({"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]})
        assert run.replan("Do it anew")
        assert set(run.graph) == {"a", "c"}


def test_an_edit_of_the_same_task_meanwhile_makes_the_newer_plan_look_again():
    old, new = plan(row("a", complexity=9), row("b", "a")), plan(row("b", description="new"))
    with kit_of(old, new, seconds=2.0) as kit:
        run = kit.start("Do it")
        run.wait_for_plan()
        revise = kit.backend._replies

        def replies(request):
            if request.tag == "planner":
                run._engine._inbox.append(DeltaSubmitted(run._engine.now(), 0, edit.delta, by="user"))
            return revise(request)

        run.revise("b", complexity=3.0)
        edit = next(e for e in reversed(run._machine.log) if isinstance(e, DeltaSubmitted))
        kit.backend._replies = replies
        assert run.replan("Do it anew")
        assert run.graph["b"].description == "new"
        assert run.graph["b"].complexity == 1.0
        rejected = [type(event).__name__ for event in run._machine.log]
        assert rejected.count("DeltaRejected") == 1


def judging(*scores):
    left = list(scores)

    def judge(task, context):
        (seen,) = context.values()
        return {"score": left.pop(0), "critique": f"of {seen}"}

    def write(task, context):
        return [task.inputs, *context.values()][-1]["critique"] + "!" if context else "draft"

    return {"judge": judge, "*": write}


def test_reflection_revises_until_it_is_good_and_keeps_the_better_version():
    with Kit(agents=judging(0.5, 0.9), home=None, clock="virtual") as kit:
        run = kit.start({"subtasks": [{"id": "v"}, {"id": "end", "role": "judge", "depends_on": ["v"]}]})
        assert run.reflect("v", "judge", n=2)
        assert run.graph.predecessors("end") == ("v.4",)
        with pytest.raises(RunFailed, match="end: IndexError"):
            run.result()  # no third score is left for it
        assert run.results()["v.4"] == run.results()["v.2"] == "of draft!"
        assert run.results()["v.3"]["stopped"] == "quality"
        assert run.snapshot().t == 5, "v.4 only passes on what it was given"


def test_a_judge_without_a_score_fails_with_one_sentence():
    with Kit(agents={"judge": lambda: "splendid", "*": lambda: 1}, home=None, clock="virtual") as kit:
        run = kit.start({"subtasks": [{"id": "v"}]})
        run.reflect("v", "judge")
        with pytest.raises(RunFailed, match=r"v\.1: The judge answered 'splendid'; a score from 0 to 1"):
            run.result()


def test_a_reflection_goes_on_after_its_run_is_read_back(tmp_path):
    with Kit(agents=judging(0.1, 0.2), home=tmp_path, clock="virtual") as kit:
        run = kit.start({"subtasks": [{"id": "v"}]})
        run.reflect("v", "judge")
        run.run_until(4.5)
        assert run.states()["v.4"] == "running"
    with Kit(agents=judging(0.1), home=tmp_path, clock="virtual") as kit:
        run = kit.open_run(run.id)
        run.resume()
        run.result()
        assert [run.results()[f"v.{number}"]["score"] for number in (1, 3, 5)] == [0.1, 0.2, 0.1]
        assert run.results()["v.5"]["stopped"] == "gain"
        assert run.results()["v.6"] == run.results()["v.2"]
