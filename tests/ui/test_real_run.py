"""Panel, bridge and inbox on a real run, with the threads they have in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import ipywidgets

from dyntaskmas_nb import Kit
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.ui.panel import Panel
from tests.ui.fakes import buttons, fields


def after(act: Callable[[], object], widget: Any, *texts: str) -> None:
    """Do something and wait until a widget says one of `texts`."""
    said = Event()

    def look(change: Any) -> None:
        if any(text in change["new"] for text in texts):
            said.set()

    widget.observe(look, names="value")
    act()
    assert said.wait(60), widget.value
    widget.unobserve(look, names="value")


def test_a_real_run_is_edited_stepped_and_followed_to_its_end() -> None:
    with Kit(home=None, agents={"general": lambda task, context: task.id}) as kit:
        plan = {"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]}
        run = kit.start(plan, clock="virtual", paused=True)
        panel = Panel(run)
        press, face = buttons(panel), panel.face
        fields(panel, ipywidgets.Text)[0].value = "Check visa"
        after(press["Add the task"].click, face.edit_note, "✓")
        after(press["Undo"].click, face.note, "✓")
        fields(panel, ipywidgets.Text)[0].value = "Pack"
        after(press["Add the task"].click, face.edit_note, "added")
        after(press["Step"].click, face.note, "started")
        after(press["Pause"].click, face.note, "✓ <bdi>paused", "refused")
        after(press["Resume"].click, face.note, "✓ <bdi>resumed")
        after(run.result, face.head, "done · 3 of 3 done")
        assert panel._mirror.rows.keys() == run.graph.tasks.keys()
        assert {row.state for row in panel._mirror.rows.values()} == {TaskState.DONE}
        assert face.errors.value == ""
        panel.close()
