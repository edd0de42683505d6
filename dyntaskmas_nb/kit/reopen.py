"""Reading a run back: feed the journal's inputs to a fresh machine and compare what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from dyntaskmas_nb.apee.history import replay
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.priority import Policy
from dyntaskmas_nb.core.codec import encode
from dyntaskmas_nb.core.event import Event
from dyntaskmas_nb.errors import StoreError


def replayed(run: str, events: Sequence[Event], policy: Policy | None) -> Machine:
    """The machine that `events` describe.

    Raises
    ------
    StoreError
        The replay differs from what was stored, so this version does not understand the run.
    """
    machine = replay(run, events, policy)
    for number, (stored, made) in enumerate(zip(events, machine.log, strict=False)):
        if encode(stored) != encode(made):
            raise StoreError(
                f"Run {run!r} cannot be read back: event {number} was {type(stored).__name__} and is now "
                f"{type(made).__name__}. It was made by another version of the kit, or with another policy."
            )
    if len(events) != len(machine.log):
        raise StoreError(f"Run {run!r} cannot be read back: its journal ends in the middle of a turn.")
    return machine
