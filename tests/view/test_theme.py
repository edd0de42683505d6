from __future__ import annotations

import pytest

from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.view.theme import AGENT_COLOURS, EDGE, LOOKS, agent_colour, outcome_look


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [*(look.colour for look in LOOKS.values()), *AGENT_COLOURS, EDGE])
def test_colours_stand_out_on_light_and_dark(colour: str) -> None:
    light, dark, own = luminance("#ffffff"), luminance("#14181c"), luminance(colour)
    assert (light + 0.05) / (own + 0.05) >= 3
    assert (own + 0.05) / (dark + 0.05) >= 3


def test_each_state_has_its_own_colour_form_and_mark() -> None:
    assert set(LOOKS) == set(TaskState)
    assert len({look.colour for look in LOOKS.values()}) == len(TaskState)
    assert len({(look.shape, look.hollow) for look in LOOKS.values()}) == len(TaskState)
    assert len({look.mark for look in LOOKS.values()}) == len(TaskState)


def test_agents_beyond_the_palette_and_unknown_outcomes_are_drawn() -> None:
    assert agent_colour(len(AGENT_COLOURS)) == agent_colour(0)
    assert outcome_look("never heard of")[1] == "?"
