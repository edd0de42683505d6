"""What must hold of a machine after every step; the tests call it everywhere."""

from __future__ import annotations

from dyntaskmas_nb.apee.ledger import BLOCKED, DEAD, DONE, PENDING, READY, RUNNING
from dyntaskmas_nb.apee.machine import Machine


def check(machine: Machine) -> None:
    """Raise `AssertionError` naming the first invariant that `machine` breaks."""
    _check_graph(machine)
    _check_agents(machine)
    _check_states(machine)
    _check_log(machine)


def _check_graph(machine: Machine) -> None:
    graph = machine.graph
    assert set(machine.records) == set(graph), "records and graph name different tasks"
    for before, after, information in graph.dependencies():
        assert graph.position(before) < graph.position(after), f"order broken at {before} → {after}"
        assert graph.after(after)[before] == information, f"{before} → {after} is not the same from both ends"


def _check_agents(machine: Machine) -> None:
    held = {}
    for agent in machine.pool:
        assert agent.free or agent.place is None, f"{agent.spec.id} is offered without a free slot"
        for task in agent.running:
            assert task not in held, f"{task} runs twice"
            held[task] = agent.spec.id
    running = {id: record.agent for id, record in machine.records.items() if record.state is RUNNING}
    leaving = {id: record.agent for id, record in machine.ledger.leaving.items()}
    assert not running.keys() & leaving.keys(), "a removed task and its namesake run at once"
    assert held == running | leaving, "agents and records disagree about what runs"
    assert machine.running == len(running) + len(leaving), "the count of running tasks is off"


def _check_states(machine: Machine) -> None:
    graph, records = machine.graph, machine.records
    still_open = sum(not record.state.ended for record in records.values())
    assert machine.ledger.open == still_open, "the count of open tasks is off"
    settled = not machine.ledger.newly_ready
    for id, record in records.items():
        if settled and not machine._ending:
            queued = record.state is READY and not record.hold and id not in machine.ledger.leaving
            assert (id in machine.queue) == queued, f"{id} is {record.state}: queue disagrees"
            assert not record.hold or record.state is READY, f"{id} is held but {record.state}"
        if record.state is DONE and not machine._ending:
            assert machine.ledger.holds(id, record.made_for, record.made_from), (
                f"{id} keeps a result out of date"
            )
        if record.state is RUNNING and not record.stopping:
            assert machine.ledger.holds(id, record.task, record.inputs), f"{id} runs with what is out of date"
        if record.state in (PENDING, BLOCKED) and not machine._ending:
            total = len(graph.after(id))
            dead = sum(records[before].state in DEAD for before in graph.after(id))
            assert record.dead == dead, f"{id}: {record.dead} dead predecessors counted, there are {dead}"
            needed = graph[id].join.needed(total)
            assert record.arrived < needed, f"{id} should be ready"
            assert (record.state is PENDING) == (total - dead >= needed), f"{id} should not be {record.state}"


def _check_log(machine: Machine) -> None:
    times = [event.t for event in machine.log[-50:]]
    assert times == sorted(times), "time runs backwards in the log"
    if machine.ended:
        assert not machine.running, "ended while tasks run"
