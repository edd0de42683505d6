"""`dyntaskmas runs` and `resume`: what was cut off is listed as such, and goes on where it can."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest

from dyntaskmas_nb import Kit

PLAN = {"task": "two steps", "subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]}
CLI = [sys.executable, "-m", "dyntaskmas_nb.cli"]


def dyntaskmas(*arguments, cwd):
    return subprocess.run(
        [*CLI, *arguments], cwd=cwd, check=False, capture_output=True, text=True, timeout=100
    )


def refused(done, *words):
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr
    assert not done.stdout


def test_what_ctrl_c_cut_off_goes_on_by_the_command_it_names(tmp_path):
    """The model answers at once, except that no answer comes for `b` before Ctrl-C."""
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    home = "a home"
    script = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without it
from dyntaskmas_nb.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    started = subprocess.Popen(
        [
            sys.executable,
            "-c",
            script,
            "run",
            "plan.json",
            "--model",
            "simulated:constant:600",
            "--home",
            home,
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "a" not in started.stdout.readline():  # the plan is shown: the run is going
        assert started.poll() is None
    live = json.loads(dyntaskmas("runs", "--home", home, "--json", cwd=tmp_path).stdout)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    hint = shlex.split(re.search(r"go on with: (dyntaskmas resume .*)", said)[1])
    assert hint[3:] == ["--home", home, "--model", "simulated:constant:600"]
    listed = json.loads(dyntaskmas("runs", "--home", home, "--json", cwd=tmp_path).stdout)
    assert [(run["run"], run["status"], run["request"]) for run in listed] == [
        (hint[2], "interrupted", "two steps")
    ]
    assert [run["status"] for run in live] == ["running"]
    hint[-1] = "simulated:constant:0"
    done = dyntaskmas(*hint[1:], "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["run"], report["status"]) == (hint[2], "done")
    text = dyntaskmas("runs", "--home", home, cwd=tmp_path).stdout
    assert re.fullmatch(rf"{hint[2]}  done +\d{{4}}-\d\d-\d\d \d\d:\d\d  two steps\n", text)
    over = dyntaskmas("resume", *hint[2:5], "--html", "out.html", cwd=tmp_path)
    assert over.returncode == 0, over.stderr
    assert "2 of 2 done" in over.stdout
    assert (tmp_path / "out.html").exists()


def test_a_virtual_run_goes_on_in_virtual_time(tmp_path):
    with Kit(clock="virtual", home=tmp_path) as kit:
        run = kit.start(PLAN)
    done = dyntaskmas("resume", run.id, "--home", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 done" in done.stdout


@pytest.mark.parametrize(
    ("kit", "words"),
    [
        ({"agents": {"cook": len, "*": len}}, ("Python functions for 'cook', '*'", "Kit(agents={'cook'")),
        ({"policy": lambda task, successors, weights: 0.0, "clock": "virtual"}, ("policy=",)),
    ],
)
def test_a_run_of_ones_own_code_is_refused_in_one_sentence(kit, words, tmp_path):
    with Kit(**kit, home=tmp_path) as made:
        run = made.start(PLAN, paused=True)
    done = dyntaskmas("resume", run.id, "--home", str(tmp_path), "--model", "simulated", cwd=tmp_path)
    refused(done, run.id, *words)


@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_a_run_of_a_living_process_is_refused_by_its_number(clock, tmp_path):
    with Kit("simulated", clock=clock, home=tmp_path) as kit:
        run = kit.start(PLAN, paused=True)
        done = dyntaskmas("resume", run.id, "--home", str(tmp_path), "--model", "simulated", cwd=tmp_path)
        refused(done, run.id, f"process {os.getpid()}")
        assert run.resume()
        assert run.result() is not None


def test_an_unknown_run_and_no_journal_are_refused(tmp_path):
    refused(dyntaskmas("resume", "x", cwd=tmp_path), "no journal in .dyntaskmas")
    assert not list(tmp_path.iterdir())
    with Kit("simulated", clock="virtual", home=tmp_path) as kit:
        run = kit.start(PLAN)
    refused(dyntaskmas("resume", "x", "--home", str(tmp_path), cwd=tmp_path), "no run 'x'", run.id)


def test_a_plan_that_failed_is_an_object_too(tmp_path):
    done = dyntaskmas("run", "Fix the bug in the parser of my compiler", "--json", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    report = json.loads(done.stdout)
    assert (report["status"], report["tasks"]) == ("failed", 0)
    assert "teaching model" in report["reason"]
