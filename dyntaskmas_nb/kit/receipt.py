"""What an edit or command did, as the value of the call that asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.event import CommandApplied, CommandRejected, DeltaApplied, DeltaRejected
from dyntaskmas_nb.view.words import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was done, in words; for an edit also the version it made and the Δ that undoes it.

    A refused edit is a receipt too (`accepted` False, `reason` says why): nothing was changed. `reruns` are
    tasks that ran or were done and run again because of it, unless they can keep their result.
    """

    what: str
    accepted: bool = True
    reason: str = ""
    version: int | None = None
    inverse: Delta | None = None
    reruns: tuple[str, ...] = ()
    id: str = ""

    def __bool__(self) -> bool:
        return self.accepted

    def __repr__(self) -> str:
        if not self.accepted:
            return printable(f"✗ refused: {self.what}. {self.reason}", 2000)
        again = f"; to run again: {', '.join(self.reruns)}" if self.reruns else ""
        version = f" (version {self.version})" if self.version is not None else ""
        return printable(f"✓ {self.what}{again}", 2000) + version


def receipt_of(
    what: str, outcome: DeltaApplied | DeltaRejected | CommandApplied | CommandRejected, id: str = ""
) -> Receipt:
    """The receipt for `what`, by the event that answered it."""
    match outcome:
        case DeltaApplied(version=version, inverse=inverse, reruns=reruns):
            return Receipt(what=what, version=version, inverse=inverse, reruns=reruns, id=id)
        case CommandApplied():
            return Receipt(what=what, id=id)
        case DeltaRejected(reason=reason) | CommandRejected(reason=reason):
            return Receipt(what=what, accepted=False, reason=reason, id=id)
