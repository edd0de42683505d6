"""A kit in the hands of its user: plans, Python functions, edits, clocks, ends."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from dyntaskmas_nb import AgentSpec, Kit, TaskGraph
from dyntaskmas_nb.errors import (
    InvalidInput,
    OutsideDomain,
    PlanningFailed,
    RunCancelled,
    RunFailed,
    StoreError,
)
from dyntaskmas_nb.llm.simulated import Simulated

CALCULATION = {
    "task": "Calculate 1+2 and 3+4, then multiply",
    "subtasks": [
        {"id": "add1", "role": "adder", "inputs": [1, 2]},
        {"id": "add2", "role": "adder", "inputs": [3, 4]},
        {"id": "multiply", "role": "multiplier", "depends_on": ["add1", "add2"]},
    ],
}


def chain(*ids, **fields):
    """A plan in which each task waits for the one before it."""
    pairs = zip(ids, [None, *ids], strict=False)
    return {
        "subtasks": [{"id": id, "depends_on": [before] if before else [], **fields} for id, before in pairs]
    }


def multiply(task, context):
    product = 1
    for value in context.values():
        product *= value
    return product


def test_the_additions_overlap_and_the_product_is_21():
    together = threading.Barrier(2, timeout=20)  # both additions must be under way at once to pass it

    def add(task, context):
        together.wait()
        return sum(task.inputs)

    with Kit(agents={"adder": add, "multiplier": multiply}, home=None) as kit:
        run = kit.start(CALCULATION)
        assert run.result() == 21
        assert run.status == "done"
        assert run.states() == {"add1": "done", "add2": "done", "multiply": "done"}


@pytest.mark.parametrize(
    "ids", [("fetch", "process", "analyze", "visualize"), ("research", "report", "slides")]
)
def test_a_pipeline_keeps_its_order_and_hands_results_on(ids):
    seen = []

    def work(task, context):
        seen.append(task.id)
        return [*next(iter(context.values()), []), task.id]

    with Kit(agents={"*": work}, home=None) as kit:
        assert kit.start(chain(*ids)).result() == list(ids)
    assert seen == list(ids)


def test_ten_equal_tasks_on_three_agents_are_shared_four_three_three():
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start({"subtasks": [{"id": f"t{i}"} for i in range(10)]}, agents=3)
        run.result()
        counts = sorted((agent.completed for agent in run.snapshot().agents), reverse=True)
        assert counts == [4, 3, 3]
        assert run.measures().makespan == 4.0


def test_async_functions_and_await_on_the_callers_own_loop():
    async def work(task, context):
        await asyncio.sleep(0)
        return task.id

    async def main():
        return await kit.start(chain("a", "b"))

    with Kit(agents={"*": work}, home=None) as kit:
        assert asyncio.run(main()) == "b"


def test_several_sinks_give_a_dict():
    with Kit(agents={"*": lambda task, context: task.id.upper()}, home=None) as kit:
        assert kit.start({"subtasks": [{"id": "a"}, {"id": "b"}]}).result() == {"a": "A", "b": "B"}


def test_an_edit_meets_the_state_the_user_saw_and_its_task_is_run():
    with Kit(agents={"*": lambda task, context: sorted(context)}, clock="virtual", home=None) as kit:
        run = kit.start(chain("a", "b", "c"))
        assert run.step()
        assert run.states() == {"a": "running", "b": "pending", "c": "pending"}
        receipt = run.add_task("Check the visa rules", after=["a"], before=["c"], complexity=3)
        assert receipt.id == "check_visa_rules"
        assert receipt.version == run.graph.version
        assert not run.add_dependency("c", "a"), "a is running"
        assert not run.add_dependency("c", "b"), "a cycle"
        assert "cycle" in run.add_dependency("c", "b").reason
        assert run.revise("c", description="all of it", critical=False)
        assert run.remove_dependency("b", "c")
        assert run.remove_task("b")
        run.resume()
        assert run.result() == ["check_visa_rules"]
        assert run.snapshot().t == 5.0


def test_a_receipts_inverse_undoes_it():
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(chain("a", "b"), paused=True)
        before = run.graph
        receipt = run.add_task("more", after=["a"])
        assert run.graph != before
        assert run.apply(receipt.inverse)
        assert run.graph == before


def test_virtual_time_stands_still_between_calls_and_stops_where_told():
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(chain("a", "b", complexity=2.0))
        assert run.states() == {"a": "ready", "b": "pending"}
        assert run.snapshot().t == 0.0
        run.run_until(3.0)
        assert run.states() == {"a": "done", "b": "running"}
        assert run.snapshot().t == 3.0
        run.result()
        assert run.snapshot().t == 4.0


def test_a_paused_virtual_run_says_so_instead_of_waiting_for_ever():
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(chain("a"), paused=True)
        with pytest.raises(InvalidInput, match=r"resume\(\)"):
            run.result()
        run.resume()
        run.result()


def test_failures_are_raised_with_their_cause_and_block_what_waits():
    def work(task, context):
        if task.id == "bad":
            raise ValueError("no such city")
        return task.id

    plan = {
        "subtasks": [
            {"id": "bad"},
            {"id": "after", "depends_on": ["bad"]},
            {"id": "other"},
            {"id": "extra", "description": "", "critical": False, "depends_on": ["other"]},
        ]
    }
    with Kit(agents={"*": work}, home=None) as kit:
        run = kit.start(plan)
        with pytest.raises(RunFailed, match=r"bad: ValueError: no such city \(test_kit\.py:\d+ in work\)"):
            run.result()
        assert run.states() == {"bad": "failed", "after": "blocked", "other": "done", "extra": "done"}
        with pytest.raises(RunFailed):
            run.raise_if_failed()


def test_a_failed_attempt_is_tried_again_and_an_uncritical_one_skipped():
    tries = []

    def work(task, context):
        tries.append(task.id)
        if task.id == "flaky" and tries.count("flaky") < 3:
            raise OSError("busy")
        if task.id == "optional":
            raise OSError("gone")
        return len(context)

    plan = {
        "subtasks": [
            {"id": "flaky", "attempts": 3},
            {"id": "optional", "critical": False},
            {"id": "end", "depends_on": ["flaky", "optional"]},
        ]
    }
    with Kit(agents={"*": work}, home=None) as kit:
        run = kit.start(plan)
        run.result()
        assert run.states() == {"flaky": "done", "optional": "skipped", "end": "done"}
        assert tries.count("flaky") == 3


def test_cancelling_a_task_stops_it_and_cancelling_a_run_ends_it():
    started = threading.Event()

    async def work(task, context):
        started.set()
        await asyncio.sleep(3600)

    with Kit(agents={"*": work}, home=None) as kit:
        run = kit.start(chain("a", "b"))
        assert started.wait(20)
        assert run.cancel("a")
        with pytest.raises(RunCancelled):
            run.result()
        assert run.states() == {"a": "cancelled", "b": "blocked"}
        started.clear()
        other = kit.start(chain("a", "b"))
        assert started.wait(20)
        assert other.cancel()
        with pytest.raises(RunCancelled):
            other.result()
        assert not other.cancel(), "it has ended"


def test_a_timeout_ends_an_attempt():
    async def work(task, context):
        await asyncio.sleep(3600)

    with Kit(agents={"*": work}, home=None) as kit:
        run = kit.start({"subtasks": [{"id": "a", "timeout": 0.01}]})
        with pytest.raises(RunFailed, match=r"a: no result within 0\.01 s"):
            run.result()


def test_a_sentence_is_planned_by_the_model_and_its_agents_see_their_predecessors():
    plan = (
        '{"subtasks":[{"id":"one","description":"first","role":"r","complexity":1,"depends_on":[]},'
        '{"id":"two","description":"second","role":"r","complexity":2,"depends_on":["one"]}]}'
    )

    def replies(request):
        return {"planner": plan, "one": "the first answer"}.get(request.tag, request.messages[-1].content)

    with Kit(model=Simulated(replies=replies), clock="virtual", home=None) as kit:
        run = kit.start("Do two things")
        assert run.status == "planning"
        assert "the first answer" in run.result()
        assert run.snapshot().request == "Do two things"


def test_larger_subtasks_are_decomposed_again_and_repairs_are_recorded():
    def row(id, complexity, *after):
        return {"id": id, "description": id, "role": "r", "complexity": complexity, "depends_on": list(after)}

    first = {"subtasks": [row("small", 1), row("large", 5, "small", "nobody"), row("end", 1, "large")]}
    parts = {"subtasks": [row("left", 1), row("right", 2), row("join", 1, "left", "right")]}

    def replies(request):
        if request.tag != "planner":
            return request.tag
        return json.dumps(parts if "part large of" in request.messages[-1].content else first)

    with Kit(model=Simulated(replies=replies), clock="virtual", home=None, max_depth=2) as kit:
        run = kit.start("Do three things")
        assert run.result() == "end"
        assert set(run.graph) == {"small", "large.left", "large.right", "large.join", "end"}
        assert run.graph.predecessors("large.left") == ("small",)
        assert run.graph.predecessors("end") == ("large.join",)
        assert any("nobody" in note for note in run.repairs())


def test_a_refused_sentence_raises_what_the_planner_said():
    with Kit(home=None) as kit:
        run = kit.start("Write a Python function that sorts a list")
        with pytest.raises(OutsideDomain, match=r"http://127\.0\.0\.1:8000/v1"):
            run.result()
        assert run.status == "failed"


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda kit: kit.start(""), "empty"),
        (lambda kit: kit.start("x" * 10_000_000), "long"),
        (lambda kit: kit.start(7), "not int"),
        (lambda kit: kit.start(TaskGraph()), "no tasks"),
        (lambda kit: kit.start({"subtasks": [{"id": "a", "depends_on": ["a"]}]}), "cycle"),
        (lambda kit: kit.start({"subtasks": [{"id": "a", "depends_on": ["b"]}]}), "'b'"),
        (lambda kit: kit.start(CALCULATION, agents=0), "agents"),
        (lambda kit: kit.start(CALCULATION, agents=["adder"]), "AgentSpec"),
        (lambda kit: kit.start(CALCULATION, agents=[AgentSpec(id="a"), AgentSpec(id="a")]), "'a'"),
        (lambda kit: kit.start(CALCULATION, policy="best"), "upward_rank"),
        (lambda kit: kit.start(CALCULATION, clock="moon"), "virtual"),
        (lambda kit: kit.start(CALCULATION, clock="virtual"), "real time"),
        (lambda kit: kit.open_run("nothing"), "no run"),
    ],
)
def test_bad_input_is_one_clear_sentence(call, match):
    with Kit(home=None) as kit, pytest.raises(InvalidInput, match=match) as caught:
        call(kit)
    assert "\n" not in str(caught.value)


def test_bad_homes_and_models_are_refused_before_anything_is_written(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StoreError, match="home"):
        Kit(home=tmp_path / "file")
    with pytest.raises(InvalidInput):
        Kit(model="no-such-model", home=tmp_path / "home")
    with pytest.raises(InvalidInput, match="agents"):
        Kit(agents=[multiply], home=tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_edits_and_runs_after_close_say_so():
    kit = Kit(agents={"*": lambda task, context: 1}, home=None)
    run = kit.start(chain("a"))
    run.result()
    kit.close()
    kit.close()
    assert run.status == "done"
    assert run.result() == 1
    assert not run.add_task("too late")
    with pytest.raises(StoreError, match="closed"):
        kit.start(chain("a"))


def test_equal_seeds_give_equal_logs_in_other_processes():
    code = """
from dyntaskmas_nb import Kit
before = [[], *([f"t{i // 2}"] for i in range(1, 30))]
tasks = [{"id": f"t{i}", "complexity": 1 + i % 3, "depends_on": before[i]} for i in range(30)]
with Kit("simulated:lognormal:1,0.5", clock="virtual", home=None, seed=5, policy="random") as kit:
    run = kit.start({"subtasks": tasks}, agents=3)
    run.run_until(2.5)
    run.add_task("later", after=["t1"], before=["t29"])
    run.result()
    import hashlib; print(hashlib.sha256(run.log_lines()).hexdigest(), run.snapshot().t)
"""
    seen = set()
    for hash_seed in ("0", "1", "random"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        seen.add(done.stdout)
    assert len(seen) == 1


def test_the_same_run_twice_in_one_kit_has_the_same_log():
    with Kit("simulated:lognormal:1,0.5", clock="virtual", home=None, seed=3) as kit:
        first, second = (kit.start(chain("a", "b")) for _ in range(2))
        second.result()
        first.result()
        assert first.log_lines() == second.log_lines()


def test_pictures_hold_the_key_numbers(tmp_path: Path):
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(chain("<img src=x onerror=alert(1)> href", "b"))
        run.result()
        assert "2 of 2 done" in repr(run)
        assert "<img" not in run._repr_html_()
        page = run.to_html(tmp_path / "new" / "run.html").read_text()
        assert "<img src=x" not in page
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["run.html"]
        with pytest.raises(StoreError):
            run.to_html(tmp_path)


def test_a_run_keeps_its_kit_open_until_it_is_over():
    run = Kit(agents={"*": lambda task, context: task.id}, home=None).start(chain("a", "b"))
    assert run.result() == "b"


def test_opening_a_run_that_is_live_gives_the_same_run():
    with Kit(agents={"*": lambda task, context: task.id}, home=None) as kit:
        run = kit.start(chain("a"), paused=True)
        assert kit.open_run(run.id) is run
        with pytest.raises(InvalidInput, match="paused"):
            run.result()
        run.resume()
        assert run.result() == "a"


def test_a_cancelled_paused_virtual_run_ends():
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(chain("a", "b"), paused=True)
        run.cancel()
        with pytest.raises(RunCancelled):
            run.result()


def test_a_virtual_run_that_is_read_back_keeps_its_context_and_its_time(tmp_path):
    def replies(request):
        return "the first answer" if request.tag == "a" else request.messages[-1].content

    with Kit(model=Simulated(replies=replies), clock="virtual", home=tmp_path) as kit:
        run = kit.start(chain("a", "b", complexity=2.0))
        run.run_until(3.0)
    with Kit(model=Simulated(replies=replies), clock="virtual", home=tmp_path) as kit:
        again = kit.open_run(run.id)
        assert again.resume()
        again.run_until(3.5)
        assert again.snapshot().t == 3.5
        assert "the first answer" in again.result()
    with Kit(agents={"x": multiply}, home=tmp_path) as kit:
        assert kit.open_run(run.id).status == "done"


def test_a_journal_that_fails_ends_the_run_and_is_seen(tmp_path, monkeypatch):
    def full(self, run, first, events):
        raise StoreError("The disk is full.")

    with Kit(agents={"*": lambda task, context: 1}, home=tmp_path) as kit:
        run = kit.start(chain("a"), paused=True)
        monkeypatch.setattr("dyntaskmas_nb.apee.journal.Journal.append", full)
        run.resume()
        with pytest.raises(RunFailed, match="disk is full"):
            run.result()
        assert run.over
        assert (run.snapshot().status, run.snapshot().reason) == ("failed", "The disk is full.")


def test_serial_time_counts_every_attempt_and_inputs_stay_as_they_were():
    def work(task, context):
        task.inputs.pop()
        if context.attempt == 1:
            raise OSError("busy")
        return task.inputs

    plan = {"subtasks": [{"id": "a", "inputs": [1, 2], "attempts": 2, "complexity": 3}]}
    with Kit(agents={"*": work}, clock="virtual", home=None) as kit:
        run = kit.start(plan)
        assert run.result() == [1]
        assert run.graph["a"].inputs == [1, 2]
        assert (run.measures().serial, run.measures().lower_bound, run.measures().makespan) == (6.0, 3.0, 6.0)


def test_run_until_takes_finite_seconds_and_stops_at_the_end():
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(chain("a"))
        with pytest.raises(InvalidInput, match="seconds"):
            run.run_until(float("inf"))
        run.run_until(1e9)
        assert run.status == "done"
        assert run.snapshot().t == 1.0


def test_virtual_time_says_when_it_can_never_pass():
    async def forever(task, context):
        await anyio.sleep_forever()

    with Kit(agents={"*": forever}, clock="virtual", home=None) as kit:
        run = kit.start(chain("a", "b"))
        with pytest.raises(InvalidInput, match="Nothing will ever happen: 'a' waits without a deadline"):
            run.result()
        assert run.cancel("a")
        with pytest.raises(RunCancelled):
            run.result()


def test_settings_limits_and_prices_reach_the_run():
    prices = {"*": {"input": 1000, "output": 1000}}
    with Kit(
        "simulated", clock="virtual", home=None, limits={"requests_per_second": 0.5}, prices=prices
    ) as kit:
        run = kit.start(chain("a", "b"), budget={"cost": 1e-4})
        with pytest.raises(RunFailed, match=r"The budget of 0\.0001 cost is spent"):
            run.result()
        run = kit.start(chain("a", "b", "c"), routing="on")
        run.result()
        assert run.snapshot().t >= 5.0, "a request every two seconds"
        assert run.routing()["general"]["general"]["done"] == 3
        again = kit.start(chain("a"), routing="frozen", routing_table=run.routing())
        again.result()
        assert again.routing() == run.routing()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"budget": {"cost": 1}}, "A budget of cost needs prices"),
        ({"colour": 1}, "no setting 'colour'"),
        ({"routing_table": {"a": 1}}, "routing table"),
        ({"budget": {"coins": 1}}, "A budget has no 'coins'"),
    ],
)
def test_settings_that_make_no_sense_start_nothing(settings, words):
    with Kit("simulated", clock="virtual", home=None) as kit:
        with pytest.raises(InvalidInput, match=words):
            kit.start(chain("a"), **settings)
        assert kit.runs() == []


def test_a_fork_shares_what_is_finished():
    calls = []

    def work(task, context):
        calls.append(task.id)
        return task.id + "".join(context.values())

    with Kit(agents={"*": work}, clock="virtual", home=None) as kit:
        run = kit.start(chain("a", "b", "c"))
        run.run_until("b")
        fork = run.fork()
        fork.revise("c", description="otherwise")
        run.resume()
        assert (run.result(), fork.result()) == ("cba", "cba")
        assert calls.count("a") == calls.count("b") == 1
        assert fork.id != run.id


def test_going_on_until_a_point_stops_at_breakpoints_and_says_so():
    with Kit("simulated", clock="virtual", home=None) as kit:
        run = kit.start(chain("a", "b", "c", "d"))
        run.break_at("c")
        assert "stopped at the breakpoint before 'c', at 2 s" in repr(run.run_until("d"))
        assert "stopped at the breakpoint" not in repr(run.step())
        run.break_at("d")
        run.resume()
        assert "breakpoint before 'd', at 3 s" in repr(run.run_until(100.0))
        assert not run.run_until(1.0), "that is past"
        with pytest.raises(InvalidInput, match="stopped at the breakpoint before 'd'; resume"):
            run.result()
        assert repr(run.run_until()) == "✓ now at 4 s, done"


def test_a_virtual_run_started_inside_somebodys_loop():
    async def main():
        with Kit("simulated", clock="virtual", home=None) as kit:
            run = kit.start(chain("a", "b"))
            assert run.run_until(1.5)
            with pytest.raises(PlanningFailed, match="holds no JSON"):
                kit.start("Plan a trip to Rome").result()

    asyncio.run(main())


def test_trying_an_edit_changes_nothing():
    with Kit("simulated", clock="virtual", home=None) as kit:
        run = kit.start(chain("a", "b"))
        tried = run.what_if.add_task("more", after=["b"], complexity=3)
        assert (tried.before.makespan, tried.after.makespan) == (2.0, 5.0)
        assert len(run.graph) == 2
        assert not run.what_if.add_dependency("b", "a")
        for wrong in ("a", {"policy": "fifo"}):
            with pytest.raises(InvalidInput, match="Preview a Δ"):
                run.preview(wrong)
        assert run.preview(policy="fifo").accepted
        assert run.add_task("more", after=["b"], complexity=3)
        run.result()
        assert run.snapshot().t == tried.after.makespan


def test_a_sentence_of_ten_megabytes_is_refused_in_one_line():
    with Kit(home=None) as kit:
        with pytest.raises(InvalidInput, match="10,000,000 characters long; at most 4,000"):
            kit.start("x " * 5_000_000)
        assert kit.runs() == []


def test_a_kit_shows_its_runs_and_nothing_of_them_acts(tmp_path):
    nasty = "<img src=x onerror=alert(1)>"
    with Kit(agents={"general": lambda task: 1}, home=tmp_path) as kit:
        assert "<table" not in kit._repr_html_()
        kit.start({"task": nasty, "subtasks": [{"id": "a"}]}).result()
        shown = kit._repr_html_()
        assert "done" in shown
        assert "&lt;img" in shown
        assert nasty not in shown
    assert "closed" in kit._repr_html_()
