"""A run in which nothing moves by itself: who has to do what, or that nobody can do anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dyntaskmas_nb.apee.machine import Machine


def waits_for_somebody(m: Machine) -> str:
    """What a user has to do before anything moves again; empty while something moves by itself."""
    if m.running or m.planning or m.winding_up or m.ledger.timers or m.ledger.newly_ready:
        return ""
    held = [id for id, record in m.records.items() if record.hold in ("approval", "ask")]
    if m.paused and not m.credits and m.stopped_at:
        return f"The run stopped at the breakpoint {m.stopped_at}; resume() goes past it."
    if m.paused and not m.credits:
        return "The run is paused and nothing runs; call resume() or step() first."
    if held and not len(m.queue):
        return f"Task {held[0]!r} {m.records[held[0]].reason}; call approve({held[0]!r}) or reject(…)."
    return ""


def deadlock(m: Machine) -> str:
    """What waits for what for ever; empty where a monitor or a user will answer."""
    if any(record.hold not in ("", "resources") for record in m.records.values()):
        return ""
    waiting = [f"{id} ({record.state})" for id, record in m.records.items() if not record.state.ended]
    return f"Nothing can move any more. Waiting: {'; '.join(waiting[:5])}"
