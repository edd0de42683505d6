"""Orchestrate LLM agents over a task graph that can be edited while it runs.

After the paper DynTaskMAS (arXiv:2503.07675). Start with `Kit`::

    from dyntaskmas_nb import Kit
    run = Kit().start("Plan a 3-day trip to Kyoto for two with a budget of 1500 dollars")
    print(run.result())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dyntaskmas_nb.apee.simulate import Schedule, simulate
    from dyntaskmas_nb.core.graph import TaskGraph
    from dyntaskmas_nb.core.settings import AgentSpec
    from dyntaskmas_nb.core.task import Join, Resource, Task, TaskState
    from dyntaskmas_nb.errors import DynTaskError
    from dyntaskmas_nb.kit.kit import Kit
    from dyntaskmas_nb.kit.receipt import Receipt
    from dyntaskmas_nb.kit.run import Run

__version__ = "0.1.0"

__all__ = [
    "AgentSpec",
    "DynTaskError",
    "Join",
    "Kit",
    "Receipt",
    "Resource",
    "Run",
    "Schedule",
    "Task",
    "TaskGraph",
    "TaskState",
    "simulate",
]

_HOMES = {
    "AgentSpec": "core.settings",
    "DynTaskError": "errors",
    "Join": "core.task",
    "Kit": "kit.kit",
    "Receipt": "kit.receipt",
    "Resource": "core.task",
    "Run": "kit.run",
    "Schedule": "apee.simulate",
    "Task": "core.task",
    "TaskGraph": "core.graph",
    "TaskState": "core.task",
    "simulate": "apee.simulate",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
