"""What a face is told of a run: who takes in every change knows the whole, and nothing is told twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyntaskmas_nb import Kit
from dyntaskmas_nb.core.delta import RemoveTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import Snapshot, TaskView
from dyntaskmas_nb.core.task import Resource, Task, TaskState
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import AgentError, InvalidInput
from dyntaskmas_nb.ui import scene as scenes
from dyntaskmas_nb.ui.scene import Scene
from tests import strategies
from tests.ui.fakes import Mirror, strict
from tests.view.runs import make


def work(task: Any, context: Any) -> Any:
    if task.complexity > 2.5:
        raise AgentError("too hard \x1b[31m")
    return [task.description, context.attempt, EXTRA]


EXTRA = {"kind": "RemoveTask", "deep": [[["x" * 900]]]}
Action = tuple[str, Any]
actions: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("edit"), strategies.deltas(bad=False)),
    st.tuples(st.just("edit"), strategies.deltas()),
    st.tuples(st.just("order"), strategies.commands),
    st.tuples(st.just("step"), st.sampled_from(["dispatch", "completion"])),
    st.tuples(st.just("pass"), st.integers(1, 8)),
    st.tuples(
        st.just("rates"), st.dictionaries(st.sampled_from(strategies.ROLES), strategies.positive_quarters)
    ),
    st.tuples(st.just("undo"), st.none()),
)


def act(run: Any, action: Action) -> None:
    """Do something to a run, or try to."""
    with suppress(InvalidInput):
        match action:
            case "edit", delta:
                run.apply(delta)
            case "order", command:
                run._submit(command)
            case "step", until:
                run.step(until)
            case "pass", quarters:
                run.run_until(run.snapshot().t + quarters / 4)
            case "rates", rates:
                run.configure(rates=rates)
            case "undo", _:
                run.undo()


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    with Kit(clock="virtual", home=None, agents={"*": work}) as kit:
        yield kit


@settings(max_examples=80)
@given(strategies.graphs(min_size=1), st.lists(st.tuples(actions, st.booleans()), min_size=4, max_size=12))
def test_who_takes_in_every_change_knows_the_whole(
    kit: Kit, graph: TaskGraph, course: list[tuple[Action, bool]]
) -> None:
    run = kit.start(graph, paused=True)
    scene, mirror = Scene(), Mirror()
    mirror.apply(scene.whole(run.snapshot()) | {"full": True})
    for action, looked_at in course:
        act(run, action)
        if looked_at:
            tell(scene, mirror, run.snapshot())
    now = run.snapshot()
    tell(scene, mirror, now)
    whole = Mirror()
    whole.apply(Scene(scene.places).whole(now))
    assert mirror.rows == whole.rows
    assert mirror.attempts == whole.attempts
    assert mirror.known == whole.known
    again = scene.look(now)
    assert (again["upserts"], again["removals"], again["attempts"]) == ([], [], [])
    assert not {"agents", "settings"} & again.keys()
    run.cancel()


def tell(scene: Scene, mirror: Mirror, now: Snapshot) -> None:
    """Let a mirror hear what is new, and see that it is."""
    news = strict(scene.look(now))
    assert all(mirror.rows.get(row["id"]) != row for row in news["upserts"])
    assert all(mirror.attempts.get(f"{one['task']}#{one['attempt']}") != one for one in news["attempts"])
    assert all(mirror.known.get(name) != news.get(name, ()) for name in ("agents", "settings"))
    assert set(news["removals"]) <= mirror.rows.keys()
    mirror.apply(news)


def test_a_row_is_made_again_only_where_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = TaskGraph.of([Task(id=id) for id in "abc"], [("a", "b", 1.0)])
    scene, made = Scene(), list[str]()
    row = Scene._row

    def counted(self: Scene, now: Snapshot, task: Task, *rest: Any) -> Any:
        made.append(task.id)
        return row(self, now, task, *rest)

    monkeypatch.setattr(Scene, "_row", counted)
    now = make(graph)
    scene.whole(now)
    made.clear()
    ready = TaskView(state=TaskState.READY)
    news = scene.look(replace(now, tasks={**now.tasks, "c": ready}))
    assert made == ["c"] == [row["id"] for row in news["upserts"]]
    assert news["upserts"][0]["state"] == "ready"


READY = TaskView(state=TaskState.READY)


@pytest.mark.parametrize(
    "change",
    [
        {"tasks": {"a": replace(READY, priority=2.0)}},
        {"tasks": {"a": replace(READY, attempt=1)}},
        {"tasks": {"a": replace(READY, agent="x")}},
        {"tasks": {"a": replace(READY, reason="x")}},
        {"tasks": {"a": replace(READY, result={"x": 1})}},
        {"breakpoints": {"a": "after"}},
        {"groups": {"a": "whole"}},
    ],
    ids=str,
)
def test_any_change_of_a_task_is_told(change: dict[str, Any]) -> None:
    now, scene = make(["a", "b"]), Scene()
    now = replace(now, tasks={"a": READY, "b": READY})
    scene.whole(now)
    tasks = {"b": READY} | change.pop("tasks", {"a": READY})
    (row,) = scene.look(now := replace(now, tasks=tasks, **change))["upserts"]
    assert row == Scene(scene.places).whole(now)["upserts"][0]
    assert scene.look(now)["upserts"] == []


def test_a_learned_pace_changes_the_weights(kit: Kit) -> None:
    run = kit.start({"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]}, paused=True)
    scene = Scene()
    scene.whole(run.snapshot())
    assert run.configure(rates={"general": 5.0})
    (row,) = scene.look(run.snapshot())["upserts"]
    assert [edge["label"] for edge in row["edges"]] == ["5 s"]


def test_what_it_says_of_a_task(kit: Kit) -> None:
    plan = {"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"], "complexity": 2}, {"id": "c"}]}
    run = kit.start(plan, paused=True, agents=1)
    assert run.set_join("b", "k_of_n", 2)
    assert run.revise(
        "b", resources=(Resource(key="oven"),), timeout=3.0, attempts=2, critical=False, role="cook"
    )
    assert run.break_at("b", "after")
    assert run.step("completion")
    scene = Scene()
    news = scene.whole(run.snapshot())
    rows = {row["id"]: row for row in news["upserts"]}
    expected = {
        "resources": ["oven"],
        "timeout": 3.0,
        "attempts": 2,
        "critical": False,
        "role": "cook",
        "join": "k_of_n 2",
        "breakpoint": "after",
        "after": ["a"],
        "layer": 1,
        "complexity": 2.0,
    }
    assert rows["b"] | expected == rows["b"]
    assert rows["a"]["result"] == result_of(run, "a")
    assert (rows["a"]["state"], rows["a"]["agent"], rows["a"]["attempt"]) == ("done", "agent 1", 1)
    assert [(one["task"], one["outcome"]) for one in news["attempts"]] == [("a", "done")]
    assert (news["status"], news["total"], news["version"]) == ("paused", 3, run.snapshot().seq)


def result_of(run: Any, id: str) -> str:
    from dyntaskmas_nb.view.words import result_text

    return result_text(run.results()[id], scenes.RESULT)


def test_tasks_stay_where_they_are_while_others_come_and_go(kit: Kit) -> None:
    plan = {"subtasks": [{"id": f"t{n}", "depends_on": [f"t{n // 2}"] if n else []} for n in range(12)]}
    run, scene = kit.start(plan, paused=True), Scene()

    def places() -> dict[str, Any]:
        scene.look(run.snapshot())
        return {id: (row["node"]["x"], row["node"]["y"]) for id, row in scene.rows.items()}

    before = places()
    run.add_task("new", id="new", after=["t3", "t5"])
    run.remove_task("t11")
    run.revise("t4", complexity=9.0)
    after = places()
    assert after.keys() == before.keys() - {"t11"} | {"new"}
    assert all(after[id] == before[id] for id in after.keys() & before.keys())
    assert len(set(after.values())) == len(after)
    run.undo()
    assert places() == after


def test_more_tasks_than_a_page_holds_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "MOST", 3)
    names = "abcde"
    graph = TaskGraph.of([Task(id=id) for id in names], [(u, v, 0.0) for u, v in pairwise(names)])
    scene = Scene()
    news = scene.whole(make(graph))
    assert ([row["id"] for row in news["upserts"]], news["total"]) == (["a", "b", "c"], 5)
    apply(graph := graph.copy(), RemoveTask(id="a"))
    news = scene.look(make(graph))
    assert ([row["id"] for row in news["upserts"]], news["removals"], news["total"]) == (
        ["b", "c", "d"],
        ["a"],
        4,
    )


def test_foreign_text_is_bounded_and_steers_nothing() -> None:
    evil = "\x1b[31m\u202e" * 30_000
    task = Task(id="a", description=evil[:20_000], resources=(Resource(key="r", exclusive=False),))
    view = TaskView(state=TaskState.FAILED, reason=evil, result={"deep": [evil, {"x": {1, 2}}]})
    now = replace(make(TaskGraph.of([task])), request=evil, reason=evil, tasks={"a": view})
    news = Scene().whole(now)
    (row,) = news["upserts"]
    assert len(row["description"]) <= scenes.TEXT
    assert len(row["reason"]) <= scenes.WHY
    assert len(row["result"]) <= scenes.RESULT
    assert row["resources"] == ["r (shared)"]
    text = str(strict(news))
    assert not set("\x1b\u202e") & set(text)
    assert len(text) < 5_000
