"""How quick the live panel is in a real JupyterLab: ``python -m benchmarks.panel`` (a minute or two).

A click is timed in the page, from the call of `click()` until the page says what Python has answered; the
way there is browser → server → kernel → server → browser. The bare anywidget is the yardstick: nothing that
lives in a notebook can be quicker. What "busy" means: another cell of the notebook sleeps meanwhile.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.meter import Row, at_least, at_most, table
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.view.layout import layout
from tests.browser import panel
from tests.browser.lab import Lab, Notebook, chromium
from tests.browser.stories import BUSY, COUNTER, layered

#: Milliseconds after which a click counts as unanswered, and how many clicks are made.
UNANSWERED, CLICKS = 5_000, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """Click `on`; it is answered when the text of `watch` has changed and matches `until`, a JS regex."""

    on: str
    watch: str
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is measured: cells, the last of which shows the picture, and the clicks to repeat in turn.

    Goals are in ms: median and p95 of a click, median of one beside a busy cell (None: not measured), the
    time from running the last cell to the first picture, and that from the data to the picture (None: not
    measured); `frames` a second at least.
    """

    name: str
    cells: tuple[str, ...]
    clicks: tuple[Click, ...]
    canvas: str
    p50: float
    p95: float
    busy: float | None
    first: float
    data: float | None = None
    frames: float = 20


def picture_of(name: str, cells: str, **goals: Any) -> Story:
    """The panel of the run that `cells` start, opened in a cell of its own."""
    clicks = (
        Click(on=panel.button("pause"), watch=panel.STATUS, until="✓.*paused"),
        Click(on=panel.button("resume"), watch=panel.STATUS, until="✓.*resumed"),
    )
    started = cells.rstrip().removesuffix("run")
    return Story(name=name, cells=(started, "run"), clicks=clicks, canvas=DRAWN, **goals)


#: The canvas once it holds a picture: the panel says so when it has drawn the first tasks.
DRAWN = f"{panel.ROOT} .dt-canvas[data-drawn]"
STORIES = (
    Story(
        name="bare anywidget",
        cells=(COUNTER,),
        clicks=(Click(on=".counter", watch=".counter"),),
        canvas=".jp-OutputArea canvas",
        p50=60,
        p95=150,
        busy=120,
        first=1_000,
    ),
    picture_of("50 tasks", layered(10, 5, seconds=3), p50=60, p95=150, busy=120, first=1_000),
    picture_of(
        "1,000 tasks", layered(50, 20, seconds=0.4), p50=150, p95=300, busy=None, first=2_000, data=1_000
    ),
    picture_of(
        "5,000 tasks",
        layered(100, 50, seconds=0.4),
        p50=500,
        p95=2_000,
        busy=None,
        first=4_000,
        data=2_000,
        frames=1,
    ),
)

#: A run of 5,000 tasks with an open panel and without, in turn; the panel is drawn before the run goes on.
PAIRS = """
import random, statistics, time
from IPython.display import display
from dyntaskmas_nb import Kit
async def work(task): return 1
rng = random.Random(1)
def before(i): return sorted(rng.sample(range(max(0, i - 60), i), min(i, 2)))
plan = {"subtasks": [{"id": f"t{i}", "depends_on": [f"t{j}" for j in before(i)]} for i in range(5000)]}
def once(shown):
    with Kit(agents={"general": work}, home=None) as kit:
        run = kit.start(plan, paused=True)
        if shown:
            display(run)
            time.sleep(3)
        start = time.perf_counter()
        run.resume()
        run.result()
        took = time.perf_counter() - start
        if shown:
            run._panel.close()
    return took
once(False), once(True)
pairs = [(once(False), once(True)) for _ in range(9)]
ratio = statistics.median(shown for _, shown in pairs) / statistics.median(bare for bare, _ in pairs)
"""

_CLICK = """async ([on, watch, until, limit]) => {
    const text = () => document.querySelector(watch)?.textContent ?? "", begun = performance.now();
    const button = document.querySelector(on);
    while (!button || button.disabled) { // what came before has been answered, but is not drawn yet
        if (performance.now() - begun > limit) throw new Error(`no button to click: ${on}`);
        await new Promise(requestAnimationFrame);
    }
    const before = text();
    return await new Promise((done) => {
    const finish = time => { seen.disconnect(); clearTimeout(late); done(time); };
    const seen = new MutationObserver(() => {
        if (text() !== before && new RegExp(until).test(text())) finish(performance.now() - start);
    });
    const late = setTimeout(() => finish(null), limit);
    seen.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
    const start = performance.now();
    button.click();
}); }"""
# Started before the cell runs; `appeared` holds the answer.
_APPEARS = """selector => {
    const start = performance.now();
    window.appeared = new Promise(done => {
        const seen = new MutationObserver(() => {
            if (!document.querySelector(selector)) return;
            seen.disconnect();
            requestAnimationFrame(() => done(performance.now() - start));
        });
        seen.observe(document.body, { subtree: true, childList: true, attributes: true });
        setTimeout(() => { seen.disconnect(); done(null); }, 20_000);
    });
}"""
_FRAMES = """seconds => new Promise(done => {
    const start = performance.now();
    let frames = 0, last = start, longest = 0;
    const frame = now => {
        longest = Math.max(longest, now - last);
        last = now;
        frames += 1;
        if (now - start < seconds * 1000) requestAnimationFrame(frame);
        else done([frames / ((now - start) / 1000), longest]);
    };
    requestAnimationFrame(frame);
})"""


def main() -> None:
    """Measure every story, print the table."""
    executable = chromium()
    if executable is None:
        raise SystemExit("The panel is measured in Chromium, and this machine has none.")
    with tempfile.TemporaryDirectory() as home, Lab(Path(home), executable) as lab:
        for story in STORIES:
            print(table(list(rows(lab, story))), flush=True)
        print(table([slowed(lab), laid_out()]))


def rows(lab: Lab, story: Story) -> Iterator[Row]:
    """The lines of one story: first picture, clicks and frames, idle and beside a busy cell."""
    notebook = lab.open(*story.cells, BUSY)
    try:
        for place in range(len(story.cells) - 1):
            notebook.run_cell(place)
        shown = first_picture(notebook, story, len(story.cells) - 1)
        yield at_most(f"{story.name}: cell to first picture", f"{shown:,.0f} ms", shown, story.first, "ms")
        if story.data is not None:
            drawn = float(notebook.page.evaluate(f"document.querySelector('{story.canvas}').dataset.drawn"))
            yield at_most(f"{story.name}: data to picture", f"{drawn:,.0f} ms", drawn, story.data, "ms")
        yield from moving(notebook, story, "", story.p50)
        if story.busy is not None:
            with busy_cell(notebook, len(story.cells)):
                yield from moving(notebook, story, ", another cell busy", story.busy)
        for error in notebook.errors + notebook.foreign:
            yield Row(f"{story.name}: {error[:80]}", "on the console", "nothing", met=False)
    finally:
        notebook.close()


def slowed(lab: Lab) -> Row:
    """What an open panel costs a run of 5,000 tasks that do nothing, by the clock."""
    notebook = lab.open(PAIRS)
    try:
        notebook.run_cell(0, wait=False)
        notebook.page.wait_for_function("() => window.pending")
        notebook.page.wait_for_function("() => !window.pending", timeout=300_000)
        ratio = float(notebook.evaluate_in_kernel("ratio"))
    finally:
        notebook.close()
    return at_most("5,000 tasks: with an open panel / without", f"{ratio:.2f}", ratio, 1.10, "")


def laid_out(layers: int = 100, width: int = 50) -> Row:
    """How long the places of 5,000 tasks take to compute."""
    tasks = [Task(id=f"t{layer}.{at}") for layer in range(layers) for at in range(width)]
    edges = [
        (f"t{layer - 1}.{(at + by) % width}", f"t{layer}.{at}", 0.0)
        for layer in range(1, layers)
        for at in range(width)
        for by in (0, 1)
    ]
    graph = TaskGraph.of(tasks, edges)
    start = time.perf_counter()
    layout(graph)
    took = (time.perf_counter() - start) * 1_000
    return at_most(f"{len(graph):,} tasks: layout", f"{took:.0f} ms", took, 100, "ms")


def first_picture(notebook: Notebook, story: Story, cell: int) -> float:
    """Milliseconds from running the cell until its picture is in the page, imports included."""
    notebook.page.evaluate(_APPEARS, story.canvas)
    notebook.run_cell(cell)
    appeared: float | None = notebook.page.evaluate("() => window.appeared")
    return math.inf if appeared is None else appeared


def moving(notebook: Notebook, story: Story, when: str, goal: float) -> Iterator[Row]:
    """Clicks, then frames a second."""
    known = sorted(answers(notebook, story.clicks))
    p50, p95 = (known[min(int(len(known) * p), len(known) - 1)] for p in (0.5, 0.95))
    yield at_most(f"{story.name}: click to answer, p50{when}", f"{p50:,.0f} ms", p50, goal, "ms")
    yield at_most(f"{story.name}: click to answer, p95{when}", f"{p95:,.0f} ms", p95, story.p95, "ms")
    rate, longest = notebook.page.evaluate(_FRAMES, 3)
    words = f"{rate:.0f}, longest {longest:.0f} ms"
    yield at_least(f"{story.name}: frames a second{when}", words, rate, story.frames)


def answers(notebook: Notebook, clicks: tuple[Click, ...]) -> list[float]:
    """Milliseconds of each click, infinite for one that nobody answered, which ends the series."""
    times: list[float] = []
    for click in islice(cycle(clicks), CLICKS):
        asked: list[Any] = [click.on, click.watch, click.until, UNANSWERED]
        took: float | None = notebook.page.evaluate(_CLICK, asked)
        times.append(math.inf if took is None else took)
        if took is None:
            break
    return times


@contextmanager
def busy_cell(notebook: Notebook, cell: int) -> Iterator[None]:
    """While a cell sleeps; it is an error if it woke up too early."""
    notebook.run_cell(cell, wait=False)
    notebook.page.wait_for_function("() => window.pending")
    yield
    if not notebook.page.evaluate("() => window.pending"):
        raise RuntimeError("the busy cell ended before the measurement: make it longer")
    notebook.interrupt()


if __name__ == "__main__":
    main()
