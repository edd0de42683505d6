"""The figures that M(t) consists of (§III-D, Table III): of attempts, agents, roles and the machine.

`monitor` says what coordination time, a context switch and the run's own time are. A figure with nothing to
divide by is None.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from dyntaskmas_nb.awm.estimate import Estimates
from dyntaskmas_nb.awm.tally import WINDOW, Attempt, Percentiles, Tally, Worker, percentile
from dyntaskmas_nb.core.event import MachineSampled


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What attempts came to; None where there is nothing to divide by. `FIGURES` says what each is."""

    seconds: float
    attempts: int
    done: int
    failed: int
    stopped: int
    throughput: float | None
    completion_rate: float | None
    failure_rate: float | None
    retry_rate: float | None
    latency_mean: float | None
    latency_p50: float | None
    latency_p95: float | None
    wait_mean: float | None
    wait_p95: float | None
    utilisation: float | None
    tokens: int
    cached_tokens: int
    cost: float
    context_switches: int
    coordination: float
    coordination_mean: float | None
    dispatching: float
    handing_over: float


#: Name, unit, definition, in the order shown.
FIGURES: tuple[tuple[str, str, str], ...] = (
    ("seconds", "s", "the run's own time that is covered"),
    ("attempts", "", "attempts that are over"),
    ("done", "", "attempts that succeeded"),
    ("failed", "", "attempts that failed"),
    ("stopped", "", "attempts that were stopped, or whose task was removed"),
    ("throughput", "tasks/s", "done ÷ seconds"),
    ("completion_rate", "share", "done ÷ (done + failed)"),
    ("failure_rate", "share", "failed ÷ (done + failed)"),
    ("retry_rate", "share", "attempts at a task whose attempt before failed ÷ attempts"),
    ("latency_mean", "s", "dispatched to done or failed, mean"),
    ("latency_p50", "s", "dispatched to done or failed, half are no longer"),
    ("latency_p95", "s", "dispatched to done or failed, 95 % are no longer"),
    ("wait_mean", "s", "ready to dispatched, mean"),
    ("wait_p95", "s", "ready to dispatched, 95 % are no longer"),
    ("utilisation", "share", "busy slot-seconds ÷ slot-seconds there were"),
    ("tokens", "tokens", "read and written by models, in removed tasks too"),
    ("cached_tokens", "tokens", "of these, computed before for a prompt that began alike"),
    ("cost", "", "price of the tokens, by the kit's price table"),
    ("context_switches", "", "calls of an agent with another role or another first context than its last"),
    ("coordination", "s", "dispatching + handing_over"),
    ("coordination_mean", "s", "coordination ÷ done"),
    ("dispatching", "s", "from when nothing but the scheduler kept a task from starting, to dispatched"),
    ("handing_over", "s", "context handed in and results handed out, in attempts that were done"),
)


class Attempts:
    """Attempts that are over: sums of all, the last `WINDOW` themselves.

    Attributes
    ----------
    tally : of all.
    recent : the last ones, which end in this order.
    since : when the one before those was over, in seconds of the run's own time; 0 while there is none.
    """

    def __init__(self) -> None:
        self.tally, self.since = Tally(), 0.0
        self.recent: deque[Attempt] = deque(maxlen=WINDOW)
        self._latency, self._wait = Percentiles(), Percentiles()

    def add(self, attempt: Attempt) -> None:
        """Count one more."""
        if len(self.recent) == WINDOW:
            self.since = self.recent[0].end
        self.recent.append(attempt)
        self.tally.add(attempt)
        self._wait.add(attempt.wait)
        if attempt.outcome != "stopped":
            self._latency.add(attempt.end - attempt.start)

    def figures(self, seconds: float, busy: float, available: float) -> Figures:
        """Of all in `seconds`, of which agents had `available` slot-seconds and were `busy` in some."""
        if self.tally.attempts == len(self.recent):
            return self.recently(seconds, busy, available)
        return _figures(self.tally, self._latency.at, self._wait.at, seconds, busy, available)

    def recently(self, seconds: float, busy: float, available: float) -> Figures:
        """The same of the window; its percentiles are exact."""
        latency = [one.end - one.start for one in self.recent if one.outcome != "stopped"]
        wait = [one.wait for one in self.recent]
        tell = partial(percentile, latency), partial(percentile, wait)
        return _figures(Tally(self.recent), *tell, seconds, busy, available)


def _figures(
    tally: Tally,
    latency: Callable[[float], float | None],
    wait: Callable[[float], float | None],
    seconds: float,
    busy: float,
    available: float,
) -> Figures:
    t, ended = tally, tally.done + tally.failed
    coordination = t.dispatching + t.handing_over
    return Figures(
        seconds=seconds,
        attempts=t.attempts,
        done=t.done,
        failed=t.failed,
        stopped=t.attempts - ended,
        throughput=_ratio(t.done, seconds),
        completion_rate=_ratio(t.done, ended),
        failure_rate=_ratio(t.failed, ended),
        retry_rate=_ratio(t.retries, t.attempts),
        latency_mean=_ratio(t.seconds, ended),
        latency_p50=latency(0.5),
        latency_p95=latency(0.95),
        wait_mean=_ratio(t.wait, t.attempts),
        wait_p95=wait(0.95),
        utilisation=_ratio(busy, available),
        tokens=t.tokens,
        cached_tokens=t.cached,
        cost=t.cost,
        context_switches=t.switches,
        coordination=coordination,
        coordination_mean=_ratio(coordination, t.done),
        dispatching=t.dispatching,
        handing_over=t.handing_over,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFigures:
    """One agent: what it does, and its share of the rest; busy and available are slot-seconds."""

    agent: str
    slots: int
    running: int
    utilisation: float | None
    recent_utilisation: float | None
    done: int
    failed: int
    stopped: int
    context_switches: int
    tokens: int
    cost: float
    busy: float
    available: float
    recently_available: float

    @classmethod
    def of(cls, worker: Worker, busy: float, recently_busy: float, now: float, since: float) -> AgentFigures:
        """The figures of `worker` until `now`, the window beginning at `since` (s of the run's own time)."""
        tally, available = worker.tally, worker.available(now)
        recently = available - worker.available(since)
        return cls(
            agent=worker.spec.id,
            slots=worker.spec.slots,
            running=worker.running,
            utilisation=_ratio(busy, available),
            recent_utilisation=_ratio(recently_busy, recently),
            done=tally.done,
            failed=tally.failed,
            stopped=tally.attempts - tally.done - tally.failed,
            context_switches=tally.switches,
            tokens=tally.tokens,
            cost=tally.cost,
            busy=busy,
            available=available,
            recently_available=recently,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleFigures:
    """T_c of a role (s per complexity unit); two attempts of three take T_c ÷ `spread` to T_c × `spread`."""

    role: str
    seconds_per_unit: float
    spread: float


def role_figures(estimates: Estimates) -> tuple[RoleFigures, ...]:
    """T_c by role as learned so far."""
    found = []
    for role in estimates.roles():
        spread = math.exp(math.sqrt(estimates.log_rate(role).variance + estimates.noise))
        found.append(RoleFigures(role=role, seconds_per_unit=estimates.rate(role), spread=spread))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFigures:
    """What a machine or one of its GPUs did at the last sample, and its mean over the last `WINDOW`.

    `busy` is a share from 0 to 1; `memory` is in bytes: this process's, or all that is in use on the GPU;
    `power` is in watts, None where nobody tells.
    """

    name: str
    busy: float
    busy_mean: float
    memory: int
    memory_mean: float
    memory_total: int | None = None
    power: float | None = None


def machine_figures(samples: Sequence[MachineSampled]) -> tuple[MachineFigures, ...]:
    """The machine and its GPUs, nothing without samples; a GPU's mean is over the samples that have it."""
    if not samples:
        return ()
    last = samples[-1]
    found = [
        MachineFigures(
            name="machine",
            busy=last.cpu,
            busy_mean=fmean(sample.cpu for sample in samples),
            memory=last.memory,
            memory_mean=fmean(sample.memory for sample in samples),
        )
    ]
    for place, gpu in enumerate(last.gpus):
        seen = [sample.gpus[place] for sample in samples if len(sample.gpus) > place]
        found.append(
            MachineFigures(
                name=f"GPU {place}: {gpu.name}",
                busy=gpu.busy,
                busy_mean=fmean(one.busy for one in seen),
                memory=gpu.memory,
                memory_mean=fmean(one.memory for one in seen),
                memory_total=gpu.memory_total,
                power=gpu.power,
            )
        )
    return tuple(found)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
