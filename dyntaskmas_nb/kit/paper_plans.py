"""Task graphs for the paper's Tables I–III (§IV), which prints how large its own were and nothing more.

Paper silent: how subtasks depend on each other. We chose random layers, as the benchmarks do, and for the
seven travel agents of Table III a plan of twelve tasks.
"""

from __future__ import annotations

import random
from itertools import cycle

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.view.layout import layers

SENTENCE = "Plan a 3-day trip to Kyoto for two with a budget of 1500 dollars"
#: Roles whose answers are short, each with a task that the embedded Llama knows.
SHORT = (
    ("preference analyst", "Collect the wishes for the trip to Kyoto for two"),
    ("destination expert", "Find the best areas of Kyoto"),
)
_ROLES = (
    "preference analyst",
    "destination expert",
    "transport planner",
    "accommodation coordinator",
    "attraction scheduler",
    "culinary expert",
    "itinerary writer",
)
# id, role (by its place), complexity, what it waits for, description
_TRAVEL: tuple[tuple[str, int, float, str, str], ...] = (
    ("preferences", 0, 1, "", "Collect the wishes for the trip to Kyoto for two"),
    ("budget", 0, 1, "preferences", "Split the budget of 1500 dollars for the trip to Kyoto"),
    ("areas", 1, 2, "preferences", "Find the best areas of Kyoto"),
    ("season", 1, 1, "preferences", "Find the best season for Kyoto"),
    ("flights", 2, 2, "budget season", "Plan transport to Kyoto for two within 1500 dollars"),
    ("local", 2, 1, "areas", "Plan public transport in Kyoto for two"),
    ("hotel", 3, 2, "budget areas", "Find accommodation in Kyoto for two within 1500 dollars"),
    ("sights", 4, 3, "areas", "Schedule attractions in Kyoto over 3 days"),
    ("museums", 4, 2, "areas", "Schedule museums in Kyoto for a rainy day"),
    ("dining", 5, 2, "budget areas", "Pick restaurants in Kyoto for two"),
    ("markets", 5, 1, "areas", "Pick food markets in Kyoto for two"),
    (
        "itinerary",
        6,
        3,
        "flights local hotel sights museums dining markets",
        "Write the 3-day itinerary for Kyoto for two within 1500 dollars",
    ),
)


def layered(tasks: int, seed: int, seconds: float, widest: int = 12) -> TaskGraph:
    """Random layers of 1 to `widest` tasks, each waiting for 1 to 3 of the layer before.

    Complexities are log-normal with σ = 0.8, scaled so that all tasks together take `seconds`. Roles and
    descriptions are the `SHORT` ones in turn.

    >>> graph = layered(7, seed=0, seconds=4.7)
    >>> len(graph), round(sum(task.complexity for task in graph.tasks.values()), 6)
    (7, 4.7)
    """
    draw = random.Random(seed)
    units: dict[str, float] = {}
    edges: list[tuple[str, str, float]] = []
    before: list[str] = []
    while len(units) < tasks:
        count = min(draw.randint(1, widest), tasks - len(units))
        layer = [f"t{len(units) + place}" for place in range(count)]
        units |= {id: draw.lognormvariate(0.0, 0.8) for id in layer}
        for id in layer:
            edges += [(u, id, 0.0) for u in draw.sample(before, min(len(before), draw.randint(1, 3)))]
        before = layer
    scale = seconds / sum(units.values())
    made = [
        Task(id=id, role=role, description=description, complexity=amount * scale)
        for (id, amount), (role, description) in zip(units.items(), cycle(SHORT), strict=False)
    ]
    return TaskGraph.of(made, edges, title=SENTENCE)


def with_barriers(graph: TaskGraph) -> TaskGraph:
    """`graph`, every task waiting for all of the level before its own: LangGraph's model.

    >>> sorted(with_barriers(TaskGraph.from_plan({"subtasks": [
    ...     {"id": "a"}, {"id": "b"}, {"id": "c", "depends_on": ["a"]}]})).dependencies())
    [('a', 'c', 0.0), ('b', 'c', 0.0)]
    """
    level = layers(graph)
    edges = [(u, v, 0.0) for u in graph for v in graph if level[v] == level[u] + 1]
    return TaskGraph.of(list(graph.tasks.values()), edges, title=graph.title)


def independent(tasks: int) -> TaskGraph:
    """As many tasks that wait for nothing and take no time but their agents'."""
    return TaskGraph.of([Task(id=f"t{number}", complexity=0.0) for number in range(tasks)])


def travel() -> TaskGraph:
    """The travel system of §IV-C: seven roles, twelve tasks."""
    tasks = [
        Task(id=id, role=_ROLES[place], description=description, complexity=float(units))
        for id, place, units, _, description in _TRAVEL
    ]
    edges = [(before, id, 0.0) for id, _, _, after, _ in _TRAVEL for before in after.split()]
    return TaskGraph.of(tasks, edges, title=SENTENCE)
