"""Interrupted runs: nothing acknowledged is lost, no finished task runs twice, nothing hangs."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.errors import InvalidInput, StoreError

SCRIPT = textwrap.dedent(
    """
    import signal, sys, time
    from pathlib import Path
    from dyntaskmas_nb import Kit

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without it
    home, ending = sys.argv[1:]
    done = Path(home) / "done"

    def work(task, context):
        if task.id == "slow":
            print("slow", flush=True)
            time.sleep(600)
        done.parent.mkdir(exist_ok=True)
        with done.open("a") as file:
            file.write(task.id + "\\n")
        return task.id

    kit = Kit(agents={"*": work}, home=home)
    run = kit.start({"subtasks": [{"id": "quick"}, {"id": "slow", "depends_on": ["quick"]},
                                  {"id": "end", "depends_on": ["slow"]}]})
    print(run.id, flush=True)
    if ending == "leave":
        while run.states()["slow"] != "running":
            time.sleep(0.01)
        sys.exit(0)
    run.result()
    """
)


def interrupted(home, ending):
    """Start the script, end it while `slow` runs, return the run's id."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home), ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first, second = process.stdout.readline().strip(), process.stdout.readline().strip()
    id = second if first == "slow" else first
    if ending == "kill":
        process.send_signal(signal.SIGKILL)
    elif ending == "ctrl-c":
        process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == {"leave": 0, "kill": -signal.SIGKILL, "ctrl-c": -signal.SIGINT}[ending]
    return id


@pytest.mark.parametrize("ending", ["leave", "ctrl-c", "kill"])
def test_an_interrupted_run_goes_on_where_it_stood(tmp_path, ending):
    id = interrupted(tmp_path / "home", ending)
    again = []

    def work(task, context):
        again.append(task.id)
        return task.id

    with Kit(agents={"*": work}, home=tmp_path / "home") as kit:
        run = kit.open_run(id)
        assert run.status == "paused"
        assert run.states()["quick"] == "done"
        assert run.resume()
        assert run.result() == "end"
        assert again == ["slow", "end"], "quick is not run again"
        assert run.snapshot().tasks["slow"].attempt == 2
    with Kit(home=tmp_path / "home", agents={"*": lambda: "again"}) as kit:
        finished = kit.open_run(id)
        assert finished.status == "done"
        assert finished.result() == "end"
        assert finished.add_task("more", id="more"), "a finished run goes on"
        finished.result()
        assert finished.states()["more"] == "done"


def test_a_result_that_was_stored_before_the_kill_is_adopted(tmp_path):
    code = """
import os, sys
from dyntaskmas_nb import Kit
from dyntaskmas_nb.apee.journal import Journal
append = Journal.append
def dying(self, run, first, events):
    if any(type(event).__name__ == "TaskDone" for event in events):
        os.kill(os.getpid(), 9)  # the store has the result, the journal does not
    append(self, run, first, events)
Journal.append = dying
kit = Kit(agents={"*": lambda task, context: "made once"}, home=sys.argv[1])
run = kit.start({"subtasks": [{"id": "a"}]})
run.result()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL

    def never(task, context):
        raise AssertionError("a finished task ran twice")

    with Kit(agents={"*": never}, home=tmp_path) as kit:
        run = kit.open_run(kit.runs()[-1].run)
        run.resume()
        assert run.result() == "made once"


def test_a_custom_policy_must_be_given_again(tmp_path):
    def longest_name(task, successors, weights):
        return float(len(task.id))

    with Kit(clock="virtual", home=tmp_path, policy=longest_name) as kit:
        run = kit.start({"subtasks": [{"id": "a"}, {"id": "long"}]}, agents=1)
        run.result()
        assert [entry.task for entry in run.snapshot().entries] == ["long", "a"]
        assert kit.open_run(run.id) is run
    with Kit(clock="virtual", home=tmp_path) as kit:
        with pytest.raises(InvalidInput, match="policy"):
            kit.open_run(run.id)
        with pytest.raises(StoreError, match="policy"):
            kit.open_run(run.id, policy=lambda task, successors, weights: -len(task.id))
        assert kit.open_run(run.id, policy=longest_name).status == "done"


def test_a_read_only_home_is_refused(unwritable):
    with pytest.raises(StoreError, match="writable"):
        Kit(home=unwritable / "home")
