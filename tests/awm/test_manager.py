"""The AWM on the real engine under the virtual clock: when it looks, what it may do, and what it must not."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import anyio
import pytest

from benchmarks.drivers import NoJournal
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.check import check
from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.awm import manager as awm
from dyntaskmas_nb.awm.manager import BY, Known, Manager
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.command import Configure, Pause, Resume, RetryTask, SetAgent
from dyntaskmas_nb.core.delta import AddTask, AddTasks
from dyntaskmas_nb.core.event import (
    Candidate,
    CommandRejected,
    CommandSubmitted,
    Event,
    TaskDispatched,
    TaskDone,
    TaskFailed,
    WorkflowDecided,
)
from dyntaskmas_nb.core.settings import Adaptation, AgentSpec, Settings, universal_agents
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError, InvalidInput
from tests.apee.driving import written

Pace = Callable[[Task, str, float], float]
Script = Callable[[Engine, Manager], Awaitable[object]]
AUTO, ADVISE = Adaptation(mode="auto"), Adaptation(mode="advise")


def plain(task: Task, agent: str, t: float) -> float:
    """A second a unit, whoever does it."""
    return 1.0


def slows_down(agent: str = "agent 2", at: float = 4.0, factor: float = 8.0) -> Pace:
    """`agent` gets so many times slower at `at` s."""
    return lambda task, who, t: factor if who == agent and t >= at else 1.0


def braid(count: int, seed: int = 0, size: float = 0.0) -> AddTasks:
    """Tasks that wait for some of those before, of drawn sizes or all of one."""
    draw = Random(seed)
    ids = [f"t{n}" for n in range(count)]
    tasks = tuple(Task(id=id, complexity=size or draw.uniform(0.5, 2.0), attempts=6) for id in ids)
    edges = [
        (before, id, 0.0)
        for n, id in enumerate(ids)
        for before in ids[max(0, n - 20) : n]
        if draw.random() < 0.05
    ]
    return AddTasks(tasks=tasks, dependencies=tuple(edges))


async def nothing(engine: Engine, manager: Manager) -> None:
    """Leave the run alone."""


def play(
    plan: AddTasks,
    pace: Pace = plain,
    adaptation: Adaptation = Adaptation(),
    script: Script = nothing,
    *,
    agents: int | Sequence[AgentSpec] = 3,
    fails: Callable[[Assignment, float], bool] = lambda job, t: False,
    managed: bool = True,
    status: str = "done",
    **settings: Any,
) -> Machine:
    """A run to its end, with `script` beside it."""
    clock, machine = VirtualClock(), Machine("run")

    async def perform(job: Assignment) -> Answer:
        now = engine.now()
        seconds = job.task.complexity * pace(job.task, job.agent, now)
        await (anyio.sleep_forever() if math.isinf(seconds) else anyio.sleep(seconds))
        if fails(job, now):
            raise AgentError("broke")
        return Answer(result=None, cost=job.task.complexity)

    engine = Engine(machine, perform, clock, NoJournal())  # type: ignore[arg-type]
    manager = Manager(engine)
    if managed:
        engine.watch(manager.look)
    specs = universal_agents(agents) if isinstance(agents, int) else tuple(agents)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            if managed:
                group.start_soon(manager.run)
            engine.post(events.RunStarted(0.0, "", Settings(awm=adaptation, **settings), specs))
            engine.post(events.DeltaSubmitted(0.0, 0, plan, by="planner"))
            group.start_soon(script, engine, manager)
            with clock.move(), anyio.move_on_after(1_000):
                await engine.run()
            group.cancel_scope.cancel()

    anyio.run(main, backend="trio", backend_options={"clock": clock.trio})
    check(machine)
    assert machine.status == status, machine.ended
    return machine


def decisions(machine: Machine, *verdicts: str) -> list[WorkflowDecided]:
    found = [event for event in machine.log if isinstance(event, WorkflowDecided)]
    return [one for one in found if one.verdict in verdicts] if verdicts else found


def told_by_awm(machine: Machine) -> list[CommandSubmitted]:
    return [event for event in machine.log if isinstance(event, CommandSubmitted) and event.by == BY]


def end(machine: Machine) -> float:
    return machine.log[-1].t


def served_by(machine: Machine, since: float = 0.0) -> dict[str, int]:
    served: dict[str, int] = {}
    for event in machine.log:
        if isinstance(event, TaskDispatched) and event.t >= since:
            served[event.agent] = served.get(event.agent, 0) + 1
    return served


# -- modes -----------------------------------------------------------------------------------------------


def test_off_it_decides_nothing_and_says_nothing() -> None:
    plan, pace = braid(40), slows_down()
    managed, alone = play(plan, pace), play(plan, pace, managed=False)
    assert not decisions(managed)
    assert written(managed.log) == written(alone.log), "a run with it off is a run without it"


def test_advising_it_proposes_and_changes_nothing() -> None:
    plan, pace = braid(40), slows_down()
    off, advised = play(plan, pace), play(plan, pace, ADVISE)
    assert decisions(advised, "proposed")
    assert not decisions(advised, "applied")
    assert not told_by_awm(advised)
    assert not any(isinstance(event, CommandSubmitted) for event in advised.log)
    assert [(e.t, e.task, e.agent) for e in advised.log if isinstance(e, TaskDispatched)] == [
        (e.t, e.task, e.agent) for e in off.log if isinstance(e, TaskDispatched)
    ], "it does not even cost time"


def test_what_it_proposed_is_made_when_it_is_accepted() -> None:
    accepted: list[object] = []

    async def accept(engine: Engine, manager: Manager) -> None:
        await engine.until(lambda: bool(decisions(engine.machine, "proposed")))
        (before,) = decisions(engine.machine, "proposed")
        assert not told_by_awm(engine.machine)
        with pytest.raises(InvalidInput, match=f"no open proposal 77; there are {before.number}"):
            await manager.accept(77)
        accepted.extend(await manager.accept())
        with pytest.raises(InvalidInput, match="There is no open proposal; there is none"):
            await manager.accept()

    plan, pace = braid(40), slows_down()
    machine = play(plan, pace, ADVISE, accept)
    assert accepted
    assert all(isinstance(outcome, events.CommandApplied) for outcome in accepted)
    (made,) = decisions(machine, "applied")
    proposed = decisions(machine, "proposed")[0]
    assert (made.number, made.why, made.chosen) == (proposed.number, "accepted by the user", proposed.chosen)
    assert made.candidates == proposed.candidates
    chosen = made.candidates[made.chosen]
    told = [event.command for event in told_by_awm(machine)]
    assert [command.changes for command in told if isinstance(command, Configure)] == [chosen.settings]
    assert [command.agent for command in told if isinstance(command, SetAgent)] == [*chosen.agents]
    assert end(machine) < end(play(plan, pace))


@pytest.mark.parametrize("seed", range(6))
def test_work_moves_away_from_an_agent_that_got_slow(seed: int) -> None:
    plan, pace = braid(45, seed), slows_down(at=5.0)
    off, auto = play(plan, pace), play(plan, pace, AUTO)
    assert decisions(auto, "applied")
    assert end(auto) < 0.9 * end(off)
    late = served_by(auto, since=decisions(auto, "applied")[0].t)
    assert late.get("agent 2", 0) < 0.2 * sum(late.values())
    assert all(
        isinstance(auto.log[n + 1], events.CommandApplied)
        for n, event in enumerate(auto.log)
        if isinstance(event, CommandSubmitted)
    )


def test_a_better_order_is_found_once_durations_are_known() -> None:
    """Leaves before a long chain, first come first served: the AWM turns to ranks."""
    tasks = [*(Task(id=f"leaf {n}") for n in range(30)), *(Task(id=f"c{n}") for n in range(14))]
    plan = AddTasks(tasks=tuple(tasks), dependencies=tuple((f"c{n}", f"c{n + 1}", 0.0) for n in range(13)))
    off, auto = play(plan, policy="fifo"), play(plan, plain, AUTO, policy="fifo")
    assert auto.settings.policy == "upward_rank"
    assert end(auto) < end(off)


def test_it_hires_where_it_may() -> None:
    few = play(braid(40, size=1.0), plain, AUTO, agents=1)
    more = play(braid(40, size=1.0), plain, Adaptation(mode="auto", most_agents=3), agents=1)
    assert len(few.pool.agents) == 1
    assert 1 < len(more.pool.agents) <= 3
    assert end(more) < 0.7 * end(few)


def test_tokens_are_shared_where_it_is_asked_to() -> None:
    assert not play(braid(30), plain, AUTO).settings.token_shares
    shared = play(braid(30), plain, Adaptation(mode="auto", share_tokens=True))
    assert shared.settings.token_shares.keys() == {"agent 1", "agent 2", "agent 3"}
    assert sum(shared.settings.token_shares.values()) == pytest.approx(1.0)
    kept = Adaptation(mode="auto", share_tokens=True, keep=("token_shares",))
    assert not play(braid(30), plain, kept).settings.token_shares
    advised = Adaptation(mode="advise", share_tokens=True)
    assert not play(braid(30), plain, advised).settings.token_shares


# -- steadiness ------------------------------------------------------------------------------------------


def alike(count: int) -> AddTasks:
    return AddTasks(tasks=tuple(Task(id=f"t{n}") for n in range(count)), dependencies=())


@pytest.mark.parametrize("plan", [alike(30), alike(31), braid(40, 1, 1.0), braid(40, 2), braid(40, 5)])
def test_where_nothing_is_to_be_gained_nothing_changes(plan: AddTasks) -> None:
    auto = play(plan, plain, AUTO)
    assert len(decisions(auto)) > 3, "it has looked"
    assert {one.verdict for one in decisions(auto)} == {"kept"}
    assert not told_by_awm(auto)
    assert end(auto) == end(play(plan))


def test_where_only_chance_is_at_work_little_changes_and_nothing_is_lost() -> None:
    ends = []
    for seed in range(6):
        draw, plan = Random(seed), braid(40, seed)
        noise = {task.id: draw.lognormvariate(0, 0.5) for task in plan.tasks}
        pace: Pace = lambda task, agent, t, noise=noise: noise[task.id]  # type: ignore[misc] # noqa: E731
        auto = play(plan, pace, AUTO)
        assert len(decisions(auto, "applied")) <= 3
        ends.append(end(auto) / end(play(plan, pace)))
    assert sum(ends) / len(ends) < 1.03
    assert max(ends) < 1.15


@pytest.mark.parametrize("cooldown", [0, 9])
def test_after_a_change_it_leaves_the_run_alone_for_a_while(cooldown: int) -> None:
    changes = 0
    for seed in range(3):
        draw = Random(seed)
        paces = [[draw.choice([0.3, 1.0, 4.0]) for _ in range(20)] for _ in range(3)]

        def pace(task: Task, agent: str, t: float, paces: list[list[float]] = paces) -> float:
            return paces[int(agent.split()[1]) - 1][min(int(t / 6), 19)]

        machine = play(braid(60, seed), pace, Adaptation(mode="auto", cooldown=cooldown))
        known, last = Known(), -math.inf
        for event in machine.log:
            if isinstance(event, WorkflowDecided):
                t, completed = known.changed
                slots = sum(agent.spec.slots for agent in machine.pool)
                least = (cooldown or min(slots, 2)) * t / max(1, completed)
                assert event.t >= last + least - 1e-9, "not even looked at"
                if event.verdict == "applied":
                    last = event.t
                    changes += 1
            known.take(event)
    assert changes > 3, "there was something to do"


@pytest.mark.parametrize("every", [1, 7])
def test_it_looks_after_so_many_completions(every: int) -> None:
    machine = play(braid(40), plain, Adaptation(mode="auto", every=every))
    regular = [one for one in decisions(machine) if one.why.endswith("completions")]
    assert abs(len(regular) - 40 // every) <= (3 if every == 7 else 25)
    assert all(int(one.why.split()[0]) >= every for one in regular)


def test_the_same_seed_gives_the_same_log() -> None:
    def once(seed: int) -> list[bytes]:
        draw = Random(seed)
        noise = {f"t{n}": draw.lognormvariate(0, 0.4) for n in range(40)}
        broken = lambda job, t: job.agent == "agent 2" and t > 4 and job.attempt % 2 == 1  # noqa: E731
        slow = slows_down()
        pace = lambda task, agent, t: slow(task, agent, t) * noise[task.id]  # noqa: E731
        return written(play(braid(40, seed), pace, AUTO, fails=broken).log)

    for seed in range(3):
        assert once(seed) == once(seed)
    assert once(0) != once(1)


# -- what the user decided -------------------------------------------------------------------------------


def at(t: float, *commands: Any) -> Script:
    """Somebody tells the run so at `t` s."""

    async def tell(engine: Engine, manager: Manager) -> None:
        await anyio.sleep(t)
        for command in commands:
            await engine.submit(command)

    return tell


def after(machine: Machine, t: float) -> list[CommandSubmitted]:
    return [event for event in told_by_awm(machine) if event.t >= t]


@pytest.mark.parametrize("seed", range(5))
def test_a_setting_that_the_user_made_stays_made(seed: int) -> None:
    tasks = [*(Task(id=f"leaf {n}") for n in range(30)), *(Task(id=f"c{n}") for n in range(14))]
    plan = AddTasks(tasks=tuple(tasks), dependencies=tuple((f"c{n}", f"c{n + 1}", 0.0) for n in range(13)))
    t = 0.25 + seed / 2
    machine = play(
        plan, plain, AUTO, at(t, Configure(changes={"policy": "fifo"})), policy="random", seed=seed
    )
    assert machine.settings.policy == "fifo"
    assert not any(
        "policy" in e.command.changes for e in after(machine, t) if isinstance(e.command, Configure)
    )
    assert any("settings changed by user" in one.why for one in decisions(machine)), "and looked at at once"


@pytest.mark.parametrize("seed", range(5))
def test_an_agent_that_the_user_set_stays_as_it_is(seed: int) -> None:
    spec = AgentSpec(id="agent 2", slots=2)
    machine = play(braid(45, seed), slows_down(at=5.0), AUTO, at(2.0, SetAgent(agent=spec)))
    assert machine.pool.agents["agent 2"].spec == spec
    touched = [e.command.agent.id for e in told_by_awm(machine) if isinstance(e.command, SetAgent)]
    assert "agent 2" not in touched


@pytest.mark.parametrize("seed", range(5))
def test_pins_win(seed: int) -> None:
    draw, plan = Random(seed), braid(45, seed)
    pins = {task.id: f"agent {draw.randint(1, 3)}" for task in plan.tasks if draw.random() < 0.5}
    begun = play(plan, slows_down(at=5.0), AUTO, pins=pins)
    later = play(plan, slows_down(at=5.0), AUTO, at(0.0, Configure(changes={"pins": pins})))
    for machine in (begun, later):
        dispatched = [e for e in machine.log if isinstance(e, TaskDispatched) and e.task in pins and e.t > 0]
        off = {spec.agent.id for e in told_by_awm(machine) if isinstance(spec := e.command, SetAgent)}
        assert {e.task for e in dispatched if e.agent != pins[e.task]} <= {
            id for id in pins if pins[id] in off
        }
        assert machine.settings.pins.items() >= pins.items()
    assert later.settings.pins == pins


def test_what_is_to_be_kept_is_kept() -> None:
    everything = ("policy", "rates", "routing", "pins", "agents", "extra_attempts", "routing_table", "rerun")
    machine = play(braid(45), slows_down(), Adaptation(mode="auto", keep=everything))
    assert {one.verdict for one in decisions(machine)} == {"kept"}
    assert all(len(one.candidates) == 1 for one in decisions(machine))


def test_it_is_switched_on_and_off_while_the_run_goes_on() -> None:
    plan, pace = braid(60), slows_down(at=3.0)

    async def switch(engine: Engine, manager: Manager) -> None:
        for t, mode in ((6.0, "advise"), (12.0, "off")):
            await anyio.sleep(t - engine.now())
            await engine.submit(Configure(changes={"awm": mode}))

    machine = play(plan, pace, Adaptation(), switch)
    looked = [one.t for one in decisions(machine)]
    assert looked
    assert 6.0 <= min(looked) <= max(looked) <= 12.0


# -- decision points -------------------------------------------------------------------------------------


def whys(machine: Machine) -> list[str]:
    return [one.why for one in decisions(machine)]


def test_an_edit_is_a_reason_to_look_and_a_plan_is_none() -> None:
    async def edit(engine: Engine, manager: Manager) -> None:
        await anyio.sleep(3.3)
        await engine.submit(AddTask(task=Task(id="new", complexity=5.0)))

    seldom = Adaptation(mode="auto", every=1_000)
    assert whys(play(braid(30), plain, seldom)) == []
    machine = play(braid(30), plain, seldom, edit)
    assert whys(machine) == ["an edit by user"]
    assert decisions(machine)[0].t == 3.3


def test_a_burst_of_failures_is_a_reason_to_look() -> None:
    seldom = Adaptation(mode="auto", every=1_000)
    failing = play(braid(30, size=1.0), plain, seldom, fails=lambda job, t: 4 < t < 6 and job.attempt < 3)
    assert whys(failing)[0] == "a burst of failures"
    first = decisions(failing)[0]
    assert sum(isinstance(event, TaskFailed) and event.t <= first.t for event in failing.log) >= 3
    seldom_failing = play(
        braid(30, size=1.0),
        plain,
        seldom,
        fails=lambda job, t: job.task.id in ("t5", "t25") and job.attempt < 2,
    )
    assert whys(seldom_failing) == [], "two among many are no burst"


def gated(followers: int = 0) -> AddTasks:
    """Twelve tasks, a gate that waits for them all, and some that wait for the gate."""
    first, rest = [f"t{n}" for n in range(12)], [f"after {n}" for n in range(followers)]
    tasks = tuple(Task(id=id) for id in [*first, "gate", *rest])
    edges = [(id, "gate", 0.0) for id in first] + [("gate", id, 0.0) for id in rest]
    return AddTasks(tasks=tasks, dependencies=tuple(edges))


def hangs() -> Pace:
    """The first attempt at the gate never ends."""
    hung: list[str] = []

    def pace(task: Task, agent: str, t: float) -> float:
        if task.id == "gate" and not hung:
            hung.append(agent)
            return math.inf
        return 1.0

    return pace


def moved_through(machine: Machine) -> bool:
    """Whether the gate was moved to another agent, in time."""
    (retried,) = [e for e in told_by_awm(machine) if e.command == RetryTask(id="gate")]
    one, other = [e for e in machine.log if isinstance(e, TaskDispatched) and e.task == "gate"]
    return one.agent != other.agent and 4.0 + 2.0 <= retried.t < 4.0 + 20.0


def test_an_attempt_that_never_ends_is_noticed_where_nothing_else_happens() -> None:
    """Everything waits for it, so that no completion would be a reason to look."""
    machine = play(gated(), hangs(), AUTO)
    late = [one for one in decisions(machine) if one.why == "gate takes long"]
    assert late[0].t == 4.0 + 2.0, "twice as long as expected"
    assert [one.t for one in late[1:]] == [7.0, 8.5, 10.75, 14.125][: len(late) - 1], "and half as long again"
    assert moved_through(machine)


def test_it_goes_on_minding_what_never_ends_after_a_change_that_did_not_help() -> None:
    assert moved_through(play(gated(followers=6), hangs(), AUTO))


def test_a_paused_run_is_left_alone() -> None:
    async def pause(engine: Engine, manager: Manager) -> None:
        await anyio.sleep(5.2)
        await engine.submit(Pause())
        await anyio.sleep(100.0)
        await engine.submit(Resume())

    machine = play(braid(40), slows_down(at=3.0), Adaptation(mode="auto", every=1), pause)
    looked = [one.t for one in decisions(machine)]
    assert not [t for t in looked if 5.2 <= t < 105.2]
    assert min(looked) < 5.2
    assert max(looked) >= 105.2


def test_what_the_user_says_while_it_thinks_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the real clock it thinks in slices, between which the user may say something."""
    think, said = awm.sliced, list[object]()
    pins = {f"t{n}": "agent 1" for n in range(45)}

    async def interrupted(work: Any) -> Any:
        found = await think(work)
        if engines and not said and found[1]:
            said.append(found)
            await engines[0].submit(Configure(changes={name: pins if name == "pins" else CHOICE[name]
                                                       for name in found[0][found[1]].settings}))  # fmt: skip
        return found

    engines: list[Engine] = []

    async def keep(engine: Engine, manager: Manager) -> None:
        engines.append(engine)

    monkeypatch.setattr(awm, "sliced", interrupted)
    machine = play(braid(45), slows_down(at=5.0), AUTO, keep)
    assert said
    mine = next(e for e in machine.log if isinstance(e, CommandSubmitted) and e.by == "user")
    changed = {
        name for e in after(machine, mine.t) if isinstance(e.command, Configure) for name in e.command.changes
    }
    assert not changed & set(mine.command.changes)  # type: ignore[union-attr]


#: What the user says of each setting.
CHOICE: dict[str, object] = {
    "routing": "on",
    "routing_table": {},
    "policy": "fifo",
    "rates": {},
    "extra_attempts": 1,
}


def test_what_was_refused_locks_nothing() -> None:
    wrong = CommandSubmitted(1.0, 1, Configure(changes={"policy": "none such"}))
    known = folded([wrong, events.CommandRejected(1.0, 1, "no")])
    assert known.kept == set()


def test_two_decisions_in_one_moment_have_numbers_of_their_own() -> None:
    async def ask(engine: Engine, manager: Manager) -> None:
        await anyio.sleep(6.0)
        async with anyio.create_task_group() as group:
            group.start_soon(manager.decide, "asked")
            group.start_soon(manager.decide, "asked again")

    machine = play(braid(30), plain, Adaptation(), ask)
    assert [one.number for one in decisions(machine)] == [1, 2]


# -- trouble ---------------------------------------------------------------------------------------------


def test_a_manager_that_breaks_down_leaves_the_run_going(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("out of ideas")

    plan, pace = braid(40), slows_down()
    expected = end(play(plan, pace))
    monkeypatch.setattr(awm, "Optimiser", broken)
    machine = play(plan, pace, AUTO)
    assert end(machine) == expected
    assert not decisions(machine)
    said = [record for record in caplog.records if "the AWM failed to look at run run" in record.getMessage()]
    assert said
    assert said[0].exc_info
    assert len(said) <= 40, "it tries again at the next decision point and not at once"


def test_what_the_machine_refuses_meanwhile_is_logged_and_hurts_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(awm, "commands", lambda *_: [Configure(changes={"policy": "none such"})])
    machine = play(braid(40), slows_down(), AUTO)
    refused = [event for event in machine.log if isinstance(event, CommandRejected)]
    assert len(refused) == len(decisions(machine, "applied")) > 0


def test_deciding_about_a_run_that_has_ended_gives_nothing() -> None:
    found: list[object] = []
    managers: list[Manager] = []

    async def keep(engine: Engine, manager: Manager) -> None:
        managers.append(manager)

    machine = play(braid(9), plain, AUTO, keep)
    count = len(machine.log)

    async def decide() -> None:
        found.append(await managers[0].decide("asked"))

    managers[0].engine.now = lambda: machine.log[-1].t  # type: ignore[method-assign]
    anyio.run(decide)
    assert found == [None]
    assert len(machine.log) == count


def test_a_look_on_demand_makes_or_proposes_whatever_the_mode() -> None:
    found: list[WorkflowDecided | None] = []

    async def ask(engine: Engine, manager: Manager) -> None:
        await anyio.sleep(12.0)
        found.append(await manager.decide("asked by the user", make=False))
        assert not told_by_awm(engine.machine)
        await anyio.sleep(0.01)
        found.append(await manager.decide("asked by the user", make=True))

    machine = play(braid(45), slows_down(), Adaptation(), ask)
    assert [one.verdict for one in found if one] == ["proposed", "applied"]
    assert decisions(machine) == found
    assert [one.number for one in decisions(machine)] == [1, 2]
    assert told_by_awm(machine)


# -- the fold --------------------------------------------------------------------------------------------


def made(id: int, command: Any, by: str = "user") -> list[Event]:
    """A command and that it was taken."""
    return [CommandSubmitted(float(id), id, command, by), events.CommandApplied(float(id), id)]


def folded(log: Sequence[Event]) -> Known:
    known = Known()
    for event in log:
        known.take(event)
    return known


def test_what_is_known_is_in_the_log() -> None:
    taken: list[Manager] = []

    async def keep(engine: Engine, manager: Manager) -> None:
        taken.append(manager)
        await anyio.sleep(2.0)
        await engine.submit(Configure(changes={"retry_delay": 0.5}))
        await engine.submit(SetAgent(agent=AgentSpec(id="agent 3", slots=1)))

    machine = play(braid(45), slows_down(), AUTO, keep)
    (manager,) = taken
    manager._catch_up()
    again, live = folded(machine.log), manager.known
    for name in ("seq", "completed", "failures", "decided", "changed", "looked_at", "kept", "off"):
        assert getattr(again, name) == getattr(live, name), name
    assert again.kept == {"retry_delay", "agent 3"}
    assert again.completed == sum(isinstance(event, TaskDone) for event in machine.log) == 45
    assert [one.number for one in again.decided] == [*range(1, len(again.decided) + 1)]


def test_agents_that_it_switched_off_are_remembered_as_they_were() -> None:
    was = AgentSpec(id="a", slots=3, roles=("cook",))
    gone = AgentSpec(id="a", slots=0, roles=("cook",))
    start = events.RunStarted(0.0, "", Settings(), (was,))
    off = [start, *made(1, SetAgent(agent=gone), BY)]
    assert folded(off).off == {"a": was}
    assert folded([*off, *made(2, SetAgent(agent=was), BY)]).off == {}
    mine = folded([*off, *made(2, SetAgent(agent=gone))])
    assert (mine.off, mine.kept) == ({}, {"a"}), "the user keeps it off"
    assert folded(off).kept == set()


def test_budget_and_awm_are_not_kept_from_it() -> None:
    changes = {"awm": "auto", "budget": {"tokens": 5}}
    assert folded(made(1, Configure(changes=changes))).kept == set()
    assert folded(made(1, Configure(changes={**changes, "policy": "fifo"}))).kept == {"policy"}


def test_only_the_last_decision_can_be_accepted() -> None:
    def decided(number: int, verdict: str) -> WorkflowDecided:
        return WorkflowDecided(1.0, number, "", (Candidate(name="x"),), 0, verdict, "", 0)  # type: ignore[arg-type]

    assert [one.number for one in folded([decided(1, "kept"), decided(2, "proposed")]).proposals()] == [2]
    assert folded([decided(1, "proposed"), decided(2, "kept")]).proposals() == []
    assert folded([decided(1, "proposed"), decided(1, "applied")]).proposals() == []
    assert folded([]).proposals() == []
