"""Several edits applied at once, or not at all: ``with run.batch() as edits: edits.add_task(…)``."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dyntaskmas_nb.apee.forecast import Preview
from dyntaskmas_nb.apee.story import call
from dyntaskmas_nb.core.delta import Batch, Delta
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.edits import Edits
from dyntaskmas_nb.kit.receipt import Receipt
from dyntaskmas_nb.view.words import count

if TYPE_CHECKING:
    from dyntaskmas_nb.kit.run import Run


class Batched(Edits):
    """The calls of `Edits`, collected: each sees the graph as the ones before it would leave it.

    Leaving the ``with`` block applies them as one Δ, unless `commit` was called in it; an error in it drops
    them. `receipt` says what came of them.
    """

    receipt: Receipt | None = None

    def __init__(self, run: Run) -> None:
        self._run, self._calls = run, list[str]()
        self.deltas: list[Delta] = []
        self._now = run.snapshot()

    def snapshot(self) -> Snapshot:
        """The moment that this began with, its graph as the collected edits would leave it."""
        return self._now

    def apply(self, delta: Delta, what: str = "", **_: object) -> Any:
        """Collect any Δ; refused where the graph could not take it, or where all were applied already."""
        graph = self._now.graph.copy()
        try:
            if self.receipt:
                raise InvalidInput("These edits were applied already; begin another run.batch().")
            apply(graph, delta)
        except InvalidInput as error:
            return Receipt(what=what or call(delta), accepted=False, reason=str(error))
        self.deltas.append(delta)
        self._calls.append(call(delta))
        self._now = replace(self._now, graph=graph)
        return Receipt(what=f"noted: {what or call(delta)}")

    def preview(self) -> Preview:
        """What `commit` would do: refused where that would be."""
        return self._run.preview(Batch(deltas=tuple(self.deltas)), base=self._now.seq)

    def commit(self) -> Receipt:
        """Apply all of them, once, as one Δ against the version this began with.

        They are rebased where the tasks they touch are untouched since, else refused.
        """
        if self.receipt:
            return self.receipt
        if not self.deltas:
            return Receipt(what="a batch", accepted=False, reason="There is no edit in it.")
        what = f"applied {count(len(self.deltas), 'edit')} at once"
        self.receipt = self._run.apply(Batch(deltas=tuple(self.deltas)), what, base=self._now.seq)
        return self.receipt

    def to_python(self) -> str:
        """The block that does the same."""
        block = "\n".join(["with run.batch() as edits:", *(f"    edits.{line}" for line in self._calls)])
        names = [name for name in ("Join", "Resource", "Task") if f"{name}(" in block]
        needed = [f"from dyntaskmas_nb import {', '.join(names)}"] if names else []
        needed += ["from dyntaskmas_nb.core.delta import *"] if "edits.apply(" in block else []
        return "\n".join([*needed, block])

    def __enter__(self) -> Batched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is None and self.deltas and self.receipt is None:
            self.commit()
