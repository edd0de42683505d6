"""What the kit promises, measured on whole runs: recovery, learning, speed-up, budgets, resources.

All in virtual time; whatever is drawn at random is a hash of its seed and name.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import sqrt
from typing import Any

import pytest
import trio

from dyntaskmas_nb import AgentSpec, Kit, Run, TaskGraph
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.journal import Journal, RunInfo
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.event import DeltaSubmitted, RunStarted, TaskDispatched, TaskDone, TaskFailed
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.snapshot import Entry
from dyntaskmas_nb.dtgg.update import as_delta
from dyntaskmas_nb.errors import AgentError, RunFailed

ROLES = ("read", "think", "write")


def drawn(*key: object) -> float:
    """A number in [0, 1) that depends on `key` alone."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=6).digest()) / 2**48


def plan(*subtasks: Mapping[str, Any]) -> dict[str, Any]:
    return {"subtasks": list(subtasks)}


def entries(run: Run) -> dict[str, list[Entry]]:
    """Every attempt by task, in order."""
    found: dict[str, list[Entry]] = {}
    for entry in run.snapshot().entries:
        found.setdefault(entry.task, []).append(entry)
    return found


def overlap(one: Entry, other: Entry) -> bool:
    assert one.end is not None
    assert other.end is not None
    return one.start < other.end and other.start < one.end


# -- recovery ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["t0", "t3", "t6"])
def test_a_failed_task_is_done_by_a_different_agent(broken: str) -> None:
    def work(task: Any, context: Any) -> str:
        if (task.id, context.attempt) == (broken, 1):
            raise RuntimeError("lost the connection")
        return task.id

    fan = [{"id": f"t{n}", "attempts": 2} for n in range(6)]
    last = {"id": "t6", "attempts": 2, "depends_on": [task["id"] for task in fan]}
    with Kit(agents={"*": work}, clock="virtual", home=None) as kit:
        run = kit.start(plan(*fan, last), agents=3)
        assert run.result() == "t6"
        tries = entries(run)
    assert {id: [entry.outcome for entry in of] for id, of in tries.items() if len(of) > 1} == {
        broken: ["failed", "done"]
    }
    first, second = tries[broken]
    assert first.agent != second.agent


def test_2000_workflows_complete_as_often_as_probability_says() -> None:
    """Five tasks in a row; an attempt succeeds with p = 0.84, a second one, by another agent, with 0.87.

    A task is done with 1 − 0.16·0.13 = 0.9792, a workflow with 0.9792⁵ = 0.900.
    """
    workflows, steps = 2_000, 5

    async def perform(job: Assignment) -> Answer:
        if drawn("luck", job.task.id, job.attempt) >= (0.84, 0.87)[job.attempt - 1]:
            raise AgentError("out of luck")
        return Answer(result=None)

    tasks = [
        {"id": f"{w} {step}", "attempts": 2, "depends_on": [f"{w} {step - 1}"] if step else []}
        for w in range(workflows)
        for step in range(steps)
    ]
    machine = performed(plan(*tasks), [AgentSpec(id=f"agent {n}") for n in range(50)], perform)
    expected = (1 - 0.16 * 0.13) ** steps
    completed = sum(machine.records[f"{w} {steps - 1}"].state == "done" for w in range(workflows))
    assert expected == pytest.approx(0.900, abs=5e-4)
    assert abs(completed / workflows - expected) <= 3 * sqrt(expected * (1 - expected) / workflows)
    who: dict[str, list[str]] = {}
    for event in machine.log:
        if isinstance(event, TaskDispatched):
            who.setdefault(event.task, []).append(event.agent)
    assert sum(len(agents) == 2 for agents in who.values()) > 1_000
    assert max(len(agents) for agents in who.values()) == 2
    assert all(len(set(agents)) == len(agents) for agents in who.values()), "retried by a different agent"


# -- learning ---------------------------------------------------------------------------------------------


def performed(
    subtasks: Mapping[str, Any], agents: Sequence[AgentSpec], perform: Any, **settings: Any
) -> Machine:
    """A run on the real engine whose agents, unlike a kit's functions, know who they are."""
    clock, journal = VirtualClock(), Journal()
    machine = Machine("run")

    async def work(job: Assignment) -> Answer:
        await trio.sleep(job.task.complexity)
        answer: Answer = await perform(job)
        return answer

    async def main() -> None:
        journal.open_run(RunInfo(run="run", created="", request="", status="running", clock="virtual"))
        engine = Engine(machine, work, clock, journal)
        engine.post(RunStarted(0.0, "", Settings(modelled_transfers=False, **settings), tuple(agents)))
        engine.post(DeltaSubmitted(0.0, 0, as_delta(TaskGraph.from_plan(subtasks))))
        with clock.move():
            await engine.run()
        assert not engine.failure

    trio.run(main, clock=clock.trio)
    journal.close()
    return machine


def test_learned_routing_finds_who_is_good_at_what() -> None:
    """Three kinds of task, three agents, success 0.9 where they match and 0.6 elsewhere."""

    def played(seed: int, routing: str) -> tuple[float, float]:
        async def perform(job: Assignment) -> Answer:
            if drawn(seed, job.task.id) >= (0.9 if job.agent == job.task.role else 0.6):
                raise AgentError("not good enough")
            return Answer(result=None)

        tasks = [
            {
                "id": f"t{n}",
                "role": ROLES[int(drawn(seed, n, "role") * 3)],
                "complexity": 0.5 + drawn(seed, n, "size"),
            }
            for n in range(300)
        ]
        agents = [AgentSpec(id=role) for role in ROLES]
        machine = performed(plan(*tasks), agents, perform, routing=routing, policy="fifo")
        ends = [event for event in machine.log if isinstance(event, TaskDone | TaskFailed)]
        return sum(isinstance(event, TaskDone) for event in ends) / 300, ends[-1].t

    def mean(routing: str) -> tuple[float, float]:
        games = [played(seed, routing) for seed in range(20)]
        return sum(good for good, _ in games) / 20, sum(makespan for _, makespan in games) / 20

    (learned, makespan), (unguided, usual) = mean("on"), mean("off")
    assert unguided == pytest.approx(0.7, abs=0.02), "which kind an agent gets is chance"
    assert learned >= 1.2 * unguided
    assert makespan <= 1.05 * usual


# -- speed ------------------------------------------------------------------------------------------------


def test_ten_equal_tasks_on_five_agents_are_done_almost_five_times_as_fast() -> None:
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(plan(*({"id": f"t{n}"} for n in range(10))), agents=5)
        run.result()
        measures = run.measures()
    assert measures.serial / measures.makespan >= 4.75
    assert measures.speedup == measures.serial / measures.makespan


def test_agents_are_busy_while_there_is_work_for_all() -> None:
    """Three parallel sections with a join between them, of tasks of 1 to 4 seconds."""
    tasks: list[dict[str, Any]] = []
    for section in range(3):
        before = [f"join {section - 1}"] if section else []
        fan = [f"{section} {n}" for n in range(25)]
        tasks += [{"id": id, "depends_on": before, "complexity": 1 + 3 * drawn(id)} for id in fan]
        tasks.append({"id": f"join {section}", "depends_on": fan})
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(plan(*tasks), agents=5)
        run.result()
        done = [entry for of in entries(run).values() for entry in of]
    for section in range(3):
        parallel = [entry for entry in done if entry.task.startswith(f"{section} ")]
        start, end = min(e.start for e in parallel), max(e.end or 0.0 for e in parallel)
        assert sum((e.end or 0.0) - e.start for e in parallel) / (5 * (end - start)) >= 0.8


# -- budgets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ({"tokens": 300}, "The budget of 300 tokens is spent"),
        ({"attempts": 7}, "The budget of 7 attempts is spent"),
        ({"seconds": 4.5}, "The budget of 4.5 seconds is spent"),
    ],
)
def test_a_spent_budget_stops_the_run_and_says_so(budget: dict[str, float], says: str) -> None:
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(plan(*({"id": f"t{n}"} for n in range(40))), agents=2, paused=True)
        assert run.configure(budget=budget)
        run.resume()
        with pytest.raises(RunFailed, match=says):
            run.result()
        states, tried, makespan = Counter(run.states().values()), entries(run), run.measures().makespan
        assert run.status == "failed"
    assert states["done"] >= 4
    assert states["cancelled"] >= 20
    assert set(states) <= {"done", "cancelled"}
    assert sum(map(len, tried.values())) <= budget.get("attempts", 40)
    assert makespan <= budget.get("seconds", 40)


# -- resources --------------------------------------------------------------------------------------------


def test_exclusive_tasks_are_alone_and_sharers_are_together() -> None:
    shared, alone = {"key": "database", "exclusive": False}, {"key": "database", "exclusive": True}
    tasks = [
        {"id": f"t{n}", "resources": [alone if n % 4 == 0 else shared], "complexity": 1 + drawn(n)}
        for n in range(24)
    ]
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(plan(*tasks), agents=8)
        run.result()
        done = {id: of[0] for id, of in entries(run).items()}
    exclusive = [entry for id, entry in done.items() if int(id[1:]) % 4 == 0]
    sharing = [entry for entry in done.values() if entry not in exclusive]
    assert len(exclusive) == 6
    assert not any(overlap(one, other) for one in exclusive for other in done.values() if other is not one)
    assert any(overlap(one, other) for one, other in itertools.combinations(sharing, 2))


def test_a_writer_among_readers_is_not_starved() -> None:
    """Four chains of short readers leave no gap by themselves; the writer comes when its turn is there."""
    read, write = [{"key": "page", "exclusive": False}], ["page"]
    readers = [
        {
            "id": f"{c} {n}",
            "resources": read,
            "complexity": 1 + c / 4,
            "depends_on": [f"{c} {n - 1}"][: n and 1],
        }
        for c in range(4)
        for n in range(20)
    ]
    writer = {"id": "writer", "resources": write, "boost": -1_000, "depends_on": ["0 0"]}
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(plan(*readers, writer), agents=6)
        run.result()
        done = {id: of[0] for id, of in entries(run).items()}
    assert done["writer"].start < 5, "after the readers that were there before it"
    assert not any(overlap(done["writer"], other) for id, other in done.items() if id != "writer")


def test_tasks_that_take_resources_in_opposite_order_do_not_lock_each_other_out() -> None:
    keys = "abcde"
    tasks = [
        {"id": f"t{n}", "resources": [keys[n % 5], keys[(n + 1 + n % 3) % 5]][:: 1 if n % 2 else -1]}
        for n in range(30)
    ]
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(plan(*tasks), agents=6)
        run.result()
        done = {id: of[0] for id, of in entries(run).items()}
    held = {task["id"]: set(task["resources"]) for task in tasks}
    assert len(done) == 30
    for one, other in itertools.combinations(done, 2):
        assert not (held[one] & held[other] and overlap(done[one], done[other]))
    assert run.measures().speedup > 1.2, "nor do they go one by one"
