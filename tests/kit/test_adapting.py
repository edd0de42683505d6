"""The AWM as a user meets it: modes, proposals, accepting, looking, undoing, opening a run again."""

from __future__ import annotations

import anyio
import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.awm.explain import Decision
from dyntaskmas_nb.core.command import Configure
from dyntaskmas_nb.core.event import CommandSubmitted, TaskDispatched, TaskDone, WorkflowDecided
from dyntaskmas_nb.errors import InvalidInput

PLAN = {
    "subtasks": [
        {"id": f"t{n}", "depends_on": [f"t{n - 5}"] if n % 3 == 0 and n > 5 else []} for n in range(40)
    ]
}
SLOW = "agent 2"


async def work(task, context):
    """A second a unit; `SLOW` takes eight times as long from 4 s on."""
    if context.agent == SLOW and anyio.current_time() >= 4.9:
        await anyio.sleep(7 * task.complexity)
    return task.id


@pytest.fixture
def kit():
    with Kit(agents={"*": work}, clock="virtual", home=None) as kit:
        yield kit


def by_awm(run):
    return [event for event in run._machine.log if isinstance(event, CommandSubmitted) and event.by == "awm"]


def decided(run):
    return [event for event in run._machine.log if isinstance(event, WorkflowDecided)]


def until_proposed(run):
    """Let the run go on until something is proposed."""
    for t in range(5, 60):
        run.run_until(float(t))
        if run.proposals():
            return run.proposals()[0]
    raise AssertionError("nothing was proposed")


def test_by_itself_it_makes_the_run_shorter_and_says_so(kit):
    off, auto = kit.start(PLAN, agents=3), kit.start(PLAN, agents=3, awm="auto")
    assert off.result().keys() == auto.result().keys()
    assert not decided(off)
    assert not off.explain_workflow().decisions
    assert auto.snapshot().t < off.snapshot().t
    found = auto.explain_workflow()
    made = [one for one in found.decisions if one.event.verdict == "applied"]
    assert made
    assert made[0].predicted > 0
    assert made[0].realised == pytest.approx(made[0].event.candidates[0].makespan - auto.snapshot().t)
    assert made[0].realised > 0
    assert {row["number"] for row in found.records} == {one.number for one in decided(auto)}
    assert "<table" in found._repr_html_()


def test_its_metrics_can_be_had_meanwhile_and_are_its_own(kit):
    run = kit.start(PLAN, agents=3, awm="auto")
    for t in (3.0, 7.5, 9.0):
        run.run_until(t)
        found = run.metrics()
        assert found.t == t
        assert found.whole.done == sum(state == "done" for state in run.states().values())
    run.result()
    assert run.metrics().whole.done == 40


def test_what_it_advises_waits_until_it_is_accepted(kit):
    run = kit.start(PLAN, agents=3, awm="advise")
    run.run_until(3.5)
    assert run.proposals() == []
    one = until_proposed(run)
    assert isinstance(one, Decision)
    assert (one.event.verdict, one.realised) == ("proposed", None)
    assert not by_awm(run)
    with pytest.raises(InvalidInput, match=f"no open proposal 99; there are {one.event.number}"):
        run.accept(99)
    assert run.proposals() == [one] or run.proposals()[0].event == one.event
    receipt = run.accept(one.event.number)
    assert receipt
    assert receipt.what.startswith("accepted proposal ")
    assert by_awm(run)
    assert one.event.number not in [other.event.number for other in run.proposals()]
    with pytest.raises(InvalidInput, match=f"There is no open proposal {one.event.number}"):
        run.accept(one.event.number)
    run.result()
    (made,) = [d for d in run.explain_workflow().decisions if d.event.number == one.event.number]
    assert (made.event.why, made.event.verdict) == ("accepted by the user", "applied")
    assert made.realised is not None


def test_the_receipt_names_what_was_accepted_even_where_it_looks_again_at_once(kit, monkeypatch):
    run = kit.start(PLAN, agents=3, awm="advise")
    one, manager = until_proposed(run), run._manager
    accept = manager.accept

    async def and_looks_again(number):
        outcomes = await accept(number)
        await manager.decide("asked")
        await run._engine.submit(Configure(changes={"extra_attempts": 1}))
        return outcomes

    monkeypatch.setattr(manager, "accept", and_looks_again)
    assert run.accept().what == f"accepted proposal {one.event.number}: {one.chosen.name}"
    assert decided(run)[-1].number > one.event.number


def test_with_nothing_proposed_there_is_nothing_to_accept(kit):
    run = kit.start(PLAN, agents=3, paused=True)
    for number in (None, 1):
        with pytest.raises(InvalidInput, match=r"There is no open proposal.*there is none") as caught:
            run.accept(number)
        assert str(caught.value).count("\n") == 0
    run.resume()
    run.result()
    with pytest.raises(InvalidInput, match="The run has ended"):
        run.accept()
    assert run.proposals() == []


def test_a_look_at_any_time(kit):
    run = kit.start(PLAN, agents=3)
    run.run_until(8.2)
    one = run.look_at_workflow()
    assert one.event.why == "asked by the user"
    assert one.event.verdict in ("kept", "proposed")
    assert not by_awm(run)
    run.run_until(8.3)
    made = run.look_at_workflow(make=True)
    assert (made.event.verdict, made.event.number) == ("applied", 2)
    assert made.predicted > 0
    run.result()
    assert by_awm(run)
    assert run.explain_workflow().decisions[-1].event == made.event
    assert len(decided(run)) == 2, "and it is off all the same"
    with pytest.raises(InvalidInput, match="The run has ended; there is nothing left to adapt"):
        run.look_at_workflow()


def test_a_proposal_whose_task_is_done_meanwhile_does_not_run_it_again():
    """The gate takes a hundred times as long as it was said to; then the run waits for approval."""
    gate = {"id": "gate", "depends_on": [f"t{n}" for n in range(12)]}
    last = {"id": "last", "depends_on": ["gate"], "approval": True}
    plan = {"subtasks": [*({"id": f"t{n}"} for n in range(12)), gate, last]}

    async def stuck(task, context):
        await anyio.sleep(100.0 if task.id == "gate" else 0.0)
        return task.id

    with Kit(agents={"*": stuck}, clock="virtual", home=None) as kit:
        run = kit.start(plan, agents=3, awm={"mode": "advise", "keep": ("routing", "agents", "rates")})
        one = until_proposed(run)
        assert one.chosen.rerun == ("gate",), "it proposes to move what is stuck"
        run.configure(awm="off")  # so that it stays the last one
        run.run_until("gate")
        assert run.states()["gate"] == "done"
        assert run.accept()
        run.resume()
        run.run_until(150.0)
        run.approve("last")
        run.result()
        dispatched = [event.task for event in run._machine.log if isinstance(event, TaskDispatched)]
        assert dispatched.count("gate") == 1


def test_every_decision_has_a_number_of_its_own(kit):
    run = kit.start(PLAN, agents=3, awm="auto")
    run.result()
    assert [one.number for one in decided(run)] == list(range(1, len(decided(run)) + 1))


def test_what_the_user_sets_is_the_users(kit):
    run = kit.start(PLAN, agents=3, awm="auto", policy="fifo")
    run.run_until(2.0)
    assert run.configure(policy="random")
    assert run.set_agent(SLOW, slots=1)
    run.result()
    settings, pool = run._machine.settings, run._machine.pool
    assert settings.policy == "random"
    assert pool.agents[SLOW].spec.slots == 1
    assert by_awm(run), "it does what else it can"


def test_its_changes_do_not_spoil_an_undo(kit):
    run = kit.start(PLAN, agents=3, awm="auto")
    run.run_until(2.0)
    before = run.graph
    assert run.add_task("mine", id="mine", complexity=3.0)
    for t in range(5, 40):
        run.run_until(float(t))
        if by_awm(run):
            break
    assert by_awm(run), "it has changed something since"
    settings = run._machine.settings
    receipt = run.undo()
    assert receipt
    assert "mine" not in run.graph
    assert set(run.graph) == set(before)
    assert run._machine.settings == settings, "what it changed stays changed"
    assert run.redo()
    assert "mine" in run.graph
    run.result()
    assert not run.undo().reason.startswith("Since then the awm")


def test_a_run_that_is_opened_again_goes_on_counting(tmp_path):
    with Kit(agents={"*": work}, clock="virtual", home=tmp_path) as kit:
        run = kit.start(PLAN, agents=3, awm={"mode": "auto", "keep": ("rates",)})
        run.configure(extra_attempts=1)
        run.set_agent("agent 4", slots=1)
        run.set_agent("agent 4", slots=0)
        run.run_until(7.5)
        id, lines, before = run.id, run.log_lines(), decided(run)
        assert before
    with Kit(agents={"*": work}, clock="virtual", home=tmp_path) as kit:
        run = kit.open_run(id)
        assert run.log_lines().startswith(lines), "the same to the byte"
        assert decided(run) == before
        assert run._machine.settings.extra_attempts == 1
        assert run._machine.settings.awm.keep == ("rates",)
        assert run._machine.pool.agents["agent 4"].spec.slots == 0
        assert run.status == "paused"
        assert not [one for one in decided(run) if one not in before], "paused it is left alone"
        run.resume()
        run.result()
        numbers = [one.number for one in decided(run)]
        assert numbers == sorted(numbers)
        assert numbers[-1] > before[-1].number == len({one.number for one in before})
        known = run._manager.known
        assert known.completed == sum(isinstance(event, TaskDone) for event in run._machine.log)
        assert known.kept == {"extra_attempts", "agent 4"}
        assert len(run.explain_workflow().decisions) == len(set(numbers))
    with Kit(agents={"*": work}, clock="virtual", home=tmp_path) as kit:
        again = kit.open_run(id)
        assert again.explain_workflow().decisions[-1].event.number == numbers[-1]
        assert again.explain_workflow().records


def test_commands_and_decisions_outlive_the_process(tmp_path):
    table = {"general": {"agent 1": {"done": 3, "failed": 1, "log_mean": 0.5, "log_squares": 0.25}}}
    with Kit(agents={"*": work}, clock="virtual", home=tmp_path) as kit:
        run = kit.start(PLAN, agents=2, paused=True)
        assert run.set_agent("Zoë <b>", slots=2, roles=["general", "*"], access=3)
        assert run.configure(pins={"t1": "Zoë <b>"}, rates={"general": 2.0}, token_shares={"agent 1": 0.5})
        assert run.configure(
            routing="frozen", routing_table=table, awm={"mode": "advise", "weights": {"agent 1": 2.0}}
        )
        assert not run.configure(pins={"t1": 5})
        run.look_at_workflow()
        assert run.configure(extra_attempts=2)
        lines, settings = run.log_lines(), run._machine.settings
        specs = [agent.spec for agent in run._machine.pool]
        (decision,) = decided(run)
    with Kit(agents={"*": work}, clock="virtual", home=tmp_path) as kit:
        run = kit.open_run(run.id)
        assert run.log_lines().startswith(lines)
        assert run._machine.settings == settings
        assert [agent.spec for agent in run._machine.pool] == specs
        assert run.routing() == table
        assert decided(run) == [decision]
        assert run.explain_workflow().decisions[0].event == decision
        run.resume()
        run.result()
        assert run.snapshot().tasks["t1"].agent == "Zoë <b>"


def test_the_same_run_twice_is_the_same_to_the_byte():
    lines = []
    for _ in range(2):
        with Kit(agents={"*": work}, clock="virtual", home=None) as kit:
            run = kit.start(PLAN, agents=3, awm="auto")
            run.result()
            lines.append(run.log_lines())
            assert by_awm(run)
    assert lines[0] == lines[1]


def test_names_from_outside_are_shown_and_do_nothing(kit):
    plan = {"subtasks": [{"id": f"<script>{n}</script>"} for n in range(20)]}
    run = kit.start(plan, agents=3, awm="auto")
    run.result()
    page = run.explain_workflow()._repr_html_()
    assert "<script" not in page
    assert "\x1b" not in repr(run.explain_workflow())


def test_a_run_that_has_ended_proposes_nothing(kit):
    run = kit.start(PLAN, agents=3, awm="advise")
    until_proposed(run)
    run.configure(awm="off")
    assert run.proposals(), "it stands"
    run.result()
    assert run.proposals() == []
    assert run.explain_workflow().decisions[-1].event.verdict == "proposed", "it is told of all the same"
