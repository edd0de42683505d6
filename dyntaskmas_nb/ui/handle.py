"""What a panel needs of a run. `kit.run.Run` is one; a test may bring its own.

Besides these a handle has the methods that `inbox.CALLS` names. Each answers with a `Reply`; those in
`inbox.EDITS` take `base`, the version they were made against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dyntaskmas_nb.core.snapshot import Snapshot


class Reply(Protocol):
    """What an edit or a control did, or why it was refused; `version` is the one that an edit made."""

    accepted: bool
    what: str
    reason: str
    version: int | None


class RunHandle(Protocol):
    """A run that can be watched and steered from any thread."""

    #: The panel that shows this run, once there is one: shown twice, it is one panel with two views.
    _panel: Any

    def snapshot(self) -> Snapshot:
        """The present moment, immutable."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called after every turn of the run, on its loop: it must neither wait nor raise.

        Returns what ends it, to be called once, from any thread.
        """

    def _repr_html_(self) -> str: ...
