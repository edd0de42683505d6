"""The AWM as its user meets it: proposals, accepting one, a look at once, and why (§III-D, Alg. 4)."""

from __future__ import annotations

from functools import partial

from dyntaskmas_nb.awm.explain import Decision, WorkflowExplanation, explain_workflow
from dyntaskmas_nb.core.event import CommandRejected, WorkflowDecided
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.insight import Insight
from dyntaskmas_nb.kit.receipt import Receipt


class Adapting(Insight):
    """What a run says and takes of its workflow manager; its mode is the setting `awm`."""

    def proposals(self) -> list[Decision]:
        """What the AWM proposes and nobody has accepted yet."""
        last = () if self.over else self.explain_workflow().decisions[-1:]
        return [one for one in last if one.event.verdict == "proposed"]

    def accept(self, number: int | None = None) -> Receipt:
        """Make the AWM's last proposal, or the one called `number`; it changes settings and agents only.

        Raises `InvalidInput` when there is no such proposal.
        """
        if self.over:
            raise InvalidInput("The run has ended; there is nothing left to adapt.")
        outcomes = self._background.call(partial(self._manager.accept, number))
        refused = [one.reason for one in outcomes if isinstance(one, CommandRejected)]
        decisions = self.explain_workflow().decisions  # it may have looked again meanwhile
        last = [one for one in decisions if one.event.why == "accepted by the user"][-1]
        what = f"accepted proposal {last.event.number}: {last.chosen.name}"
        return Receipt(what=what, accepted=not refused, reason=" ".join(refused))

    def look_at_workflow(self, *, make: bool = False) -> Decision:
        """Have the AWM compare configurations now, in whatever mode it is; `make` the best one at once."""
        if self.over:
            raise InvalidInput("The run has ended; there is nothing left to adapt.")
        decided = self._background.call(partial(self._manager.decide, "asked by the user", make=make))
        if decided is None:
            raise InvalidInput("The run ended before anything could be compared.")
        return Decision(decided, self._read(lambda: self._preview(None).before.makespan))

    def explain_workflow(self) -> WorkflowExplanation:
        """Every decision of the AWM: when, why, what was tried, and what it brought."""

        def look() -> WorkflowExplanation:
            machine = self._machine
            decided = any(isinstance(event, WorkflowDecided) for event in machine.log)
            going = decided and not machine.ended
            end = self._preview(None).before.makespan if going else machine.log[-1].t
            return explain_workflow(machine.log, end)

        return self._read(look)
