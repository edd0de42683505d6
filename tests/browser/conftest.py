"""One JupyterLab and one Chromium for this folder. Without them its tests are skipped; in CI they fail.

Playwright's synchronous face keeps an event loop running on its thread, on which no other test could start
one of its own. So these tests, and whatever touches the browser, run on a thread beside pytest's.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from tests.browser.lab import Lab, Notebook, Open, chromium
from tests.browser.server import CURRENT, OLDER

#: Where the page, its console and the server's log lie after a failure.
REMAINS = Path("out", "browser")
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that uses the browser on the browser's thread."""
    thread = pyfuncitem.funcargs.get("browser_thread")
    if not isinstance(thread, ThreadPoolExecutor):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    thread.submit(pyfuncitem.obj, **arguments).result()
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the fixtures of a test how it went."""
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="package")
def browser_thread() -> Iterator[ThreadPoolExecutor]:
    """The thread that Playwright lives on."""
    with ThreadPoolExecutor(1, "browser") as thread:
        yield thread


@pytest.fixture(scope="package")
def lab(browser_thread: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab in Chromium."""
    executable = chromium()
    if executable is None:
        missing("no Chromium on this machine (Debian, Ubuntu: apt install chromium)")
    for package in ("playwright", "jupyterlab"):
        if find_spec(package) is None:
            missing(f"the package {package} is not installed (pip install -e '.[test]')")
    lab = browser_thread.submit(Lab, tmp_path_factory.mktemp("lab"), executable).result()
    yield lab
    browser_thread.submit(lab.close).result()


def missing(what: str) -> NoReturn:
    """Skip for want of `what`; where CI runs it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"CI runs the browser tests: {what}")
    pytest.skip(what)


@pytest.fixture(params=[CURRENT, pytest.param(OLDER, marks=pytest.mark.torture)])
def kernel(request: pytest.FixtureRequest, lab: Lab) -> str:
    """The kernel that notebooks are opened with; `make torture` tells each story on the older one as well."""
    if request.param == CURRENT:
        return CURRENT
    try:
        return lab.server.add_older_kernel()
    except subprocess.CalledProcessError:
        missing("pip could not install ipykernel 6.31, which this story is told on as well")


@pytest.fixture
def open_notebook(
    lab: Lab, kernel: str, browser_thread: ThreadPoolExecutor, request: pytest.FixtureRequest
) -> Iterator[Open]:
    """``open_notebook(*cells)``; afterwards no page may have met an error or asked another host."""
    opened: list[Notebook] = []

    def open_one(*cells: str) -> Notebook:
        opened.append(lab.open(*cells, kernel=kernel))
        return opened[-1]

    yield open_one
    failed = request.node.stash.get(FAILED, False)
    if failed:
        browser_thread.submit(keep_remains, request.node.name, opened, lab).result()
    for notebook in opened:
        browser_thread.submit(notebook.close).result()
    if not failed:
        assert [notebook.errors for notebook in opened] == [[] for _ in opened]
        assert [notebook.foreign for notebook in opened] == [[] for _ in opened]


def keep_remains(name: str, opened: list[Notebook], lab: Lab) -> None:
    """Keep what helps to understand a failure."""
    REMAINS.mkdir(parents=True, exist_ok=True)
    for notebook in opened:
        place = REMAINS / f"{name}-{notebook.name}"
        notebook.page.screenshot(path=place.with_suffix(".png"))
        place.with_suffix(".txt").write_text(
            "\n".join([*notebook.console, *notebook.foreign, lab.server.log()])
        )
