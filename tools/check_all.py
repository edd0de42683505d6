"""Refuse an `__all__` that promises what is not there or is not explained.

For every module of the package that has an `__all__`: each name exists, none is private or named twice, and
each class, function and module in it has a docstring of its own. (Sorting is ruff's RUF022.)
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType

PACKAGE = "dyntaskmas_nb"

#: Heavy libraries of some extras: modules that need one are passed over where it is not installed.
OPTIONAL = ("torch", "transformers", "triton")


def modules(package: str) -> Iterator[ModuleType]:
    """Import and yield the package and every module under it, except `__main__` modules."""
    root = importlib.import_module(package)
    yield root
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        if info.name.endswith("__main__"):
            continue
        try:
            yield importlib.import_module(info.name)
        except ModuleNotFoundError as error:
            if error.name not in OPTIONAL:
                raise


def complaints(module: ModuleType) -> Iterator[str]:
    """Yield what is wrong with the module's `__all__`, a sentence each."""
    names: list[str] = list(getattr(module, "__all__", []))
    for name in names:
        if names.count(name) > 1:
            yield f"{name} is named twice"
        if name.startswith("_") and not name.startswith("__"):
            yield f"{name} is private"
        try:
            value = getattr(module, name)
        except AttributeError:
            yield f"{name} does not exist"
            continue
        explains_itself = inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value)
        if explains_itself and not (value.__doc__ or "").strip():
            yield f"{name} has no docstring"


def main() -> int:
    """Print every complaint; 1 if there is one."""
    found = [
        f"{module.__name__}.__all__: {text}" for module in modules(PACKAGE) for text in complaints(module)
    ]
    print("\n".join(sorted(set(found))) or "__all__: every name exists and is explained.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
