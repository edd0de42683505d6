"""The plan file: a task graph as JSON that people write and planners answer with.

``{"task": "…", "subtasks": [{"id": "a", "description": "…", "role": "…", "complexity": 1,
"depends_on": [], "information": {}, "critical": true, "attempts": 1, …}]}``

Foreign text enters through pydantic and leaves as an `InvalidInput` that names the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from dyntaskmas_nb.core.codec import explain_validation
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import (
    ALL,
    GENERAL_ROLE,
    MAX_TEXT,
    Join,
    Resource,
    Task,
    TaskId,
    check_text,
    shown,
)
from dyntaskmas_nb.errors import InvalidInput

if TYPE_CHECKING:
    import networkx as nx

MAX_TASKS = 200_000

_FIELDS = (
    "id description role complexity boost critical resources timeout attempts join inputs "
    "depends_on information"
).split()


@cache
def _subtask_adapter() -> Any:
    from typing import Annotated

    from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter

    def name(value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    Id = Annotated[str, BeforeValidator(name)]

    class Subtask(BaseModel):
        model_config = ConfigDict(strict=True)

        id: Id
        description: str = ""
        role: str = GENERAL_ROLE
        complexity: float = 1.0
        boost: float = 0.0
        critical: bool = True
        resources: list[str | dict[str, Any]] = []
        timeout: float | None = None
        attempts: int = 1
        join: str | dict[str, Any] = "all"
        inputs: Any = None
        depends_on: list[Id] = []
        information: dict[Id, float] = {}

    return TypeAdapter(Subtask)


def graph_from_plan(plan: Mapping[str, Any]) -> TaskGraph:
    """See `TaskGraph.from_plan`."""
    if not isinstance(plan, Mapping):
        raise InvalidInput(f"A plan is an object with a list of subtasks, not {_kind(plan)}.")
    subtasks = plan.get("subtasks")
    if not isinstance(subtasks, list):
        raise InvalidInput(f'The plan\'s "subtasks" must be a list, not {_kind(subtasks)}.')
    if not subtasks:
        raise InvalidInput('The plan\'s "subtasks" is empty; a plan needs at least one subtask.')
    if len(subtasks) > MAX_TASKS:
        raise InvalidInput(f"The plan has {len(subtasks):,} subtasks; at most {MAX_TASKS:,} are taken.")
    title = plan.get("task", "")
    if not isinstance(title, str):
        raise InvalidInput(f'The plan\'s "task" must be text, not {_kind(title)}.')
    check_text(title, 'The plan\'s "task"', MAX_TEXT)
    tasks: list[Task] = []
    edges: list[tuple[TaskId, TaskId, float]] = []
    for number, raw in enumerate(subtasks):
        task, depends_on = read_subtask(raw, number)
        tasks.append(task)
        edges.extend((before, task.id, information) for before, information in depends_on.items())
    known = {task.id for task in tasks}
    for before, after, _ in edges:
        if before not in known:
            raise InvalidInput(
                f"Subtask {after!r} depends on {before!r}, which is no subtask of the plan."
                + _close(before, known)
            )
    return TaskGraph.of(tasks, edges, title=title)


def read_subtask(raw: object, number: int) -> tuple[Task, dict[TaskId, float]]:
    """One entry of "subtasks" as a task and what it waits for (predecessor → I).

    Raises
    ------
    InvalidInput
        Naming the entry (by `number` from 0, and id) and the field.
    """
    from pydantic import ValidationError

    where = f"subtasks[{number}]"
    if not isinstance(raw, Mapping):
        raise InvalidInput(f"{where} must be an object, not {_kind(raw)}.")
    for key in raw:
        if key not in _FIELDS and (close := get_close_matches(str(key), _FIELDS, n=1, cutoff=0.75)):
            raise InvalidInput(f"{where}: unknown field {key!r}. Did you mean {close[0]!r}?")
    try:
        read = _subtask_adapter().validate_python(dict(raw))
    except ValidationError as error:
        raise InvalidInput(explain_validation(error, where)) from None
    depends_on = dict.fromkeys(read.depends_on, 0.0)
    for before, information in read.information.items():
        if before not in depends_on:
            raise InvalidInput(f"{where}.information names {before!r}, which is not in its depends_on.")
        depends_on[before] = information
    task = Task(
        id=read.id,
        description=read.description,
        role=read.role or GENERAL_ROLE,
        complexity=read.complexity,
        boost=read.boost,
        critical=read.critical,
        resources=tuple(_resource(entry, where) for entry in read.resources),
        timeout=read.timeout,
        attempts=read.attempts,
        join=_join(read.join, where),
        inputs=read.inputs,
    )
    return task, depends_on


def graph_to_plan(graph: TaskGraph) -> dict[str, Any]:
    """See `TaskGraph.to_plan`. Fields at their defaults are left out, `depends_on` never."""
    return {"task": graph.title, "subtasks": [_entry(graph, task) for task in graph.tasks.values()]}


def graph_from_networkx(graph: nx.DiGraph) -> TaskGraph:
    """See `TaskGraph.from_networkx`."""
    import networkx as nx

    if not isinstance(graph, nx.Graph) or not graph.is_directed() or graph.is_multigraph():
        raise InvalidInput(f"A task graph is built from a networkx DiGraph, not {type(graph).__name__}.")
    tasks = []
    for number, (node, attributes) in enumerate(graph.nodes(data=True)):
        task = attributes.get("task")
        if not isinstance(task, Task):
            task, _ = read_subtask({"id": node, **attributes}, number)
        tasks.append(task)
    names = dict(zip(graph.nodes, (task.id for task in tasks), strict=True))
    edges = ((names[u], names[v], data.get("information", 0.0)) for u, v, data in graph.edges(data=True))
    return TaskGraph.of(tasks, edges, title=str(graph.graph.get("title", "")))


def _entry(graph: TaskGraph, task: Task) -> dict[str, Any]:
    after = graph.after(task.id)
    entry: dict[str, Any] = {
        "id": task.id,
        "description": task.description,
        "role": task.role,
        "complexity": task.complexity,
        "depends_on": list(after),
    }
    if any(after.values()):
        entry["information"] = {before: value for before, value in after.items() if value}
    for name, default in (
        ("boost", 0.0),
        ("critical", True),
        ("timeout", None),
        ("attempts", 1),
        ("inputs", None),
    ):
        if (value := getattr(task, name)) != default:
            entry[name] = value
    if task.resources:
        entry["resources"] = [{"key": r.key, "exclusive": r.exclusive} for r in task.resources]
    if task.join != ALL:
        entry["join"] = {"kind": task.join.kind, "k": task.join.k}
    return entry


def _resource(entry: str | dict[str, Any], where: str) -> Resource:
    if isinstance(entry, str):
        return Resource(key=entry)
    if set(entry) - {"key", "exclusive"} or not isinstance(entry.get("exclusive", True), bool):
        raise InvalidInput(
            f'{where}.resources: use "name" or {{"key": "name", "exclusive": false}}, not {shown(entry)}.'
        )
    return Resource(key=entry.get("key", ""), exclusive=entry.get("exclusive", True))


def _join(entry: str | dict[str, Any], where: str) -> Join:
    given = {"kind": entry} if isinstance(entry, str) else entry
    if set(given) - {"kind", "k"}:
        raise InvalidInput(f'{where}.join: use "any" or {{"kind": "k_of_n", "k": 2}}, not {shown(entry)}.')
    return Join(**given)


def _close(id: str, known: Iterable[str]) -> str:
    close = get_close_matches(id, list(known)[:2000], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _kind(value: object) -> str:
    names = {type(None): "missing", dict: "an object", list: "a list", str: "text", bool: "true/false"}
    return names.get(type(value), f"a {type(value).__name__}")
