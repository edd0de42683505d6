"""What a run is told besides its graph: the priority rule, the coefficients of Eq. 3, its agents.

| symbol | name | unit |
|---|---|---|
| T_c | `seconds_per_unit` | s per complexity unit |
| T_t | `seconds_per_information` | s per information unit |
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from dyntaskmas_nb.core.task import TaskId, check_count, shown
from dyntaskmas_nb.errors import InvalidInput

#: A role that every agent with it can stand in for.
ANY_ROLE = "*"
#: What every attempt of a run was made under, and so stays as it is.
FIXED = frozenset({"seed", "push", "modelled_transfers", "seconds_per_information"})
#: The longest wait before another attempt, in seconds, jitter aside.
RETRY_LONGEST = 60.0
#: The most entries of a setting that says something for each of several.
MOST_NAMED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """One agent of the pool: the roles it can take (`*` for all), how many tasks at once, its clearance.

    An agent of no slots stays, and is given nothing.
    """

    id: str
    roles: tuple[str, ...] = (ANY_ROLE,)
    slots: int = 1
    access: int = 0

    def takes(self, role: str) -> bool:
        """Whether it can take tasks of `role`."""
        return role in self.roles or ANY_ROLE in self.roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may spend before it is stopped; None where there is no limit.

    `tokens` read and written, `cost` by the kit's price table, `seconds` since the start, `attempts` made.
    """

    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None
    attempts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """How the AWM looks after a run (§III-D).

    Attributes
    ----------
    mode : "off", "advise" (its proposals wait to be accepted) or "auto" (it makes them).
    every : completions between two looks at the workflow; 0 for one for each slot of the run's agents.
    cooldown : completions after a change before the next; 0 for as many as `every`.
    least_gain : share of the time that is left, 0 to 1, that a change has to save.
    deadline : seconds since the start; within it, what costs least is best.
    cost_weight : seconds that one unit of cost is worth.
    keep : what it must not touch: names of settings, "agents", "rerun".
    weights : w of Eq. 20 by agent, where it is not 1.
    most_agents : how many agents it may let a run have; 0 for those there are.
    share_tokens : whether the model's tokens a minute are shared out by load as well (Eqs. 19, 20).
    """

    mode: Literal["off", "advise", "auto"] = "off"
    every: int = 0
    cooldown: int = 0
    least_gain: float = 0.01
    deadline: float | None = None
    cost_weight: float = 0.0
    keep: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    most_agents: int = 0
    share_tokens: bool = False


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
    retry_delay : seconds before a second attempt, doubled for each further one, at most `RETRY_LONGEST`.
    retry_jitter : share of that delay, 0 to 1, drawn at random (seeded) and added.
    monitor : role of the agent that decides on failed attempts, or "" for the fixed rule.
    routing : "on" prefers agents that did well at a role and learns from each attempt, "frozen" only prefers.
    routing_table : what an earlier run learned (`run.routing()`), to start from.
    rates : seconds per unit by role, as a multiple of T_c, where it is not 1.
    pins : tasks that only one agent may have, by id, as long as it has slots.
    extra_attempts : how much oftener than its own `attempts` a task may be tried.
    token_shares : the share of the model's tokens a minute that an agent may take, 0 to 1, by id.
    push : θ of Alg. 3: what is written while an agent works reaches it when the two share more of their tags
        (Eq. 12); None for never.
    stop_grace : seconds that a cancelled attempt has to stop before it is abandoned.
    budget : what the run may spend.
    awm : how the run is adapted while it runs.
    """

    policy: str = "upward_rank"
    seed: int = 0
    seconds_per_unit: float = 1.0
    seconds_per_information: float = 1.0
    as_printed: bool = False
    modelled_transfers: bool = True
    agents_per_role: int = 4
    retry_delay: float = 0.0
    retry_jitter: float = 0.0
    monitor: str = ""
    routing: Literal["off", "on", "frozen"] = "off"
    routing_table: Mapping[str, Any] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    pins: Mapping[TaskId, str] = field(default_factory=dict)
    extra_attempts: int = 0
    token_shares: Mapping[str, float] = field(default_factory=dict)
    push: float | None = None
    stop_grace: float = 2.0
    budget: Budget = Budget()
    awm: Adaptation = Adaptation()


def universal_agents(count: int) -> tuple[AgentSpec, ...]:
    """`count` agents that can take every role; raises `InvalidInput` unless 1 ≤ count ≤ 10,000."""
    if type(count) is not int or not 1 <= count <= 10_000:
        raise InvalidInput(f"The number of agents must be a whole number from 1 to 10,000, not {count!r}.")
    return tuple(AgentSpec(id=f"agent {number}") for number in range(1, count + 1))


def configured(settings: Settings, changes: dict[str, Any], fixed: Collection[str] = FIXED) -> Settings:
    """Return `settings` with `changes`, none of them `fixed`; raises `InvalidInput` naming what is wrong."""
    known = [part.name for part in fields(Settings) if part.name not in fixed]
    if odd := [name for name in changes if name not in known]:
        raise InvalidInput(f"A run has no setting {odd[0]!r} to change; it has {', '.join(known)}.")
    if isinstance(mode := changes.get("awm"), str):
        changes = {**changes, "awm": {"mode": mode}}
    for name, kind, words in (("budget", Budget, "A budget"), ("awm", Adaptation, "The AWM")):
        if isinstance(given := changes.get(name), Mapping):
            parts = [part.name for part in fields(kind)]
            if odd := [part for part in given if part not in parts]:
                raise InvalidInput(f"{words} has no {odd[0]!r}; it has {', '.join(parts)}.")
            before = settings.awm if kind is Adaptation else kind()  # a budget is given whole
            made = {key: _tuple(part) for key, part in given.items()}
            changes = {**changes, name: replace(before, **made)}
    new = replace(settings, **changes)
    check_settings(new)
    return new


def _tuple(part: Any) -> Any:
    return tuple(part) if isinstance(part, list) else part


def check_settings(settings: Settings) -> None:
    """Raise `InvalidInput` naming the setting that makes no sense."""
    for name in ("seconds_per_unit", "seconds_per_information"):
        _amount(getattr(settings, name), name, above=0.0)
    for name in ("retry_delay", "retry_jitter", "stop_grace"):
        _amount(getattr(settings, name), name)
    if settings.push is not None:
        _amount(settings.push, "push")
        if settings.push > 1:
            raise InvalidInput(f"push is a share from 0 to 1, not {settings.push!r}; leave it out for never.")
    _check_named(settings)
    if settings.retry_jitter > 1:
        raise InvalidInput(f"retry_jitter is a share from 0 to 1, not {settings.retry_jitter!r}.")
    check_count(settings.agents_per_role, "agents_per_role")
    if type(settings.seed) is not int or abs(settings.seed) >= 2**63:
        raise InvalidInput(f"The seed must be a whole number that fits 64 bits, not {settings.seed!r}.")
    if settings.routing not in ("off", "on", "frozen"):
        raise InvalidInput(f"routing is 'off', 'on' or 'frozen', not {shown(settings.routing)}.")
    if not isinstance(settings.monitor, str) or not isinstance(settings.policy, str):
        raise InvalidInput("monitor and policy are names; leave monitor empty for the fixed rule.")
    if not isinstance(settings.budget, Budget):
        raise InvalidInput(f"The budget must be a Budget(tokens=…), not {shown(settings.budget)}.")
    for part in fields(Budget):
        if (value := getattr(settings.budget, part.name)) is not None:
            _amount(value, f"budget.{part.name}")


def _check_named(settings: Settings) -> None:
    for name, least, most in (("rates", 0.0, math.inf), ("token_shares", 0.0, 1.0)):
        for key, value in _named(getattr(settings, name), name).items():
            _amount(value, f"{name}[{key!r}]", above=least)
            if value > most:
                raise InvalidInput(f"{name}[{key!r}] is a share above 0 and up to 1, not {value!r}.")
    if odd := [pin for pin in _named(settings.pins, "pins").items() if not all(map(_is_name, pin))]:
        raise InvalidInput(f"pins maps tasks to agents, by their ids; {odd[0]!r:.80} does not.")
    check_count(settings.extra_attempts, "extra_attempts", least=0)
    _check_awm(settings.awm)


def _check_awm(awm: object) -> None:
    if not isinstance(awm, Adaptation) or awm.mode not in ("off", "advise", "auto"):
        mode = awm.mode if isinstance(awm, Adaptation) else awm
        raise InvalidInput(
            f"awm is 'off', 'advise' or 'auto', or says more: {{'mode': …}}; not {shown(mode)}."
        )
    for name in ("every", "cooldown", "most_agents"):
        check_count(getattr(awm, name), f"awm.{name}", least=0)
    for name in ("least_gain", "cost_weight"):
        _amount(getattr(awm, name), f"awm.{name}")
    if awm.deadline is not None:
        _amount(awm.deadline, "awm.deadline", above=0.0)
    for agent, weight in _named(awm.weights, "awm.weights").items():
        _amount(weight, f"awm.weights[{agent!r}]", above=0.0)
    if type(awm.keep) is not tuple or not all(map(_is_name, awm.keep)):
        raise InvalidInput(f"awm.keep is a tuple of names of settings, not {shown(awm.keep)}.")


def _named(given: object, name: str) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping) or len(given) > MOST_NAMED or not all(map(_is_name, given)):
        raise InvalidInput(f"{name} maps up to {MOST_NAMED:,} names, not {shown(given)}.")
    return given


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= 200


def _amount(value: object, name: str, above: float | None = None) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or value == above:  # type: ignore[operator]
        least = "above 0" if above is not None else "of at least 0"
        raise InvalidInput(f"{name} must be a finite number {least}, not {shown(value)}.")
