"""``dyntaskmas run``: from a sentence or plan file to a result, with live progress on a terminal."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import universal_agents
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.dtgg.planner import check_sentence
from dyntaskmas_nb.errors import DynTaskError, InvalidInput, RunCancelled, RunFailed, StoreError
from dyntaskmas_nb.kit.kit import HOME, Kit
from dyntaskmas_nb.kit.run import Run
from dyntaskmas_nb.view.numbers import measured
from dyntaskmas_nb.view.text import numbers_text, plan_text, progress_text, timeline_text
from dyntaskmas_nb.view.words import duration, paragraph, printable, result_text

MAX_PLAN_BYTES = 64_000_000
REFRESH = 0.1
INTERRUPTED = 130


def run(options: argparse.Namespace) -> int:
    """Plan and run what `options` ask for; return the exit status."""
    given = read_what(options.what)
    what = check_sentence(given) if isinstance(given, str) else TaskGraph.from_plan(given)
    if options.agents is not None:
        universal_agents(options.agents)
    check_writable(options.html)
    kit = Kit(options.model, home=options.home, policy=options.policy, clock=options.clock, seed=options.seed)
    with kit:
        return follow(kit.start(what, agents=options.agents), options)


def follow(started: Run, options: argparse.Namespace) -> int:
    """Wait for the end of a run, show it as `options` ask, and return the exit status."""
    result, failure, status = None, "", 0
    try:
        result = _follow(started, quiet=options.json)
    except (RunFailed, RunCancelled) as error:
        failure, status = str(error), 1
    except DynTaskError as error:  # there is no plan, and so nothing to show
        if not options.json:
            raise
        failure, status = str(error), 2
    except KeyboardInterrupt:
        print(f"\ndyntaskmas: interrupted; go on with: {_again(started.id, options)}", file=sys.stderr)
        return INTERRUPTED
    if options.html:
        started.to_html(options.html)
    now = started.snapshot()
    if options.json:
        write_json(report(now, result, failure))
    else:
        _show_end(now, result, failure, options.html)
    return status


def _again(id: str, options: argparse.Namespace) -> str:
    """The command that goes on with a run, as a shell takes it."""
    given = {"--home": options.home, "--model": options.model}
    words = [word for name, value in given.items() if value not in (None, HOME) for word in (name, value)]
    return shlex.join(["dyntaskmas", "resume", id, *words])


def read_what(text: str) -> str | dict[str, Any]:
    """The plan in the file `text` names, or the sentence that `text` is.

    Raises `InvalidInput` when the file is missing, unreadable, too large or no JSON object.
    """
    import orjson

    if not os.path.isfile(text):
        if text.endswith(".json") and len(text.split()) == 1:
            raise InvalidInput(f"There is no plan file {printable(text)}.")
        return text
    path = Path(text)
    try:
        if (size := path.stat().st_size) > MAX_PLAN_BYTES:
            raise InvalidInput(
                f"The plan file {path} has {size:,} bytes; at most {MAX_PLAN_BYTES:,} are read."
            )
        plan = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"The plan file {printable(text)} cannot be read ({error.strerror}).") from None
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"The plan file {path} is not JSON: {error}.") from None
    if not isinstance(plan, dict):
        raise InvalidInput(f'The plan file {path} must hold an object {{"task": …, "subtasks": […]}}.')
    return plan


def report(now: Snapshot, result: Any, failure: str = "") -> dict[str, Any]:
    """What ``--json`` prints: times in seconds, utilisation as a share."""
    measures = measured(now)
    return {
        "run": now.run,
        "status": now.status,
        "reason": now.reason or failure,
        "tasks": len(now.graph),
        "edges": sum(1 for _ in now.graph.dependencies()),
        "agents": sum(agent.slots for agent in now.agents),
        "makespan_s": measures.makespan,
        "serial_s": measures.serial,
        "critical_path_s": measures.critical_path,
        "lower_bound_s": measures.lower_bound,
        "utilisation": measures.utilisation,
        "result": result,
        "failed": {id: view.reason for id, view in now.tasks.items() if view.state in ("failed", "blocked")},
    }


def _follow(started: Run, *, quiet: bool) -> Any:
    """Wait for the result, showing how it goes when somebody watches."""
    if quiet:
        return started.result()
    if not sys.stdout.isatty():
        return _print_along(started)
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, refresh_per_second=1 / REFRESH, transient=True) as live:
        shown = False
        while True:
            now = started.snapshot()
            if len(now.graph) and not shown:
                console.print(Text(_plan_shown(started, now) + "\n"))
                shown = True
            live.update(Text(progress_text(now, limit=max(5, console.height - 4))))
            try:
                return started.result(timeout=REFRESH)
            except TimeoutError:
                continue


def _plan_shown(started: Run, now: Snapshot) -> str:
    """The plan, and what had to be repaired in it."""
    notes = [printable(f"repaired: {note}", 300) for note in started.repairs()]
    return "\n".join([plan_text(now.graph), *notes])


def _print_along(started: Run) -> Any:
    """A line for each attempt that ends, for a pipe or a file."""
    started.wait_for_plan()
    now = started.snapshot()
    if len(now.graph):
        print(_plan_shown(started, now) + "\n", flush=True)
    printed: set[tuple[str, int]] = set()
    ended = False
    while not ended:
        with suppress(TimeoutError, DynTaskError):
            started.result(timeout=REFRESH)
        ended = started.over
        now = started.snapshot()
        for entry in now.entries:
            if entry.end is not None and (entry.task, entry.attempt) not in printed:
                printed.add((entry.task, entry.attempt))
                took = duration(entry.end - entry.start)
                line = f"{duration(entry.end):>10}  {entry.outcome:<7} {entry.task}, {took} on {entry.agent}"
                print(printable(line), flush=True)
    print()
    return started.result()


def _show_end(now: Snapshot, result: Any, failure: str, html: str | None) -> None:
    print(progress_text(now) + "\n")
    print(timeline_text(now, width=_width()) + "\n")
    print(numbers_text(measured(now)) + "\n")
    if failure:
        print(f"dyntaskmas: {printable(failure, 2000)}", file=sys.stderr)
    else:
        print(paragraph(result_text(result)))
    if html:
        print(f"\nwritten: {html}")


def _width() -> int:
    try:
        return max(60, min(os.get_terminal_size().columns, 120)) - 2
    except OSError:
        return 78


def check_writable(name: str | None) -> None:
    """Refuse before the run what could not be written after it."""
    if not name:
        return
    path = Path(name)
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if path.is_dir():
        raise StoreError(f"{path} is a directory; give --html a file name.")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise StoreError(f"{folder} is not writable; choose another place for --html.")


def write_json(value: object) -> None:
    """Print a value as JSON."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.flush()
