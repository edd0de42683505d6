"""The live panel as a test sees it: the names that its DOM promises, found in the open page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

T = TypeVar("T")

ROOT = ".dyntask-live"
STATUS = f"{ROOT} .dt-controls [role=status]"
TABS = "graph task table timeline metrics context history explain agents code errors".split()
#: Seconds that a page is given to show what it shall.
PATIENCE = 15.0

_SPOT = """(box, [task, side]) => {
    const network = box.dtNetwork, at = network.getPosition(`t:${task}`), frame = box.getBoundingClientRect();
    const size = network.body.nodes[`t:${task}`].options.size;
    const { x, y } = network.canvasToDOM({ x: at.x + side * (size + 12), y: at.y });
    return [frame.x + x, frame.y + y];
}"""
_TABLE = """body => {
    const row = tr => [...tr.querySelectorAll("[data-field]")].map(td => [td.dataset.field, td.textContent]);
    return [...body.children].map(tr => [tr.dataset.task, Object.fromEntries(row(tr))]);
}"""


def button(command: str) -> str:
    """The control that hands in `command`."""
    return f'{ROOT} .dt-controls button[data-command="{command}"]'


def expect(found: Locator) -> Any:
    """Playwright's `expect`, imported late: without Playwright a test is skipped, not an error."""
    from playwright.sync_api import expect

    return expect(found)


class Panel:
    """A panel on a page. Its parts are locators, so that `expect` waits for what they shall say.

    `within` is what the page shows it in, where it shows several; of those the `nth`.
    """

    def __init__(self, page: Page, within: Locator | None = None, nth: int = 0) -> None:
        self.page, self.place = page, within or page.locator(".jp-Notebook")
        self.root = self.place.locator(ROOT).nth(nth)
        self.status = self.root.locator(".dt-controls [role=status]")
        self.standing = self.root.locator(".dt-standing")
        self.canvas = self.root.locator(".dt-canvas")
        self.proposed = self.root.locator(".dt-proposed")

    def button(self, command: str) -> Locator:
        """The control of a command."""
        return self.root.locator(f'.dt-controls button[data-command="{command}"]')

    def press(self, command: str) -> None:
        """Click the control of a command."""
        self.button(command).click()

    def part(self, name: str, value: str) -> Locator:
        """What has the attribute data-`name` with this value: ``part("tool", "add")``."""
        return self.root.locator(f"[data-{name}={json.dumps(value, ensure_ascii=False)}]")

    def row(self, task: str) -> Locator:
        """The row of a task."""
        return self.root.locator(f"tr[data-task={json.dumps(task, ensure_ascii=False)}]")

    def field(self, task: str, name: str = "state") -> Locator:
        """What the table says of a task."""
        return self.row(task).locator(f'[data-field="{name}"]')

    def table(self) -> dict[str, dict[str, str]]:
        """What the table says of all tasks: task → field → text. Its tab must be open."""
        return dict(self.root.locator('[data-pane="table"] tbody').evaluate(_TABLE))

    def pane(self, name: str) -> Locator:
        """The view of a tab."""
        return self.part("pane", name)

    def open_tab(self, name: str) -> Locator:
        """Click a tab, where the view is not beside the tabs already; returns the view."""
        tab = self.root.locator(f'[role=tab][data-tab="{name}"]')
        if tab.is_visible():
            tab.click()
        return self.pane(name)

    def spot(self, task: str, side: int = 0) -> tuple[float, float]:
        """Where on the page a task is drawn; with `side` -1 or 1 the margin left or right of it."""
        self.canvas.scroll_into_view_if_needed()
        x, y = self.canvas.evaluate(_SPOT, [task, side])
        return x, y

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw from one spot to another, as a hand does."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=5)
        mouse.move(*end, steps=5)
        mouse.up()

    def open_form(self, title: str) -> Locator:
        """Unfold a form below the panel; returns it."""
        form = self.place.locator(".jupyter-widget-Collapse").filter(has_text=title).first
        form.locator(".jupyter-widget-Collapse-header").click()
        return form


def eventually(page: Page, look: Callable[[], T], wanted: T | Callable[[T], bool]) -> T:
    """What `look` gives once it is, or passes, `wanted`; raises `AssertionError` where it never does."""
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = look()
        if wanted(seen) if callable(wanted) else seen == wanted:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"The page shows {seen!r}, not {wanted!r}.")
        page.wait_for_timeout(50)
