"""Resource Allocator (§III-D, Eqs. 19 and 20): slots and shares of the model's tokens follow the load.

    Allocation(a) = total · w_a · Load(a) / Σ_b w_b · Load(b)             (Eq. 20)
    R(t+1) = R(t) + ΔR(t),   ΔR(t) = η · (Allocation − R(t))              (Eq. 19)

| symbol | name | unit |
|---|---|---|
| R(t) | `resources` | slots, not rounded |
| Load(a) | `loads` | s of work expected |
| w_a | `weights` (`Adaptation.weights`), 1 where none is given | 1 |
| η | `eta` | 1, from 0 to 1 |

Where nobody has work Eq. 20 as printed is 0/0: we chose equal shares. R stays real, so that small changes add
up, and is rounded where it is used. An agent of no slots is switched off: it has no load and gets nothing. So
that nobody is switched off by rounding, and no role left without an agent, every other keeps at least one.

Paper silent on Load and ΔR: we chose the seconds that running tasks still take plus an equal part of those of
every ready task that the agent may take, and a step of η towards the allocation, so that R does not swing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import floor, frexp, fsum, ldexp

from dyntaskmas_nb.apee.forecast import Outlook
from dyntaskmas_nb.apee.ledger import READY
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.pool import Pool
from dyntaskmas_nb.core.settings import AgentSpec
from dyntaskmas_nb.errors import InvalidInput

#: η of Eq. 19.
ETA = 0.5
#: The part of the model's tokens that is divided equally, whatever the load.
EQUAL = 0.25
#: Holds of a ready task that end by themselves: it is work to come.
PASSING = frozenset({"", "retry", "resources"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """What each agent is to have: `resources` is R(t+1), `agents` are those whose slots change, as changed.

    `token_shares` are for `Settings.token_shares`: above 0, together 1.
    """

    resources: dict[str, float]
    agents: tuple[AgentSpec, ...]
    token_shares: dict[str, float]


def loads(machine: Machine, expected: Outlook, t: float) -> dict[str, float]:
    """Load of Eq. 20 at time `t` (s): seconds of work expected of each agent that has slots.

    A pinned task is all its agent's. Who failed at a task is not to take it while there are others.
    """
    pool, found = machine.pool, {agent.spec.id: 0.0 for agent in machine.pool if agent.spec.slots}
    for id, record in machine.running_tasks():
        if record.agent in found and record.task is not None and not record.stopping:
            since = t - pool.agents[record.agent].running[id]
            found[record.agent] += expected.left(record.task, record.attempt, record.agent, since)[0]
    waiting: dict[tuple[str, str, tuple[str, ...]], float] = {}
    for id, record in machine.records.items():
        if record.state is READY and record.hold in PASSING:
            task = machine.graph[id]
            alike = task.role, machine.settings.pins.get(id, ""), record.avoid
            waiting[alike] = waiting.get(alike, 0.0) + expected.seconds(task)
    for (role, pinned, avoid), seconds in waiting.items():
        takers = _takers(pool, role, pinned, avoid)
        for agent in takers:
            found[agent] += seconds / len(takers)
    return found


def _takers(pool: Pool, role: str, pinned: str, avoid: Collection[str]) -> list[str]:
    """Who may take a task, as the dispatcher sees it."""
    able = [agent.spec.id for agent in pool.able(role)]
    if pinned in able:
        return [pinned]
    return [id for id in able if id not in avoid] or able


def allocate(loads: Mapping[str, float], weights: Mapping[str, float], total: float) -> dict[str, float]:
    """`total` divided by weighted load (Eq. 20), equally where nobody has work.

    Parameters
    ----------
    loads : at least 0, by agent.
    weights : above 0, by agent; 1 where none is given.

    Examples
    --------
    >>> allocate({"a": 30.0, "b": 10.0}, {"b": 3.0}, 8)
    {'a': 4.0, 'b': 4.0}
    >>> allocate({"a": 0.0, "b": 0.0}, {"b": 3.0}, 8)
    {'a': 4.0, 'b': 4.0}

    References
    ----------
    arXiv:2503.07675, Eq. 20.
    """
    weight = {agent: weights.get(agent, 1.0) for agent in loads}
    by = frexp(max(loads.values(), default=0.0))[1]  # powers of two: exact, and products stay finite
    heavy = frexp(max(weight.values(), default=0.0))[1]
    parts = {agent: ldexp(weight[agent], -heavy) * ldexp(load, -by) for agent, load in loads.items()}
    if not (whole := fsum(parts.values())):
        return dict.fromkeys(loads, total / max(1, len(loads)))
    return {agent: total * part / whole for agent, part in parts.items()}


def step_resources(
    resources: Mapping[str, float], allocation: Mapping[str, float], eta: float = ETA
) -> dict[str, float]:
    """R(t+1), a share `eta` of the way from R(t) to the allocation (Eq. 19), for the agents of `allocation`.

    None is negative, and where both have the same sum, so has the result. Raises `InvalidInput` unless
    0 ≤ `eta` ≤ 1.

    Examples
    --------
    >>> step_resources({"a": 4.0, "b": 4.0}, {"a": 7.0, "b": 1.0}, 0.5)
    {'a': 5.5, 'b': 2.5}

    References
    ----------
    arXiv:2503.07675, Eq. 19.
    """
    if not 0 <= eta <= 1:
        raise InvalidInput(f"eta is a share from 0 (stay) to 1 (jump), not {eta!r}.")
    return {agent: (1 - eta) * resources.get(agent, 0.0) + eta * aim for agent, aim in allocation.items()}


def whole_slots(shares: Mapping[str, float], total: int, floors: Collection[str] = ()) -> dict[str, int]:
    """`total` slots in proportion to `shares`, by largest remainder; ties go in the order of `shares`.

    Each of `floors` gets at least one; where there are fewer slots than these, one goes to each of those with
    the largest shares.

    Examples
    --------
    >>> whole_slots({"a": 5.5, "b": 2.4, "c": 0.1}, 8)
    {'a': 6, 'b': 2, 'c': 0}
    >>> whole_slots({"a": 5.5, "b": 2.4, "c": 0.1}, 8, floors={"a", "b", "c"})
    {'a': 5, 'b': 2, 'c': 1}
    """
    first = [id for id in shares if id in floors]
    if total <= len(first):
        lucky = frozenset(sorted(first, key=lambda id: -shares[id])[:total])
        return {id: int(id in lucky) for id in shares}
    slots, rest = dict.fromkeys(shares, 1), dict(shares)  # who leaves `rest` has one
    while True:
        quota = allocate(rest, {}, total - (len(shares) - len(rest)))
        short = [id for id in rest if id in floors and quota[id] < 1]
        if not short:
            break
        for id in short:
            del rest[id]
    for id, exact in quota.items():
        slots[id] = floor(exact)
    by_remainder = sorted(quota, key=lambda id: -round(quota[id] - slots[id], 9))
    for id in by_remainder[: total - sum(slots.values())]:
        slots[id] += 1
    return slots


def token_shares(resources: Mapping[str, float], equal: float = EQUAL) -> dict[str, float]:
    """Shares of the model's tokens, together 1: the part `equal` equally, the rest as R is divided.

    So none of n agents gets less than `equal`/n.

    Examples
    --------
    >>> token_shares({"a": 6.0, "b": 2.0})
    {'a': 0.6875, 'b': 0.3125}
    """
    least = equal / max(1, len(resources))
    divided = allocate(resources, {}, 1.0)
    return {agent: min(1.0, least + (1 - equal) * part) for agent, part in divided.items()}


def allot(
    machine: Machine,
    expected: Outlook,
    t: float,
    before: Mapping[str, float],
    *,
    eta: float = ETA,
    keep: Collection[str] = (),
) -> Allotment:
    """R(t+1) of the agents of `machine`, or of its twin at time `t`, and what follows from it.

    Parameters
    ----------
    t : seconds since the run's start.
    before : R(t), as this returned it last. Where the slots are not what it comes to, because somebody set
        them or the proposal was not made, R begins at the slots there are.
    keep : agents whose slots stay as they are; they do not count towards the total.
    """
    slots = {agent.spec.id: agent.spec.slots for agent in machine.pool if agent.spec.slots}
    ours = {id: count for id, count in slots.items() if id not in keep}
    total = sum(ours.values())
    known = before.keys() == ours.keys() and whole_slots({id: before[id] for id in ours}, total, ours) == ours
    held = allocate(before if known else ours, {}, total)
    work = {id: load for id, load in loads(machine, expected, t).items() if id in ours}
    resources = step_resources(held, allocate(work, machine.settings.awm.weights, total), eta)
    new = whole_slots(resources, total, ours)
    specs = (machine.pool.agents[id].spec for id in ours)
    return Allotment(
        resources=resources,
        agents=tuple(replace(spec, slots=new[spec.id]) for spec in specs if new[spec.id] != spec.slots),
        token_shares=token_shares(slots | resources),
    )
