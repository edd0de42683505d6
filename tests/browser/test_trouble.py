"""The panel where a notebook makes trouble: busy cells, reloads, second views, restarts, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.lab import Notebook, Open
from tests.browser.panel import Panel, eventually, expect
from tests.browser.server import OLDER
from tests.browser.stories import BUSY, KNOWN, TRAVEL

if TYPE_CHECKING:
    from playwright.sync_api import Locator


def prompt(notebook: Notebook, cell: int) -> Locator:
    """What stands left of a cell: `[*]:` while it runs."""
    return notebook.page.locator(".jp-CodeCell").nth(cell).locator(".jp-InputPrompt")


def test_an_edit_is_answered_while_a_cell_runs(open_notebook: Open, kernel: str) -> None:
    notebook = open_notebook(TRAVEL, BUSY)
    notebook.run_cell(0)
    panel = notebook.panel
    expect(panel.standing).to_contain_text("running")
    notebook.run_cell(1, wait=False)
    busy = prompt(notebook, 1)
    expect(busy).to_have_text("[*]:")
    panel.press("pause")
    if kernel == OLDER:
        expect(panel.root.locator(".dt-waiting")).to_have_text("… pause: queued, the kernel is busy")
        expect(busy).to_have_text("[*]:")
        notebook.interrupt()
    expect(panel.status).to_contain_text("✓ paused")
    if kernel != OLDER:
        panel.part("tool", "add").click()
        panel.root.get_by_label("Text of the task").fill("Buy an umbrella")
        panel.root.get_by_label("Text of the task").press("Enter")
        panel.part("proposal", "apply").click()
        expect(panel.status).to_contain_text("✓ added 'buy_umbrella'")
        form = panel.open_form("Dependencies")
        form.get_by_label("Task").select_option("buy_umbrella")
        form.get_by_label("comes before").select_option("itinerary")
        form.locator('[data-press="apply"]').click()
        expect(form.get_by_role("status")).to_contain_text("✓ 'itinerary' now waits for 'buy_umbrella'")
        expect(busy).to_have_text("[*]:")
        notebook.interrupt()
        assert "buy_umbrella" in notebook.value("list(run.graph.after('itinerary'))")
    expect(panel.root.locator(".dt-waiting")).to_be_empty()
    assert notebook.value("run.status") == "paused"


def test_views_reloads_and_restarts_leave_the_run_alone(open_notebook: Open) -> None:
    notebook = open_notebook(TRAVEL, "run", KNOWN)
    notebook.run_all()
    first, second = (Panel(notebook.page, notebook.output(cell)) for cell in (0, 1))
    for view in (first, second):
        view.open_tab("table")
    first.row("flights").press("Enter")
    expect(second.row("flights")).to_have_attribute("aria-selected", "true")
    second.row("budget").get_by_role("checkbox").check()
    expect(first.row("budget").get_by_role("checkbox")).to_be_checked()

    notebook.page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    expect(first.root).to_have_count(0)
    expect(second.root).to_have_count(0)
    notebook.evaluate_in_kernel("run.break_at('budget', on=False); run.break_at('itinerary')")
    notebook.run_cell(1)
    second.open_tab("table")
    expect(second.row("itinerary").get_by_role("checkbox")).to_be_checked()
    expect(second.row("budget").get_by_role("checkbox")).not_to_be_checked()
    assert notebook.value("run.status") == "running"

    notebook.evaluate_in_kernel("go.set()")
    notebook.reload()
    expect(second.standing).to_contain_text("paused")
    second.open_tab("table")
    eventually(notebook.page, lambda: states(second), notebook.value("run.states()"))
    second.press("resume")
    expect(second.standing).to_contain_text("done 6 of 6")
    assert notebook.value("run.result()").startswith("itinerary + ")

    form = second.open_form("Change a task")
    notebook.restart_kernel()
    expect(second.standing).to_contain_text("The kernel is gone")
    expect(form.get_by_role("status")).to_have_text("✗ the kernel is gone; run the cell again")
    expect(form.locator('[data-press="apply"]')).to_be_enabled()
    for command in ("pause", "step", "undo", "cancel"):
        expect(second.button(command)).to_be_disabled()


def test_what_goes_wrong_is_said(open_notebook: Open) -> None:
    failing = "def work(task, context):\n    raise ValueError('no such city')"
    start = f"""{failing}
from dyntaskmas_nb import Kit
kit = Kit(agents={{"general": work}}, home=None)
run = kit.start({{"subtasks": [{{"id": "flights"}}, {{"id": "pay", "depends_on": ["flights"]}}]}})
run"""
    notebook = open_notebook(start)
    notebook.run_all()
    panel = notebook.panel
    tab = panel.root.locator('[role=tab][data-tab="errors"]')
    expect(tab).to_have_text("Errors (1)")
    errors = panel.open_tab("errors")
    expect(errors.get_by_role("alert")).to_contain_text("task flights failed: ValueError: no such city")
    assert notebook.value("run.snapshot().tasks['flights'].reason") in errors.inner_text()

    broken = """body => { body.replaceChildren = () => { throw new TypeError("a view is broken"); }; }"""
    panel.root.locator('[data-pane="agents"] tbody').evaluate(broken)
    panel.open_tab("agents")
    expect(tab).to_have_text("Errors (2)")
    panel.open_tab("errors")
    thrown = errors.get_by_role("alert").filter(has_text="the browser: TypeError: a view is broken")
    expect(thrown).to_be_visible()
    kept = "[dict(one) for one in run._panel._errors]"
    (told,) = eventually(notebook.page, lambda: notebook.value(kept), lambda kept: len(kept) == 1)
    assert (told["where"], told["message"]) == ("the browser", "TypeError: a view is broken")
    panel.open_tab("table")
    expect(panel.field("pay")).to_contain_text("blocked")


def states(panel: Panel) -> dict[str, str]:
    """Every task's state, as the table writes it."""
    return {id: row["state"].split()[1] for id, row in panel.table().items()}
