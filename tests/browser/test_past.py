"""Time travel in the panel, and the panel without a mouse."""

from __future__ import annotations

from tests.browser.lab import Open
from tests.browser.panel import Panel, eventually, expect
from tests.browser.stories import TRAVEL
from tests.browser.test_trouble import states

#: The number of the event with which a task ended.
ENDED = "next(n for n, e in enumerate(run._machine.log) if type(e).__name__ == 'TaskDone' and e.task == '{}')"


def test_the_past_is_looked_at_and_forked(open_notebook: Open) -> None:
    notebook = open_notebook(TRAVEL, "go.set(); run.result()")
    notebook.run_all()
    panel = notebook.panel
    expect(panel.standing).to_contain_text("done 6 of 6")
    history = panel.open_tab("history")
    first, second = (notebook.value(ENDED.format(task)) for task in ("wishes", "flights"))
    total = notebook.value("run.snapshot().seq")
    slider = history.locator("input.dt-slider")
    expect(slider).to_have_attribute("max", str(total - 1))
    slider.fill(str(first))
    expect(panel.standing).to_contain_text(f"as it was at event {first}, ")
    panel.open_tab("table")
    then = notebook.value(f"run.at({first}).states()")
    assert (then["wishes"], then["flights"], then["budget"]) == ("done", "ready", "pending")
    eventually(notebook.page, lambda: states(panel), then)

    panel.open_tab("history")
    row = history.locator(f'tr[data-event="{second}"]')
    row.click()
    expect(row).to_have_attribute("aria-selected", "true")
    panel.open_tab("table")
    eventually(notebook.page, lambda: states(panel), notebook.value(f"run.at({second}).states()"))

    notebook.evaluate_in_kernel("go.clear()")
    panel.open_tab("history")
    panel.part("history", "fork").click()
    expect(panel.status).to_contain_text(f"run.fork(version={second})")
    other = Panel(notebook.page, notebook.output(0), nth=1)
    expect(other.standing).to_contain_text("running")
    notebook.evaluate_in_kernel("fork = run._panel._forks[0]._run")
    assert notebook.value("fork.id") != notebook.value("run.id")
    finished = notebook.value(f"[id for id, state in run.at({second}).states().items() if state == 'done']")
    assert notebook.value("[id for id, state in fork.states().items() if state == 'done']") == finished
    notebook.evaluate_in_kernel("go.set()")
    expect(other.standing).to_contain_text("done 6 of 6")
    assert notebook.value("fork.results()") == notebook.value("run.results()")

    panel.part("history", "now").click()
    expect(panel.standing).not_to_contain_text("as it was")
    panel.open_tab("table")
    eventually(notebook.page, lambda: states(panel), notebook.value("run.states()"))


def test_the_panel_is_used_without_a_mouse(open_notebook: Open) -> None:
    notebook = open_notebook(TRAVEL)
    notebook.run_all()
    page, panel = notebook.page, notebook.panel
    focused = "document.activeElement.dataset"
    expect(panel.standing).to_contain_text("running")
    panel.button("pause").focus()
    page.keyboard.press("Enter")
    expect(panel.status).to_contain_text("✓ paused")
    expect(panel.status).to_have_attribute("aria-live", "polite")
    expect(panel.button("resume")).to_be_enabled()

    seen: list[str] = []
    panel.button("hard").focus()
    for _ in range(30):
        seen.append(page.evaluate(f"{focused}.command ?? {focused}.tab ?? ''"))
        page.keyboard.press("Tab")
    wanted = ["hard", "step", "completion", "resume", "cancel", "until", "policy", "awm", "task", "arrange"]
    assert [name for name in seen if name in wanted] == wanted

    panel.root.locator('[role=tab][data-tab="task"]').focus()
    page.keyboard.press("ArrowRight")
    expect(panel.pane("table")).to_be_visible()
    panel.row("wishes").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    chosen = page.evaluate(f"{focused}.task")
    assert chosen == list(panel.table())[1]
    page.keyboard.press("Enter")
    expect(panel.row(chosen)).to_have_attribute("aria-selected", "true")
    assert eventually(page, lambda: notebook.value("run._panel.selected"), chosen) == chosen

    panel.canvas.focus()
    page.keyboard.press("b")
    expect(panel.status).to_contain_text(f"✓ breakpoint before '{chosen}' set")
    page.keyboard.press("Delete")
    expect(panel.proposed).to_contain_text("Would be")
    expect(panel.proposed).to_contain_text(f"run.what_if.remove_task(id='{chosen}')")
    assert chosen in notebook.value("list(run.graph)")
    panel.part("proposal", "apply").focus()
    page.keyboard.press("Enter")
    expect(panel.status).to_contain_text(f"✓ removed '{chosen}'")
    expect(panel.row(chosen)).to_have_count(0)
    assert chosen not in notebook.value("list(run.graph)")
