"""A full disk: the run stands still and says why, and goes on when there is space; nothing ran for nothing.

For a while the process may write no file beyond its first byte (RLIMIT_FSIZE), so SQLite cannot write.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="limits of a process are POSIX")

SCRIPT = """
import resource, sys, threading, time
from dyntaskmas_nb import Kit
from dyntaskmas_nb.errors import StoreError

def space(there):
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most if there else 1, most))

began, gate = [], threading.Event()
def work(task, context):
    began.append(task.id)
    gate.wait()
    return task.id

with Kit("simulated", agents={"*": work}, home=sys.argv[1]) as kit:
    run = kit.start({"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]})
    while not began:
        time.sleep(0.01)
    space(False)
    receipts = []
    asking = threading.Thread(target=lambda: receipts.append(run.add_task("More", id="x", after=["a"])))
    asking.start()
    while run.status == "running":
        time.sleep(0.01)
    assert run.status == "paused" and "tried again every second" in repr(run), repr(run)
    try:
        run.raise_if_failed()
    except StoreError as error:
        print(error)
    refused = run.add_task("Not now", id="y")
    assert not refused and "cannot be written" in refused.reason, refused
    gate.set()
    time.sleep(1.5)  # the agent is done, and its result has no place to go
    assert (began, receipts, run.results()) == (["a"], [], {}), (began, receipts, run.results())
    space(True)
    asking.join()
    assert receipts[0] and run.result() == {"b": "b", "x": "x"}, receipts
with Kit(home=sys.argv[1]) as kit:
    assert kit.open_run(run.id).result() == {"b": "b", "x": "x"}
print(sorted(began))
"""


def test_a_run_waits_for_space(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    why, began = done.stdout.splitlines()
    assert why.startswith("The run waits. The journal")
    assert began == "['a', 'b', 'x']", "each once"
