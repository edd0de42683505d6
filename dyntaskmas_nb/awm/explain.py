"""What the AWM decided and why: every look at the workflow, its candidates, and what came of it (Alg. 4).

The gain of a decision is what the run would have taken without it, by the forecast made then, less what it
takes with it: predicted by the chosen candidate's forecast, realised by the run's end (while it runs, by the
present forecast). What happened in between, later decisions and edits included, counts as realised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dyntaskmas_nb.core.event import Candidate, Event, WorkflowDecided
from dyntaskmas_nb.view.words import count, duration, fit, markup, printable, tag

#: Decisions that are shown; `records` has all.
ROWS = 50


@dataclass(frozen=True, slots=True, repr=False)
class Decision:
    """One look at the workflow.

    Attributes
    ----------
    event : what was compared, and what was chosen.
    end : seconds from the run's start to its end, or to where it is expected now.
    """

    event: WorkflowDecided
    end: float

    @property
    def chosen(self) -> Candidate:
        """The best candidate; the first, the configuration as it was, when nothing was changed."""
        return self.event.candidates[self.event.chosen]

    @property
    def predicted(self) -> float:
        """Seconds that the change was expected to save."""
        return self.event.candidates[0].makespan - self.chosen.makespan

    @property
    def realised(self) -> float | None:
        """Seconds saved against the forecast without the change; None when nothing was changed."""
        return self.event.candidates[0].makespan - self.end if self.event.verdict == "applied" else None

    def __repr__(self) -> str:
        event = self.event
        when = f"{event.number}. at {duration(round(event.t, 3))}, {event.why}"
        head = f"{when}: {event.verdict}. {event.reason}"
        lines = [printable(head, 300)]
        names = [fit(printable(one.name, 200), 60).rstrip() for one in event.candidates]
        width = max(map(len, names))
        for place, one in enumerate(event.candidates):
            mark = "▶" if place == event.chosen else " "
            spread = f" ± {one.risk:.3g}" if one.seeds > 1 else ""
            cost = f", cost {one.cost:.4g}" if one.cost else ""
            text = f"  {mark} {names[place]:<{width}}  f = {one.score:8.4g}  "
            lines.append(f"{text}ends at {one.makespan:.4g} s{spread}{cost}; {count(one.seeds, 'future')}")
        if self.realised is not None:
            lines.append(f"    predicted to save {self.predicted:.3g} s, saved {self.realised:.3g} s")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, repr=False)
class WorkflowExplanation:
    """Every decision of a run, oldest first."""

    decisions: tuple[Decision, ...]

    @property
    def records(self) -> list[dict[str, Any]]:
        """A flat dict for each candidate of each decision, for `pandas.DataFrame`."""
        return [
            {
                "number": one.event.number,
                "t": one.event.t,
                "why": one.event.why,
                "verdict": one.event.verdict,
                "candidate": candidate.name,
                "chosen": place == one.event.chosen,
                "score": candidate.score,
                "makespan": candidate.makespan,
                "risk": candidate.risk,
                "cost": candidate.cost,
                "futures": candidate.seeds,
                "predicted": one.predicted,
                "realised": one.realised,
            }
            for one in self.decisions
            for place, candidate in enumerate(one.event.candidates)
        ]

    def __repr__(self) -> str:
        if not self.decisions:
            return "The AWM has not looked at this run. Start it with awm='advise' or awm='auto'."
        shown = self.decisions[-ROWS:]
        more = len(self.decisions) - len(shown)
        left = [f"{more:,} earlier ones are in .decisions"] if more else []
        return "\n".join([*left, *map(repr, shown)])

    def _repr_html_(self) -> str:
        names = ("", "at", "why", "what was found", "predicted, s", "realised, s", "tried: f")
        head = tag("tr", *(tag("th", name, scope="col") for name in names))
        return tag("table", head, *map(_row, self.decisions[-ROWS:]))


def _row(one: Decision) -> str:
    event, realised = one.event, one.realised
    changed = event.chosen > 0
    cells = (
        str(event.number),
        duration(round(event.t, 3)),
        event.why,
        f"{event.verdict}: {event.reason}",
        f"{one.predicted:.3g}" if changed else "",
        "" if realised is None else f"{realised:.3g}",
        "; ".join(
            f"{fit(candidate.name, 60).rstrip()}: {candidate.score:.4g}" for candidate in event.candidates
        ),
    )
    return tag("tr", *(tag("td", markup(cell, 700)) for cell in cells))


def explain_workflow(log: Iterable[Event], end: float) -> WorkflowExplanation:
    """The decisions in `log`, of a run that ends, or is expected to end, at `end` seconds."""
    found: dict[int, WorkflowDecided] = {}
    for event in log:
        if isinstance(event, WorkflowDecided):
            found[event.number] = event  # one that was accepted comes again
    return WorkflowExplanation(tuple(Decision(event, end) for event in found.values()))
