"""The story of the panel from end to end: what a user does with a run in JupyterLab, told in one go."""

from __future__ import annotations

import re

from tests.browser.lab import Notebook, Open
from tests.browser.panel import Panel, eventually, expect
from tests.browser.stories import KNOWN, TRAVEL


def test_a_run_is_paused_stepped_edited_and_brought_to_its_end(open_notebook: Open) -> None:
    notebook = open_notebook(TRAVEL, KNOWN)
    notebook.page.set_viewport_size({"width": 1500, "height": 1300})
    notebook.run_all()
    panel = notebook.panel
    panel.press("pause")
    expect(panel.status).to_contain_text("✓ paused")
    expect(panel.button("pause")).to_be_disabled()
    notebook.evaluate_in_kernel("go.set()")
    panel.open_tab("table")
    expect(panel.field("wishes")).to_contain_text("done")

    for task in ("flights", "hotels"):  # by priority: the longer way to the end comes first
        panel.press("step")
        expect(panel.status).to_contain_text(f"✓ started '{task}'")
        expect(panel.field(task)).to_contain_text("done")
    assert {id for id, state in notebook.value("run.states()").items() if state == "done"} == {
        *("wishes", "flights", "hotels")
    }
    shows_what_the_kernel_knows(notebook, panel)

    add_visa_by_the_form(notebook, panel)
    draw_a_dependency(notebook, panel)
    undo_and_redo(notebook, panel)
    stop_at_breakpoints(notebook, panel)

    expect(panel.standing).to_contain_text("done 7 of 7")
    assert "visa" in notebook.value("run.result()")
    assert notebook.value("list(run.graph.after('budget'))") == ["flights", "hotels", "visa"]
    shows_what_the_kernel_knows(notebook, panel)
    mirrors_what_was_done(notebook, panel)


def shows_what_the_kernel_knows(notebook: Notebook, panel: Panel) -> None:
    """State, priority and slack of every task, as the panel writes them and as the kernel has them."""
    panel.open_tab("table")

    def shown() -> dict[str, list[str]]:
        table = panel.table()
        return {id: [row["state"].split()[1], row["priority"], row["slack"]] for id, row in table.items()}

    eventually(notebook.page, shown, notebook.value("known(run)"))


def add_visa_by_the_form(notebook: Notebook, panel: Panel) -> None:
    form = panel.open_form("Add a task")
    form.get_by_label("What to do", exact=True).fill("Check the visa rules")
    form.get_by_label("Name", exact=True).fill("visa")
    form.get_by_label("Complexity", exact=True).fill("2")
    form.get_by_label("Before", exact=True).select_option("itinerary")
    form.locator('[data-press="apply"]').click()
    expect(form.get_by_role("status")).to_contain_text("✓ added 'visa' before itinerary")
    expect(panel.field("visa")).to_contain_text("ready")
    assert notebook.value("list(run.graph.after('itinerary'))") == ["sights", "budget", "visa"]
    assert notebook.value("run.graph['visa'].complexity") == 2.0


def draw_a_dependency(notebook: Notebook, panel: Panel) -> None:
    tool = panel.part("tool", "connect")
    tool.click()
    expect(tool).to_have_attribute("aria-pressed", "true")
    panel.drag(panel.spot("visa"), panel.spot("budget"))
    expect(panel.proposed).to_contain_text("Would be")
    gain = notebook.value("run.what_if.add_dependency('visa', 'budget').gain")
    assert gain < 0
    later = notebook.evaluate_in_kernel(f"print(duration({-gain!r}))").strip()
    expect(panel.proposed).to_contain_text(f"({later} later)", use_inner_text=True)
    assert "visa" not in notebook.value("list(run.graph.after('budget'))")
    panel.part("proposal", "apply").click()
    expect(panel.status).to_contain_text("✓ 'budget' now waits for 'visa'")
    expect(panel.proposed).to_be_hidden()
    assert "visa" in notebook.value("list(run.graph.after('budget'))")


def undo_and_redo(notebook: Notebook, panel: Panel) -> None:
    panel.press("undo")
    expect(panel.status).to_contain_text("✓ undone")
    expect(panel.field("budget", "after")).to_have_text("flights, hotels")
    assert "visa" not in notebook.value("list(run.graph.after('budget'))")
    panel.press("redo")
    expect(panel.status).to_contain_text("✓ done again")
    expect(panel.field("budget", "after")).to_have_text("flights, hotels, visa")
    shows_what_the_kernel_knows(notebook, panel)


def stop_at_breakpoints(notebook: Notebook, panel: Panel) -> None:
    notebook.page.mouse.click(*panel.spot("itinerary", side=-1))
    expect(panel.status).to_contain_text("✓ breakpoint before 'itinerary' set")
    expect(panel.row("itinerary").get_by_role("checkbox")).to_be_checked()
    panel.row("budget").get_by_role("checkbox").check()
    expect(panel.status).to_contain_text("✓ breakpoint before 'budget' set")
    assert notebook.value("sorted(run.snapshot().breakpoints)") == ["budget", "itinerary"]
    for task in ("budget", "itinerary"):
        panel.press("resume")
        expect(panel.status).to_contain_text("✓ resumed")
        expect(panel.standing).to_contain_text("paused")
        expect(panel.field(task)).to_contain_text("ready")
        assert notebook.value("run.status") == "paused"
    expect(panel.field("budget")).to_contain_text("done")
    panel.row("itinerary").get_by_role("checkbox").uncheck()
    expect(panel.status).to_contain_text("✓ breakpoint before 'itinerary' gone")
    panel.press("resume")


def mirrors_what_was_done(notebook: Notebook, panel: Panel) -> None:
    code = panel.open_tab("code")
    calls = [re.sub(r"copy$", "", text) for text in code.locator("li").all_inner_texts()]
    assert calls[:3] == ["run.pause()", "run.step()", "run.step()"]
    assert "run.add_dependency(before='visa', after='budget')" in calls
    assert "run.break_at(id='itinerary', when='before', on=True)" in calls
    code.get_by_role("button", name="to_python").click()
    script = notebook.evaluate_in_kernel("print(run.to_python())").strip()
    expect(code.locator("pre")).to_have_text(script)
