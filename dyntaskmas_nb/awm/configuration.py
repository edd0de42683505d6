"""Workflow configurations ω and their neighbourhood (§III-D, Alg. 4, ``GenerateCandidates(ω, G)``).

A configuration is what the simulator can feel: priority rule, pace by role (α of Eq. 3), routing, agents and
their slots, pins, attempts. A `Candidate` holds what it changes. The neighbourhood is bounded, its order is
the order of promise, and nothing is in it that the user keeps: settings and agents that the user changed in
this run, and what `Adaptation.keep` names. A task that is pinned
is never moved.

Paper silent on Ω: we chose one step in each direction, and later all steps that gain, taken together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from math import log
from typing import Any

from dyntaskmas_nb.apee.ledger import RUNNING
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.awm.estimate import Estimates, Expected
from dyntaskmas_nb.core.command import Command, Configure, RetryTask, SetAgent
from dyntaskmas_nb.core.event import Candidate
from dyntaskmas_nb.core.settings import ANY_ROLE, AgentSpec
from dyntaskmas_nb.core.task import TaskId

#: The present configuration, which all others are compared with.
STAY = Candidate(name="as it is")
#: Factor by which an estimate must differ from what is set before it is worth trying.
TELLING = 1.1
#: How many times as long as with another agent an attempt must still take for it to be moved.
MOVE_AT = 1.5
#: Factors by which the dearest agents are made to look slower.
DEARER = (2, 4, 8, 32)
#: Moves and agents looked at.
MOST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may be tried.

    `keep` is not to be touched: names of settings, "agents", "rerun", ids of agents. `off` are agents that
    were switched off to see how the run does without them, as they were. `most_agents` is
    how many agents there may be; `shared` are agents with slots by their load (Eq. 20).
    """

    keep: frozenset[str] = frozenset()
    off: tuple[AgentSpec, ...] = ()
    most_agents: int = 0
    shared: tuple[AgentSpec, ...] = ()


def commands(candidate: Candidate, machine: Machine) -> list[Command]:
    """What makes a candidate the present configuration of `machine`; what has ended stays as it is."""
    pins: Any = candidate.settings.get("pins", {})
    running = {id: record.agent for id, record in machine.running_tasks() if not record.stopping}
    made: list[Command] = [Configure(changes=candidate.settings)] if candidate.settings else []
    made += [SetAgent(agent=spec) for spec in candidate.agents]
    return made + [RetryTask(id=id) for id in candidate.rerun if running.get(id) not in (None, pins.get(id))]


def together(parts: Collection[Candidate]) -> Candidate:
    """All changes of `parts`; where two change the same, the first wins."""
    settings, agents, rerun = dict[str, object](), dict[str, AgentSpec](), dict[TaskId, None]()
    used = []
    for part in parts:
        before = len(settings), len(agents), len(rerun)
        for name, value in part.settings.items():
            if name == "pins" and name in settings:
                settings[name] = {**value, **settings[name]}  # type: ignore[dict-item]
            settings.setdefault(name, value)
        for spec in part.agents:
            agents.setdefault(spec.id, spec)
        rerun |= dict.fromkeys(part.rerun)
        used += [part.name] if before != (len(settings), len(agents), len(rerun)) else []
    name = " + ".join(used)
    return Candidate(name=name, settings=settings, agents=tuple(agents.values()), rerun=tuple(rerun))


def generate_candidates(machine: Machine, expected: Expected, t: float, scope: Scope) -> list[Candidate]:
    """Neighbours of the present configuration of `machine` at time `t`, `STAY` first."""
    estimates = expected.estimates
    found = [STAY, *_settings(machine, estimates)]
    if "rerun" not in scope.keep and "pins" not in scope.keep:
        found += _moves(machine, expected, t)
    if "agents" not in scope.keep:
        found += _agents(machine, estimates, scope)
        if scope.shared:
            found.append(Candidate(name="share slots by load", agents=scope.shared))
    return [one for one in found if not scope.keep.intersection(one.settings)]


def _settings(machine: Machine, estimates: Estimates) -> Iterator[Candidate]:
    now, agents = machine.settings, [agent.spec for agent in machine.pool]
    roles = [role for role in estimates.roles() if any(spec.takes(role) for spec in agents)]
    if len(agents) > 1 and roles:
        table = estimates.routing_table(roles, [spec.id for spec in agents])
        names = [spec.id for spec in agents]
        if any(estimates.uneven(role, names, TELLING) for role in roles) and (
            now.routing != "frozen" or _differ(table, now.routing_table)
        ):
            yield Candidate(
                name="route by measured pace", settings={"routing": "frozen", "routing_table": table}
            )
        yield from _cheaper(machine, estimates, names, table)
    rates = {role: round(estimates.rate(role) / now.seconds_per_unit, 3) for role in estimates.roles()}
    rates = {**now.rates, **{role: rate for role, rate in rates.items() if rate > 0}}
    if any(_telling(rate, now.rates.get(role, 1.0)) for role, rate in rates.items()):
        yield Candidate(name="rank by measured pace", settings={"rates": rates})
    for policy in ("upward_rank", "fifo", "as_printed"):
        if now.policy not in (policy, "custom"):
            yield Candidate(name=f"rank by {policy}", settings={"policy": policy})
    if now.routing != "off":
        yield Candidate(name="route by load alone", settings={"routing": "off"})
    if any(estimates.success(spec.id) < 1 for spec in agents) and now.extra_attempts < MOST:
        yield Candidate(name="one more attempt", settings={"extra_attempts": now.extra_attempts + 1})


def _cheaper(
    machine: Machine, estimates: Estimates, names: list[str], table: dict[str, Any]
) -> Iterator[Candidate]:
    """Let tasks wait longer for an agent that costs less, where cost matters."""
    aim, costs = machine.settings.awm, {name: estimates.cost(name) for name in names}
    least, most = min(costs.values()), max(costs.values())
    if (aim.deadline is None and not aim.cost_weight) or most <= TELLING * least:
        return
    for factor in DEARER:
        dearer = {name: log(factor) * (cost - least) / (most - least) for name, cost in costs.items()}
        biased = {
            role: {
                name: {**one, "log_mean": round(one["log_mean"] + dearer[name], 4)}
                for name, one in agents.items()
            }
            for role, agents in table.items()
        }
        settings = {"routing": "frozen", "routing_table": biased}
        if machine.settings.routing != "frozen" or _differ(biased, machine.settings.routing_table):
            yield Candidate(name=f"dear agents count {factor} times as slow", settings=settings)


def _moves(machine: Machine, expected: Expected, t: float) -> list[Candidate]:
    """Let what is stuck with a slow agent begin again with a quicker one."""
    found, estimates = list[tuple[float, Candidate]](), expected.estimates
    for id, record in machine.records.items():
        if record.state is not RUNNING or record.stopping or id in machine.settings.pins or not record.task:
            continue
        task, since = record.task, machine.pool.agents[record.agent].running[id]
        left, _ = expected.left(task, record.attempt, record.agent, t - since)
        others = machine.pool.able(task.role, [record.agent])
        if not others:
            continue
        other = min(others, key=lambda agent: (expected(task, 1, agent.spec.id)[0], agent.index))
        seconds, _ = expected(task, 1, other.spec.id)
        slower = record.agent in estimates.changed or estimates.uneven(
            task.role, (record.agent, other.spec.id), MOVE_AT
        )
        if slower and left > MOVE_AT * seconds:
            pins = {**machine.settings.pins, id: other.spec.id}
            name = f"move {id} to {other.spec.id}"
            found.append((seconds - left, Candidate(name=name, settings={"pins": pins}, rerun=(id,))))
    moves = [move for _, move in sorted(found, key=lambda one: (one[0], one[1].name))][:MOST]
    return [*moves, together(moves)] if len(moves) > 1 else moves


def _agents(machine: Machine, estimates: Estimates, scope: Scope) -> Iterator[Candidate]:
    """Do without one agent, take one back, hire one."""
    there = [agent.spec for agent in machine.pool if agent.spec.slots and agent.spec.id not in scope.keep]
    if len(there) > 1:
        slowness = {spec.id: _pace(estimates, spec) for spec in there}
        dear = {spec.id: estimates.cost(spec.id) for spec in there}
        named = sorted(there, key=lambda spec: -slowness[spec.id])[:2]
        if len(set(dear.values())) > 1:
            named = sorted(there, key=lambda spec: -dear[spec.id])[:2] + named[:1]
        for spec in dict.fromkeys(named):
            yield Candidate(name=f"without {spec.id}", agents=(replace(spec, slots=0),))
    for spec in scope.off[:MOST]:
        if spec.id not in scope.keep:
            yield Candidate(name=f"with {spec.id} again", agents=(spec,))
    if there and len(machine.pool.agents) < scope.most_agents:
        names = (f"agent {number}" for number in range(len(machine.pool.agents) + 1, 10**6))
        spec = AgentSpec(id=next(name for name in names if name not in machine.pool.agents))
        yield Candidate(name=f"hire {spec.id}", agents=(spec,))


def _pace(estimates: Estimates, spec: AgentSpec) -> float:
    """Seconds that an agent takes for a unit that it gets done."""
    roles = estimates.roles() if ANY_ROLE in spec.roles else spec.roles
    rates = [estimates.rate(role, spec.id) for role in roles]
    return sum(rates) / max(1, len(rates)) / estimates.success(spec.id)


def _telling(one: float, other: float) -> bool:
    return max(one, other) > TELLING * min(one, other)


def _cost(entry: dict[str, float]) -> float:
    """Log seconds of a success, from an entry of a routing table."""
    return entry["log_mean"] - log((entry["done"] + 1) / (entry["done"] + entry["failed"] + 2))


def _differ(table: dict[str, dict[str, dict[str, float]]], old: object) -> bool:
    if not isinstance(old, dict) or set(old) != set(table):
        return True
    return any(
        agent not in old[role] or abs(_cost(entry) - _cost(old[role][agent])) > log(TELLING)
        for role, agents in table.items()
        for agent, entry in agents.items()
    )
