"""A run of which thousands of events a second are told: the panel keeps up, and ends where the run is."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.browser.lab import Notebook, Open
from tests.browser.panel import eventually, expect
from tests.browser.stories import FLOOD, HEARD
from tests.browser.test_trouble import states

#: Events a second at least, and bytes by which the page may have grown after them.
RATE, GROWTH = 2_000, 20_000_000


@pytest.mark.parametrize("seconds", [2, pytest.param(10, marks=pytest.mark.torture)])
def test_a_flood_of_events_leaves_the_true_state(open_notebook: Open, seconds: int) -> None:
    notebook = open_notebook(FLOOD, HEARD, f"rate = flood({seconds})")
    notebook.run_cell(0)
    panel = notebook.panel
    panel.open_tab("table")
    expect(panel.field("t59")).to_contain_text("done")
    before = memory(notebook)
    notebook.run_cell(1)
    notebook.run_cell(2)
    assert notebook.value("rate") > RATE

    notebook.evaluate_in_kernel("run.approve('end'); run.result()")
    expect(panel.standing).to_contain_text("done 61 of 61")
    eventually(notebook.page, lambda: states(panel), notebook.value("run.states()"))
    applied = "[one['args']['seq'] for one in heard if one['command'] == 'applied']"
    last = "run._panel._publisher._seq"  # asked each time: figures may follow the last state
    seen = eventually(
        notebook.page, lambda: notebook.value(applied), lambda seen: seen[-1:] == [notebook.value(last)]
    )
    joined = notebook.value("sum(one['command'] == 'join' for one in heard)")
    assert sum(after != number + 1 for number, after in pairwise(seen)) <= joined
    assert 2 * seconds <= len(seen) <= 12 * seconds + 20  # ten messages a second at most
    assert memory(notebook) - before < GROWTH


def memory(notebook: Notebook) -> int:
    """Bytes that the page's scripts hold after a collection."""
    notebook.page.context.new_cdp_session(notebook.page).send("HeapProfiler.collectGarbage")
    return int(notebook.page.evaluate("performance.memory.usedJSHeapSize"))
