"""Workflow Manager (§III-D, Alg. 4): looks at a run, tries changes, proposes or makes them.

It speaks to the engine through the inbox alone: what it found is a `WorkflowDecided`, what it changes are
commands. Decision points are every so many completions, a burst of failures, an attempt that takes twice as
long as expected (and again half as long, and so on), and edits and commands of others. It thinks in slices
between which the loop does other things, on a copy of the present state.

So that it neither swings nor fights the user: a change has to gain `Adaptation.least_gain`, after one it
leaves the run alone for as long as `cooldown` completions take on the average, a change back has to gain
twice, and what the user set is the user's.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator
from dataclasses import replace
from heapq import heappop, heappush
from typing import Literal, TypeVar

import anyio
import anyio.lowlevel

from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.forecast import twin_of
from dyntaskmas_nb.apee.ledger import RUNNING
from dyntaskmas_nb.apee.submissions import Outcome
from dyntaskmas_nb.awm.allocator import allot
from dyntaskmas_nb.awm.configuration import Scope, commands, generate_candidates
from dyntaskmas_nb.awm.estimate import Expected
from dyntaskmas_nb.awm.monitor import Monitor
from dyntaskmas_nb.awm.optimise import Optimiser, under_way
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.command import Command, Configure, SetAgent
from dyntaskmas_nb.core.event import Candidate, Event, TaskDispatched, WorkflowDecided
from dyntaskmas_nb.core.settings import AgentSpec
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.errors import InvalidInput

T = TypeVar("T")
Verdict = Literal["kept", "proposed", "applied"]
log = logging.getLogger(__name__)

#: Real seconds that it thinks before others have their turn.
SLICE = 0.002
#: Failures that are a burst, where no more than as many successes come between.
BURST = 3
#: Share by which an agent's tokens have to change for it to be told.
TELLING = 0.1
#: An attempt is overdue when it takes so many times as long as expected, once so many have been completed.
LATE, LEARNED = 2.0, 3
#: Seconds by which an alarm may ring early, where times are added up.
ROUNDING = 1e-6
BY, COMPLETIONS = "awm", "completions"


class Known:
    """What the log says of earlier decisions and of what the user decided; a fold."""

    def __init__(self) -> None:
        self.seq = self.completed = self.failures = 0
        self.decided: list[WorkflowDecided] = []
        self.changed = (0.0, 0)  # when the AWM changed something last, and after how many completions
        self.looked_at = 0
        self.kept: set[str] = set()
        self.off: dict[str, AgentSpec] = {}
        self.stirred = ""  # why the workflow is to be looked at now
        self._specs: dict[str, AgentSpec] = {}
        self._asked: dict[int, tuple[Command, str]] = {}

    def take(self, event: Event) -> None:
        """Take in one event."""
        self.seq += 1
        match event:
            case events.RunStarted(agents=agents):
                self._specs.update((spec.id, spec) for spec in agents)
            case events.AgentHired(agent=spec):
                self._specs[spec.id] = spec
            case events.TaskDone():
                self.completed += 1
                self.failures = max(0, self.failures - 1)
            case events.TaskFailed():
                self.failures += 2
                if self.failures >= 2 * BURST:
                    self.stirred, self.failures = "a burst of failures", 0
            case events.CommandSubmitted(id=id, command=command, by=by):
                self._asked[id] = command, by
            case events.CommandApplied(id=id) if id in self._asked:
                self._command(*self._asked.pop(id))
            case events.CommandRejected(id=id):
                self._asked.pop(id, None)
            case events.DeltaSubmitted(by=by) if by not in ("plan", "planner", BY):
                self.stirred = f"an edit by {by}"
            case WorkflowDecided():
                self.decided.append(event)
                self.looked(event)
                if event.verdict == "applied":
                    self.changed = event.t, self.completed

    def looked(self, decided: WorkflowDecided) -> None:
        """The workflow was looked at."""
        self.stirred = ""
        if decided.verdict == "applied" or decided.why.endswith(COMPLETIONS):
            self.looked_at = self.completed

    def proposals(self) -> list[WorkflowDecided]:
        """What was proposed and not accepted yet; only the last, since it is about how the run stands."""
        last = self.decided[-1:] if self.decided else []
        return [one for one in last if one.verdict == "proposed"]

    def _command(self, command: Command, by: str) -> None:
        if isinstance(command, SetAgent):
            spec, old = command.agent, self._specs.get(command.agent.id)
            self.off.pop(spec.id, None)
            if by != BY:
                self.kept.add(spec.id)
            elif old and not spec.slots:
                self.off[spec.id] = old
                return
            self._specs[spec.id] = spec
        elif isinstance(command, Configure) and by != BY:
            self.kept.update(name for name in command.changes if name not in ("awm", "budget"))
            self.stirred = f"settings changed by {by}"


class Manager:
    """The AWM of one run. `run` is to be driven on the engine's loop; `look` is called after every turn."""

    def __init__(self, engine: Engine, monitor: Monitor | None = None) -> None:
        self.engine = engine
        self.monitor = monitor or Monitor()
        self.known = Known()
        self._due = ""
        self._number = 0
        self._resources: dict[str, float] = {}  # R(t) of Eq. 19
        self._overdue: list[tuple[float, float, TaskId, int]] = []  # when, after how long, task, attempt
        self._call = anyio.Event()
        self._alarm: anyio.CancelScope | None = None

    def look(self) -> None:
        """See whether it is time to look at the workflow."""
        machine = self.engine.machine
        if machine.settings.awm.mode == "off" or self._due:
            return
        self._catch_up()
        if machine.ended or machine.paused or machine.planning or not machine.ledger.open:
            return
        if why := self._decision_point():
            self._due = why
            self._call.set()
        elif self._alarm:
            known = self._overdue and self.monitor.completed >= LEARNED
            due = max(self._overdue[0][0], self._quiet_until()) - self.engine.now() if known else math.inf
            self._alarm.deadline = anyio.current_time() + max(0.0, due)

    def _catch_up(self) -> None:
        log_, machine = self.engine.machine.log, self.engine.machine
        expected = Expected(self.monitor.estimates)
        for event in log_[self.known.seq :]:
            self.known.take(event)
            if isinstance(event, TaskDispatched) and (task := machine.graph.tasks.get(event.task)):
                usual, _ = expected(task, event.attempt, event.agent)
                heappush(self._overdue, (event.t + LATE * usual, LATE * usual, task.id, event.attempt))
        self.monitor.catch_up(log_)
        while self._overdue and not self._runs(*self._overdue[0][2:]):
            heappop(self._overdue)

    def _runs(self, id: TaskId, attempt: int) -> bool:
        record = self.engine.machine.records.get(id)
        return record is not None and record.state is RUNNING and record.attempt == attempt

    def _decision_point(self) -> str:
        known, aim = self.known, self.engine.machine.settings.awm
        t = self.engine.now() + ROUNDING
        if t < self._quiet_until():
            return ""
        late = ""
        while self._overdue and self._overdue[0][0] <= t and known.completed >= LEARNED:
            due, usual, id, attempt = heappop(self._overdue)
            heappush(self._overdue, (due + usual / 2, 1.5 * usual, id, attempt))
            late = f"{id} takes long" if self._runs(id, attempt) else late
        if known.stirred or late:
            return known.stirred or late
        since = known.completed - known.looked_at
        return f"{since} {COMPLETIONS}" if since >= (aim.every or self._slots()) else ""

    def _slots(self) -> int:
        return sum(agent.spec.slots for agent in self.engine.machine.pool) or 1

    def _quiet_until(self) -> float:
        (t, completed), cooldown = self.known.changed, self.engine.machine.settings.awm.cooldown
        return t + (cooldown or self._slots()) * t / max(1, completed)

    async def run(self) -> None:
        """Decide whenever it is time to; ends when cancelled."""
        looking = False  # not before the engine has taken in how the run goes on
        while True:
            with anyio.CancelScope() as self._alarm:
                if looking:
                    self.look()
                await self._call.wait()
            looking = bool(self._due)
            if not looking:  # something is overdue: seen to after all else that happens at this moment
                self.engine.post(events.Woke(self.engine.now(), ""))
                continue
            try:
                await self.decide(self._due)
            except Exception:  # a manager that breaks down leaves the run as it is
                log.exception("the AWM failed to look at run %s", self.engine.machine.run)
                self.known.looked_at, self.known.stirred = self.known.completed, ""
            self._due, self._call = "", anyio.Event()

    async def decide(self, why: str, *, make: bool | None = None) -> WorkflowDecided | None:
        """Look at the workflow now; `make` what is best, or only propose it (None: as the mode says)."""
        self._catch_up()
        machine, t, known = self.engine.machine, self.engine.now(), self.known
        aim, base, seq = machine.settings.awm, twin_of(machine), len(machine.log)
        await anyio.lowlevel.checkpoint()
        estimates, running = self.monitor.estimates, under_way(base, t)
        expected = Expected(estimates, 0, running)
        keep = frozenset({*aim.keep, *known.kept})
        allotment = allot(base, expected, t, self._resources, keep=keep)
        self._resources = allotment.resources
        off = tuple(known.off.values())
        scope = Scope(keep=keep, off=off, most_agents=aim.most_agents, shared=allotment.agents)
        candidates = generate_candidates(base, expected, t, scope)
        judged, place, reason = await sliced(Optimiser(base, estimates, t, aim).optimise(candidates))
        if machine.ended:
            return None
        best, gain = judged[place], judged[0].score - judged[place].score
        if place and self._undoes(best) and gain < 2 * aim.least_gain * judged[0].score:
            place, reason = 0, f"{best.name} takes back what was changed, and would have to gain more"
        self._catch_up()
        if place and (meanwhile := (known.kept - keep) & _touched(best)):
            place, reason = 0, f"{best.name} would touch {min(meanwhile)}, which the user set meanwhile"
        make = aim.mode == "auto" if make is None else make
        verdict: Verdict = "kept" if not place else "applied" if make else "proposed"
        self._number = number = max(self._number, *(one.number for one in known.decided[-1:]), 0) + 1
        decided = WorkflowDecided(self.engine.now(), number, why, tuple(judged), place, verdict, reason, seq)
        self.engine.post(decided)
        known.looked(decided)  # the event will say so too, some turns from now
        if make and aim.share_tokens and "token_shares" not in keep:
            self._share(allotment.token_shares)
        if verdict == "applied":
            for answer in [self.engine.hand_in(command, by=BY) for command in commands(best, machine)]:
                await answer
        return decided

    def _share(self, shares: dict[str, float]) -> None:
        old = self.engine.machine.settings.token_shares
        if any(abs(share - old.get(agent, 0.0)) > TELLING * share for agent, share in shares.items()):
            self.engine.hand_in(Configure(changes={"token_shares": shares}), by=BY)

    async def accept(self, number: int | None = None) -> list[Outcome]:
        """Make what was proposed last, or as `number`; raises `InvalidInput` when nothing was."""
        self._catch_up()
        open_ = {one.number: one for one in self.known.proposals()}
        if not open_ or (number is not None and number not in open_):
            have = f"there are {', '.join(map(str, open_))}" if open_ else "there is none"
            raise InvalidInput(f"There is no open proposal{'' if number is None else f' {number}'}; {have}.")
        chosen = open_[max(open_) if number is None else number]
        t = self.engine.now()
        self.engine.post(replace(chosen, t=t, verdict="applied", why="accepted by the user"))
        changes = commands(chosen.candidates[chosen.chosen], self.engine.machine)
        made = [self.engine.hand_in(command, by=BY) for command in changes]
        return [await one for one in made]

    def _undoes(self, best: Candidate) -> bool:
        """Whether a candidate takes back an agent or a rule that was changed before."""
        return any(spec.id in self.known.off for spec in best.agents) or (
            set(best.settings) <= {"policy", "routing"}
            and bool(best.settings)
            and "routing_table" not in best.settings
        )


def _touched(candidate: Candidate) -> frozenset[str]:
    """What a candidate changes, by the names that `Scope.keep` knows."""
    return frozenset({*candidate.settings, *(spec.id for spec in candidate.agents)})


async def sliced(work: Generator[None, None, T]) -> T:
    """Do `work` to its end, a slice at a time; under a virtual clock no time passes."""
    until = time.perf_counter() + SLICE
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        if time.perf_counter() > until:
            await anyio.lowlevel.checkpoint()
            until = time.perf_counter() + SLICE
