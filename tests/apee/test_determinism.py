"""Same seed, same virtual time: the same log to the byte, in every process and under every hash seed."""

from __future__ import annotations

from tests.processes import printed_everywhere

PROGRAM = """
import hashlib
from dyntaskmas_nb.core.command import CancelTask, Configure
from dyntaskmas_nb.core.delta import AddTask, ExpandTask, RemoveTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings, universal_agents
from dyntaskmas_nb.core.task import Resource, Task
from tests.apee.driving import written
from tests.apee.test_differential import Scenario, engineered

tasks = [Task(id=f"{c}{n}", complexity=n, resources=(Resource(key=c),)) for c in "abcd" for n in range(4)]
edges = [(f"{u}{n}", f"{v}{n + 1}", n / 4) for u in "abcd" for v in "acd" for n in range(3)]
graph = TaskGraph.of(tasks, edges)
changes = [
    (0.25, ExpandTask(id="b3", tasks=tuple(Task(id=f"x{n}") for n in range(5)))),
    (0.5, Configure(changes={"policy": "random"})),
    (1.0, AddTask(task=Task(id="y"), after={id: 0.5 for id in ("a1", "b1", "c1")}, before={"d3": 0.0})),
    (1.5, CancelTask(id="d2")),
    (2.0, RemoveTask(id="c3")),
]
seconds, failing = (0.5, 1.25, 0.75), frozenset({"a11"})
scenario = Scenario(graph, universal_agents(3), Settings(seed=11), seconds, failing, changes)
log = engineered(scenario).log
print(len(log), hashlib.sha256(b"".join(written(log))).hexdigest())
"""


def test_the_log_is_the_same_in_every_process() -> None:
    assert int(printed_everywhere(PROGRAM).split()[0]) > 60
