"""Every tab in light and dark, narrow and wide, as pictures for people: under out/browser/."""

from __future__ import annotations

import pytest

from tests.browser.conftest import REMAINS
from tests.browser.lab import Lab, Open
from tests.browser.panel import TABS, expect
from tests.browser.stories import TRAVEL


@pytest.mark.torture
@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [700, 1600])
def test_every_tab_is_drawn(open_notebook: Open, lab: Lab, theme: str, width: int) -> None:
    lab.set_theme(f"JupyterLab {theme}")
    try:
        notebook = open_notebook(TRAVEL)
    finally:
        lab.set_theme("JupyterLab Light")
    panel = notebook.panel
    notebook.page.set_viewport_size({"width": width, "height": 1300})
    notebook.run_all()
    panel.press("pause")
    expect(panel.status).to_contain_text("✓ paused")
    notebook.evaluate_in_kernel("go.set()")
    panel.press("step")
    expect(panel.status).to_contain_text("✓ started 'flights'")
    folder = REMAINS / f"{theme.lower()}-{width}"
    folder.mkdir(parents=True, exist_ok=True)
    expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-name", f"JupyterLab {theme}")
    panel.part("tool", "fit").click()
    panel.canvas.click()
    for name in TABS:
        view = panel.open_tab(name)
        expect(view).to_be_visible()
        if name == "table":
            panel.row("flights").click()
        panel.root.screenshot(path=folder / f"{name}.png", animations="disabled")
        inside = view.evaluate("view => view.scrollWidth - view.clientWidth")
        assert inside <= 1, f"{name} is {inside} px wider than the panel"
