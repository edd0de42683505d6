"""Steering a run: pause, step, breakpoints, cancel, retry, approve. Each call returns a `Receipt`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.priority import POLICIES
from dyntaskmas_nb.core import command as commands
from dyntaskmas_nb.core.event import CommandApplied, TaskDispatched, TaskDone, TaskFailed
from dyntaskmas_nb.core.settings import ANY_ROLE, AgentSpec
from dyntaskmas_nb.core.task import MAX_TEXT, TaskId, check_text, shown
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.access import Access
from dyntaskmas_nb.kit.playing import Player
from dyntaskmas_nb.kit.receipt import Receipt, receipt_of

#: Virtual seconds a real second, at most.
FASTEST = 1e9


class Steering(Access):
    """The commands a run takes."""

    _player: Player | None = None

    def pause(self, *, hard: bool = False) -> Receipt:
        """Start nothing new; what runs may finish, or is stopped and queued again (`hard`)."""
        return self._command(commands.Pause(hard=hard), "stopped what ran and paused" if hard else "paused")

    def resume(self) -> Receipt:
        """Start tasks again."""
        return self._command(commands.Resume(), "resumed")

    def step(self, until: Literal["dispatch", "completion"] = "dispatch") -> Receipt:
        """Start the one task that is next, or go on until a task ends; wait for that, paused again."""
        receipt = self._command(commands.StepOnce(until=until), "step")
        if not receipt:
            return receipt
        machine = self._machine
        self._wait(lambda: not (machine.credits if until == "dispatch" else machine.to_completion))
        if machine.stopped_at:
            return self._standing()
        for event in reversed(machine.log):
            if isinstance(event, TaskDispatched) and until == "dispatch":
                return Receipt(what=f"started {event.task!r} on {event.agent!r}", id=event.task)
            if isinstance(event, TaskDone | TaskFailed) and until == "completion":
                how = "done" if isinstance(event, TaskDone) else f"failed: {event.error}"
                return Receipt(what=f"{event.task!r} is {how}", id=event.task)
            if isinstance(event, CommandApplied):
                break
        return Receipt(what=f"nothing left to start, the run is {machine.status}")

    def run_until(self, point: float | TaskId | None = None) -> Receipt:
        """Go on until `point`, a breakpoint or the run's end.

        Parameters
        ----------
        point : a task's id, to pause once it has ended; seconds since the start (virtual clock); None
            for the next breakpoint, pause or the end.
        """
        if point is not None and not isinstance(point, str):
            return self._run_until_time(point)
        if point and not (
            receipt := self._command(commands.Break(id=point, when="after", once=True), f"until {point!r}")
        ):
            return receipt
        if receipt := self._command(commands.Resume(), "went on"):
            self._wait(lambda: self._machine.paused)
        if point and (point, "after") in self._machine.dispatcher.breakpoints:
            self._command(commands.Break(id=point, when="after", on=False), "")
        return self._standing() if receipt else receipt

    def _run_until_time(self, point: float) -> Receipt:
        clock = self._background.clock
        if not isinstance(clock, VirtualClock):
            raise InvalidInput("Only the virtual clock can be moved; start the run with clock='virtual'.")
        if isinstance(point, bool) or not isinstance(point, int | float) or not math.isfinite(point):
            raise InvalidInput(f"run_until takes a task id or seconds, not {point!r}.")
        if point < (now := self.snapshot().t):
            return Receipt(what=f"until {point:g} s", accepted=False, reason=f"It is {now:g} s already.")
        before = self._machine.stopped_at

        async def advance() -> None:
            with clock.move():
                self._engine.nudge()
                await self._engine.sleep_until(point, lambda: self._machine.stopped_at not in ("", before))

        self._background.call(advance)
        return self._standing()

    def play(self, speed: float = 1.0) -> Receipt:
        """Let virtual time pass, `speed` seconds of it a second, until the end, a pause or a breakpoint.

        Returns at once; while it plays, another call changes the speed. A paused run is resumed. The log is
        the same as if time had jumped. Raises `InvalidInput` under the real clock.
        """
        clock = self._background.clock
        if not isinstance(clock, VirtualClock):
            raise InvalidInput("Real time passes by itself; call resume() to let a paused run go on.")
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 < speed <= FASTEST:
            raise InvalidInput(f"play takes virtual seconds a second, above 0, not {shown(speed)}.")
        what = f"playing, {speed:g} s of virtual time a second"
        if self.over:
            return Receipt(what=what, accepted=False, reason=f"The run has ended ({self.status}).")
        if self._machine.paused and not (receipt := self._command(commands.Resume(), "resumed")):
            return receipt

        def begin() -> bool:
            self._player = self._player or Player(self._engine, clock)
            return self._player.set(speed)

        if self._background.call(begin):
            assert self._player
            self._background.spawn(self._player.play)
        return Receipt(what=what)

    @property
    def playing(self) -> float:
        """Virtual seconds that pass a second; 0 while it does not play."""
        player, stands = self._player, self._machine.paused or self.over
        return player.speed if player and player.going and not stands else 0.0

    def _standing(self) -> Receipt:
        """Where the run stands now."""
        now = self.snapshot()
        if self._machine.stopped_at and now.status == "paused":
            return Receipt(what=f"stopped at the breakpoint {self._machine.stopped_at}, at {now.t:g} s")
        return Receipt(what=f"now at {now.t:g} s, {now.status}")

    def break_at(
        self, id: TaskId, when: Literal["before", "after"] = "before", *, on: bool = True
    ) -> Receipt:
        """Pause the run whenever task `id` is about to start, or has ended; `on=False` ends that."""
        return self._command(
            commands.Break(id=id, when=when, on=on), f"breakpoint {when} {id!r} {'set' if on else 'gone'}"
        )

    def cancel(self, id: TaskId | None = None) -> Receipt:
        """Stop task `id`, or the run. What waits for the task is blocked, where its join rule says so."""
        if id is None:
            return self._command(commands.CancelRun(), "cancelled the run")
        return self._command(commands.CancelTask(id=id), f"cancelled {id!r}")

    def retry(self, id: TaskId) -> Receipt:
        """Run a task again now, whatever became of it; what used its result runs again if that is another."""
        return self._command(commands.RetryTask(id=id), f"{id!r} is to run again")

    def approve(self, id: TaskId) -> Receipt:
        """Let a task that waits for approval, or for a decision, go on."""
        return self._command(commands.Approve(id=id), f"approved {id!r}")

    def reject(self, id: TaskId, why: str = "") -> Receipt:
        """Refuse a task that waits for approval, or for a decision: it has failed."""
        return self._command(commands.Reject(id=id, why=why), f"rejected {id!r}")

    def inject(self, id: TaskId, text: str) -> Receipt:
        """Give the agent that works on `id` a piece of context; Python functions read `context.given`."""
        check_text(text, "The context", MAX_TEXT, empty=False)
        graph = self._machine.graph
        if id in graph and not self._parts.behaviours.accepts(graph[id].role):
            reason = f"The model that works on {id!r} takes no context in mid-answer; cancel and retry it."
            return Receipt(what=f"context for {id!r}", accepted=False, reason=reason)
        return self._command(commands.Inject(id=id, text=text), f"gave {id!r} context")

    def configure(self, **settings: Any) -> Receipt:
        """Change settings of the run, such as policy, agents_per_role, retry_delay, routing or budget."""
        if not settings or callable(settings.get("policy")):
            raise InvalidInput(
                "Name settings to change, such as policy='fifo'; a rule of your own is given at the start."
            )
        what = ", ".join(f"{name} = {value!r}" for name, value in settings.items())
        return self._command(commands.Configure(changes=settings), f"set {what}")

    def set_agent(
        self, id: str, *, slots: int = 1, roles: Sequence[str] = (ANY_ROLE,), access: int = 0
    ) -> Receipt:
        """Let an agent join, or change one: with no slots it finishes what it works on and takes no more."""
        spec = AgentSpec(id=id, roles=tuple(roles), slots=slots, access=access)
        return self._command(commands.SetAgent(agent=spec), f"set agent {id!r} to {slots} slots")

    def policies(self) -> tuple[str, ...]:
        """The priority policies that `configure(policy=…)` takes; your own is "custom"."""
        own = self._machine._custom
        return POLICIES if own is None else (*POLICIES, own.name)

    def _command(self, command: commands.Command, what: str) -> Receipt:
        return receipt_of(what, self._submit(command))
