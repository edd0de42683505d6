"""Commands, resources, transfers, priorities, hiring, planning and reopening, case by case."""

from __future__ import annotations

import pytest

from dyntaskmas_nb.apee.priority import policy_of
from dyntaskmas_nb.core.command import (
    CancelRun,
    CancelTask,
    Command,
    Configure,
    Pause,
    Resume,
    SetAgent,
    StepOnce,
)
from dyntaskmas_nb.core.delta import (
    AddTask,
)
from dyntaskmas_nb.core.event import (
    CommandApplied,
    CommandRejected,
    DeltaRejected,
    PlanFailed,
    RunReopened,
    TaskDone,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import AgentSpec, Settings, universal_agents
from dyntaskmas_nb.core.task import Resource, Task
from tests.apee.driving import Driver, driver, graph


def test_cancelling_a_task() -> None:
    run = driver("a>b", "c>d", "k", agents=3)
    run.tell(CancelTask(id="a"))
    assert (run.states()["a"], run.stopping) == ("running", {"a"}), "it has not stopped yet"
    run.tell(CancelTask(id="a"))
    run.tell(CancelTask(id="d"))
    assert run.states()["d"] == "cancelled"
    run.finish()
    assert run.states() == {"a": "cancelled", "b": "blocked", "c": "done", "d": "cancelled", "k": "done"}
    answer = run.tell(CancelTask(id="c"))
    assert isinstance(answer, CommandRejected)
    assert "has ended" in answer.reason


def test_a_result_that_beats_the_cancel_counts() -> None:
    run = driver("a>b")
    run.tell(CancelTask(id="a"))
    assert run.done("a", result=1) == ["b"]
    failing = driver("a", a={"attempts": 5})
    failing.tell(CancelTask(id="a"))
    assert failing.fail("a") == []
    assert failing.states() == {"a": "cancelled"}, "what was cancelled is not tried again"


def test_what_cannot_be_cancelled_says_why() -> None:
    run = driver("a>b")
    run.done("a")
    for id, words in (("a", "'a' is done already"), ("q", "no task 'q'")):
        answer = run.tell(CancelTask(id=id))
        assert isinstance(answer, CommandRejected)
        assert words in answer.reason


def test_cancelling_the_run_stops_everything() -> None:
    run = driver("a>b", "c", agents=1)
    run.tell(CancelRun(reason="enough"))
    assert run.turn() == []
    assert not run.machine.ended
    assert isinstance(run.submit(AddTask(task=Task(id="x"))), DeltaRejected)
    run.finish()
    assert run.machine.ended
    assert (run.machine.ended.status, run.machine.ended.reason) == ("cancelled", "enough")
    assert run.states() == {"a": "cancelled", "b": "cancelled", "c": "cancelled"}


def test_pausing_and_stepping() -> None:
    run = driver("a", "b", "c", "d", agents=2)
    run.tell(Pause())
    assert (run.done("a"), run.machine.status) == ([], "paused")
    run.tell(StepOnce())
    assert run.turn() == ["c"]
    assert run.turn() == []
    run.done("b")
    run.done("c")
    run.tell(StepOnce())
    run.tell(StepOnce())
    assert run.turn() == ["d"]
    assert run.machine.credits == 1, "a step not used waits for the next ready task"
    run.tell(Pause())
    assert run.machine.credits == 0
    run.tell(Resume())
    run.finish()
    assert run.machine.status == "done"


def test_resources_are_taken_together_and_passed_over_when_held() -> None:
    alone = {"resources": (Resource(key="disk"),)}
    sharing = {"resources": (Resource(key="disk", exclusive=False),)}
    run = driver("a", "b", "c", "d", "e", a=sharing, b=sharing, c={**alone, "boost": 5.0}, d={**alone}, e={})
    assert run.running.keys() == {"c", "e"}, "the best goes first, who needs nothing is not held up"
    assert run.done("c") == ["a", "b"]
    assert run.done("a") == []
    assert run.done("b") == ["d"]


def test_transfers_take_their_time() -> None:
    run = driver("a>c:4", "b>c:1", settings=Settings(seconds_per_information=0.5))
    run.done("a", "b")
    assert sorted(run.timers) == [(0.5, "c"), (2.0, "c")]
    run.ring()
    assert run.turn() == []
    run.ring()
    assert (run.t, run.turn()) == (2.0, ["c"])
    real = driver("a>c:4", settings=Settings(modelled_transfers=False))
    assert real.done("a") == ["c"]


def test_many_transfers_need_one_timer_each() -> None:
    run = driver(*(f"t{n}>z:{n + 1}" for n in range(16)), agents=16)
    run.done(*(f"t{n}" for n in range(16)))
    rung = 0
    while run.timers:
        run.ring()
        run.turn()
        rung += 1
    assert (rung, run.t, run.running.keys()) == (16, 16.0, {"z"})


def test_the_best_priority_goes_first_and_a_boost_is_its_own() -> None:
    run = driver("k", "a>x", "b", "c", agents=1, b={"complexity": 1.5}, c={"boost": 9.0})
    order = []
    while not run.machine.ended:
        (id,) = run.running
        order.append(id)
        run.done(id)
    assert order == ["c", "a", "b", "k", "x"]


def test_the_policy_can_be_changed() -> None:
    run = driver("k", "a", "b", agents=1, k={"complexity": 9}, b={"complexity": 2})
    answer = run.tell(Configure(changes={"policy": "best"}))
    assert isinstance(answer, CommandRejected)
    assert "Choose from" in answer.reason
    run.tell(Configure(changes={"policy": "fifo"}))
    assert run.done("k") == ["a"]
    assert run.machine.priority("b") == 0.0


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda *_: 1 / 0, "'custom' raised ZeroDivisionError: division by zero for task 'b'"),
        (lambda *_: float("nan"), "'custom' gave nan for task 'b'; it must return a finite number"),
        (lambda *_: "high", "'custom' gave 'high' for task 'b'"),
        (lambda *_: 10**400, "'custom' gave 1000"),
    ],
)
def test_a_broken_rule_ends_the_run_as_failed(rule: object, words: str) -> None:
    run = Driver(graph("a>b"), universal_agents(1), policy=policy_of(rule))  # type: ignore[arg-type]
    assert run.machine.ended
    assert run.machine.ended.status == "failed"
    assert words in run.machine.ended.reason


def test_a_rule_that_breaks_later_lets_what_runs_stop() -> None:
    def moody(task: Task, successors: object, weights: object) -> float:
        return 1 / 0 if task.id == "x" else 1.0

    run = Driver(graph("a", "b"), universal_agents(1), policy=policy_of(moody))
    run.submit(AddTask(task=Task(id="x")))
    run.turn()
    assert (run.machine.status, run.stopping) == ("running", {"a"})
    run.finish()
    assert run.machine.status == "failed"


def test_a_role_that_nobody_takes() -> None:
    cook = [AgentSpec(id="c", roles=("cook",))]
    tasks = [
        Task(id="a", role="pilot", critical=False),
        Task(id="b", role="cook"),
        Task(id="z", role="pilot"),
    ]
    run = Driver(TaskGraph.of(tasks, [("a", "b", 0.0), ("b", "z", 0.0)]), cook)
    assert run.running.keys() == {"b"}, "what is not critical is skipped, what follows starts"
    run.done("b")
    assert run.machine.status == "failed"
    assert run.reason("z") == "no agent can take the role 'pilot'; there are: cook"


def test_agents_are_hired_by_role_up_to_the_limit() -> None:
    fields = {id: {"role": "cook" if id < "d" else "pilot"} for id in "abcde"}
    run = Driver(graph(*"abcde", **fields), (), Settings(agents_per_role=2))
    assert run.started == [("a", 1, "cook"), ("b", 1, "cook 2"), ("d", 1, "pilot"), ("e", 1, "pilot 2")]
    run.done("a")
    assert run.started[-1] == ("c", 1, "cook")


def test_planning_goes_before_everything() -> None:
    run = Driver(None, universal_agents(1), planning=True)
    run.turn()
    assert run.machine.status == "planning"
    run.submit(AddTask(task=Task(id="mine")))
    assert run.machine.status == "planning"
    run.submit(AddTask(task=Task(id="a")), by="planner")
    assert run.turn() == ["mine"]
    run.finish()
    lost = Driver(None, universal_agents(1), planning=True)
    lost.feed(PlanFailed(0.0, "PlanningFailed", "no idea"))
    lost.turn()
    assert lost.machine.ended
    assert (lost.machine.ended.status, lost.machine.ended.reason) == ("failed", "no idea")


def test_reopening_queues_what_ran_and_keeps_what_was_cancelled() -> None:
    run = driver("a", "b>c:2", "d>c:9", d={"complexity": 0})
    run.done("b", "d")
    run.tell(CancelTask(id="a"))
    run.running.clear()
    run.stopping.clear()
    run.timers.clear()
    run.feed(RunReopened(run.t))
    assert run.states() == {"a": "cancelled", "b": "done", "c": "pending", "d": "done"}
    assert sorted(run.timers) == [(2.0, "c"), (9.0, "c")], "transfers under way are waited for again"
    again = driver("a", "b", agents=1, a={"complexity": 2})
    again.running.clear()
    again.feed(RunReopened(0.0))
    assert again.turn() == ["a"]
    assert again.running == {"a": 2}
    again.feed(TaskDone(0.0, "a", 1, "from before"))
    assert again.states()["a"] == "running"


# -- agents, pins, rates, attempts and routing, changed while the run goes on ---------------------------


def refused(run: Driver, command: Command) -> str:
    """Why the run refuses `command`; nothing has changed."""
    machine = run.machine
    before = machine.settings, [agent.spec for agent in machine.pool], run.states(), dict(run.running)
    routing = machine.dispatcher.routing.export()
    answer = run.tell(command)
    assert isinstance(answer, CommandRejected), command
    assert before == (machine.settings, [a.spec for a in machine.pool], run.states(), dict(run.running))
    assert machine.dispatcher.routing.export() == routing
    assert run.turn() == []
    return answer.reason


def accepted(run: Driver, command: Command) -> list[str]:
    """What starts because of `command`, which the run takes."""
    answer = run.tell(command)
    assert isinstance(answer, CommandApplied), answer
    return run.turn()


def set_agent(id: str, slots: int = 1, *roles: str) -> SetAgent:
    return SetAgent(agent=AgentSpec(id=id, slots=slots, roles=roles or ("*",)))


def agents_of(run: Driver) -> dict[str, str]:
    return {id: agent for id, _, agent in run.started}


def test_an_agent_joins_and_works_at_once() -> None:
    run = driver("a", "b", "c", "d", agents=1)
    assert accepted(run, set_agent("helper", 2)) == ["b", "c"]
    assert agents_of(run) == {"a": "agent 1", "b": "helper", "c": "helper"}
    assert run.done("b") == ["d"]
    run.finish()
    assert run.machine.status == "done"


def test_slots_go_up_and_down_while_the_agent_works() -> None:
    run = driver(*"abcdefg", agents=1)
    assert accepted(run, set_agent("agent 1", 3)) == ["b", "c"]
    assert accepted(run, set_agent("agent 1", 1)) == []
    assert run.running.keys() == {"a", "b", "c"}, "what it works on it keeps"
    assert run.done("a") == []
    assert run.done("b") == []
    assert run.done("c") == ["d"], "it has a slot again"
    assert accepted(run, set_agent("agent 1", 2)) == ["e"]
    assert {agent for _, _, agent in run.started} == {"agent 1"}
    run.finish()
    assert run.machine.status == "done"


def test_an_agent_without_slots_finishes_and_takes_no_more() -> None:
    run = driver("a", "b", "c", "d", agents=2)
    assert accepted(run, set_agent("agent 2", 0)) == []
    assert run.done("b") == []
    assert run.machine.pool.agents["agent 2"].completed == 1
    assert run.done("a") == ["c"]
    assert agents_of(run)["c"] == "agent 1"
    assert accepted(run, set_agent("agent 2")) == ["d"]
    assert agents_of(run)["d"] == "agent 2"


def test_an_agent_that_somebody_waits_for_cannot_go() -> None:
    cook, waiter = AgentSpec(id="c", roles=("cook",)), AgentSpec(id="w", roles=("waiter",))
    fields = {"a": {"role": "cook"}, "b": {"role": "waiter"}, "e": {"role": "waiter"}}
    run = Driver(graph("a>b>e", **fields), [cook, waiter])
    for spec in (set_agent("w", 0, "waiter"), set_agent("w", 1, "cook")):
        assert "'waiter', which nobody else takes" in refused(run, spec)
    assert "'cook'" in refused(run, set_agent("c", 0, "cook")), "what runs may have to run again"
    accepted(run, set_agent("any"))
    accepted(run, set_agent("w", 0, "waiter"))
    run.done("a")
    assert agents_of(run)["b"] == "any"
    accepted(run, set_agent("w", 1, "waiter"))
    run.done("b")
    assert agents_of(run)["e"] == "w", "of its own role first"
    accepted(run, set_agent("c", 0, "cook"))  # no cook is needed any more
    run.finish()
    assert run.machine.status == "done"


def test_an_agent_takes_other_roles_from_now_on() -> None:
    fields = {id: {"role": "cook" if id < "c" else "waiter"} for id in "abcd"}
    run = Driver(graph(*"abcd", **fields), [AgentSpec(id="x", roles=("cook",)), AgentSpec(id="y")])
    assert agents_of(run) == {"a": "x", "b": "y"}
    accepted(run, set_agent("x", 1, "waiter"))
    run.done("a")
    assert agents_of(run)["c"] == "x"
    accepted(run, set_agent("y", 1, "cook"))
    assert run.done("b") == [], "a waiter's task waits for a waiter"
    assert run.done("c") == ["d"]


@pytest.mark.parametrize(
    "spec",
    [
        AgentSpec(id="n", slots=-1),
        AgentSpec(id="n", roles=()),
        AgentSpec(id="n", slots=1.5),  # type: ignore[arg-type]
        AgentSpec(id="agent 1", roles=["*"]),  # type: ignore[arg-type]
        AgentSpec(id="agent 1", slots=True),
    ],
)
def test_an_agent_that_makes_no_sense_is_refused(spec: AgentSpec) -> None:
    run = driver("a", "b", agents=1)
    reason = refused(run, SetAgent(agent=spec))
    assert spec.id in reason
    assert reason.count(".") == 1


def test_with_hiring_a_role_whose_agent_goes_gets_another() -> None:
    run = Driver(graph("a", "b"), (), Settings(agents_per_role=1))
    assert agents_of(run) == {"a": "general"}
    assert accepted(run, set_agent("general", 0, "general")) == ["b"]
    assert agents_of(run)["b"] == "general 2"


def test_a_pin_holds_its_task_for_one_agent_and_nobody_else() -> None:
    run = driver(*"abcde", agents=2, settings=Settings(pins={"c": "agent 1", "d": "agent 1"}))
    assert agents_of(run) == {"a": "agent 1", "b": "agent 2"}
    assert run.done("b") == ["e"], "others go on past it"
    assert run.done("e") == [], "a free agent is not its own"
    assert run.done("a") == ["c"]
    assert run.done("c") == ["d"]
    assert {agents_of(run)[id] for id in "cd"} == {"agent 1"}


@pytest.mark.parametrize("routing", ["off", "on", "frozen"])
def test_pins_hold_under_every_routing(routing: str) -> None:
    settings = Settings(pins={"a": "agent 2", "c": "agent 2"}, routing=routing)  # type: ignore[arg-type]
    run = driver(*"abcd", agents=2, settings=settings)
    assert agents_of(run) == {"a": "agent 2", "b": "agent 1"}
    assert run.done("b") == ["d"], "c waits, d goes on"
    run.finish()
    assert agents_of(run)["c"] == "agent 2"


def test_a_pin_to_somebody_who_is_not_there_is_none() -> None:
    pins = {"a": "nobody", "b": "off", "c": "waiter"}
    there = [
        AgentSpec(id="off", slots=0),
        AgentSpec(id="waiter", roles=("waiter",)),
        AgentSpec(id="x", slots=3),
    ]
    run = Driver(graph(*"abc"), there, Settings(pins=pins))
    assert agents_of(run) == dict.fromkeys("abc", "x")


def test_pins_are_set_and_taken_away_while_the_run_goes_on() -> None:
    run = driver(*"abcd", agents=2)
    assert accepted(run, Configure(changes={"pins": {"c": "agent 2", "d": "agent 2"}})) == []
    assert run.done("a") == []
    assert accepted(run, set_agent("agent 2", 0)) == ["c"], "one without slots does not hold its pins"
    assert agents_of(run)["c"] == "agent 1"
    accepted(run, set_agent("agent 2"))
    run.done("b")
    assert agents_of(run)["d"] == "agent 2"
    other = driver(*"abc", agents=2, settings=Settings(pins={"c": "agent 2"}))
    assert other.done("a") == []
    assert accepted(other, Configure(changes={"pins": {}})) == ["c"]


def test_a_pin_outweighs_that_its_agent_failed() -> None:
    run = driver("a", agents=2, settings=Settings(pins={"a": "agent 2"}), a={"attempts": 2})
    run.fail("a")
    assert run.started == [("a", 1, "agent 2"), ("a", 2, "agent 2")]


def test_extra_attempts_count_on_top_of_a_tasks_own() -> None:
    run = driver("a", "b", settings=Settings(extra_attempts=1), a={"attempts": 2})
    for _ in range(2):
        assert run.fail("a") == ["a"]
    run.fail("a")
    assert run.states()["a"] == "failed"
    assert run.fail("b") == ["b"]
    accepted(run, Configure(changes={"extra_attempts": 3}))
    assert [run.fail("b"), run.fail("b"), run.fail("b")] == [["b"], ["b"], []]
    assert run.machine.records["b"].attempt == 4
    stubborn = driver("a", settings=Settings(extra_attempts=5))
    stubborn.fail("a", retryable=False)
    assert stubborn.states() == {"a": "failed"}, "what is not to be repeated is not"


def test_rates_rank_again() -> None:
    fields = {"k": {}, "a": {"complexity": 2, "role": "quick"}, "b": {"role": "slow"}, "c": {"role": "slow"}}
    run = driver(*fields, agents=1, settings=Settings(policy="fifo"), **fields)
    accepted(run, Configure(changes={"policy": "upward_rank"}))
    assert run.machine.priority("a") > run.machine.priority("b")
    accepted(run, Configure(changes={"rates": {"slow": 5.0, "quick": 0.5}}))
    assert [run.machine.priority(id) for id in "abc"] == [1.0, 5.0, 5.0]
    assert run.done("k") == ["b"]
    accepted(run, Configure(changes={"rates": {}}))
    assert run.done("b") == ["a"]


def test_what_was_learned_elsewhere_can_be_given_while_the_run_goes_on() -> None:
    table = {"general": {"agent 1": entry(3.0), "agent 2": entry(-3.0)}}
    run = driver(*"abcde", agents=2, settings=Settings(routing="frozen"))
    accepted(run, Configure(changes={"routing_table": table}))
    assert run.done("a") == [], "it waits for the one that is much quicker"
    assert run.done("b") == ["c"]
    assert agents_of(run)["c"] == "agent 2"
    accepted(run, Configure(changes={"routing_table": {"general": {"agent 1": entry(-3.0)}}}))
    assert agents_of(run)["d"] == "agent 1"
    assert run.machine.dispatcher.routing.frozen
    accepted(run, Configure(changes={"routing": "on"}))
    assert not run.machine.dispatcher.routing.frozen


def entry(log_mean: float) -> dict[str, float]:
    return {"done": 100, "failed": 0, "log_mean": log_mean, "log_squares": 0.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"routing_table": 5},
        {"routing_table": {"cook": {"a": {"done": -1}}}},
        {"routing_table": {"cook": {"a": {"log_mean": 1e9}}}},
        {"routing_table": {"cook": ["a"]}},
        {"rates": {"cook": 0}},
        {"rates": {"cook": float("nan")}},
        {"rates": ["cook"]},
        {"pins": {"a": 5}},
        {"pins": {"": "agent 1"}},
        {"pins": None},
        {"extra_attempts": -1},
        {"extra_attempts": 1.5},
        {"token_shares": {"agent 1": 2.0}},
        {"awm": "often"},
        {"awm": {"mood": "auto"}},
        {"awm": {"mode": "auto", "every": -1}},
        {"routing": "of", "rates": {"cook": 2.0}},
        {"policy": "none such", "routing_table": {}},
        {"rates": {"cook": 2.0}, "nonsense": 1},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_in_a_sentence(changes: dict[str, object]) -> None:
    known = {"general": {"agent 1": entry(1.0)}}
    run = driver("a", "b", agents=1, settings=Settings(routing="frozen", routing_table=known))
    reason = refused(run, Configure(changes=changes))
    assert 20 < len(reason) < 500
    assert "\n" not in reason
    assert run.machine.dispatcher.routing.export() == known
