"""Whether an edit may still be applied: Eq. 4 on a graph that runs, and that others edit too."""

from __future__ import annotations

from collections.abc import Mapping

from dyntaskmas_nb.core.delta import Delta, touched
from dyntaskmas_nb.core.task import TaskId


def outdated(delta: Delta, base: int | None, changed_at: Mapping[TaskId, int]) -> str:
    """Why `delta` cannot be rebased from version `base`: a task it touches was changed since. Else empty."""
    if base is None:
        return ""
    for id in sorted(touched(delta)):
        if changed_at.get(id, 0) > base:
            return (
                f"Task {id!r} was changed at version {changed_at[id]}, after version {base} "
                "on which this edit is based; look at the present graph and edit again."
            )
    return ""
