"""What attempts take, cost and come to: estimated from their outcomes, with uncertainty (§III-D, M(t)).

An attempt of an agent a at a task of role r and complexity C takes d seconds, and

    log(d / C) = ρ_r + σ_a + δ_ra + ε,    ε normal,

where each level is a mean and a variance. An outcome moves every level by its share of the whole variance
(a Kalman filter whose covariances are left out); an agent's level and its own way with a role drift, so their
variance grows with every outcome. Now and then an agent changes at once: an outcome is taken for that as far
as it is likelier so than by chance. The variance of ε comes from pairs of outcomes of one agent. ρ starts at
log T_c.

| symbol | name | unit |
|---|---|---|
| T_c | `seconds_per_unit` | s per complexity unit |
| T_t | `Estimates.seconds_per_information` | s per information unit |
| C(v) | `Task.complexity` | complexity units |

Paper silent on how M(t) learns durations: we chose what follows both drift and jumps in O(1) an outcome.

References
----------
R. E. Kalman, "A new approach to linear filtering and prediction problems", J. Basic Engineering 82, 1960.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

from dyntaskmas_nb.core.task import Task

#: An attempt under way: task, agent, seconds so far.
Running = tuple[Task, str, float]
#: Seconds below which durations are not told apart.
SHORTEST = 1e-6
#: Variance of a level of which nothing is known, and what an outcome adds: role, agent, agent at a role.
PRIORS, DRIFT = (4.0, 0.06, 0.01), (1e-4, 0.005, 5e-4)
#: How often an agent changes at once, in shares of its outcomes, and the variance of such a change.
ODDS, JUMP = 0.01, 1.0
#: Variance of ε before it was seen, as if from so many outcomes; and how much of the past counts at the most.
NOISE, NOISE_SEEN, MEMORY = 0.15, 2, 40
#: What one outcome leaves of the weight of those before it, in shares of successes and in costs.
FORGET = 0.85
#: Standard errors by which two agents have to differ.
SURE = 2.0
#: Successes that an agent begins with.
TRUST = 4.0


@dataclass(frozen=True, slots=True)
class Level:
    """A mean and its variance."""

    mean: float = 0.0
    variance: float = 0.0


@dataclass(frozen=True, slots=True)
class Record:
    """How an agent's attempts ended, the latest counting most: weights of successes and failures, costs."""

    done: float = 0.0
    failed: float = 0.0
    cost: float = 0.0
    seen: float = 0.0

    @property
    def success(self) -> float:
        """The chance that an attempt succeeds; 1 until one has failed."""
        return (self.done + TRUST) / (self.done + self.failed + TRUST)


class Estimates:
    """Everything learned so far; O(1) an outcome, memory by role and agent.

    Attributes
    ----------
    changed : agents that an attempt under way shows to have changed.
    doubt : how many times as much ε varies as what ended shows, given what is late: short tasks end first.
    noise : variance of log seconds that neither role nor agent explains: that of the tasks themselves.
    seen : outcomes learned from.
    """

    def __init__(self, seconds_per_unit: float = 1.0) -> None:
        self.noise, self.seen = NOISE, 0
        self.records: dict[str, Record] = {}
        self.changed: frozenset[str] = frozenset()
        self.doubt = 1.0
        self._usual = math.log(seconds_per_unit)
        self._levels: dict[tuple[str, str], Level] = {}  # (role, ""), ("", agent), (role, agent)
        self._transfer = [0.0, 0.0]
        self._rest: dict[str, float] = {}  # by agent, what its role did not explain the last time
        self._pairs = 0

    # -- learning ------------------------------------------------------------------------------------

    def observe(
        self,
        role: str,
        agent: str,
        complexity: float,
        seconds: float,
        *,
        success: bool = True,
        cost: float = 0.0,
    ) -> None:
        """Learn from an attempt that was done or failed; how long a failure took says nothing."""
        self.seen += 1
        old, units = self.records.get(agent, Record()), complexity or 1.0
        self.records[agent] = Record(
            done=old.done * FORGET + success,
            failed=old.failed * FORGET + (not success),
            cost=old.cost * FORGET + cost / units,
            seen=old.seen * FORGET + 1,
        )
        if success and complexity > 0:
            self._learn(role, agent, math.log(max(seconds, SHORTEST)) - math.log(complexity))

    def observe_transfer(self, information: float, seconds: float) -> None:
        """Learn T_t from context of `information` units that took `seconds` to hand over."""
        self._transfer = [self._transfer[0] * FORGET + seconds, self._transfer[1] * FORGET + information]

    @property
    def seconds_per_information(self) -> float | None:
        """T_t as measured; None before anything was handed over."""
        return self._transfer[0] / self._transfer[1] if self._transfer[1] else None

    def _learn(self, role: str, agent: str, value: float) -> None:
        keys = ((role, ""), ("", agent), (role, agent))
        levels = [self._level(key, place) for place, key in enumerate(keys)]
        grown = [replace(one, variance=one.variance + more) for one, more in zip(levels, DRIFT, strict=True)]
        off = value - sum(level.mean for level in grown)
        usual = sum(level.variance for level in grown) + self.noise
        jumped = jump(off, usual, self._pairs)
        grown[1] = replace(grown[1], variance=grown[1].variance + jumped * JUMP)
        whole = usual + jumped * JUMP
        for key, level in zip(keys, grown, strict=True):
            share = level.variance / whole
            self._levels[key] = Level(level.mean + share * off, level.variance * (1 - share))
        rest = value - grown[0].mean
        if (before := self._rest.get(agent)) is not None:  # of two in a row the agent's level cancels out
            chance = (rest - before) ** 2 / 2
            self._pairs = min(self._pairs + 1, MEMORY)
            self.noise += (chance - self.noise) / (self._pairs + NOISE_SEEN)
        self._rest[agent] = rest

    def _level(self, key: tuple[str, str], place: int) -> Level:
        return self._levels.get(key) or Level(self._usual if place == 0 else 0.0, PRIORS[place])

    # -- telling -------------------------------------------------------------------------------------

    def log_rate(self, role: str, agent: str = "") -> Level:
        """Log seconds of one unit of complexity, by `agent` or by one as good as any, and its variance."""
        levels = [self._level((role, ""), 0)]
        if agent:
            levels += [self._level(("", agent), 1), self._level((role, agent), 2)]
        return Level(sum(one.mean for one in levels), sum(one.variance for one in levels))

    def rate(self, role: str, agent: str = "") -> float:
        """Seconds of one unit of complexity, as good a guess too long as too short."""
        return math.exp(self.log_rate(role, agent).mean)

    def success(self, agent: str) -> float:
        """The chance that an attempt of `agent` succeeds."""
        return self.records.get(agent, Record()).success

    def cost(self, agent: str) -> float:
        """What a unit of complexity costs with `agent`; with a stranger, what it costs on the average."""
        known = [self.records[agent]] if agent in self.records else list(self.records.values())
        seen = sum(one.seen for one in known)
        return sum(one.cost for one in known) / seen if seen else 0.0

    def roles(self) -> list[str]:
        """Roles that have been tried, sorted."""
        return sorted({role for role, agent in self._levels if role and not agent})

    def after(self, running: Iterable[Running], future: int = 0) -> Estimates:
        """What is to be thought of agents in a future, while attempts run on.

        One that has outlived what was expected has a changed agent, or else is longer than it was said to be:
        in the plain future whichever is likelier, in others by chance. Where others are late as well, tasks
        are taken to be longer than they were said to be.
        """
        twin = Estimates()
        twin.__dict__.update(self.__dict__, _levels=dict(self._levels))
        late = [(task, agent, self._late(task, agent, since)) for task, agent, since in running]
        squares = sum(max(off, 0.0) ** 2 for _, _, off in late)
        weight = self._pairs + NOISE_SEEN
        twin.noise = (self.noise * weight + squares) / (weight + sum(off > 0 for _, _, off in late))
        twin.doubt = twin.noise / self.noise
        for task, agent, off in late:
            if off <= 0:
                continue
            others = (self.noise * weight + squares - off * off) / (weight + len(late) - 1)
            changed = jump(off, self.log_rate(task.role, agent).variance + others, self._pairs)
            if changed > (chance(future, task.id, "?") if future else 0.5):
                known = twin._level(("", agent), 1)
                twin._levels["", agent] = replace(known, mean=known.mean + off + math.log1p(JUMP))
                twin.changed = twin.changed | {agent}
        return twin

    def _late(self, task: Task, agent: str, since: float) -> float:
        """Log of how many times as long as expected an attempt has taken."""
        return (
            math.log(max(since, SHORTEST) / (task.complexity or 1.0)) - self.log_rate(task.role, agent).mean
        )

    @property
    def rest(self) -> float:
        """Log of how many times as long as it has taken so far an overdue attempt is expected to take."""
        return math.log1p(min(1.0, math.sqrt(self.noise)))

    def uneven(self, role: str, agents: Iterable[str], factor: float) -> bool:
        """Whether two agents differ by more than `factor` at `role`, or in success, and not by chance."""
        known = [(self.log_rate(role, agent), self.success(agent)) for agent in agents]
        costs = [(one.mean - math.log(success), one.variance) for one, success in known]
        (low, some), (high, more) = min(costs), max(costs)
        shared = 2 * self._level((role, ""), 0).variance
        unsure = math.sqrt(max(0.0, some + more - shared) * self.doubt)
        return high - low > math.log(factor) + SURE * unsure

    def routing_table(self, roles: Iterable[str], agents: Iterable[str]) -> dict[str, Any]:
        """The estimates as a table that routing can go by (`Settings.routing_table`)."""
        names = list(agents)
        return {
            role: {
                agent: {
                    "done": round(1000 * self.success(agent)),
                    "failed": 1000 - round(1000 * self.success(agent)),
                    "log_mean": round(self.log_rate(role, agent).mean, 4),
                    "log_squares": 0.0,
                }
                for agent in names
            }
            for role in roles
        }


class Expected:
    """One future: what `estimates` say of attempts (an `apee.forecast.Outlook`).

    Future 0 is the plain one: every attempt takes what is as likely too long as too short, divided by its
    agent's chance of success. In others chance is drawn, by future and task and by nothing else, so that two
    ways to go on are compared under the same luck.
    """

    def __init__(self, estimates: Estimates, future: int = 0, running: Iterable[Running] = ()) -> None:
        running = list(running)
        self.estimates, self.future = estimates.after(running, future), future
        self._cache: dict[tuple[str, str], tuple[float, float]] = {}
        self._draws: dict[str, float] = {}
        self._luck: dict[str, float] = {}  # of tasks that run: they are at least as long as they have taken
        for task, agent, since in running:
            seconds = self._of(task.role, agent)[0] * task.complexity
            if seconds * math.exp(self._drawn(task)) <= since and seconds:
                self._luck[task.id] = math.log(since / seconds) + estimates.rest

    def seconds(self, task: Task) -> float:
        """Seconds of an attempt by an agent as good as any."""
        return self.estimates.rate(task.role) * task.complexity

    def __call__(self, task: Task, number: int, agent: str) -> tuple[float, bool]:
        """Seconds of an attempt, and whether it succeeds."""
        rate, success = self._of(task.role, agent)
        luck = self._luck.get(task.id)
        seconds = rate * task.complexity * math.exp(self._drawn(task) if luck is None else luck)
        if not self.future:
            return seconds / success, True
        return seconds, chance(self.future, task.id, str(number)) < success

    def left(self, task: Task, number: int, agent: str, since: float) -> tuple[float, bool]:
        """Seconds that an attempt still takes after `since`, and whether it succeeds."""
        seconds, good = self(task, number, agent)
        return max(seconds - since, 0.0), good

    def _drawn(self, task: Task) -> float:
        if not self.future:
            return 0.0
        if (drawn := self._draws.get(task.id)) is None:
            drawn = self._draws[task.id] = math.sqrt(self.estimates.noise) * draw(self.future, task.id)
        return drawn

    def cost(self, task: Task, agent: str) -> float:
        """What an attempt costs."""
        return self.estimates.cost(agent) * (task.complexity or 1.0)

    def _of(self, role: str, agent: str) -> tuple[float, float]:
        if (found := self._cache.get((role, agent))) is None:
            level, common = self.estimates.log_rate(role, agent), self.estimates.log_rate(role).variance
            unsure = 0.0
            if self.future:  # what is unknown of the role is the same for all
                unsure = math.sqrt(common) * draw(self.future, role)
                unsure += math.sqrt(max(0.0, level.variance - common)) * draw(self.future, agent, role)
            found = math.exp(level.mean + unsure), self.estimates.success(agent)
            self._cache[role, agent] = found
        return found


def jump(off: float, usual: float, known: int) -> float:
    """The chance that an agent has changed, when log seconds are `off`.

    They vary by `usual`, as far as `known` pairs of outcomes tell: Student's t with two degrees more.

    Examples
    --------
    >>> round(jump(2.0, 0.05, known=2), 2), round(jump(2.0, 0.05, known=30), 2)
    (0.46, 1.0)
    """
    changed = ODDS * _student(off, usual + JUMP, known + 2)
    return changed / (changed + (1 - ODDS) * _student(off, usual, known + 2))


def _student(value: float, variance: float, freedom: int) -> float:
    """Density of Student's t, without what does not depend on the variance."""
    return math.pow(1 + value * value / variance / freedom, -(freedom + 1) / 2) / math.sqrt(variance)


def chance(future: int, *names: str) -> float:
    """A number in (0, 1) that depends on its arguments only."""
    digest = blake2b("\0".join((str(future), *names)).encode("utf-8", "replace"), digest_size=4).digest()
    return (int.from_bytes(digest) + 0.5) / 2**32


_normal = cache(NormalDist)


def draw(future: int, *names: str) -> float:
    """A standard normal number that depends on its arguments only."""
    return _normal().inv_cdf(chance(future, *names))
