"""How a state looks: by colour *and* shape *and* text, so that no one needs to see all three.

Every colour has a contrast of at least 3:1 (WCAG 1.4.11, graphics) on white and on a dark page, so one
palette serves both themes. Hues follow Okabe and Ito's colour-blind-safe set ("Color Universal Design",
2008), moved into that band.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from dyntaskmas_nb.core.task import TaskState


@dataclass(frozen=True, slots=True)
class Look:
    """A state's colour, mark and shape (a dot, or `corners` from `turn`° on); `hollow` ones are dashed."""

    colour: str
    mark: str
    shape: str
    corners: int = 0
    turn: int = 0
    hollow: bool = False


LOOKS = MappingProxyType(
    {
        TaskState.PENDING: Look("#7f8792", "○", "dot"),
        TaskState.READY: Look("#2b8cd6", "△", "triangle", 3, -90),
        TaskState.RUNNING: Look("#d97f00", "▶", "star", 10, -90),
        TaskState.DONE: Look("#0c8f6b", "✓", "square", 4, 45),
        TaskState.FAILED: Look("#d5461e", "✗", "triangleDown", 3, 90),
        TaskState.SKIPPED: Look("#9a7fc4", "↷", "dot", hollow=True),
        TaskState.CANCELLED: Look("#94704a", "⊘", "diamond", 4, -90),
        TaskState.BLOCKED: Look("#c2588f", "‖", "hexagon", 6),
    }
)

#: Dependencies; and the critical path, which takes the ink of the page: no state has that colour. Faces that
#: know the page's theme put its ink in where `critical` is set.
EDGE, CRITICAL = "#8a929d", "#1c2126"


def state_text(state: TaskState) -> str:
    """The state in words with its mark in front: ``✓ done``."""
    return f"{LOOKS[state].mark} {state.value}"


def outcome_look(outcome: str) -> Look:
    """How an attempt looks on the timeline, by `Entry.outcome`: like the state of the same name."""
    return LOOKS[TaskState.CANCELLED if outcome == "stopped" else TaskState(outcome)]
