"""How a state looks: by colour *and* shape *and* text, so that no one needs to see all three.

Every colour has a contrast of at least 3:1 (WCAG 1.4.11, graphics) on white and on a dark page, so one
palette serves both themes. Hues follow Okabe and Ito's colour-blind-safe set, moved into that band.

References
----------
M. Okabe, K. Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from dyntaskmas_nb.core.task import TaskState

#: vis-network's shapes with the label outside; all but the last are drawn in SVG as well.
Shape = Literal["dot", "triangle", "star", "square", "triangleDown", "diamond", "hexagon"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One state's colour, vis.js shape and text mark; `hollow` leaves the shape unfilled and dashed."""

    colour: str
    shape: Shape
    mark: str
    hollow: bool = False


LOOKS = MappingProxyType(
    {
        TaskState.PENDING: Look(colour="#7f8792", shape="dot", mark="○"),
        TaskState.READY: Look(colour="#2b8cd6", shape="triangle", mark="△"),
        TaskState.RUNNING: Look(colour="#d97f00", shape="star", mark="▶"),
        TaskState.DONE: Look(colour="#0c8f6b", shape="square", mark="✓"),
        TaskState.FAILED: Look(colour="#d5461e", shape="triangleDown", mark="✗"),
        TaskState.SKIPPED: Look(colour="#9a7fc4", shape="dot", mark="↷", hollow=True),
        TaskState.CANCELLED: Look(colour="#94704a", shape="diamond", mark="⊘"),
        TaskState.BLOCKED: Look(colour="#c2588f", shape="hexagon", mark="‖"),
    }
)

#: Colour and mark of an attempt on the timeline, by `Entry.outcome`.
OUTCOMES = MappingProxyType(
    {
        "done": (LOOKS[TaskState.DONE].colour, "✓"),
        "running": (LOOKS[TaskState.RUNNING].colour, "▶"),
        "failed": (LOOKS[TaskState.FAILED].colour, "✗"),
        "stopped": (LOOKS[TaskState.CANCELLED].colour, "⊘"),
    }
)
_OTHER_OUTCOME = (LOOKS[TaskState.PENDING].colour, "?")

#: Dependencies; and the critical path, which takes the ink of the page: no state has that colour. Faces that
#: know the page's theme put its ink in where `critical` is set.
EDGE, CRITICAL = "#8a929d", "#1c2126"

AGENT_COLOURS = ("#3c7fb1", "#b0652f", "#2f9c95", "#8f6fbf", "#5b8c2a", "#c75d83", "#b58900", "#768390")


def state_text(state: TaskState) -> str:
    """The state in words with its mark in front: ``✓ done``."""
    return f"{LOOKS[state].mark} {state.value}"


def outcome_look(outcome: str) -> tuple[str, str]:
    """Colour and mark of an attempt's outcome; an unknown one is grey with a question mark."""
    return OUTCOMES.get(outcome, _OTHER_OUTCOME)


def agent_colour(position: int) -> str:
    """The colour of the agent at `position` in the pool; colours come round again after eight."""
    return AGENT_COLOURS[position % len(AGENT_COLOURS)]
