"""What a run may spend (`core.settings.Budget`), and that it is stopped when it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dyntaskmas_nb.core.effect import WakeAt
from dyntaskmas_nb.core.settings import Budget

if TYPE_CHECKING:
    from dyntaskmas_nb.apee.machine import Machine


def over_budget(m: Machine, t: float, *, another: bool = False) -> bool:
    """Stop the run when it has spent what it may, or would by `another` attempt; say whether it did."""
    if not m.limited:
        return False
    budget = m.settings.budget
    for name, spent, most in (
        ("tokens", m.tokens, budget.tokens),
        ("cost", m.cost, budget.cost),
        ("seconds", t, budget.seconds),
        ("attempts", m.attempts + another, budget.attempts),
    ):
        if most is None or spent < most or (spent == most and name != "seconds"):
            continue
        if name == "attempts" and another and m.running:
            return True  # start no more, but let those end that were paid for
        used = f"{m.attempts:,} made" if name == "attempts" else f"{spent:,.6g} used"
        m.wind_down("failed", f"The budget of {most:,.12g} {name} is spent ({used}).", t)
        return True
    return False


def watch_budget(m: Machine, t: float) -> None:
    """See whether there is a budget; have the run woken when its time is up."""
    m.limited = m.settings.budget != Budget()
    if (seconds := m.settings.budget.seconds) is not None and seconds > t:
        m.effects.append(WakeAt(seconds, ""))
