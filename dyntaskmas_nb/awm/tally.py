"""What the Performance Monitor keeps of an attempt, of an agent, and of all attempts (§III-D, M(t)).

Sums are kept of all attempts, the attempts themselves of the last `WINDOW` that are over only. Percentiles of
more than that are counted in buckets whose bounds grow by a constant factor, so that every one told is off by
`ACCURACY` of itself at the most, whatever was added and in whatever order.

References
----------
C. Masson, J. E. Rim, H. K. Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", PVLDB 12(12), 2019.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from dyntaskmas_nb.core.settings import AgentSpec

#: Attempts that are over, and samples of the machine, that the sliding window holds.
WINDOW = 256
#: Largest relative error of a percentile of more values than that, and the least value told from 0 (s).
ACCURACY, SHORTEST = 0.01, 1e-6

_GROWTH = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GROWTH = math.log(_GROWTH)
_ZERO = math.ceil(math.log(SHORTEST) / _LOG_GROWTH)


class Percentiles:
    """Values ≥ 0 by bucket: about 2,500 buckets for all that lies between `SHORTEST` and 1e15.

    Examples
    --------
    >>> seen = Percentiles()
    >>> for value in range(1, 1001):
    ...     seen.add(value)
    >>> round(seen.at(0.5)), round(seen.at(0.95))
    (498, 944)
    """

    __slots__ = ("_buckets", "count")

    def __init__(self) -> None:
        self.count = 0
        self._buckets: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Count one more value."""
        place = math.ceil(math.log(value) / _LOG_GROWTH) if value > SHORTEST else _ZERO
        self._buckets[place] = self._buckets.get(place, 0) + 1
        self.count += 1

    def at(self, share: float) -> float | None:
        """About the least value that `share` of all (0 to 1) do not exceed; None without any."""
        left = max(1, math.ceil(share * self.count))
        for place in sorted(self._buckets):
            left -= self._buckets[place]
            if left <= 0:
                return 0.0 if place == _ZERO else 2 * _GROWTH**place / (1 + _GROWTH)
        return None


def percentile(values: Iterable[float], share: float) -> float | None:
    """The least of `values` that `share` of them (0 to 1) do not exceed; None without any.

    >>> percentile([3.0, 1.0, 2.0, 4.0], 0.5), percentile([], 0.5)
    (2.0, None)
    """
    ranked = sorted(values)
    return ranked[max(1, math.ceil(share * len(ranked))) - 1] if ranked else None


@dataclass(slots=True)
class Call:
    """An attempt as its agent's next one is compared with it: its role, the first thing it was given."""

    role: str
    first: str = ""

    def differs(self, before: Call | None) -> bool:
        """Whether the agent has to switch context for it after its call `before`."""
        if before is None:
            return False
        return self.role != before.role or bool(self.first and before.first and self.first != before.first)


@dataclass(slots=True)
class Attempt:
    """One attempt, begun at `start` and over at `end` (s of the run's own time).

    Attributes
    ----------
    wait : from ready to dispatched, in seconds.
    dispatching, handing_over : the parts of its coordination time, in seconds.
    waited : seconds in which its agent waited for a model whose rate is limited.
    cached : of its tokens, those that the model had computed for an earlier prompt.
    information : what moves along the incoming dependencies of its task, in information units.
    retry : whether the attempt before it at this task failed.
    call, before : itself and its agent's call before it, None at the agent's first.
    resources : keys of what its task holds while it runs.
    removed : whether its task was removed while it ran.
    switched : whether its agent had to switch context for it, as was known when it was over.
    """

    number: int
    agent: str
    role: str
    complexity: float
    start: float
    wait: float
    dispatching: float
    information: float
    retry: bool
    call: Call
    before: Call | None
    resources: tuple[str, ...]
    removed: bool = False
    end: float = 0.0
    outcome: Literal["done", "failed", "stopped"] = "stopped"
    tokens: int = 0
    cost: float = 0.0
    handing_over: float = 0.0
    waited: float = 0.0
    cached: int = 0
    switched: bool = False


class Tally:
    """Sums over attempts that are over."""

    __slots__ = (
        "attempts",
        "cached",
        "cost",
        "dispatching",
        "done",
        "failed",
        "handing_over",
        "retries",
        "seconds",
        "switches",
        "tokens",
        "wait",
    )

    def __init__(self, attempts: Iterable[Attempt] = ()) -> None:
        self.attempts = self.done = self.failed = self.retries = self.switches = self.tokens = self.cached = 0
        self.seconds = self.wait = self.cost = self.dispatching = self.handing_over = 0.0
        for attempt in attempts:
            self.add(attempt)

    def add(self, attempt: Attempt) -> None:
        """Count one more; `seconds` sums how long those took that were done or failed."""
        self.attempts += 1
        if attempt.outcome != "stopped":
            self.done += attempt.outcome == "done"
            self.failed += attempt.outcome == "failed"
            self.seconds += attempt.end - attempt.start
        self.retries += attempt.retry
        self.switches += attempt.switched
        self.wait += attempt.wait
        self.tokens += attempt.tokens
        self.cached += attempt.cached
        self.cost += attempt.cost
        self.dispatching += attempt.dispatching
        self.handing_over += attempt.handing_over


@dataclass(slots=True)
class Worker:
    """An agent: what it does, what it has come to, and since when a slot of it is free.

    Attributes
    ----------
    spec : as it was set last.
    free_since : when it last had a slot again, joined or got other roles, in seconds since the run began.
    call : its latest call.
    running : attempts under way.
    busy : slot-seconds of attempts that are over.
    tally : of its attempts that are over.
    """

    spec: AgentSpec
    free_since: float
    call: Call | None = None
    running: int = 0
    busy: float = 0.0
    tally: Tally = field(default_factory=Tally)
    _changes: deque[tuple[float, float, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def resize(self, now: float) -> None:
        """Go by the slots it has from `now` on; one taken away while it is busy counts until it is free."""
        slots = max(self.spec.slots, self.running)
        if not self._changes:
            self._changes.append((now, 0.0, slots))
        elif self._changes[-1][2] != slots:
            self._changes.append((now, self.available(now), slots))

    def available(self, now: float) -> float:
        """Slot-seconds that it has had until `now`: exact for as many changes of its slots as are kept."""
        changes = reversed(self._changes)
        since, had, slots = next((one for one in changes if one[0] <= now), self._changes[0])
        return max(0.0, had + slots * (now - since))
