"""The plan file: a task graph as JSON that people write and planners answer with.

``{"task": "…", "subtasks": [{"id": "a", "description": "…", "role": "…", "complexity": 1,
"depends_on": [], "information": {}, "critical": true, "attempts": 1, …}]}``

Read by hand rather than by pydantic: `core.task` says already what each field must be, and this way once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import (
    ALL,
    INTEGERS,
    LARGEST,
    MAX_TEXT,
    Join,
    Resource,
    Task,
    TaskId,
    check_information,
    check_task,
    check_text,
    shown,
)
from dyntaskmas_nb.errors import InvalidInput

if TYPE_CHECKING:
    import networkx as nx

MAX_TASKS = 200_000
_OF_TASK = tuple(field.name for field in fields(Task))
_FIELDS = (*_OF_TASK, "depends_on", "information")
_PLAIN = Task(id="plain")


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
            close = get_close_matches(before, list(known)[:2000], n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InvalidInput(
                f"Subtask {shown(after)} depends on {shown(before)}, which is no subtask of the plan.{hint}"
            )
    return TaskGraph.of(tasks, edges, title=title)


def read_subtask(raw: object, number: int) -> tuple[Task, dict[TaskId, float]]:
    """One entry of "subtasks" as a task and what it waits for (predecessor → I).

    Raises `InvalidInput` naming the entry (by `number` from 0) and the field.
    """
    where = f"subtasks[{number}]"
    if not isinstance(raw, Mapping):
        raise InvalidInput(f"{where} must be an object, not {_kind(raw)}.")
    for key in raw:
        if key not in _FIELDS and (close := get_close_matches(str(key), _FIELDS, n=1, cutoff=0.75)):
            raise InvalidInput(f"{where}: unknown field {key!r}. Did you mean {close[0]!r}?")
    if "id" not in raw:
        raise InvalidInput(f"{where}.id: field required; every subtask has its own.")
    given = {name: raw[name] for name in _OF_TASK if name in raw}
    given["id"] = _name(raw["id"])
    if given.get("role") == "":
        del given["role"]
    for name in ("complexity", "boost", "timeout"):
        if type(value := given.get(name)) is int and abs(value) <= LARGEST:
            given[name] = float(value)
    given["resources"] = tuple(_resource(entry, where) for entry in _list(raw, "resources", where))
    given["join"] = _join(raw.get("join", "all"), where)
    task = Task(**given)
    check_task(task, where)
    return task, _waits_for(raw, where)


def _waits_for(raw: Mapping[Any, Any], where: str) -> dict[TaskId, float]:
    names = [_name(before) for before in _list(raw, "depends_on", where)]
    if odd := [name for name in names if not isinstance(name, str)]:
        raise InvalidInput(f"{where}.depends_on holds {shown(odd[0])}, which is no id.")
    depends_on = dict.fromkeys(names, 0.0)
    information = raw.get("information", {})
    if not isinstance(information, Mapping):
        raise InvalidInput(f"{where}.information must be an object, not {_kind(information)}.")
    for key, value in information.items():
        if _name(key) not in depends_on:
            raise InvalidInput(f"{where}.information names {shown(key)}, which is not in its depends_on.")
        depends_on[_name(key)] = check_information(value, where)
    return depends_on


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
    for name in ("boost", "critical", "timeout", "attempts", "approval", "inputs"):
        if (value := getattr(task, name)) != getattr(_PLAIN, name):
            entry[name] = value
    if task.resources:
        entry["resources"] = [{"key": r.key, "exclusive": r.exclusive} for r in task.resources]
    if task.join != ALL:
        entry["join"] = {"kind": task.join.kind, "k": task.join.k}
    return entry


def _resource(entry: object, where: str) -> Resource:
    if isinstance(entry, str):
        return Resource(key=entry)
    if isinstance(entry, Mapping) and set(entry) <= {"key", "exclusive"}:
        return Resource(**{"key": "", **entry})
    raise InvalidInput(
        f'{where}.resources: use "name" or {{"key": "name", "exclusive": false}}, not {shown(entry)}.'
    )


def _join(entry: object, where: str) -> Join:
    given = {"kind": entry} if isinstance(entry, str) else entry
    if isinstance(given, Mapping) and set(given) <= {"kind", "k"}:
        return Join(**given)
    raise InvalidInput(f'{where}.join: use "any" or {{"kind": "k_of_n", "k": 2}}, not {shown(entry)}.')


def _name(value: Any) -> Any:
    """People number their subtasks: 1 is the id "1"."""
    return str(value) if type(value) is int and value in INTEGERS else value


def _list(raw: Mapping[Any, Any], field: str, where: str) -> list[Any]:
    value = raw.get(field, [])
    if not isinstance(value, list):
        raise InvalidInput(f"{where}.{field} must be a list, not {_kind(value)}.")
    return value


def _kind(value: object) -> str:
    names = {type(None): "missing", dict: "an object", list: "a list", str: "text", bool: "true/false"}
    return names.get(type(value), f"a {type(value).__name__}")
