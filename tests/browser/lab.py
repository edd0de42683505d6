"""A real JupyterLab in a real browser: one server and one Chromium, a page for each open notebook.

A test speaks to Lab through `window.jupyterapp` and to the kernel through the page's own websocket, so that
it sees what a user sees. Whatever is awaited has a deadline. The browser resolves no host but the loopback.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from tests.browser.panel import Panel
from tests.browser.server import CURRENT, Server

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Request, WebSocket

#: Milliseconds for anything to happen.
LIMIT = 30_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OWN_SCHEMES = ("data", "blob", "about")

_PANEL = "window.jupyterapp.shell.currentWidget"
_SESSION = f"{_PANEL}.sessionContext"
_IDLE = f"() => !window.pending && {_SESSION}.session?.kernel?.status === 'idle'"
_READY = f"() => window.jupyterapp && {_PANEL}?.context?.isReady && ({_IDLE})()"
_TIMED = """const timed = promise => Promise.race([promise, new Promise((_, reject) =>
    setTimeout(() => reject(new Error("the kernel did not answer in time")), limit))]);"""
_EXECUTE = """command => {
    window.pending = (window.pending ?? 0) + 1;
    void window.jupyterapp.commands.execute(command).finally(() => { window.pending -= 1; });
}"""
_EVALUATE = f"""async ([code, limit]) => {{
    {_TIMED}
    const said = {{ text: "", error: "" }};
    const future = {_SESSION}.session.kernel.requestExecute({{ code, store_history: false }});
    future.onIOPub = ({{ header, content }}) => {{
        if (header.msg_type === "stream") said.text += content.text;
        if (header.msg_type === "execute_result") said.text += content.data["text/plain"];
        if (header.msg_type === "error") said.error = content.traceback.join("\\n");
    }};
    await timed(future.done);
    return said;
}}"""


def chromium() -> str | None:
    """The browser of this machine, if it has one."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Lab:
    """A server and a browser; `open` gives notebooks. To be used on the thread that made it."""

    def __init__(self, home: Path, executable: str) -> None:
        from playwright.sync_api import expect, sync_playwright

        expect.set_options(timeout=LIMIT / 2)
        self.server = Server(home)
        self.home, self._opened = home, 0
        try:
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(
                executable_path=executable,
                args=[
                    "--disable-dev-shm-usage",
                    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                    *["--no-sandbox"] * (os.name == "posix" and os.geteuid() == 0),
                ],
            )
        except BaseException:
            self.server.close()
            raise
        # One context for all pages: Lab's own scripts are fetched and compiled once.
        self._context = self._browser.new_context(viewport={"width": 1280, "height": 900})
        self._context.set_default_timeout(LIMIT)

    def open(self, *cells: str, kernel: str = CURRENT) -> Notebook:
        """Write a notebook of these code cells and open it, its kernel ready."""
        self._opened += 1
        name = f"story-{self._opened}.ipynb"
        file = {
            "cells": [_cell(number, source) for number, source in enumerate(cells)],
            "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (self.server.root / name).write_text(json.dumps(file))
        return Notebook(self._context.new_page(), self.server, name)

    def set_theme(self, name: str) -> None:
        """Pages opened from now on have this theme: "JupyterLab Dark", "JupyterLab Light"."""
        path = "lab/api/settings/@jupyterlab/apputils-extension:themes"
        self.server.ask("PUT", path, {"raw": json.dumps({"theme": name})})

    def close(self) -> None:
        """End the browser and the server."""
        self._browser.close()
        self._playwright.stop()
        self.server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Notebook:
    """An open notebook: its page, its kernel, and all that the page has complained of."""

    def __init__(self, page: Page, server: Server, name: str) -> None:
        self.page, self.name, self.panel = page, name, Panel(page)
        self.console: list[str] = []
        #: Errors of the console and exceptions that nobody caught.
        self.errors: list[str] = []
        #: Requests to any other host than the server.
        self.foreign: list[str] = []
        self._server = server
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("request", self._requested)
        page.on("websocket", self._requested)
        page.goto(server.page(name))
        page.wait_for_function(_READY)

    def run_all(self, *, wait: bool = True, raises: bool = True) -> None:
        """Run every cell, as the menu does, and wait until all is done."""
        self._execute("notebook:run-all-cells", wait=wait, raises=raises)

    def run_cell(self, index: int, *, wait: bool = True, raises: bool = True) -> None:
        """Run one cell; with `wait` false come back while it runs."""
        self.page.evaluate(f"index => {{ {_PANEL}.content.activeCellIndex = index; }}", index)
        self._execute("notebook:run-cell", wait=wait, raises=raises)

    def wait_idle(self) -> None:
        """Wait until the cells that were started are done and the kernel is idle."""
        self.page.wait_for_function(_IDLE)

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """The outputs of a cell as the file would hold them."""
        found = f"index => {_PANEL}.content.widgets[index].model.outputs.toJSON()"
        return list(self.page.evaluate(found, index))

    def output(self, index: int) -> Locator:
        """Where a cell shows its outputs."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index).locator(".jp-OutputArea").first

    def evaluate_in_kernel(self, code: str) -> str:
        """What `code` prints, and the repr of its last expression; it waits for a cell that is running.

        Raises
        ------
        RuntimeError
            The code raised; the message is its traceback.
        """
        said = self.page.evaluate(_EVALUATE, [code, LIMIT])
        if said["error"]:
            raise RuntimeError(_plain(said["error"]))
        return str(said["text"])

    def value(self, expression: str) -> Any:
        """The value of an expression in the kernel, by way of JSON."""
        return json.loads(self.evaluate_in_kernel(f"print(__import__('json').dumps({expression}))"))

    def restart_kernel(self) -> None:
        """Restart the kernel, as the menu does after its question."""
        self._ask_kernel("restartKernel()")
        self.wait_idle()

    def interrupt(self) -> None:
        """Interrupt what runs, and wait until the kernel is idle."""
        self._ask_kernel("session.kernel.interrupt()")
        self.wait_idle()

    def reload(self, *, save: bool = True) -> None:
        """Load the page again; the kernel goes on."""
        if save:
            self.page.evaluate(f"async () => {{ await {_PANEL}.context.save(); }}")
        self.page.reload()
        self.page.wait_for_function(_READY)

    def close(self) -> None:
        """Close the page and shut the kernel down."""
        self.page.close()
        self._server.end_sessions(self.name)

    def _execute(self, command: str, *, wait: bool, raises: bool) -> None:
        self.page.evaluate(_EXECUTE, command)
        if not wait:
            return
        self.wait_idle()
        if raises:
            failed = f"() => {_PANEL}.content.model.toJSON().cells.flatMap(cell => cell.outputs ?? [])"
            for output in self.page.evaluate(failed):
                if output["output_type"] == "error":
                    raise RuntimeError(_plain("\n".join(output["traceback"])))

    def _ask_kernel(self, call: str) -> None:
        self.page.evaluate(f"async limit => {{ {_TIMED} await timed({_SESSION}.{call}); }}", LIMIT)

    def _heard(self, kind: str, text: str) -> None:
        self.console.append(f"{kind}: {text}")
        if kind == "error":
            self.errors.append(text)

    def _requested(self, request: Request | WebSocket) -> None:
        address = urlsplit(request.url)
        if address.scheme not in _OWN_SCHEMES and address.netloc != urlsplit(self._server.url).netloc:
            self.foreign.append(request.url)


#: What the fixture `open_notebook` gives: cells → notebook.
Open = Callable[..., Notebook]


def _cell(number: int, source: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"execution_count": None, "metadata": {}, "outputs": []}
    return {"cell_type": "code", "id": f"cell-{number}", "source": source, **empty}


def _plain(traceback: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", traceback)
