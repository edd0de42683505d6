"""The harness itself: notebooks run, widgets answer, and what goes wrong on a page is heard."""

from __future__ import annotations

import pytest

from tests.browser.lab import Open
from tests.browser.panel import expect
from tests.browser.server import OLDER
from tests.browser.stories import COUNTER


def test_widgets_of_both_kinds_reach_python_and_come_back(open_notebook: Open) -> None:
    notebook = open_notebook(COUNTER)
    notebook.run_all()
    counter = notebook.output(0).locator(".counter")
    expect(notebook.output(0)).to_contain_text("beside")
    expect(counter).to_have_text("count 1")
    counter.click()
    expect(counter).to_have_text("count 3")
    assert notebook.evaluate_in_kernel("counter.n") == "3"
    notebook.reload()
    expect(counter).to_have_text("count 3")
    notebook.restart_kernel()
    with pytest.raises(RuntimeError, match="NameError"):
        notebook.evaluate_in_kernel("counter")


def test_a_cell_that_raises_is_an_error_here(open_notebook: Open, kernel: str) -> None:
    notebook = open_notebook("print('said')", "1 / 0", "import time; time.sleep(0.5); print('late')")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        notebook.run_all()
    assert [output["output_type"] for output in notebook.outputs(0)] == ["stream"]
    notebook.run_cell(2, wait=False)
    assert notebook.evaluate_in_kernel("print('after it')") == "after it\n"
    notebook.wait_idle()
    assert notebook.outputs(2)[0]["text"] == "late\n"
    version = notebook.evaluate_in_kernel("__import__('ipykernel').__version__")
    assert version.startswith("'6.31." if kernel == OLDER else "'7.")


def test_what_a_page_complains_of_and_whom_it_asks_is_heard(open_notebook: Open) -> None:
    notebook = open_notebook("1")
    assert (notebook.errors, notebook.foreign) == ([], [])
    notebook.page.evaluate("fetch('http://elsewhere.invalid/script.js').catch(() => {})")
    notebook.page.evaluate("setTimeout(() => { throw new Error('nobody catches') })")
    notebook.page.wait_for_function("true")
    assert notebook.foreign == ["http://elsewhere.invalid/script.js"]
    assert any("nobody catches" in error for error in notebook.errors)
    notebook.errors.clear()
    notebook.foreign.clear()
