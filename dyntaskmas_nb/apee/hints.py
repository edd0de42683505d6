"""What the graph tells a model's engine about the future: how soon a role is needed again. Pure.

An engine that has to drop one of the prompt beginnings it has computed should drop the one that is needed
last. Steps are counted, not seconds: a step ends all that runs and is ready, as if each took equally long.

References
----------
Z. Pan et al., "KVFlow: Efficient Prefix Caching for Accelerating LLM-Based Multi-Agent Workflows",
arXiv:2507.07400 (steps to execution).
"""

from __future__ import annotations

from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.task import SATISFIED, TaskId

HORIZON = 8
"""Steps looked ahead: what is needed later than that counts as not needed."""

MOST = 500
"""Tasks looked at in a step: in a wider graph those further down the list are not seen."""


def steps_to_next_use(machine: Machine, role: str) -> int | None:
    """Steps before a task of `role` can begin that is not running now: 0 if one is ready; None for none.

    Looks `HORIZON` steps ahead, at up to `MOST` tasks each.
    """
    if machine.queue.first(role) is not None:
        return 0
    graph, left = machine.graph, dict[TaskId, int]()
    running = (id for agent in machine.pool.agents.values() for id in agent.running if id in graph)
    ended = [*running, *machine.queue.ids(MOST)][:MOST]
    for step in range(1, HORIZON + 1):
        begun = list[TaskId]()
        for one in ended:
            for id in graph.before(one):
                if id not in left:
                    left[id] = _missing(machine, id)
                left[id] -= 1
                if left[id] == 0 and len(begun) < MOST:
                    if graph[id].role == role:
                        return step
                    begun.append(id)
        ended = begun
    return None


def _missing(machine: Machine, id: TaskId) -> int:
    """How many predecessors of `id` must still be satisfied before it can begin."""
    predecessors = machine.graph.after(id)
    satisfied = sum(machine.records[one].state in SATISFIED for one in predecessors)
    return machine.graph[id].join.needed(len(predecessors)) - satisfied
