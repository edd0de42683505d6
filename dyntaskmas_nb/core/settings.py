"""What a run is told besides its graph: the priority rule, the coefficients of Eq. 3, its agents.

| symbol | name | unit |
|---|---|---|
| T_c | `seconds_per_unit` | s per complexity unit |
| T_t | `seconds_per_information` | s per information unit |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dyntaskmas_nb.core.task import check_count
from dyntaskmas_nb.errors import InvalidInput

#: A role that every agent with it can stand in for.
ANY_ROLE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """One agent of the pool: the roles it can take (`*` for all), how many tasks at once, its clearance."""

    id: str
    roles: tuple[str, ...] = (ANY_ROLE,)
    slots: int = 1
    access: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one run, frozen until a command changes them.

    Attributes
    ----------
    policy : name of the priority rule (`apee.priority.POLICIES`, or "custom").
    seed : feeds everything that is drawn at random.
    seconds_per_unit, seconds_per_information : T_c and T_t of Eq. 3.
    as_printed : compute Eq. 3 as the paper prints it (normalised) instead of in seconds.
    modelled_transfers : charge T_t·I on every dependency (simulation); False where moving context takes
        real time of its own.
    agents_per_role : without agents of its own a role gets them when a task is ready and none is free, up
        to this many.
    """

    policy: str = "upward_rank"
    seed: int = 0
    seconds_per_unit: float = 1.0
    seconds_per_information: float = 1.0
    as_printed: bool = False
    modelled_transfers: bool = True
    agents_per_role: int = 4


def universal_agents(count: int) -> tuple[AgentSpec, ...]:
    """`count` agents that can take every role; raises `InvalidInput` unless 1 ≤ count ≤ 10,000."""
    if type(count) is not int or not 1 <= count <= 10_000:
        raise InvalidInput(f"The number of agents must be a whole number from 1 to 10,000, not {count!r}.")
    return tuple(AgentSpec(id=f"agent {number}") for number in range(1, count + 1))


def check_settings(settings: Settings) -> None:
    """Raise `InvalidInput` naming the setting that makes no sense."""
    for name in ("seconds_per_unit", "seconds_per_information"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise InvalidInput(f"{name} must be a number of seconds above 0, not {value!r}.")
    check_count(settings.agents_per_role, "agents_per_role")
    if type(settings.seed) is not int or abs(settings.seed) >= 2**63:
        raise InvalidInput(f"The seed must be a whole number that fits 64 bits, not {settings.seed!r}.")
