"""An exception of somebody else's code as one sentence: what, and where in *their* code."""

from __future__ import annotations

import os
import sysconfig
from functools import cache
from pathlib import Path
from types import TracebackType

_LENGTH = 400


def describe(error: BaseException) -> str:
    """Return ``ValueError: message (file.py:12 in add)``, with the innermost frame of the user's own code.

    Examples
    --------
    >>> describe(ValueError("no such city"))
    'ValueError: no such city'
    """
    while isinstance(error, BaseExceptionGroup):  # a task group's wrapping: its first member says more
        error = error.exceptions[0]
    try:
        message = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  (a broken __str__ must not hide that the task failed)
        message = "(its message cannot be read)"
    if len(message) > _LENGTH:
        message = f"{message[: _LENGTH - 1]}…"
    message = message.encode("utf-8", "replace").decode()
    where = _place(error.__traceback__)
    return type(error).__name__ + (f": {message}" if message else "") + (f" ({where})" if where else "")


def _place(traceback: TracebackType | None) -> str:
    """The innermost frame that is neither ours nor a library's; failing that, the innermost not ours."""
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    ours, libraries = _places()
    frames = [frame for frame in frames if not frame[0].startswith(ours)]
    theirs = [frame for frame in frames if not frame[0].startswith((*libraries, "<frozen"))]
    for path, line, name in reversed(theirs or frames):
        return f"{_name(path)}:{line} in {name}"
    return ""


def _name(path: str) -> str:
    """A notebook cell's file has a number for a name; say what it is."""
    cell = "ipykernel_" in path or path.startswith("<ipython-input")
    return "notebook cell" if cell else Path(path).name


@cache
def _places() -> tuple[str, tuple[str, ...]]:
    """Folders of this package, and of Python's and others' libraries."""
    package = f"{Path(__file__).parent.parent}{os.sep}"
    paths = sysconfig.get_paths()
    return package, tuple(
        dict.fromkeys(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    )
