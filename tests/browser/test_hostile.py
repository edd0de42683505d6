"""Names, texts, results and errors that want to be markup: everywhere they are shown, they stay text."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tests.browser.lab import Notebook, Open
from tests.browser.panel import TABS, Panel, expect
from tests.browser.stories import HOSTILE

MARKUP = "<img src=x onerror=window.hacked=1> href"
#: What got through, if anything: the flag that the texts set, and elements that only they ask for.
HARM = """() => [window.hacked, Object.prototype.hacked,
    document.querySelectorAll("img[src=x], [onerror], .dyntask-panel script, .dyntask-panel img").length]"""


def test_hostile_texts_stay_texts_in_the_panel(open_notebook: Open) -> None:
    notebook = open_notebook(HOSTILE, "from IPython.display import HTML\nHTML(run._repr_html_())")
    page, panel = notebook.page, notebook.panel
    page.set_viewport_size({"width": 1500, "height": 1300})
    notebook.run_all()
    names = notebook.value("list(run.graph)")
    panel.open_tab("table")
    expect(panel.field("last", "remark")).to_have_text("waits for approval")
    expect(panel.field("valueOf")).to_contain_text("failed")
    assert set(panel.table()) == set(names)
    assert {row["state"].split()[1] for row in panel.table().values()} == set(
        notebook.value("sorted(set(run.states().values()))")
    )

    for name in names[:5]:
        page.mouse.move(*panel.spot(name))
        expect(panel.root.locator(".vis-tooltip")).to_be_visible()
        panel.row(name).press("Enter")
        shown = panel.open_tab("task")
        expect(shown.get_by_role("heading", level=3)).to_have_text(name)
        expect(shown.locator(".dt-why")).to_contain_text("priority")
        panel.open_tab("table")
    panel.row("toString").press("Enter")
    look_everywhere(panel)
    propose(panel)
    fill_the_forms(panel)
    panel.open_tab("errors")
    said = panel.pane("errors").get_by_role("alert")
    expect(said.nth(0)).to_contain_text("task valueOf failed: RuntimeError: <img")
    expect(said.nth(1)).to_contain_text("task constructor was skipped, as it failed and is not critical")
    expect(notebook.output(1)).to_contain_text("<img src=x onerror=window.hacked=1> href")
    assert page.evaluate(HARM) == [None, None, 0]
    notebook.evaluate_in_kernel("run.approve('last')")
    expect(panel.standing).to_contain_text(re.compile("^failed"))
    assert page.evaluate(HARM) == [None, None, 0]
    opens_as_a_page(notebook)


def look_everywhere(panel: Panel) -> None:
    """Open every tab and press what it offers to look at."""
    for name in TABS:
        panel.open_tab(name)
        if name != "graph":
            expect(panel.pane(name)).to_be_visible()
    context = panel.open_tab("context")
    context.get_by_role("button", name="What did").click()
    expect(context.locator(".dt-read")).to_contain_text("attempt 1")
    nodes = context.locator('[role=treeitem]:not([aria-level="1"])')
    expect(nodes.first).to_be_visible()
    for node in nodes.all():
        node.click()
        expect(node).to_have_attribute("aria-selected", "true")
    explain = panel.open_tab("explain")
    for button in explain.locator("button[data-number]").all():
        button.click()
        expect(explain.get_by_role("heading", level=3)).to_be_visible()
    panel.open_tab("history").locator("tr[data-event]").last.click()
    expect(panel.standing).to_contain_text("as it was")
    panel.part("history", "now").click()


def propose(panel: Panel) -> None:
    """Try a hostile task on the canvas, and take one out."""
    panel.part("tool", "add").click()
    text = panel.root.get_by_label("Text of the task")
    text.fill(MARKUP)
    text.press("Enter")
    expect(panel.proposed).to_contain_text("Would be")
    panel.proposed.get_by_text("before and after").click()
    panel.part("proposal", "apply").click()
    expect(panel.status).to_contain_text("✓ added 'img_src_x'")
    panel.press("undo")
    expect(panel.status).to_contain_text("✓ undone")


def fill_the_forms(panel: Panel) -> None:
    """A hostile id and role by the form, refused and then made."""
    form = panel.open_form("Add a task")
    form.get_by_label("What to do", exact=True).fill(MARKUP)
    form.get_by_label("Name", exact=True).fill("constructor")
    form.get_by_label("Role", exact=True).fill(MARKUP)
    form.get_by_label("After", exact=True).select_option([MARKUP, "__proto__"])
    form.locator('[data-press="apply"]').click()
    expect(form.get_by_role("status")).to_contain_text("✗ refused")
    form.get_by_label("Name", exact=True).fill(f"<b>{MARKUP}</b>")
    form.locator('[data-press="preview"]').click()
    expect(form.get_by_role("status")).to_contain_text("✓")
    form.locator('[data-press="apply"]').click()
    expect(form.get_by_role("status")).to_contain_text(f"✓ added '<b>{MARKUP}</b>'")
    panel.open_tab("table")
    expect(panel.row(f"<b>{MARKUP}</b>")).to_be_visible()


def opens_as_a_page(notebook: Notebook) -> None:
    """The offline page of the run, opened in a browser: nothing runs, nothing is asked for."""
    place = notebook.value("run.to_html('hostile.html').resolve().as_uri()")
    page = notebook.page.context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda heard: said.append(heard.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(place)
    expect(page.locator("body")).to_contain_text(MARKUP)
    assert page.evaluate(HARM) == [None, None, 0]
    assert [
        url for url in asked if url != place and urlsplit(url).scheme not in ("data", "blob", "about")
    ] == []
    assert said == []
    page.close()
