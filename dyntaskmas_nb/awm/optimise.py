"""Workflow Optimiser (§III-D, Eq. 18 and Alg. 4): ω* = argmin f(ω, M(t)) over simulated futures.

f is what is still to come, in seconds: the simulated remaining makespan of the present graph under ω plus
what it costs, times `Adaptation.cost_weight`; the mean over futures plus their spread. With a deadline it is
what the run costs, and each second beyond the deadline counts a thousand: by the plain future alone and with
a margin, since there will be other decisions before the deadline. Every configuration is played by the
scheduler's own code, from a copy of the present state, with durations as measured, under the same luck.

`optimise` is a generator: it yields after each simulated turn, so that whoever drives it can let others
work, and stop it early. How much is simulated is bounded in turns, not in seconds: the same state gives the
same decision on every machine.

| symbol | name |
|---|---|
| ω | `Candidate` |
| Ω | `configuration.generate_candidates` |
| M(t) | `Estimates` |
| f | `Candidate.score` |
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from math import inf
from statistics import fmean, pstdev

from dyntaskmas_nb.apee.forecast import player
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.awm.configuration import STAY, commands, together
from dyntaskmas_nb.awm.estimate import Estimates, Expected, Running
from dyntaskmas_nb.core.event import Candidate, CommandRejected, TaskDispatched
from dyntaskmas_nb.core.settings import Adaptation
from dyntaskmas_nb.core.task import SATISFIED

#: Futures in which the most promising candidates are compared, the plain one included.
FUTURES = 8
#: Candidates compared in all of them.
FINALISTS = 3
#: Standard errors by which a gain has to be above none.
SURE = 2.0
#: How much the spread of the futures counts.
RISK = 0.1
#: What a second beyond the deadline counts, in seconds; what a task that is not done counts, in makespans.
LATE, UNDONE = 1000.0, 10.0
#: Share of the time until a deadline that is kept free before it.
MARGIN = 0.05
#: Simulated turns of one decision.
MOST_TURNS = 60_000


@dataclass(frozen=True, slots=True)
class _Played:
    makespan: float
    cost: float
    score: float
    late: float


def under_way(machine: Machine, t: float) -> list[Running]:
    """What runs at time `t`: task, agent, seconds so far."""
    agents = machine.pool.agents
    return [
        (record.task, record.agent, t - agents[record.agent].running[id])
        for id, record in machine.running_tasks()
        if record.task and not record.stopping
    ]


class Optimiser:
    """One decision: the present state, what is expected, and how much may still be simulated."""

    def __init__(self, base: Machine, estimates: Estimates, t: float, aim: Adaptation) -> None:
        self._base, self._t, self._aim = base, t, aim
        running = under_way(base, t)
        self._futures = [Expected(estimates, number, running) for number in range(FUTURES)]
        self._turns = 0
        self._found: dict[str, list[_Played]] = {}

    def optimise(
        self, candidates: Sequence[Candidate]
    ) -> Generator[None, None, tuple[list[Candidate], int, str]]:
        """Compare `candidates`, the present configuration first; return them judged, the best, and why."""
        judged: list[Candidate] = []
        for candidate in candidates:
            if (yield from self._try(candidate, 1)):
                judged.append(candidate)
        order = sorted(judged[1:], key=self._score)
        better = [one for one in order if self._score(one) < self._score(STAY)]
        if len(better) > 1:
            joint = together(better)
            if joint.name not in self._found and (yield from self._try(joint, 1)):
                judged.append(joint)
                order = sorted([*order, joint], key=self._score)
        finalists = order[:FINALISTS] if better else []
        if finalists:
            for candidate in [judged[0], *finalists]:
                yield from self._try(candidate, FUTURES)
        chosen, why = self._choose(judged[0], finalists)
        return [self._judged(one) for one in judged], judged.index(chosen), why

    def _try(self, candidate: Candidate, futures: int) -> Generator[None, None, bool]:
        """Play a candidate in its next futures; False where it cannot be made."""
        played = self._found.setdefault(candidate.name, [])
        for expected in self._futures[len(played) : futures]:
            if self._turns > MOST_TURNS:
                break
            yield
            simulator = player(self._base, expected, self._t, commands(candidate, self._base))
            twin = simulator.machine
            if any(isinstance(event, CommandRejected) for event in twin.log):
                return False
            yield
            for _ in simulator.turns():
                self._turns += 1
                yield
            played.append(self._outcome(twin, expected, played[0].late if played else None))
        return bool(played)

    def _outcome(self, twin: Machine, expected: Expected, late: float | None) -> _Played:
        """What came of a future; how late it is, is what the plain one said."""
        tasks, base = twin.graph.tasks, self._base
        ahead = [(event.task, event.agent) for event in twin.log if isinstance(event, TaskDispatched)]
        ahead += [(id, record.agent) for id, record in base.running_tasks()]
        cost = sum(expected.cost(tasks[id], agent) for id, agent in ahead if id in tasks)
        makespan = twin.log[-1].t
        undone = sum(twin.records[id].state not in SATISFIED for id in twin.graph.sinks())
        left = makespan - self._t
        score = left + self._aim.cost_weight * cost
        late = self._late(left) if late is None else late
        if self._aim.deadline is not None:
            score = cost * (self._aim.cost_weight or 1.0) + LATE * late + left * 1e-6
        return _Played(makespan, base.cost + cost, score + UNDONE * undone * max(left, 1.0), late)

    def _late(self, left: float) -> float:
        """Seconds by which `left` more are too many, a margin before the deadline being kept free."""
        return 0.0 if (d := self._aim.deadline) is None else max(0.0, self._t + left - d * (1 - MARGIN))

    def _score(self, candidate: Candidate) -> float:
        return self._mean(self._found[candidate.name])

    @staticmethod
    def _mean(played: Sequence[_Played]) -> float:
        scores = [one.score for one in played]
        return fmean(scores) + RISK * pstdev(scores) if scores else inf

    def _choose(self, stay: Candidate, finalists: Sequence[Candidate]) -> tuple[Candidate, str]:
        """The best finalist that gains enough and not by luck, or what speaks against the very best."""
        against = ""
        for best in sorted(finalists, key=self._score):
            good, reason = self._weigh(stay, best)
            if good:
                return best, reason
            against = against or reason
        return stay, against or "nothing that was tried would be better"

    def _weigh(self, stay: Candidate, best: Candidate) -> tuple[bool, str]:
        usual, played = self._found[stay.name], self._found[best.name]
        plain = usual[0].score - played[0].score
        gain = min(plain, self._score(stay) - self._score(best))
        least = self._aim.least_gain * max(self._score(stay), 0.0)
        if gain < least or gain <= 0:
            return False, f"{best.name} would gain {max(gain, 0.0):.3g} s, and {least:.3g} s are asked for"
        gains = [mine.score - theirs.score for mine, theirs in zip(usual, played, strict=False)]
        good = sum(gain > 0 for gain in gains)
        needed = len(gains) if best.rerun else len(gains) // 2 + 1  # what was begun is lost if it is wrong
        if good < needed or fmean(gains) < SURE * pstdev(gains) / len(gains) ** 0.5:
            return False, f"{best.name} would be better in {good} of {len(gains)} futures only, by chance"
        return True, f"{best.name}: {gain:.3g} s better, in {good} of {len(gains)} futures"

    def _judged(self, candidate: Candidate) -> Candidate:
        played = self._found[candidate.name]
        spans = [one.makespan for one in played]
        return replace(
            candidate,
            makespan=fmean(spans),
            risk=pstdev(spans),
            cost=fmean(one.cost for one in played),
            score=self._mean(played),
            seeds=len(played),
        )
