"""Edits that a face collects before it applies them together (`Run.batch`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dyntaskmas_nb.errors import InvalidInput


class Drafts:
    """A batch, from the first edit that is collected until it is applied or dropped.

    It is based on the version that the run had then. As long as there is one it holds the run.
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._batch: Any = None

    @property
    def count(self) -> int:
        """How many edits are collected."""
        return 0 if self._batch is None else len(self._batch.deltas)

    def collect(self, edit: Callable[[Any], Any]) -> Any:
        """Make an edit of the batch and say what came of it; one that is refused begins no batch."""
        batch = self._batch or self._run.batch()
        reply = edit(batch)
        self._batch = batch if batch.deltas else None
        return reply

    def preview(self) -> Any:
        """What `commit` would do."""
        return self._collected().preview()

    def commit(self) -> dict[str, Any]:
        """Apply them all at once. Where that is refused they are kept, for the user to look at or drop."""
        batch = self._collected()
        receipt = batch.commit()
        if not receipt:
            raise InvalidInput(f"{receipt.reason} Nothing was changed, and the collected edits were kept.")
        self.drop()
        return {"what": receipt.what, "version": receipt.version, "call": batch.to_python()}

    def drop(self) -> None:
        """Forget them."""
        self._batch = None

    def _collected(self) -> Any:
        if self._batch is None:
            raise InvalidInput("No edit has been collected yet.")
        return self._batch
