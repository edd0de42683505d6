"""The command line as a terminal user meets it, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PLAN = {
    "task": "three steps",
    "subtasks": [
        {"id": "a", "complexity": 2},
        {"id": "b", "complexity": 3},
        {"id": "c", "complexity": 1, "depends_on": ["a", "b"]},
    ],
}


def dyntaskmas(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "dyntaskmas_nb.cli", *arguments],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN))
    return str(path)


def test_json_prints_one_object_with_every_number(plan, tmp_path):
    done = dyntaskmas(
        "run", plan, "--model", "simulated", "--clock", "virtual", "--agents", "2", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["status"] == "done"
    assert (report["tasks"], report["edges"], report["agents"]) == (3, 2, 2)
    assert (report["makespan_s"], report["serial_s"]) == (4.0, 6.0)
    assert (report["critical_path_s"], report["lower_bound_s"], report["utilisation"]) == (4.0, 4.0, 0.75)
    assert report["failed"] == {}
    assert set(report) >= {"run", "result"}


def test_text_shows_plan_timeline_numbers_and_writes_the_picture(plan, tmp_path):
    done = dyntaskmas(
        "run", plan, "--model", "simulated", "--clock", "virtual", "--html", "out.html", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    for word in ("3 of 3 done", "critical path", "lower bound", "utilisation", "out.html"):
        assert word in done.stdout
    assert "<svg" in (tmp_path / "out.html").read_text()
    listed = dyntaskmas("runs", cwd=tmp_path)
    assert "three steps" in listed.stdout
    assert "done" in listed.stdout


def test_a_named_latency_model_replaces_the_complexity(plan, tmp_path):
    done = dyntaskmas(
        "run",
        plan,
        "--model",
        "simulated:constant:0.5",
        "--clock",
        "virtual",
        "--agents",
        "1",
        "--json",
        cwd=tmp_path,
    )
    assert json.loads(done.stdout)["makespan_s"] == 1.5


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "missing.json"], "missing.json"),
        (["run", "bad.json"], "JSON"),
        (["run", "list.json"], "object"),
        (["run", "cycle.json"], "cycle"),
        (["run", "unknown.json"], "'zz'"),
        (["run", "field.json"], "complexity"),
        (["run", ""], "empty"),
        (["run", "   "], "empty"),
        (["run", "x" * 100_000], "characters"),
        (["run", "plan.json", "--model", "nonsense"], "nonsense"),
        (["run", "plan.json", "--model", "/no/such/model"], "/no/such/model"),
        (["run", "plan.json", "--model", "simulated:constant:minus"], "constant"),
        (["run", "plan.json", "--policy", "best"], "upward_rank"),
        (["run", "plan.json", "--agents", "0"], "agents"),
        (["run", "plan.json", "--agents", "many"], "agents"),
        (["run", "plan.json", "--clock", "moon"], "clock"),
        (["run", "plan.json", "--clock", "virtual", "--model", "embedded"], "real time"),
        (["run", "plan.json", "--model", "simulated", "--html", "."], "directory"),
        (["run", "plan.json", "--home", "plan.json"], "home"),
        (["run", "plan.json", "--model", "http://127.0.0.1:9/v1"], "127.0.0.1:9"),
        (["frobnicate"], "frobnicate"),
        (["runs", "--home", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_status_2_and_nothing_half_written(arguments, word, plan, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    files = {
        "cycle": [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a"]}],
        "unknown": [{"id": "a", "depends_on": ["zz"]}],
        "field": [{"id": "a", "complexity": "much"}],
    }
    for name, subtasks in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"subtasks": subtasks}))
    before = {path.name for path in tmp_path.iterdir()}
    done = dyntaskmas(*arguments, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    unreachable = "127.0.0.1:9" in word
    assert done.returncode == (1 if unreachable else 2), done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert word in lines[0]
    made = {path.name for path in tmp_path.iterdir()} - before
    assert made <= ({".dyntaskmas"} if unreachable else set())


def test_a_long_sentence_is_a_sentence_and_text_from_outside_is_made_printable(tmp_path):
    done = dyntaskmas("run", "\x1b[31mFix " + "the bug " * 100, cwd=tmp_path)
    assert done.returncode == 2
    assert "teaching model" in done.stderr
    assert "\x1b" not in done.stderr


def test_doctor_says_what_is_here(tmp_path):
    done = dyntaskmas("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    for word in ("Python", "chromadb", "embedded Llama", "writable"):
        assert word in done.stdout
    assert not list(tmp_path.iterdir())
